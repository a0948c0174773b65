package clients_test

import (
	"sync"
	"testing"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

func (f fixture) rotate(id string) string {
	f.t.Helper()
	done, err := f.RotateSecret(f.ctx, f.by, id)
	if err != nil {
		f.t.Fatal(err)
	}
	return done.Secret.Reveal()
}

func TestRotatedSecretEndsOnTheDatabasesClock(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		made := f.register(web())
		id, first := made.Client.ID, made.Secret.Reveal()
		second := f.rotate(id)
		f.accepts(id, first, true)
		f.accepts(id, second, true)

		databasetest.Shift(t, db, 23*time.Hour)
		third := f.rotate(id) // takes nothing from the first one's 24 hours
		f.accepts(id, first, true)

		databasetest.Shift(t, db, time.Hour)
		f.accepts(id, first, false)
		f.accepts(id, second, true)
		f.accepts(id, third, true)

		databasetest.Shift(t, db, 24*time.Hour)
		f.accepts(id, second, false)
		f.accepts(id, third, true) // the current one has no end
		if n, err := f.Sweep(f.ctx); err != nil || n != 2 {
			t.Errorf("Sweep = %d, %v, want the two that ended", n, err)
		}
		f.accepts(id, third, true)
	})
}

func TestOverlapIsPolicy(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{SecretOverlap: time.Minute})
		made := f.register(web())
		f.rotate(made.Client.ID)
		f.accepts(made.Client.ID, made.Secret.Reveal(), true)
		databasetest.Shift(t, db, time.Minute)
		f.accepts(made.Client.ID, made.Secret.Reveal(), false)
	})
}

func TestEndOldSecrets(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		made := f.register(web())
		current := f.rotate(made.Client.ID)
		for range 2 { // the second has nothing to end
			f.must(f.EndOldSecrets(f.ctx, f.by, made.Client.ID))
		}
		f.accepts(made.Client.ID, made.Secret.Reveal(), false)
		f.accepts(made.Client.ID, current, true)
		if got := f.events(made.Client.ID); len(got) != 3 {
			t.Errorf("audited %v", got)
		}
	})
}

// TestConcurrentRotations: of many at once on two nodes each gets a secret that
// works, one of them is current, and none is lost before its overlap ends.
func TestConcurrentRotations(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		nodes := []fixture{newFixture(t, a, clients.Policy{}), newFixture(t, b, clients.Policy{})}
		made := nodes[0].register(web())
		id := made.Client.ID
		var mu sync.Mutex
		given := []string{made.Secret.Reveal()}
		databasetest.Barrier(16, func(i int) {
			f := nodes[i%2]
			done, err := f.RotateSecret(f.ctx, f.by, id)
			if err != nil {
				t.Errorf("RotateSecret: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			given = append(given, done.Secret.Reveal())
		})
		for _, secret := range given {
			nodes[0].accepts(id, secret, true)
			nodes[1].accepts(id, secret, true)
		}
		databasetest.Shift(t, a, clients.DefaultSecretOverlap)
		c, err := nodes[1].Get(t.Context(), id)
		nodes[1].must(err)
		live := 0
		for _, secret := range given {
			if ok, err := nodes[1].CheckSecret(t.Context(), c, secret); err == nil && ok {
				live++
			}
		}
		if live != 1 {
			t.Errorf("%d secrets work after the overlap, want 1", live)
		}
		if got := len(nodes[0].events(id)); got != 17 {
			t.Errorf("%d events, want 17", got)
		}
	})
}
