package keys

import (
	"context"
	"time"

	"ente.example/idp/audit"
)

// Run follows the database and moves keys through their lives until ctx ends.
// It belongs on every node: whoever comes first does what is due, the others
// find it done. A database that is away is tried again at the next poll.
func (k *Set) Run(ctx context.Context) error {
	t := time.NewTicker(k.policy.Poll)
	defer t.Stop()
	var down bool
	for {
		err := k.Tend(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !down:
			k.log.ErrorContext(ctx, "the provider's keys cannot be followed", "error", err)
		case err == nil && down:
			k.log.InfoContext(ctx, "the provider's keys are followed again")
		}
		down = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// Tend is one round of Run: load, and do what is due.
func (k *Set) Tend(ctx context.Context) error {
	if err := k.Load(ctx); err != nil {
		return err
	}
	changed := false
	s := k.snap.Load()
	for _, r := range s.due {
		did, err := k.tend(ctx, r, s.now)
		if err != nil {
			return err
		}
		changed = changed || did
	}
	if changed {
		return k.Load(ctx)
	}
	return nil
}

func (k *Set) tend(ctx context.Context, r row, now time.Time) (did bool, err error) {
	reached := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	switch r.State {
	case statePending:
		if reached(r.ActivatesAt.Time) {
			return true, k.promote(ctx, r.Alg)
		}
	case stateActive:
		if reached(r.ActivatedAt.Add(k.policy.Rotation)) && !k.pending(r.Alg) {
			_, err := k.Rotate(ctx, audit.Actor{Kind: audit.System}, r.Alg)
			return true, err
		}
	case stateRetiring:
		if reached(r.PublishedUntil.Time) {
			return true, k.store.settle(ctx, k.policy.Remember)
		}
	case stateRetired, stateRevoked:
		if reached(r.ExpiresAt.Time) {
			return true, k.store.settle(ctx, k.policy.Remember)
		}
	}
	return false, nil
}

func (k *Set) pending(alg string) bool {
	for _, r := range k.snap.Load().due {
		if r.Alg == alg && r.State == statePending {
			return true
		}
	}
	return false
}

// promote lets the pending key of alg sign in place of the active one, if it
// is due and no other node has done so.
func (k *Set) promote(ctx context.Context, alg string) error {
	return k.db.InTx(ctx, func(ctx context.Context) error {
		if _, err := k.store.retire(ctx, alg, k.policy.afterUse(alg)); err != nil {
			return err
		}
		kid, err := k.store.promote(ctx, alg, false)
		if err != nil || kid == "" {
			return err
		}
		return k.audit.Record(ctx, event(audit.KeyActivated, audit.Actor{Kind: audit.System}, kid, alg))
	})
}
