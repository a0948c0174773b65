package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
)

func TestUserinfoAnswersUnderTheGrantedScopes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		client, _ := h.register(`{}`)
		s, _ := h.session(id)
		g, _ := h.grant(client, id, s, "openid", "profile", "fiscal_code", "email")
		want := map[string]any{
			"sub": g.Subject, "name": "Mario Rossi", "given_name": "Mario", "family_name": "Rossi", "gender": "male",
			"birthdate": "1980-01-01", "place_of_birth": map[string]any{"locality": "H501"},
			"https://attributes.eid.gov.it/fiscal_number": "TINIT-" + mario,
			"email": "mario.rossi@example.it", "email_verified": true,
		}
		token := h.token(g)
		for name, r := range map[string]*http.Request{
			"GET": h.get(userinfoPath, token), "POST, token in the body": h.post(userinfoPath, "access_token", token),
			"POST, token in the header": withBearer(h.post(userinfoPath), token),
			"scheme in lower case":      withHeader(h.get(userinfoPath, ""), "bearer "+token),
		} {
			got := h.do(r)
			if diff := cmp.Diff(want, got.json(t)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: headers %v", name, got.Header)
			}
		}
	})
}

func withHeader(r *http.Request, authorization string) *http.Request {
	r.Header.Add("Authorization", authorization)
	return r
}

func withBearer(r *http.Request, token string) *http.Request { return withHeader(r, "Bearer "+token) }

func TestUserinfoGivesClaimsThatWereAskedOneByOne(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		client, _ := h.register(`{}`)
		s, _ := h.session(id)
		g, _ := h.grant(client, id, s, "openid")
		err := db.Write(t.Context()).Exec(`UPDATE grants SET userinfo_claims = 'phone_number' WHERE id = ?`, g.ID).Error
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"sub": g.Subject, "phone_number": "+393331234567"}
		if diff := cmp.Diff(want, h.do(h.get(userinfoPath, h.token(g))).json(t)); diff != "" {
			t.Errorf("userinfo (-want +got):\n%s", diff)
		}
	})
}

func TestUserinfoFollowsTheTokensNarrowerScope(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		client, _ := h.register(`{}`)
		s, _ := h.session(id)
		g, _ := h.grant(client, id, s, "openid", "profile")
		narrow := h.claims(g)
		narrow.Scope = "openid"
		want := map[string]any{"sub": g.Subject}
		if diff := cmp.Diff(want, h.do(h.get(userinfoPath, h.signed(TypAccessToken, narrow))).json(t)); diff != "" {
			t.Errorf("userinfo (-want +got):\n%s", diff)
		}
	})
}

// B5 among them: an ID token is no access token.
func TestUserinfoRefusesAsRFC6750Says(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		client, _ := h.register(`{}`)
		s, _ := h.session(id)
		g, _ := h.grant(client, id, s, "openid", "profile")
		good := h.token(g)
		changed := func(change func(*accessClaims)) string {
			c := h.claims(g)
			change(&c)
			return h.signed(TypAccessToken, c)
		}
		for _, test := range []struct {
			name   string
			r      *http.Request
			status int
			code   string
		}{
			{"no token", h.get(userinfoPath, ""), 401, ""},
			{"another scheme", withHeader(h.get(userinfoPath, ""), "Basic YTpi"), 401, ""},
			{"garbage", h.get(userinfoPath, "garbage"), 401, codeInvalidToken},
			{"cut off", h.get(userinfoPath, good[:len(good)-4]), 401, codeInvalidToken},
			{"an ID token", h.get(userinfoPath, h.signed(TypIDToken, h.claims(g))), 401, codeInvalidToken},
			{"without openid", h.get(userinfoPath, changed(func(c *accessClaims) { c.Scope = "profile" })), 403, codeInsufficientScope},
			{"client_credentials", h.get(userinfoPath, changed(func(c *accessClaims) { c.GID = "" })), 403, codeInsufficientScope},
			{"for another resource", h.get(userinfoPath, changed(func(c *accessClaims) { c.Audience = audience{"https://api.example"} })), 401, codeInvalidToken},
			{"another issuer", h.get(userinfoPath, changed(func(c *accessClaims) { c.Issuer += "/x" })), 401, codeInvalidToken},
			{"another client's grant", h.get(userinfoPath, changed(func(c *accessClaims) { c.ClientID = "other" })), 401, codeInvalidToken},
			{"expired", h.get(userinfoPath, changed(func(c *accessClaims) { c.ExpiresAt -= 600 })), 401, codeInvalidToken},
			{"no such grant", h.get(userinfoPath, changed(func(c *accessClaims) { c.GID = "0190b3a8-1111-7222-8333-444455556666" })), 401, codeInvalidToken},
			{"in the query", h.get(userinfoPath+"?access_token="+good, ""), 400, codeInvalidRequest},
			{"sent twice", withBearer(h.post(userinfoPath, "access_token", good), good), 400, codeInvalidRequest},
			{"two headers", withBearer(h.get(userinfoPath, good), good), 400, codeInvalidRequest},
			{"repeated in the body", h.post(userinfoPath, "access_token", good, "access_token", good), 400, codeInvalidRequest},
		} {
			got := h.do(test.r)
			challenge := got.Header.Get("WWW-Authenticate")
			if got.StatusCode != test.status || !strings.HasPrefix(challenge, `Bearer realm="`+h.issuer+`"`) {
				t.Errorf("%s: got %d, WWW-Authenticate %q, want %d", test.name, got.StatusCode, challenge, test.status)
			}
			if test.code == "" && strings.Contains(challenge, "error") || test.code != "" && !strings.Contains(challenge, `error="`+test.code+`"`) {
				t.Errorf("%s: WWW-Authenticate %q, want the error %q", test.name, challenge, test.code)
			}
		}
	})
}

