package keys

import (
	"context"
	"errors"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys/keystest"
)

func TestRunFollowsOtherNodes(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		wrap := keystest.AEAD(t)
		one, two := ensured(t, a, wrap), ensured(t, b, wrap)
		two.policy.Poll = 20 * time.Millisecond
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- two.Run(ctx) }()

		kid := activeKid(t, one, ES256)
		if err := one.Revoke(t.Context(), operator(), kid); err != nil {
			t.Fatal(err)
		}
		await(t, "the revoked key to leave the other node", func() bool {
			_, known := two.snap.Load().byKid[kid]
			return !known
		})
		next, err := one.Rotate(t.Context(), operator(), RS256)
		if err != nil {
			t.Fatal(err)
		}
		await(t, "the new key to reach the other node", func() bool { return len(published(t, two).Key(next.Kid)) == 1 })
		databasetest.Shift(t, a, 17*time.Minute)
		await(t, "the other node to promote it", func() bool { return activeKid(t, two, RS256) == next.Kid })
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v at its end, want nil", err)
		}
	})
}

func TestRunSurvivesTheDatabase(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		k.policy.Poll = 10 * time.Millisecond
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		if err := k.Run(ctx); err != nil {
			t.Errorf("Run without its database: got %v, want it to go on until the end", err)
		}
	})
}

// await looks until ok, for as long as a slow machine may need.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestRevokedKeysAreForgottenToo(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		if err := k.Revoke(t.Context(), operator(), activeKid(t, k, ES256)); err != nil {
			t.Fatal(err)
		}
		databasetest.Shift(t, db, 401*24*time.Hour)
		tend(t, k)
		if got := states(t, k, ES256)[stateRevoked]; got != 0 {
			t.Errorf("got %d revoked keys, want none", got)
		}
	})
}

func TestAMadeUpKidCostsOneStatementASecond(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		k.again = time.Hour
		c := databasetest.Count(t, db)
		token := forge(`{"alg":"ES256","typ":"JWT","kid":"made-up"}`, `{}`, unsigned)
		for range 50 {
			if _, _, err := k.Verify(t.Context(), token, idToken); !errors.Is(err, ErrBadToken) {
				t.Fatalf("got %v, want ErrBadToken", err)
			}
		}
		if got := len(c.Statements()); got > 3 { // and the polls of a slow run
			t.Errorf("50 made-up kids made %d statements", got)
		}
	})
}

func TestAKeyOfAnotherNodeIsLookedUpAtOnce(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		wrap := keystest.AEAD(t)
		one, two := ensured(t, a, wrap), ensured(t, b, wrap)
		if err := one.Revoke(t.Context(), operator(), activeKid(t, one, ES256)); err != nil {
			t.Fatal(err)
		}
		if !verifies(t, two, sign(t, one, ES256, idToken)) {
			t.Error("the other node does not believe the new key's first token")
		}
	})
}
