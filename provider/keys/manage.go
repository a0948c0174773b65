package keys

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"time"

	"ente.example/idp/audit"
	"golang.org/x/sync/errgroup"
)

// Key is what staff may know about a key.
type Key struct {
	Kid            string     `json:"kid"`
	Use            string     `json:"use"` // sig, or enc: others encrypt to it
	Algorithm      string     `json:"alg"`
	State          string     `json:"state"`
	CreatedAt      time.Time  `json:"created_at"`
	SignsFrom      time.Time  `json:"signs_from"`                // in use from; planned for a pending key
	PublishedUntil *time.Time `json:"published_until,omitempty"` // of one that signed
	OpensUntil     *time.Time `json:"opens_until,omitempty"`     // of one that others encrypt to
	ForgottenAt    *time.Time `json:"forgotten_at,omitempty"`
}

func (r row) info() Key {
	i := Key{
		Kid: r.Kid, Use: useOf(r.Alg), Algorithm: r.Alg, State: r.State, CreatedAt: r.CreatedAt.Time, SignsFrom: r.ActivatesAt.Time,
		PublishedUntil: r.PublishedUntil.Ptr(), ForgottenAt: r.ExpiresAt.Ptr(),
	}
	if !r.ActivatedAt.IsZero() {
		i.SignsFrom = r.ActivatedAt.Time
	}
	if i.Use == useEncryption {
		i.PublishedUntil, i.OpensUntil = nil, i.PublishedUntil
	}
	return i
}

