package keys

import (
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys/keystest"
)

func TestRewrapMovesEveryKeyToTheNewSeal(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		m := keyset.NewManager()
		first := addKey(t, m)
		k := ensured(t, db, primary(t, m, first))
		token := sign(t, k, ES256, idToken)
		rotate(t, k, db, RS256) // a key without a private part has its proof

		second := addKey(t, m)
		moved := newSet(t, db, primary(t, m, second))
		all := len(Kinds()) + 1
		for _, want := range []int{all, 0} { // and again: nothing is left to do
			changed, total, err := moved.Rewrap(t.Context(), operator())
			if err != nil || changed != want || total != all {
				t.Fatalf("Rewrap: got %d of %d, %v; want %d of %d", changed, total, err, want, all)
			}
		}
		if err := m.Delete(first); err != nil {
			t.Fatal(err)
		}
		alone := newSet(t, db, primary(t, m, second))
		if err := alone.Load(t.Context()); err != nil {
			t.Fatalf("load without the old seal: %v", err)
		}
		if !verifies(t, alone, token) || activeKid(t, alone, ES256) != activeKid(t, k, ES256) {
			t.Error("the keys are not the same after Rewrap")
		}
	})
}

func addKey(t testing.TB, m *keyset.Manager) uint32 {
	t.Helper()
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func primary(t testing.TB, m *keyset.Manager, id uint32) tink.AEAD {
	t.Helper()
	if err := m.SetPrimary(id); err != nil {
		t.Fatal(err)
	}
	h, err := m.Handle()
	if err != nil {
		t.Fatal(err)
	}
	a, err := aead.New(h)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSealedKeyCannotBeMovedToAnotherRow(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		wrap := keystest.AEAD(t)
		ensured(t, db, wrap)
		err := db.Write(t.Context()).Exec(`UPDATE provider_keys SET sealed =
			(SELECT s.sealed FROM provider_keys s WHERE s.alg = 'PS256') WHERE alg = 'RS256'`).Error
		if err != nil {
			t.Fatal(err)
		}
		if err := newSet(t, db, wrap).Load(t.Context()); err == nil {
			t.Error("a sealed key was accepted in another row")
		}
	})
}

func TestKeysOfAnotherSecretsFolderAreRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensured(t, db, keystest.AEAD(t))
		if err := newSet(t, db, keystest.AEAD(t)).Load(t.Context()); err == nil {
			t.Error("keys were loaded that this node cannot unseal")
		}
	})
}

// Who can write to the database, and to nothing else, signs nothing.
func TestAKeyThatThisProgramDidNotMakeIsRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		wrap := keystest.AEAD(t)
		ensured(t, db, wrap)
		mallory := newSet(t, db, keystest.AEAD(t)) // has another sealing key
		row, err := mallory.newRow(ES256, stateRetiring)
		if err != nil {
			t.Fatal(err)
		}
		change := func(statement string, args ...any) {
			t.Helper()
			if err := db.Write(t.Context()).Exec(statement, args...).Error; err != nil {
				t.Fatal(err)
			}
			if err := newSet(t, db, wrap).Load(t.Context()); err == nil {
				t.Errorf("after %.30q the keys are still believed", statement)
			}
		}
		kept := row.PublicJWK
		var old string
		if err := db.Read(t.Context()).Raw(`SELECT public_jwk FROM provider_keys WHERE alg = 'ES256'`).Scan(&old).Error; err != nil {
			t.Fatal(err)
		}
		change(`UPDATE provider_keys SET public_jwk = ? WHERE alg = 'ES256'`, kept)
		change(`UPDATE provider_keys SET public_jwk = ? WHERE alg = 'ES256'`, strings.Replace(kept, row.Kid, activeOf(t, db), 1))
		if err := db.Write(t.Context()).Exec(`UPDATE provider_keys SET public_jwk = ? WHERE alg = 'ES256'`, old).Error; err != nil {
			t.Fatal(err)
		}
		if err := newSet(t, db, wrap).Load(t.Context()); err != nil {
			t.Fatalf("the genuine keys: %v", err)
		}
		if _, err := mallory.store.add(t.Context(), row, 0); err != nil {
			t.Fatal(err)
		}
		if err := newSet(t, db, wrap).Load(t.Context()); err == nil {
			t.Error("a key of somebody else is believed")
		}
	})
}

func activeOf(t *testing.T, db *database.DB) (kid string) {
	t.Helper()
	err := db.Read(t.Context()).Raw(`SELECT kid FROM provider_keys WHERE alg = 'ES256' AND state = 'active'`).Scan(&kid).Error
	if err != nil {
		t.Fatal(err)
	}
	return kid
}

// One name in 64 began with a dash, and no command took it.
func TestKidsCanBeTyped(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"-I70": "k-I70", "I-70": "I-70", "_I70": "_I70"} {
		if got := typable(name); got != want {
			t.Errorf("typable(%q) = %q, want %q", name, got, want)
		}
	}
}
