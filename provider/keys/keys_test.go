package keys

import (
	"crypto/rsa"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys/keystest"
)

func TestASetNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := New(Deps{}); err == nil {
		t.Error("New took nothing for an answer")
	}
}

func TestRSAKeysHave3072Bits(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{RS256, PS256, RSAOAEP} {
		private, err := generate(alg)
		if err != nil {
			t.Fatal(err)
		}
		if got := private.(*rsa.PrivateKey).N.BitLen(); got != 3072 {
			t.Errorf("%s key: got %d bits, want 3072", alg, got)
		}
	}
	if _, err := generate("HS256"); err == nil {
		t.Error("generate made a key for HS256")
	}
}

func TestFirstKeysAreMadeOnceByAnyNumberOfNodes(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		wrap := keystest.AEAD(t)
		sets := make([]*Set, 8)
		for i := range sets {
			sets[i] = newSet(t, []*database.DB{a, b}[i%2], wrap)
		}
		errs := make([]error, len(sets))
		databasetest.Barrier(len(sets), func(i int) { errs[i] = sets[i].Ensure(t.Context()) })
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for _, alg := range Kinds() {
			if diff := cmp.Diff(map[string]int{stateActive: 1}, states(t, sets[0], alg)); diff != "" {
				t.Errorf("%s keys (-want +got):\n%s", alg, diff)
			}
			if useOf(alg) == useEncryption {
				continue
			}
			token := sign(t, sets[0], alg, idToken)
			for i, k := range sets {
				if !verifies(t, k, token) {
					t.Errorf("node %d does not verify %s of node 0", i, alg)
				}
			}
		}
		if got, want := events(t, a, audit.KeyCreated), len(Kinds()); got != want {
			t.Errorf("audit of new keys: got %d events, want %d", got, want)
		}
	})
}

func TestNewKeySignsOnlyAfterEveryCacheHasIt(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		wrap := keystest.AEAD(t)
		one := ensured(t, a, wrap)
		two := ensured(t, b, wrap)
		old := activeKid(t, one, ES256)
		next, err := one.Rotate(t.Context(), operator(), ES256)
		if err != nil {
			t.Fatal(err)
		}
		tend(t, two)
		if len(published(t, two).Key(next.Kid)) != 1 {
			t.Error("the new key is not published by the other node")
		}
		databasetest.Shift(t, a, 15*time.Minute+50*time.Second)
		tend(t, one, two)
		if got := activeKid(t, two, ES256); got != old {
			t.Error("the new key signs before every cache can know it")
		}
		databasetest.Shift(t, a, 20*time.Second)
		tend(t, one, two)
		for _, k := range []*Set{one, two} {
			if got := activeKid(t, k, ES256); got != next.Kid {
				t.Errorf("active key: got %s, want the new one", got)
			}
		}
	})
}

func TestOldKeyStaysPublishedAndThenProvesHints(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		old, token := activeKid(t, k, RS256), sign(t, k, RS256, idToken)
		rotate(t, k, db, RS256)
		databasetest.Shift(t, db, 25*time.Minute)
		tend(t, k)
		if len(published(t, k).Key(old)) != 1 {
			t.Error("the old key is gone from the JWKS before its last token and every cache have ended")
		}
		databasetest.Shift(t, db, time.Minute+10*time.Second)
		tend(t, k)
		if len(published(t, k).Key(old)) != 0 {
			t.Error("the old key is still published")
		}
		if !verifies(t, k, token) {
			t.Error("an old id_token_hint is no longer believed")
		}
		databasetest.Shift(t, db, 401*24*time.Hour)
		tend(t, k)
		if verifies(t, k, token) {
			t.Error("a forgotten key still verifies")
		}
	})
}