// Ensure makes the first key of every algorithm that has none, then loads.
// Any number of nodes may do so at once: one key of each wins.
func (k *Set) Ensure(ctx context.Context) error {
	rows, _, err := k.store.all(ctx)
	if err != nil {
		return fmt.Errorf("look for the provider's keys: %w", err)
	}
	var g errgroup.Group
	for _, alg := range Kinds() {
		if slices.ContainsFunc(rows, func(r row) bool { return r.Alg == alg && (r.State == stateActive || r.State == statePending) }) {
			continue
		}
		g.Go(func() error {
			_, _, err := k.make(ctx, audit.Actor{Kind: audit.System}, alg, stateActive)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return k.Load(ctx)
}

// make generates a key and inserts it, unless another was faster.
func (k *Set) make(ctx context.Context, by audit.Actor, alg, state string) (kid string, made bool, err error) {
	row, err := k.newRow(alg, state)
	if err != nil {
		return "", false, err
	}
	err = k.db.InTx(ctx, func(ctx context.Context) error {
		made, err = k.insert(ctx, by, row)
		return err
	})
	return row.Kid, made, err
}

// newRow generates a key; nothing may be open or locked meanwhile.
func (k *Set) newRow(alg, state string) (row, error) {
	private, err := k.generate(alg)
	if err != nil {
		return row{}, fmt.Errorf("make key: %w", err)
	}
	return k.rowOf(alg, state, private)
}

func (k *Set) rowOf(alg, state string, private crypto.Signer) (row, error) {
	public, err := publicKey(alg, private)
	if err != nil {
		return row{}, err
	}
	jwk, err := public.MarshalJSON()
	if err != nil {
		return row{}, fmt.Errorf("encode key: %w", err)
	}
	sealed, err := k.seal(public.KeyID, alg, private)
	if err != nil {
		return row{}, fmt.Errorf("seal key: %w", err)
	}
	proof, err := k.wrap.Encrypt(nil, provenFor(public.KeyID, alg))
	if err != nil {
		return row{}, fmt.Errorf("seal key: %w", err)
	}
	return row{Kid: public.KeyID, Alg: alg, State: state, PublicJWK: string(jwk), Proof: proof, Sealed: sealed}, nil
}

// insert needs a transaction.
func (k *Set) insert(ctx context.Context, by audit.Actor, row row) (bool, error) {
	var usable time.Duration
	if row.State == statePending {
		usable = k.policy.beforeUse()
	}
	made, err := k.store.add(ctx, row, usable)
	if err != nil {
		return false, fmt.Errorf("insert key: %w", err)
	}
	if !made {
		return false, nil
	}
	return true, k.audit.Record(ctx, event(audit.KeyCreated, by, row.Kid, row.Alg))
}

func event(t audit.Type, by audit.Actor, kid, alg string) audit.Event {
	return audit.Event{Type: t, Outcome: audit.Succeeded, Actor: by, Details: map[string]string{"key": kid, "alg": alg}}
}

// Rotate publishes a new key for alg; it will sign, or be the only one that is
// published to encrypt to, once every cached JWKS holds it. While one is on its way, Rotate answers with that one: any number
// of rotations at once leave one new key.
func (k *Set) Rotate(ctx context.Context, by audit.Actor, alg string) (Key, error) {
	if !slices.Contains(Kinds(), alg) {
		return Key{}, fmt.Errorf("rotate keys: no algorithm %q", alg)
	}
	for range 3 { // the pending key found may be promoted before it is read
		if next, ok, err := k.listed(ctx, alg, statePending); err != nil || ok {
			return next, err
		}
		kid, made, err := k.make(ctx, by, alg, statePending)
		if err != nil {
			return Key{}, fmt.Errorf("rotate keys: %w", err)
		}
		if made {
			return k.announce(ctx, kid)
		}
	}
	return Key{}, fmt.Errorf("rotate keys: %s keeps changing", alg)
}

func (k *Set) announce(ctx context.Context, kid string) (Key, error) {
	if err := k.Load(ctx); err != nil {
		return Key{}, err
	}
	all, err := k.List(ctx)
	if i := slices.IndexFunc(all, func(i Key) bool { return i.Kid == kid }); err == nil && i >= 0 {
		return all[i], nil
	}
	return Key{Kid: kid}, err
}

func (k *Set) listed(ctx context.Context, alg, state string) (Key, bool, error) {
	all, err := k.List(ctx)
	if err != nil {
		return Key{}, false, err
	}
	i := slices.IndexFunc(all, func(i Key) bool { return i.Algorithm == alg && i.State == state })
	if i < 0 {
		return Key{}, false, nil
	}
	return all[i], true, nil
}

// List is every key that has not been forgotten.
func (k *Set) List(ctx context.Context) ([]Key, error) {
	rows, _, err := k.store.all(ctx)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	infos := make([]Key, len(rows))
	for i, r := range rows {
		infos[i] = r.info()
	}
	return infos, nil
}

// Revoke withdraws a key at once: every node stops publishing it, signing with
// it and believing it within two polls. When it was the active one, its
// successor signs at once, known to the caches or not.
func (k *Set) Revoke(ctx context.Context, by audit.Actor, kid string) error {
	all, err := k.List(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(i Key) bool { return i.Kid == kid })
	if i < 0 || all[i].State == stateRevoked {
		return ErrUnknown
	}
	var spare row
	if s := all[i].State; s == stateActive || s == statePending { // it may be needed, and cannot be made inside
		if spare, err = k.newRow(all[i].Algorithm, stateActive); err != nil {
			return err
		}
	}
	err = k.db.InTx(ctx, func(ctx context.Context) error { return k.revoke(ctx, by, kid, spare) })
	if err != nil {
		return fmt.Errorf("revoke key: %w", err)
	}
	return k.Load(ctx)
}

func (k *Set) revoke(ctx context.Context, by audit.Actor, kid string, spare row) error {
	was, err := k.store.revoke(ctx, kid, k.policy.Remember)
	if err != nil || was.Kid == "" || was.State == stateRevoked {
		return err
	}
	if err := k.audit.Record(ctx, event(audit.KeyRevoked, by, kid, was.Alg)); err != nil || was.State != stateActive {
		return err
	}
	next, err := k.store.promote(ctx, was.Alg, true)
	if err != nil {
		return err
	}
	if next != "" {
		return k.audit.Record(ctx, event(audit.KeyActivated, by, next, was.Alg))
	}
	_, err = k.insert(ctx, by, spare)
	return err
}
