package provider

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys"
)

// kept is how many tokens the node remembers.
func (h *house) kept() int {
	h.provider.proven.mu.Lock()
	defer h.provider.proven.mu.Unlock()
	return len(h.provider.proven.young) + len(h.provider.proven.old)
}

// What a node remembers of a token is its signature. All else may end it at any
// moment, the signing key too.
func TestARememberedTokenEndsAsAnyOther(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		watcher := h.service(`{"may_introspect": true}`)
		for name, end := range map[string]func(s *service, token string){
			"time":      func(*service, string) { databasetest.Shift(t, db, 10*time.Minute) },
			"given up":  func(s *service, token string) { s.by(party{s.client, s.secret}, revokePath, "token", token) },
			"sign-out":  func(s *service, _ string) { s.signOut() },
			"its PIN":   func(*service, string) { _ = h.provider.RevokeCitizen(t.Context(), id, "revoked") },
			"its owner": func(s *service, _ string) { _ = h.clients.Disable(t.Context(), operator(), s.client.ID) },
			"its key": func(_ *service, token string) {
				head, _ := payload(t, token)
				if err := h.provider.keys.Revoke(t.Context(), operator(), head["kid"].(string)); err != nil {
					t.Fatal(err)
				}
			},
		} {
			s := h.service("")
			s.signIn(id)
			token := s.tokens("scope", "openid")["access_token"].(string)
			for range 2 {
				if watcher.asked(token)["active"] != true || !s.alive(token) {
					t.Fatalf("%s: the token never counted", name)
				}
			}
			before := h.kept()
			end(s, token)
			if watcher.asked(token)["active"] != false || s.alive(token) {
				t.Errorf("%s: the token still counts", name)
			}
			if h.kept() != before {
				t.Errorf("%s: %d tokens remembered after %d", name, h.kept(), before)
			}
		}
	})
}

// A machine's token hangs on nothing but its name.
func TestARememberedTokenOfAMachineIsRevoked(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		owner := h.party(`{}`)
		one, other := h.clientToken(owner), h.clientToken(owner)
		for _, token := range []string{one, one, other} {
			if !h.active(owner, token) {
				t.Fatal("the tokens never counted")
			}
		}
		h.by(owner, revokePath, "token", one)
		if h.active(owner, one) || !h.active(owner, other) {
			t.Errorf("after one was revoked: %t and %t, want false and true", h.active(owner, one), h.active(owner, other))
		}
	})
}

// Only the very bytes that were checked are believed, and what is wrong leaves
// nothing behind.
func TestOnlyTheProvenBytesAreRemembered(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		owner := h.party(`{}`)
		token := h.clientToken(owner)
		if !h.active(owner, token) || h.kept() != 1 {
			t.Fatalf("%d tokens remembered, want 1", h.kept())
		}
		dot := strings.LastIndexByte(token, '.')
		for name, bad := range map[string]string{
			"another last byte": token[:len(token)-1] + other(token[len(token)-1]), "another signature": token[:dot+1] + other(token[dot+1]) + token[dot+2:],
			"another claim": token[:dot-1] + other(token[dot-1]) + token[dot:], "cut off": token[:len(token)-1], "longer": token + "A",
			"no access token": h.signed(TypIDToken, accessClaims{Issuer: h.issuer, ClientID: owner.ID, JTI: tokenID()}),
		} {
			for range 2 {
				if h.active(owner, bad) {
					t.Errorf("%s: it counts", name)
				}
			}
		}
		if h.kept() != 1 || !h.active(owner, token) {
			t.Errorf("%d tokens remembered after wrong ones, want 1", h.kept())
		}
	})
}

// other is a letter of base64 that this one is not; the lowest bits are the same.
func other(letter byte) string {
	if letter == 'Q' {
		return "A"
	}
	return "Q"
}