// rotate takes alg through a whole rotation.
func rotate(t testing.TB, k *Set, db *database.DB, alg string) {
	t.Helper()
	next, err := k.Rotate(t.Context(), operator(), alg)
	if err != nil {
		t.Fatal(err)
	}
	databasetest.Shift(t, db, 16*time.Minute+time.Second)
	tend(t, k)
	if got := activeKid(t, k, alg); got != next.Kid {
		t.Fatalf("after the rotation %s is active, want %s", got, next.Kid)
	}
}

func TestPrivateKeyIsErasedOnceItNoLongerSigns(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		rotate(t, k, db, ES256)
		rows, _, err := k.store.all(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if signs := r.State == stateActive || r.State == statePending; signs != (len(r.Sealed) > 0) {
				t.Errorf("%s key of %s: private part kept is %t", r.State, r.Alg, len(r.Sealed) > 0)
			}
		}
	})
}

func TestConcurrentRotationsLeaveOneNewKey(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		wrap := keystest.AEAD(t)
		sets := []*Set{ensured(t, a, wrap), ensured(t, b, wrap)}
		const n = 50
		errs, kids := make([]error, n), make([]string, n)
		databasetest.Barrier(n, func(i int) {
			info, err := sets[i%2].Rotate(t.Context(), operator(), PS256)
			kids[i], errs[i] = info.Kid, err
		})
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if slices.Sort(kids); len(slices.Compact(kids)) != 1 {
			t.Error("the rotations name different keys")
		}
		want := map[string]int{stateActive: 1, statePending: 1}
		if diff := cmp.Diff(want, states(t, sets[0], PS256)); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	})
}

func TestConcurrentPromotionsHappenOnce(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		wrap := keystest.AEAD(t)
		sets := []*Set{ensured(t, a, wrap), ensured(t, b, wrap)}
		if _, err := sets[0].Rotate(t.Context(), operator(), ES256); err != nil {
			t.Fatal(err)
		}
		databasetest.Shift(t, a, 17*time.Minute)
		errs := make([]error, 16)
		databasetest.Barrier(len(errs), func(i int) { errs[i] = sets[i%2].Tend(t.Context()) })
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		want := map[string]int{stateActive: 1, stateRetiring: 1}
		if diff := cmp.Diff(want, states(t, sets[0], ES256)); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		if got := events(t, a, audit.KeyActivated); got != 1 {
			t.Errorf("audit of activations: got %d, want 1", got)
		}
	})
}

func TestKeysAreRotatedAfter90Days(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		databasetest.Shift(t, db, 89*24*time.Hour)
		tend(t, k)
		if got := states(t, k, ES256)[statePending]; got != 0 {
			t.Error("rotated before its time")
		}
		databasetest.Shift(t, db, 25*time.Hour)
		tend(t, k)
		tend(t, k)
		for _, alg := range Kinds() {
			if got := states(t, k, alg)[statePending]; got != 1 {
				t.Errorf("%s: got %d pending keys after 90 days, want 1", alg, got)
			}
		}
	})
}

func TestRevokedKeyIsGoneEverywhereAtOnce(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		wrap := keystest.AEAD(t)
		one, two := ensured(t, a, wrap), ensured(t, b, wrap)
		kid, token := activeKid(t, two, ES256), sign(t, two, ES256, idToken)
		if err := one.Revoke(t.Context(), operator(), kid); err != nil {
			t.Fatal(err)
		}
		tend(t, two)
		if verifies(t, one, token) || verifies(t, two, token) {
			t.Error("a token of the revoked key still verifies")
		}
		if len(published(t, two).Key(kid)) != 0 {
			t.Error("the revoked key is still published")
		}
		if got := activeKid(t, two, ES256); got == kid || got != activeKid(t, one, ES256) {
			t.Error("no common successor signs")
		}
		if err := one.Revoke(t.Context(), operator(), kid); !errors.Is(err, ErrUnknown) {
			t.Errorf("revoking twice: got %v, want ErrUnknown", err)
		}
		if err := one.Revoke(t.Context(), operator(), "no-such-key"); !errors.Is(err, ErrUnknown) {
			t.Errorf("revoking nothing: got %v, want ErrUnknown", err)
		}
	})
}

