package keys

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/tink-crypto/tink-go/v2/tink"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/provider/keys/keystest"
	"ente.example/idp/secrets"
)

// The kinds of token that are signed here.
const (
	accessToken = "at+jwt"
	idToken     = "JWT"
)

func operator() audit.Actor { return audit.Actor{Kind: audit.Operator, ID: "test"} }

// newSet is what one node holds, without keys.
func newSet(t testing.TB, db *database.DB, wrap tink.AEAD) *Set {
	t.Helper()
	s, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.New(audit.Deps{DB: db, Signer: s.AuditSigner(), Verifier: s.AuditVerifier(), Node: "test"})
	if err != nil {
		t.Fatal(err)
	}
	k, err := New(Deps{DB: db, Wrap: wrap, Audit: log, Generate: keystest.Generate})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ensured is a node's set with its first keys.
func ensured(t testing.TB, db *database.DB, wrap tink.AEAD) *Set {
	t.Helper()
	k := newSet(t, db, wrap)
	if err := k.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

func tend(t testing.TB, sets ...*Set) {
	t.Helper()
	for _, k := range sets {
		if err := k.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func sign(t testing.TB, k *Set, alg, typ string) string {
	t.Helper()
	token, err := k.Sign(t.Context(), alg, typ, map[string]any{"sub": "x"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func activeKid(t testing.TB, k *Set, alg string) string {
	t.Helper()
	kid, err := k.Active(t.Context(), alg)
	if err != nil {
		t.Fatal(err)
	}
	return kid
}

func verifies(t testing.TB, k *Set, token string) bool {
	t.Helper()
	_, _, err := k.Verify(t.Context(), token, idToken)
	if err != nil && !errors.Is(err, ErrBadToken) {
		t.Fatal(err)
	}
	return err == nil
}

func published(t testing.TB, k *Set) *jose.JSONWebKeySet {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(k.snap.Load().jwks, &set); err != nil {
		t.Fatal(err)
	}
	return &set
}

// states counts the keys of an algorithm by state.
func states(t testing.TB, k *Set, alg string) map[string]int {
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
