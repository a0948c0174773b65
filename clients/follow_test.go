package clients_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

func TestMemoryAnswersWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{CacheFor: time.Hour})
		made := f.register(web())
		f.accepts(made.Client.ID, made.Secret.Reveal(), true)
		counter := databasetest.Count(t, db)
		for range 100 {
			f.accepts(made.Client.ID, made.Secret.Reveal(), true)
			f.accepts(made.Client.ID, "wrong", false)
		}
		if got := counter.Statements(); len(got) != 0 {
			t.Errorf("asked the database: %v", got)
		}
	})
}

func TestFollowingIsOneStatement(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		id := f.register(web()).Client.ID
		for range 2 {
			_, err := f.Get(f.ctx, id)
			f.must(err)
		}
		counter := databasetest.Count(t, db)
		_, err := f.Get(f.ctx, id)
		f.must(err)
		if got := counter.Statements(); len(got) != 1 {
			t.Errorf("asked the database %d times: %v", len(got), got)
		}
	})
}

// TestNewClientWorksAtOnce: the other node's memory is fresh and knows nothing
// of it.
func TestNewClientWorksAtOnce(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		here, there := newFixture(t, a, clients.Policy{}), newFixture(t, b, clients.Policy{CacheFor: time.Hour})
		first := here.register(web())
		there.accepts(first.Client.ID, first.Secret.Reveal(), true)
		if _, err := there.Get(t.Context(), "not yet"); !errors.Is(err, clients.ErrUnknown) {
			t.Errorf("Get = %v", err)
		}
		d := web()
		d.ClientID, d.SecretDigest = "not yet", "sha256:0000000000000000000000000000000000000000000000000000000000000000"
		if _, err := here.Import(t.Context(), here.by, []clients.Document{d}); err != nil {
			t.Fatal(err)
		}
		if _, err := there.Get(t.Context(), "not yet"); err != nil {
			t.Errorf("Get = %v, want the new client", err)
		}
	})
}

// TestChangesAreSeenOnOtherNodes holds for what a node knows already; how soon
// it looks is TestCacheIsBelievedForAWhile and clients.Run.
func TestChangesAreSeenOnOtherNodes(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		here, there := newFixture(t, a, clients.Policy{}), newFixture(t, b, clients.Policy{})
		made := here.register(web())
		id := made.Client.ID
		there.accepts(id, made.Secret.Reveal(), true)
		secret := here.rotate(id)
		there.accepts(id, secret, true)
		d := web()
		d.RedirectURIs = []string{"https://a.example/new"}
		if _, err := here.Update(t.Context(), here.by, id, d); err != nil {
			t.Fatal(err)
		}
		if c, err := there.Get(t.Context(), id); err != nil || !c.MatchRedirect("https://a.example/new") {
			t.Errorf("Get = %v, %v", c.RedirectURIs, err)
		}
		here.must(here.Disable(t.Context(), here.by, id))
		if _, err := there.Get(t.Context(), id); !errors.Is(err, clients.ErrDisabled) {
			t.Errorf("Get = %v, want ErrDisabled", err)
		}
	})
}

// TestOwnChangesAreSeenAtOnce: the node that makes a change does not wait for
// its own memory to grow old.
func TestOwnChangesAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{CacheFor: time.Hour})
		id := f.register(web()).Client.ID
		_, err := f.Get(f.ctx, id)
		f.must(err)
		f.must(f.Disable(f.ctx, f.by, id))
		if _, err := f.Get(f.ctx, id); !errors.Is(err, clients.ErrDisabled) {
			t.Errorf("Get = %v, want ErrDisabled", err)
		}
	})
}

// TestRunFollows: Run asks by itself, so that requests find memory fresh.
func TestRunFollows(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{CacheFor: 20 * time.Millisecond})
		counter := databasetest.Count(t, db)
		ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
		defer stop()
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		for tick := time.NewTicker(5 * time.Millisecond); len(counter.Statements()) < 3 && ctx.Err() == nil; <-tick.C {
		}
		if got := counter.Statements(); len(got) < 3 {
			t.Errorf("asked %d times", len(got))
		}
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// TestRolledBackChangeIsNotRemembered: what a transaction saw of its own
// change must not stay in memory when the change does not.
func TestRolledBackChangeIsNotRemembered(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{CacheFor: time.Hour})
		id := f.register(web()).Client.ID
		stop := errors.New("stop")
		err := db.InTx(f.ctx, func(ctx context.Context) error {
			if err := f.Disable(ctx, f.by, id); err != nil {
				return err
			}
			if _, err := f.Get(ctx, id); !errors.Is(err, clients.ErrDisabled) {
				t.Errorf("Get inside = %v, want ErrDisabled", err)
			}
			return stop
		})
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
		if _, err := f.Get(f.ctx, id); err != nil {
			t.Errorf("Get = %v, want the client", err)
		}
	})
}

// TestDatabaseGone: memory that cannot be checked any more is not believed.
func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		id := f.register(web()).Client.ID
		_, err := f.Get(f.ctx, id)
		f.must(err)
		f.must(db.Close())
		if _, err := f.Get(f.ctx, id); err == nil || !database.IsUnavailable(err) {
			t.Errorf("Get = %v, want an error that is unavailable", err)
		}
	})
}
