package provider

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// party is a client that can prove who it is.
type party struct {
	clients.Client
	secret string
}

func (h *house) party(document string) party {
	h.t.Helper()
	c, secret := h.register(document)
	return party{c, secret}
}

// by posts a form as that client.
func (h *house) by(p party, path string, pairs ...string) answer {
	h.t.Helper()
	r := h.post(path, pairs...)
	r.SetBasicAuth(p.ID, p.secret)
	return h.do(r)
}

func (h *house) introspected(p party, token string) map[string]any {
	h.t.Helper()
	got := h.by(p, introspectPath, "token", token)
	if got.StatusCode != http.StatusOK {
		h.t.Fatalf("introspection: got %d %s", got.StatusCode, got.body)
	}
	return got.json(h.t)
}

func inactive() map[string]any { return map[string]any{"active": false} }

// B7: not any client, and not about any token; B5: aud may be an array.
func TestIntrospectionAnswersWhomItConcerns(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		owner, stranger := h.party(`{}`), h.party(`{}`)
		resource, watcher := h.party(`{}`), h.party(`{"may_introspect": true}`)
		s, _ := h.session(id)
		g, _ := h.grant(owner.Client, id, s, "openid", "profile")
		claims := h.claims(g)
		claims.Audience = audience{h.issuer, resource.ID}
		token := h.signed(TypAccessToken, claims)
		want := map[string]any{
			"active": true, "scope": "openid profile", "client_id": owner.ID, "token_type": "Bearer", "sub": g.Subject,
			"aud": []any{h.issuer, resource.ID}, "iss": h.issuer, "jti": claims.JTI, "acr": g.ACR, "amr": []any{"pin"},
			"auth_time": float64(claims.AuthTime), "iat": float64(claims.IssuedAt), "exp": float64(claims.ExpiresAt),
		}
		for name, p := range map[string]party{"the owner": owner, "one named in aud": resource, "one that may": watcher} {
			if diff := cmp.Diff(want, h.introspected(p, token)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		if diff := cmp.Diff(inactive(), h.introspected(stranger, token)); diff != "" {
			t.Errorf("a stranger (-want +got):\n%s", diff)
		}
	})
}

// B7: the end that is told is the refresh token's own.
func TestIntrospectionOfRefreshTokens(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		owner, stranger, watcher := h.party(`{}`), h.party(`{}`), h.party(`{"may_introspect": true}`)
		s, _ := h.session(id)
		g, token := h.grant(owner.Client, id, s, "openid", "offline_access")
		for name, p := range map[string]party{"the owner": owner, "one that may": watcher} {
			got := h.introspected(p, token)
			end := g.AuthTime.Add(30 * 24 * time.Hour).Unix() // of the family, not ten minutes
			if got["active"] != true || got["exp"] != float64(end) || got["token_type"] != nil || got["sub"] != g.Subject {
				t.Errorf("%s: got %v, want exp %d", name, got, end)
			}
		}
		if diff := cmp.Diff(inactive(), h.introspected(stranger, token)); diff != "" {
			t.Errorf("a stranger (-want +got):\n%s", diff)
		}
		databasetest.Shift(t, db, 31*24*time.Hour)
		if diff := cmp.Diff(inactive(), h.introspected(owner, token)); diff != "" {
			t.Errorf("after 30 days (-want +got):\n%s", diff)
		}
	})
}

func TestIntrospectionNeverFailsOnGarbage(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		owner := h.party(`{}`)
		s, _ := h.session(id)
		g, refresh := h.grant(owner.Client, id, s, "openid", "offline_access")
		token := h.token(g)
		for name, bad := range map[string]string{
			"a word": "abc", "dots": "..", "many dots": strings.Repeat(".", 1000), "prefix alone": "rt_",
			"refresh token cut off": refresh[:len(refresh)-1], "refresh token longer": refresh + "A",
			"access token cut off": token[:len(token)-2], "access token longer": token + "AAAA",
			"refresh token without prefix": strings.TrimPrefix(refresh, "rt_"), "prefix before access token": "rt_" + token,
			"an ID token": h.signed(TypIDToken, h.claims(g)), "long": strings.Repeat("a", 60000), "not text": "\u2028é",
		} {
			got := h.by(owner, introspectPath, "token", bad, "token_type_hint", "nonsense")
			if got.StatusCode != http.StatusOK || strings.TrimSpace(got.body) != `{"active":false}` {
				t.Errorf("%s: got %d %s", name, got.StatusCode, got.body)
			}
		}
		if got := h.by(owner, introspectPath, "token", "\xff\x00"); got.StatusCode != http.StatusBadRequest {
			t.Errorf("bytes that are no text: got %d, want 400", got.StatusCode)
		}
		if got := h.by(owner, introspectPath); got.StatusCode != http.StatusBadRequest {
			t.Errorf("no token: got %d, want 400", got.StatusCode)
		}
	})
}

func TestIntrospectionNeedsAClientThatProvesItself(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		owner := h.party(`{}`)
		public, _ := h.register(`{"token_endpoint_auth_method": "none", "grant_types": ["authorization_code"]}`)
		s, _ := h.session(id)
		g, _ := h.grant(public, id, s, "openid")
		token := h.token(g)
		for name, r := range map[string]*http.Request{
			"nobody":             h.post(introspectPath, "token", token),
			"a public client":    h.post(introspectPath, "token", token, "client_id", public.ID),
			"an access token":    withBearer(h.post(introspectPath, "token", token), token),
			"a wrong secret":     basic(h.post(introspectPath, "token", token), owner.ID, "wrong"),
			"somebody unknown":   basic(h.post(introspectPath, "token", token), "unknown", owner.secret),
			"in the wrong place": h.post(introspectPath, "token", token, "client_id", owner.ID, "client_secret", owner.secret),
		} {
			got := h.do(r)
			if got.StatusCode != http.StatusUnauthorized || got.json(t)["error"] != "invalid_client" {
				t.Errorf("%s: got %d %s, want 401 invalid_client", name, got.StatusCode, got.body)
			}
		}
	})
}

func basic(r *http.Request, id, secret string) *http.Request {
	r.SetBasicAuth(id, secret)
	return r
}

func TestIntrospectionWithoutDatabaseIs503(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		owner := h.party(`{}`)
		s, _ := h.session(id)
		g, _ := h.grant(owner.Client, id, s, "openid")
		token := h.token(g)
		h.introspected(owner, token)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if got := h.by(owner, introspectPath, "token", token); got.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("got %d %s, want 503", got.StatusCode, got.body)
		}
	})
}
