package provider

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"time"

	"ente.example/idp/audit"
	"golang.org/x/sync/errgroup"
)

// KeyInfo is what staff may know about a signing key.
type KeyInfo struct {
	Kid            string     `json:"kid"`
	Algorithm      string     `json:"alg"`
	State          string     `json:"state"`
	CreatedAt      time.Time  `json:"created_at"`
	SignsFrom      time.Time  `json:"signs_from"` // planned for a pending key
	PublishedUntil *time.Time `json:"published_until,omitempty"`
	ForgottenAt    *time.Time `json:"forgotten_at,omitempty"`
}

func (r keyRow) info() KeyInfo {
	i := KeyInfo{
		Kid: r.Kid, Algorithm: r.Alg, State: r.State, CreatedAt: r.CreatedAt.Time, SignsFrom: r.ActivatesAt.Time,
		PublishedUntil: r.PublishedUntil.Ptr(), ForgottenAt: r.ExpiresAt.Ptr(),
	}
	if !r.ActivatedAt.IsZero() {
		i.SignsFrom = r.ActivatedAt.Time
	}
	return i
}

// Ensure makes the first key of every algorithm that has none, then loads.
// Any number of nodes may do so at once: one key of each wins.
func (k *KeyRing) Ensure(ctx context.Context) error {
	rows, _, err := k.store.all(ctx)
	if err != nil {
		return fmt.Errorf("look for signing keys: %w", err)
	}
	var g errgroup.Group
	for _, alg := range Algorithms() {
		if slices.ContainsFunc(rows, func(r keyRow) bool { return r.Alg == alg && (r.State == keyActive || r.State == keyPending) }) {
			continue
		}
		g.Go(func() error {
			_, _, err := k.make(ctx, audit.Actor{Kind: audit.System}, alg, keyActive)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return k.Load(ctx)
}

// make generates a key and inserts it, unless another was faster.
func (k *KeyRing) make(ctx context.Context, by audit.Actor, alg, state string) (kid string, made bool, err error) {
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
func (k *KeyRing) newRow(alg, state string) (keyRow, error) {
	private, err := k.generate(alg)
	if err != nil {
		return keyRow{}, fmt.Errorf("make signing key: %w", err)
	}
	return k.rowOf(alg, state, private)
}

func (k *KeyRing) rowOf(alg, state string, private crypto.Signer) (keyRow, error) {
	public, err := publicKey(alg, private)
	if err != nil {
		return keyRow{}, err
	}
	jwk, err := public.MarshalJSON()
	if err != nil {
		return keyRow{}, fmt.Errorf("encode signing key: %w", err)
	}
	sealed, err := k.seal(public.KeyID, alg, private)
	if err != nil {
		return keyRow{}, fmt.Errorf("seal signing key: %w", err)
	}
	proof, err := k.wrap.Encrypt(nil, provenFor(public.KeyID, alg))
	if err != nil {
		return keyRow{}, fmt.Errorf("seal signing key: %w", err)
	}
	return keyRow{Kid: public.KeyID, Alg: alg, State: state, PublicJWK: string(jwk), Proof: proof, Sealed: sealed}, nil
}

// insert needs a transaction.
func (k *KeyRing) insert(ctx context.Context, by audit.Actor, row keyRow) (bool, error) {
	var usable time.Duration
	if row.State == keyPending {
		usable = k.policy.beforeUse()
	}
	made, err := k.store.add(ctx, row, usable)
	if err != nil {
		return false, fmt.Errorf("insert signing key: %w", err)
	}
	if !made {
		return false, nil
	}
	return true, k.audit.Record(ctx, keyEvent(audit.KeyCreated, by, row.Kid, row.Alg))
}

func keyEvent(t audit.Type, by audit.Actor, kid, alg string) audit.Event {
	return audit.Event{Type: t, Outcome: audit.Succeeded, Actor: by, Details: map[string]string{"key": kid, "alg": alg}}
}

// Rotate publishes a new key for alg; it will sign once every cached JWKS
// holds it. While one is on its way, Rotate answers with that one: any number
// of rotations at once leave one new key.
func (k *KeyRing) Rotate(ctx context.Context, by audit.Actor, alg string) (KeyInfo, error) {
	if !slices.Contains(Algorithms(), alg) {
		return KeyInfo{}, fmt.Errorf("rotate signing keys: no algorithm %q", alg)
	}
	for range 3 { // the pending key found may be promoted before it is read
		if next, ok, err := k.find(ctx, alg, keyPending); err != nil || ok {
			return next, err
		}
		kid, made, err := k.make(ctx, by, alg, keyPending)
		if err != nil {
			return KeyInfo{}, fmt.Errorf("rotate signing keys: %w", err)
		}
		if made {
			return k.announce(ctx, kid)
		}
	}
	return KeyInfo{}, fmt.Errorf("rotate signing keys: %s keeps changing", alg)
}

func (k *KeyRing) announce(ctx context.Context, kid string) (KeyInfo, error) {
	if err := k.Load(ctx); err != nil {
		return KeyInfo{}, err
	}
	all, err := k.List(ctx)
	if i := slices.IndexFunc(all, func(i KeyInfo) bool { return i.Kid == kid }); err == nil && i >= 0 {
		return all[i], nil
	}
	return KeyInfo{Kid: kid}, err
}

func (k *KeyRing) find(ctx context.Context, alg, state string) (KeyInfo, bool, error) {
	all, err := k.List(ctx)
	if err != nil {
		return KeyInfo{}, false, err
	}
	i := slices.IndexFunc(all, func(i KeyInfo) bool { return i.Algorithm == alg && i.State == state })
	if i < 0 {
		return KeyInfo{}, false, nil
	}
	return all[i], true, nil
}

// List is every key that has not been forgotten.
func (k *KeyRing) List(ctx context.Context) ([]KeyInfo, error) {
	rows, _, err := k.store.all(ctx)
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	infos := make([]KeyInfo, len(rows))
	for i, r := range rows {
		infos[i] = r.info()
	}
	return infos, nil
}

// Revoke withdraws a key at once: every node stops publishing it, signing with
// it and believing it within two polls. When it was the active one, its
// successor signs at once, known to the caches or not.
func (k *KeyRing) Revoke(ctx context.Context, by audit.Actor, kid string) error {
	all, err := k.List(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(i KeyInfo) bool { return i.Kid == kid })
	if i < 0 || all[i].State == keyRevoked {
		return ErrUnknownKey
	}
	var spare keyRow
	if s := all[i].State; s == keyActive || s == keyPending { // it may be needed, and cannot be made inside
		if spare, err = k.newRow(all[i].Algorithm, keyActive); err != nil {
			return err
		}
	}
	err = k.db.InTx(ctx, func(ctx context.Context) error { return k.revoke(ctx, by, kid, spare) })
	if err != nil {
		return fmt.Errorf("revoke signing key: %w", err)
	}
	return k.Load(ctx)
}

func (k *KeyRing) revoke(ctx context.Context, by audit.Actor, kid string, spare keyRow) error {
	was, err := k.store.revoke(ctx, kid, k.policy.Remember)
	if err != nil || was.Kid == "" || was.State == keyRevoked {
		return err
	}
	if err := k.audit.Record(ctx, keyEvent(audit.KeyRevoked, by, kid, was.Alg)); err != nil || was.State != keyActive {
		return err
	}
	next, err := k.store.promote(ctx, was.Alg, true)
	if err != nil {
		return err
	}
	if next != "" {
		return k.audit.Record(ctx, keyEvent(audit.KeyActivated, by, next, was.Alg))
	}
	_, err = k.insert(ctx, by, spare)
	return err
}