// What a node remembers of a token that it made is what anybody would read in it,
// and it is what userinfo goes by.
func TestASignedTokenIsRememberedAsItReads(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		signedIn := func(document string) *service {
			s := h.service(document)
			s.signIn(id)
			return s
		}
		plain, bound, payer := signedIn(""), signedIn(`{"dpop_bound_access_tokens": true}`).prover(), h.detailed("")
		payer.signIn(id)
		first := plain.tokens("scope", "openid profile offline_access")
		code, _ := payer.allows(payer.authorize("authorization_details", "["+paymentDetail+"]"))
		for what, answer := range map[string]map[string]any{
			"a code": first, "a refresh": plain.refresh(first["refresh_token"].(string)).ok(t),
			"a bound one": bound.redeem(bound.code("scope", "openid"), bound.proof("POST", tokenPath)).ok(t),
			"details":     payer.exchange(code).ok(t),
		} {
			token := answer["access_token"].(string)
			kept, ok := h.provider.proven.get(sha256.Sum256([]byte(token)), len(token))
			if !ok {
				t.Errorf("%s: the node has forgotten what it signed", what)
				continue
			}
			read := must[provenToken](t)(h.provider.readNew(t.Context(), token))
			if diff := cmp.Diff(read, *kept, cmp.AllowUnexported(provenToken{})); diff != "" {
				t.Errorf("%s (-read +remembered):\n%s", what, diff)
			}
		}
		before := h.kept()
		if !plain.alive(first["access_token"]) || h.kept() != before {
			t.Errorf("%d tokens remembered after userinfo, of %d", h.kept(), before)
		}
	})
}

// What nobody asks userinfo about waits until somebody asks.
func TestOtherSignedTokensAreNotRemembered(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		h.clientToken(h.party(`{}`))
		for document, scope := range map[string]string{"": "profile", `{"access_token_format": "reference"}`: "openid"} {
			s := h.service(document)
			s.signIn(id)
			s.tokens("scope", scope)
		}
		if h.kept() != 0 {
			t.Errorf("%d tokens remembered, want none", h.kept())
		}
	})
}

// A key that another node revokes counts as soon here as where nothing is
// remembered.
func TestARememberedTokenFollowsTheKeysOfOtherNodes(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		h := newInstallation(t, a)
		owner := h.party(`{}`)
		token := h.clientToken(owner)
		if !h.active(owner, token) || h.kept() != 1 {
			t.Fatal("the token never counted")
		}
		kid := must[string](t)(h.provider.keys.Active(t.Context(), keys.ES256))
		if err := h.another(b).provider.keys.Revoke(t.Context(), operator(), kid); err != nil {
			t.Fatal(err)
		}
		if err := h.provider.keys.Load(t.Context()); err != nil { // what Run does at each poll
			t.Fatal(err)
		}
		if h.active(owner, token) {
			t.Error("the token outlives its key")
		}
	})
}

// Whoever asks about one token at once is answered alike, also while it ends.
func TestManyAskAboutARememberedToken(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		owner := h.party(`{}`)
		token, ends := h.clientToken(owner), h.clientToken(owner)
		databasetest.Barrier(24, func(i int) {
			switch {
			case i == 0:
				h.by(owner, revokePath, "token", ends)
			case i%2 == 0:
				h.by(owner, introspectPath, "token", ends)
			case !h.active(owner, token):
				t.Error("a good token does not count")
			}
		})
		if h.active(owner, ends) {
			t.Error("the revoked token counts")
		}
	})
}

// However many there are, and however long, there is an end to what is kept, and
// one that is asked about stays.
func TestProvenTokensAreBounded(t *testing.T) {
	t.Parallel()
	id := func(n int) (sum [sha256.Size]byte) {
		binary.BigEndian.PutUint64(sum[:], uint64(n))
		return sum
	}
	for _, length := range []int{1, 1000, maxProven} {
		var p proven
		for n := 1; n < 2*provenRoom/provenCost; n++ {
			p.put(id(n), &provenToken{}, length)
			p.get(id(1), length)
			if kept := len(p.young) + len(p.old); kept*(length+provenCost) > provenRoom {
				t.Fatalf("%d tokens of %d bytes are kept", kept, length)
			}
		}
		if _, ok := p.get(id(1), length); !ok {
			t.Errorf("a token of %d bytes was forgotten while it was asked about", length)
		}
		if _, ok := p.get(id(2), length); ok {
			t.Errorf("the oldest token of %d bytes was not forgotten", length)
		}
	}
}

func TestATokenThatIsTooLongIsNotKept(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		owner := h.party(`{}`)
		claims := accessClaims{
			Issuer: h.issuer, Subject: owner.ID, ClientID: owner.ID, Audience: audience{h.issuer}, JTI: tokenID(),
			Scope: strings.Repeat("a", maxProven), ExpiresAt: time.Now().Add(time.Minute).Unix(),
		}
		token := h.signed(TypAccessToken, claims)
		if !h.active(owner, token) || h.kept() != 0 {
			t.Errorf("%d tokens remembered, want none", h.kept())
		}
		if got := h.by(owner, introspectPath, "token", strings.Repeat("a", maxProven+1)); got.StatusCode != http.StatusOK || h.kept() != 0 {
			t.Errorf("what is no token: %d, %d remembered", got.StatusCode, h.kept())
		}
	})
}
