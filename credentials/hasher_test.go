package credentials

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/prf"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/secrets"
)

func hasher(t *testing.T, d HasherDeps) *Hasher {
	t.Helper()
	h, err := NewHasher(d)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestNoHashInsideATransaction(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.active(mario)
		err := f.db.InTx(t.Context(), func(ctx context.Context) error {
			p := &place{h: f.hasher}
			_, err := p.argon2(ctx, light, []byte("x"), make([]byte, saltLength))
			return err
		})
		f.wants("a hash", err, errHashInTransaction)
	})
}

func TestBusyBeforeATryIsCounted(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		pin := f.active(mario)
		f.hasher.limit = 0
		var busy *BusyError
		if _, err := f.try(mario, never); !errors.As(err, &busy) || busy.RetryAfter < time.Second {
			t.Errorf("try: %v, want a BusyError", err)
		}
		if n := f.count("pin_throttle WHERE fails > 0"); n != 0 {
			t.Error("a try that nobody looked at was counted")
		}
		f.hasher.limit = 1
		f.right(mario, pin)
		f.right(mario, pin) // the place was given back
	})
}

func TestHashesAreBounded(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := hasher(t, HasherDeps{DB: db, Cost: light, Workers: 2, Queue: 3})
		var places []*place
		for range 5 {
			p, err := h.enter()
			if err != nil {
				t.Fatal(err)
			}
			places = append(places, p)
		}
		if _, err := h.enter(); err == nil {
			t.Error("a sixth is let in, want 2 workers and 3 waiting")
		}
		h.slots <- struct{}{}
		h.slots <- struct{}{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := places[0].argon2(ctx, light, []byte("x"), make([]byte, saltLength))
			done <- err
		}()
		for h.Waiting() != 1 {
			runtime.Gosched()
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || h.Waiting() != 0 {
			t.Errorf("a cancelled wait: %v with %d waiting, want context.Canceled and none", err, h.Waiting())
		}
		places[0].leave()
		places[0].leave()
		if n := h.inside.Load(); n != 4 {
			t.Errorf("%d inside, want 4: leaving twice counts once", n)
		}
	})
}

// Nobody new begins while half the queue is full. Who is inside but waits for
// the database alone is not in it.
func TestCrowded(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := hasher(t, HasherDeps{DB: db, Cost: light, Workers: 1, Queue: 4})
		h.slots <- struct{}{}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for n := range 4 {
			var busy *BusyError
			if crowded := errors.As(h.Crowded(), &busy); crowded != (n > 1) || crowded && busy.RetryAfter < time.Second {
				t.Errorf("with %d of 4 waiting it is crowded: %t, %v", n, crowded, busy)
			}
			p, err := h.enter()
			if err != nil {
				t.Fatal(err)
			}
			group.Go(func() {
				_, err := p.argon2(ctx, light, []byte("x"), make([]byte, saltLength))
				if !errors.Is(err, context.Canceled) {
					t.Errorf("a hash without a processor: %v", err)
				}
			})
			for h.Waiting() != n+1 {
				runtime.Gosched()
			}
		}
		cancel()
		group.Wait()
		if err := h.Crowded(); err != nil {
			t.Errorf("with four inside and nobody waiting: %v", err)
		}
	})
}

func TestOneCostForTheInstallation(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		costs := func(h *Hasher, want Cost) {
			t.Helper()
			if got, err := h.Cost(t.Context()); err != nil || got != want {
				t.Errorf("cost %+v, %v, want %+v", got, err, want)
			}
		}
		costs(hasher(t, HasherDeps{DB: a}), FloorCost())
		costs(hasher(t, HasherDeps{DB: a, Cost: light}), light)
		costs(hasher(t, HasherDeps{DB: b}), light) // another node keeps what there is
	})
	if _, err := NewHasher(HasherDeps{}); err == nil {
		t.Error("a hasher without a database")
	}
}

// security §4: parameters and pepper are renewed when the PIN is typed.
func TestRehashUpward(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ring := newRing(t)
		f := newFixture(t, db, ring)
		pin := f.active(mario)
		heavier := Cost{Memory: 64, Passes: 2, Threads: 1}
		g := newFixture(t, db, ring, cost(heavier))
		g.refused(mario, never)
		row := func() credential {
			c, _, err := g.store.live(t.Context(), g.person(mario))
			g.must(err)
			return c
		}
		if got := row().Secret.cost(); got != light {
			t.Errorf("cost %+v after a wrong PIN, want it left alone", got)
		}
		g.right(mario, pin)
		if got := row().Secret.cost(); got != heavier {
			t.Errorf("cost %+v after a right PIN, want %+v", got, heavier)
		}
		g.right(mario, pin)
		newFixture(t, db, ring, cost(light)).right(mario, pin)
		if got := row().Secret.cost(); got != heavier {
			t.Errorf("cost %+v, want it never lowered", got)
		}
	})
}

func TestPepperRotation(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		pin := f.active(mario)
		next, old := f.ring.PRF(secrets.Throttle), f.vault.pepper // any other key will do
		rotated := *next
		rotated.PRFs = map[uint32]prf.PRF{next.PrimaryID: next.PRFs[next.PrimaryID], old.PrimaryID: old.PRFs[old.PrimaryID]}
		f.vault.pepper = &rotated
		f.refused(mario, never)
		f.right(mario, pin)
		if n := f.count("credentials WHERE state = 'active' AND pepper_key = ?", next.PrimaryID); n != 1 {
			t.Error("a right PIN did not take the new pepper")
		}
		f.vault.pepper = next // the old key is gone
		f.right(mario, pin)
	})
}
