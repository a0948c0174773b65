package provider

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/secrets"
)

// fastKeys spares tests the second that a 3072-bit key takes to make.
func fastKeys(k *KeyRing) {
	k.generate = func(alg string) (crypto.Signer, error) {
		if alg == RS256 || alg == PS256 {
			return rsa.GenerateKey(rand.Reader, 1024)
		}
		return generateKey(alg)
	}
}

func operator() audit.Actor { return audit.Actor{Kind: audit.Operator, ID: "test"} }

func newAEAD(t testing.TB) tink.AEAD {
	t.Helper()
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	a, err := aead.New(h)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// newRing is one node's key ring, without keys.
func newRing(t testing.TB, db *database.DB, wrap tink.AEAD) *KeyRing {
	t.Helper()
	s, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.New(audit.Deps{DB: db, Signer: s.AuditSigner(), Verifier: s.AuditVerifier(), Node: "test"})
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKeyRing(KeyDeps{DB: db, Wrap: wrap, Audit: log})
	if err != nil {
		t.Fatal(err)
	}
	fastKeys(k)
	return k
}

// ensured is a node's key ring with its first keys.
func ensured(t testing.TB, db *database.DB, wrap tink.AEAD) *KeyRing {
	t.Helper()
	k := newRing(t, db, wrap)
	if err := k.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

func tend(t testing.TB, rings ...*KeyRing) {
	t.Helper()
	for _, k := range rings {
		if err := k.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func sign(t testing.TB, k *KeyRing, alg, typ string) string {
	t.Helper()
	token, err := k.Sign(t.Context(), alg, typ, map[string]any{"sub": "x"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func activeKid(t testing.TB, k *KeyRing, alg string) string {
	t.Helper()
	kid, _, err := k.Active(t.Context(), alg)
	if err != nil {
		t.Fatal(err)
	}
	return kid
}

func verifies(t testing.TB, k *KeyRing, token string) bool {
	t.Helper()
	_, _, err := k.Verify(t.Context(), token, TypIDToken)
	if err != nil && !errors.Is(err, ErrBadToken) {
		t.Fatal(err)
	}
	return err == nil
}

func published(t testing.TB, k *KeyRing) *jose.JSONWebKeySet {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(k.snap.Load().jwks.body, &set); err != nil {
		t.Fatal(err)
	}
	return &set
}

// states counts the keys of an algorithm by state.
func states(t testing.TB, k *KeyRing, alg string) map[string]int {
	t.Helper()
	all, err := k.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, i := range all {
		if i.Algorithm == alg {
			n[i.State]++
		}
	}
	return n
}

func events(t testing.TB, db *database.DB, typ audit.Type) int {
	t.Helper()
	var n int
	err := db.Read(context.Background()).Raw(`SELECT count(*) FROM audit_events WHERE type = ?`, string(typ)).Scan(&n).Error
	if err != nil {
		t.Fatal(err)
	}
	return n
}