func TestRevokedActiveKeyIsFollowedByThePendingOne(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		next, err := k.Rotate(t.Context(), operator(), EdDSA)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Revoke(t.Context(), operator(), activeKid(t, k, EdDSA)); err != nil {
			t.Fatal(err)
		}
		if got := activeKid(t, k, EdDSA); got != next.Kid {
			t.Errorf("active after the revocation: got %s, want the pending %s", got, next.Kid)
		}
	})
}

func TestConcurrentRevocationsLeaveOneActiveKey(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		wrap := keystest.AEAD(t)
		sets := []*Set{ensured(t, a, wrap), ensured(t, b, wrap)}
		kid := activeKid(t, sets[0], ES256)
		errs := make([]error, 12)
		databasetest.Barrier(len(errs), func(i int) {
			errs[i] = sets[i%2].Revoke(t.Context(), operator(), kid)
			if errors.Is(errs[i], ErrUnknown) {
				errs[i] = nil // another was faster
			}
		})
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		want := map[string]int{stateActive: 1, stateRevoked: 1}
		if diff := cmp.Diff(want, states(t, sets[0], ES256)); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	})
}

func TestSigningAsksTheDatabaseNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		c := databasetest.Count(t, db)
		for range 20 {
			verifies(t, k, sign(t, k, ES256, idToken))
		}
		if got := c.Statements(); len(got) > 1 { // one poll, should this take two seconds
			t.Errorf("signing and verifying made statements: %q", got)
		}
	})
}

func TestNodeWithoutDatabaseStopsTrustingItsKeys(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		token := sign(t, k, ES256, idToken)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		age(k, 20*time.Second)
		if !verifies(t, k, token) {
			t.Error("a short absence of the database stops everything")
		}
		age(k, time.Minute)
		if _, err := k.Sign(t.Context(), ES256, idToken, struct{}{}); !errors.Is(err, ErrStale) {
			t.Errorf("signing with keys that may be revoked: got %v, want ErrStale", err)
		} else if !database.IsUnavailable(err) {
			t.Errorf("%v does not count as an unavailable database", err)
		}
		if _, _, err := k.Verify(t.Context(), token, idToken); !errors.Is(err, ErrStale) {
			t.Errorf("verifying with keys that may be revoked: got %v, want ErrStale", err)
		}
	})
}

// age makes what the set knows older.
func age(k *Set, d time.Duration) {
	s := *k.snap.Load()
	s.asked = s.asked.Add(-d)
	k.snap.Store(&s)
	k.tried = time.Time{}
}

func TestNodesPollWellWithinTheSkew(t *testing.T) {
	t.Parallel()
	for _, p := range []Policy{{}, {Skew: time.Second}, {Skew: 5 * time.Minute}, {Poll: time.Hour}} {
		k := &Set{policy: p.withDefaults()}
		if got := k.policy.Poll; got > 2*time.Second && p.Poll == 0 || k.staleAfter() > k.policy.Skew/2 {
			t.Errorf("%+v: polls every %s and trusts its keys for %s, with a skew of %s", p, got, k.staleAfter(), k.policy.Skew)
		}
	}
}

func TestWhatIsPublishedOutlivesTheDatabaseButIsNotCachedLong(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		before, maxAge := k.Published(t.Context())
		if maxAge != 15*time.Minute {
			t.Errorf("it may be cached for %s, want 15 minutes", maxAge)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		for _, d := range []time.Duration{10 * time.Second, time.Hour} {
			age(k, d)
			got, maxAge := k.Published(t.Context())
			if string(got) != string(before) || maxAge != 2*time.Second {
				t.Errorf("without the database for %s: %d bytes for %s, want what was known for two seconds", d, len(got), maxAge)
			}
		}
	})
}