func TestUserinfoEndsWithTheGrantTheClientAndTheTime(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		client, _ := h.register(`{}`)
		s, _ := h.session(id)
		g, _ := h.grant(client, id, s, "openid", "offline_access")
		token := h.token(g)
		status := func(token string) int { return h.do(h.get(userinfoPath, token)).StatusCode }
		if got := status(token); got != 200 {
			t.Fatalf("a good token: got %d", got)
		}
		databasetest.Shift(t, db, 9*time.Minute+50*time.Second)
		if got := status(token); got != 200 {
			t.Errorf("before its end: got %d", got)
		}
		databasetest.Shift(t, db, 20*time.Second)
		if got := status(token); got != 401 {
			t.Errorf("after its end: got %d, want 401", got)
		}
		token = h.token(g)
		if err := h.provider.RevokeCitizen(t.Context(), id, "pin-revoked"); err != nil {
			t.Fatal(err)
		}
		if got := status(token); got != 401 {
			t.Errorf("after the grant's end: got %d, want 401", got)
		}
		g, _ = h.grant(client, id, s, "openid")
		token = h.token(g)
		if err := h.clients.Disable(t.Context(), operator(), client.ID); err != nil {
			t.Fatal(err)
		}
		if got := status(token); got != 401 {
			t.Errorf("token of a disabled client: got %d, want 401", got)
		}
	})
}

func TestUserinfoIsSignedForClientsThatAskForIt(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		client, _ := h.register(`{"userinfo_signed_response_alg": "PS256"}`)
		s, _ := h.session(id)
		g, _ := h.grant(client, id, s, "openid", "profile")
		got := h.do(h.get(userinfoPath, h.token(g)))
		if kind := got.Header.Get("Content-Type"); kind != "application/jwt" {
			t.Errorf("Content-Type: got %q", kind)
		}
		jws, err := jose.ParseSignedCompact(got.body, []jose.SignatureAlgorithm{jose.PS256})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := jws.Verify(h.published(jws.Signatures[0].Header.KeyID).Key)
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]any
		if err := json.Unmarshal(raw, &claims); err != nil {
			t.Fatal(err)
		}
		if claims["iss"] != h.issuer || claims["aud"] != client.ID || claims["sub"] != g.Subject || claims["name"] != "Mario Rossi" {
			t.Errorf("claims: got %v", claims)
		}
		if _, _, err := h.provider.keys.Verify(t.Context(), got.body, TypIDToken); err == nil {
			t.Error("a userinfo answer passes for an ID token")
		}
	})
}

func TestUserinfoWithoutDatabaseIs503(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		client, _ := h.register(`{}`)
		s, _ := h.session(id)
		g, _ := h.grant(client, id, s, "openid")
		token := h.token(g)
		if got := h.do(h.get(userinfoPath, token)).StatusCode; got != 200 {
			t.Fatalf("with the database: got %d", got)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		got := h.do(h.get(userinfoPath, token))
		if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" {
			t.Errorf("without the database: got %d, Retry-After %q", got.StatusCode, got.Header.Get("Retry-After"))
		}
	})
}

func TestUserinfoTellsTheKindOfThePINAsItIsNow(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		client, _ := h.register(`{}`)
		s, _ := h.session(id)
		g, _ := h.grant(client, id, s, "openid", "pin")
		token := h.token(g)
		if got := h.do(h.get(userinfoPath, token)).json(t)["pin_kind"]; got != nil {
			t.Errorf("before there is a PIN: got %v", got)
		}
		h.handOver(mario, credentials.Dispositivo)
		if got := h.do(h.get(userinfoPath, token)).json(t)["pin_kind"]; got != "dispositivo" {
			t.Errorf("with a PIN: got %v, want dispositivo", got)
		}
	})
}

// handOver gives a person a first PIN, as if both transports had taken it.
func (h *house) handOver(code string, kind credentials.Kind) {
	h.t.Helper()
	ctx := h.t.Context()
	fc := must[citizens.FiscalCode](h.t)(citizens.ParseFiscalCode(code))
	if err := h.credentials.Issue(ctx, operator(), fc, kind); err != nil {
		h.t.Fatal(err)
	}
	var ref string
	if err := h.db.Read(ctx).Raw(`SELECT ref FROM deliveries WHERE citizen_id = ? LIMIT 1`, string(h.person(code))).Scan(&ref).Error; err != nil {
		h.t.Fatal(err)
	}
	for _, half := range []delivery.MessageKey{delivery.PINHalf1, delivery.PINHalf2} {
		err := h.db.InTx(ctx, func(ctx context.Context) error {
			return h.credentials.Accepted(ctx, delivery.Receipt{Key: half, Citizen: h.person(code), Ref: ref})
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestUserinfoReadsTheGrantAndTheCitizen(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		client, _ := h.register(`{}`)
		s, _ := h.session(id)
		g, _ := h.grant(client, id, s, "openid", "profile")
		token := h.token(g)
		h.do(h.get(userinfoPath, token)) // the client is in memory now
		c := databasetest.Count(t, db)
		h.do(h.get(userinfoPath, token))
		if got := c.Statements(); len(got) != 2 || c.Commits() != 0 {
			t.Errorf("got %d statements, %d commits; want 2 reads:\n%s", len(got), c.Commits(), strings.Join(got, "\n"))
		}
	})
}
