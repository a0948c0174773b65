package provider

import (
	"net/http"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

func (h *house) active(p party, token string) bool {
	h.t.Helper()
	return h.introspected(p, token)["active"] == true
}

func TestRevokingEitherTokenEndsTheGrant(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		owner := h.party(`{}`)
		s, _ := h.session(id)
		for i, which := range []string{"access", "refresh"} {
			g, refresh := h.grant(owner.Client, id, s, "openid", "offline_access")
			access := h.token(g)
			presented := map[string]string{"access": access, "refresh": refresh}[which]
			for range 2 { // the second time there is nothing left to do
				got := h.by(owner, revokePath, "token", presented, "token_type_hint", "wrong")
				if got.StatusCode != http.StatusOK || got.body != "" {
					t.Fatalf("revoking the %s token: got %d %s", which, got.StatusCode, got.body)
				}
			}
			if h.active(owner, access) || h.active(owner, refresh) {
				t.Errorf("after revoking the %s token the grant lives on", which)
			}
			if got := events(t, db, audit.GrantRevoked); got != i+1 {
				t.Errorf("audit of revocations: got %d, want %d", got, i+1)
			}
		}
	})
}

func TestRevokingAnExpiredAccessTokenEndsItsRefreshToken(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		owner := h.party(`{}`)
		s, _ := h.session(id)
		g, refresh := h.grant(owner.Client, id, s, "openid", "offline_access")
		access := h.token(g)
		databasetest.Shift(t, db, time.Hour)
		if got := h.by(owner, revokePath, "token", access); got.StatusCode != http.StatusOK {
			t.Fatalf("got %d %s", got.StatusCode, got.body)
		}
		if h.active(owner, refresh) {
			t.Error("the refresh token lives on")
		}
	})
}

func TestNobodyRevokesAnothersToken(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		owner, stranger := h.party(`{}`), h.party(`{"may_introspect": true}`)
		s, _ := h.session(id)
		g, refresh := h.grant(owner.Client, id, s, "openid", "offline_access")
		access, single := h.token(g), h.clientToken(owner)
		for name, token := range map[string]string{"access": access, "refresh": refresh, "client_credentials": single} {
			got := h.by(stranger, revokePath, "token", token)
			if got.StatusCode != http.StatusBadRequest || got.json(t)["error"] != codeInvalidGrant {
				t.Errorf("%s token of another: got %d %s, want 400 invalid_grant", name, got.StatusCode, got.body)
			}
			if !h.active(owner, token) {
				t.Errorf("a stranger ended the %s token", name)
			}
		}
		if got := h.do(h.post(revokePath, "token", access)); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("revoking as nobody: got %d, want 401", got.StatusCode)
		}
	})
}

// clientToken is what client_credentials gives: on no grant, on the node's clock.
func (h *house) clientToken(p party) string {
	h.t.Helper()
	now := time.Now()
	return h.signed(TypAccessToken, accessClaims{
		Issuer: h.issuer, Subject: p.ID, ClientID: p.ID, Audience: audience{h.issuer}, JTI: tokenID(),
		IssuedAt: now.Unix(), ExpiresAt: now.Add(10 * time.Minute).Unix(),
	})
}

func TestAClientsOwnTokenIsRevokedAlone(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		owner := h.party(`{}`)
		one, other := h.clientToken(owner), h.clientToken(owner)
		for range 2 {
			if got := h.by(owner, revokePath, "token", one); got.StatusCode != http.StatusOK {
				t.Fatalf("got %d %s", got.StatusCode, got.body)
			}
		}
		if h.active(owner, one) {
			t.Error("the revoked token is active")
		}
		if !h.active(owner, other) {
			t.Error("another token of the client ended too")
		}
		if n, err := h.provider.SweepTokens(t.Context()); n != 0 || err != nil {
			t.Errorf("sweep before its end: got %d, %v", n, err)
		}
		databasetest.Shift(t, db, 12*time.Minute)
		if n, err := h.provider.SweepTokens(t.Context()); n != 1 || err != nil {
			t.Errorf("sweep after its end: got %d, %v; want 1", n, err)
		}
	})
}

func TestRevokingWhatIsNoTokenSucceeds(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		owner := h.party(`{}`)
		for _, token := range []string{"abc", "rt_abc", "a.b.c"} {
			if got := h.by(owner, revokePath, "token", token); got.StatusCode != http.StatusOK {
				t.Errorf("%s: got %d, want 200", token, got.StatusCode)
			}
		}
		if got := h.by(owner, revokePath); got.StatusCode != http.StatusBadRequest {
			t.Errorf("no token: got %d, want 400", got.StatusCode)
		}
	})
}

func TestAPublicClientRevokesItsOwnToken(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		app, _ := h.register(`{"token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"]}`)
		watcher := h.party(`{"may_introspect": true}`)
		s, _ := h.session(id)
		g, refresh := h.grant(app, id, s, "openid", "offline_access")
		access := h.token(g)
		if got := h.do(h.post(revokePath, "token", refresh, "client_id", app.ID)); got.StatusCode != http.StatusOK {
			t.Fatalf("got %d %s", got.StatusCode, got.body)
		}
		if h.active(watcher, access) {
			t.Error("the grant lives on")
		}
	})
}

// B6: a 200 would make the client forget a token that still works.
func TestRevocationWithoutDatabaseIs503(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		owner := h.party(`{}`)
		s, _ := h.session(id)
		g, refresh := h.grant(owner.Client, id, s, "openid", "offline_access")
		tokens := []string{h.token(g), refresh, h.clientToken(owner)}
		if !h.active(owner, tokens[0]) {
			t.Fatal("the token is not active to begin with")
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		for i, token := range tokens {
			if got := h.by(owner, revokePath, "token", token); got.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("token %d: got %d, want 503", i, got.StatusCode)
			}
		}
	})
}
