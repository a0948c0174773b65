package provider

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys"
)

func TestCodeFlow(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		session := s.signIn(h.people())

		reply := s.reply(s.authorize())
		if got := reply.Get("state"); got != "a state" {
			t.Errorf("state = %q, want it as it was sent", got)
		}
		a := s.exchange(reply.Get("code"))
		tokens := a.ok(t)
		if got := a.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control = %q, want no-store", got)
		}
		if tokens["token_type"] != "Bearer" || tokens["expires_in"] != 600.0 || tokens["scope"] != "openid offline_access" {
			t.Errorf("answer = %v, want Bearer, 600 and the scope", tokens)
		}

		header, access := payload(t, tokens["access_token"])
		subject := h.provider.subject(s.client, session.Citizen)
		for name, want := range map[string]any{
			"iss": h.issuer, "aud": h.issuer, "sub": subject, "client_id": s.client.ID, "scope": "openid offline_access",
			"acr": level1, "auth_time": float64(session.AuthTime.Unix()), "sid": string(session.ID),
		} {
			if access[name] != want {
				t.Errorf("access token: %s = %v, want %v", name, access[name], want)
			}
		}
		if header["typ"] != "at+jwt" || header["alg"] != keys.ES256 || access["gid"] == "" || access["jti"] == access["gid"] {
			t.Errorf("access token: header %v, gid %v, jti %v", header, access["gid"], access["jti"])
		}
		if access["exp"].(float64)-access["iat"].(float64) != 600 {
			t.Errorf("access token lives %v seconds, want 600", access["exp"].(float64)-access["iat"].(float64))
		}

		checked := s.verifyID(tokens["id_token"].(string), keys.RS256)
		if checked.Subject != subject || checked.Nonce != "a nonce" {
			t.Errorf("ID token: sub %q, nonce %q", checked.Subject, checked.Nonce)
		}
		_, id := payload(t, tokens["id_token"])
		if id["auth_time"] != float64(session.AuthTime.Unix()) || id["acr"] != level1 || id["sid"] != string(session.ID) || id["rat"] != nil {
			t.Errorf("ID token: %v", id)
		}
		if strings.Contains(access["sub"].(string), mario) || id["name"] != nil {
			t.Errorf("personal data in a token: %v %v", access, id)
		}
		if !s.alive(tokens["access_token"]) {
			t.Error("userinfo refuses the access token")
		}
	})
}

// verifyID checks an ID token as a service does: with go-oidc, over HTTP.
func (s *service) verifyID(token, alg string) *oidc.IDToken {
	s.t.Helper()
	ctx := oidc.ClientContext(s.t.Context(), &http.Client{Transport: s.network})
	op := must[*oidc.Provider](s.t)(oidc.NewProvider(ctx, s.issuer))
	v := op.Verifier(&oidc.Config{ClientID: s.client.ID, SupportedSigningAlgs: []string{alg}})
	return must[*oidc.IDToken](s.t)(v.Verify(ctx, token))
}

// Each client gets its ID tokens in the algorithm it registered, with an at_hash
// that fits: of SHA-512 for EdDSA.
func TestIDTokenAlgorithms(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		citizen := h.people()
		for _, alg := range keys.Algorithms() {
			s := h.service(`{"id_token_signed_response_alg": "` + alg + `"}`)
			s.signIn(citizen)
			tokens := s.tokens()
			id := s.verifyID(tokens["id_token"].(string), alg)
			access := []byte(tokens["access_token"].(string))
			short, long := sha256.Sum256(access), sha512.Sum512(access)
			want := base64.RawURLEncoding.EncodeToString(short[:16])
			if alg == keys.EdDSA {
				want = base64.RawURLEncoding.EncodeToString(long[:32])
			}
			if id.AccessTokenHash != want {
				t.Errorf("%s: at_hash = %q, want %q", alg, id.AccessTokenHash, want)
			}
		}
	})
}

// What the issue promises about the database, counted: BEGIN and COMMIT aside.
func TestStatements(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		citizen := h.people()
		s := h.service(`{"consent": "remember"}`)
		s.signIn(citizen)
		s.allowed()
		s.tokens() // everything that is remembered for seconds is remembered now

		c := databasetest.Count(t, db)
		code := s.code()
		reads, writes := split(c.Statements())
		// the session was seen a moment ago: it is held, and not written again
		if len(reads) > 3 || c.Commits() != 1 || !slices.Equal(writes, []string{"INSERT grants", "INSERT audit_queue"}) {
			t.Errorf("authorize: %d reads, %d commits, writes %q", len(reads), c.Commits(), writes)
		}

		c = databasetest.Count(t, db)
		tokens := s.exchange(code).ok(t)
		reads, writes = split(c.Statements())
		// one statement, which is a commit by itself, or two in a transaction
		want, commits := []string{"UPDATE grants", "INSERT audit_queue"}, 1
		if db.Dialect() == database.Postgres {
			want, commits = []string{"WITH done"}, 0
		}
		if len(reads) != 1 || c.Commits() != commits || !slices.Equal(writes, want) {
			t.Errorf("code exchange: %d reads, %d commits, writes %q", len(reads), c.Commits(), writes)
		}

		c = databasetest.Count(t, db)
		s.refresh(tokens["refresh_token"].(string)).ok(t)
		reads, writes = split(c.Statements())
		if len(reads) != 1 || c.Commits() != commits || !slices.Equal(writes, want) {
			t.Errorf("refresh: %d reads, %d commits, writes %q", len(reads), c.Commits(), writes)
		}

		rows := h.grants()
		c = databasetest.Count(t, db)
		s.token("grant_type", "client_credentials").ok(t)
		if got := c.Statements(); len(got) != 0 || h.grants() != rows {
			t.Errorf("client_credentials: %d statements %q", len(got), got)
		}
	})
}

// split tells reads from writes, and names those by verb and table.
func split(statements []string) (reads, writes []string) {
	for _, q := range statements {
		words := strings.Fields(strings.NewReplacer(`"`, "", "`", "").Replace(q))
		switch strings.ToUpper(words[0]) {
		case "SELECT":
			reads = append(reads, q)
		case "INSERT":
			writes = append(writes, "INSERT "+strings.Split(words[2], "(")[0])
		default:
			writes = append(writes, strings.ToUpper(words[0])+" "+words[1])
		}
	}
	return reads, writes
}

// allowed has the citizen allow, and keep, what the service asks for.
func (s *service) allowed() {
	s.t.Helper()
	a := s.authorize()
	s.answer(s.interaction(a), true, true)
	s.reply(s.resume(a))
}

func TestClientCredentials(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"resources": ["https://api.example"], "scope": "profile email"}`)
		tokens := s.token("grant_type", "client_credentials", "scope", "profile offline_access", "resource", "https://api.example").ok(t)
		_, access := payload(t, tokens["access_token"])
		if access["sub"] != s.client.ID || access["aud"] != "https://api.example" || access["scope"] != "profile" || access["gid"] != nil {
			t.Errorf("access token = %v", access)
		}
		if tokens["refresh_token"] != nil || tokens["id_token"] != nil || tokens["scope"] != "profile" {
			t.Errorf("answer = %v, want an access token alone", tokens)
		}
		wantRefusal(t, "a foreign scope", s.token("grant_type", "client_credentials", "scope", "phone"), "Bad Request invalid_scope")
		wantRefusal(t, "a foreign resource", s.token("grant_type", "client_credentials", "resource", "https://other.example"), "Bad Request invalid_target")
		public := h.service(`{"token_endpoint_auth_method": "none", "grant_types": ["authorization_code"]}`)
		wantRefusal(t, "a public client", public.token("grant_type", "client_credentials"), "Bad Request unauthorized_client")
	})
}

func TestRefresh(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		first := s.tokens()
		databasetest.Shift(t, db, time.Minute)
		second := s.refresh(first["refresh_token"].(string)).ok(t)
		_, before := payload(t, first["id_token"])
		_, after := payload(t, second["id_token"])
		if after["sub"] != before["sub"] || after["auth_time"] != before["auth_time"] || after["nonce"] != nil {
			t.Errorf("refreshed ID token = %v, after %v", after, before)
		}
		if after["iat"].(float64) < before["iat"].(float64)+60 {
			t.Errorf("refreshed ID token: iat = %v, want it a minute after %v", after["iat"], before["iat"])
		}
		if second["refresh_token"] == first["refresh_token"] || !s.alive(second["access_token"]) {
			t.Error("the refresh token did not rotate, or the new access token is dead")
		}
		if h.grants() != 1 {
			t.Errorf("grants = %d, want the one row", h.grants())
		}
	})
}

func TestRefreshNarrowsOneAccessToken(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		first := s.tokens("scope", "openid profile email offline_access")
		wantRefusal(t, "a wider scope", s.refresh(first["refresh_token"].(string), "scope", "openid phone"), "Bad Request invalid_scope")
		narrow := s.refresh(first["refresh_token"].(string), "scope", "email").ok(t)
		_, access := payload(t, narrow["access_token"])
		if narrow["scope"] != "email" || access["scope"] != "email" || narrow["id_token"] != nil {
			t.Errorf("narrowed to %v, access token %v, ID token %v", narrow["scope"], access["scope"], narrow["id_token"])
		}
		whole := s.refresh(narrow["refresh_token"].(string)).ok(t)
		if whole["scope"] != "openid profile email offline_access" {
			t.Errorf("afterwards scope = %v, want all of it", whole["scope"])
		}
	})
}

func TestOfflineAccess(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		citizen := h.people()
		s := h.service(`{"grant_types": ["authorization_code"], "scope": "openid"}`)
		s.signIn(citizen)
		tokens := s.tokens() // asks for offline_access, and is not allowed it
		if tokens["refresh_token"] != nil || tokens["scope"] != "openid" {
			t.Errorf("answer = %v, want no refresh token and scope openid", tokens)
		}
		s = h.service("")
		s.signIn(citizen)
		if tokens := s.tokens("scope", "openid"); tokens["refresh_token"] != nil {
			t.Errorf("a refresh token without offline_access: %v", tokens["scope"])
		}
	})
}

func TestResource(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"resources": ["https://a.example", "https://b.example"]}`)
		s.signIn(h.people())
		if got := s.refused("resource", "https://c.example"); got != codeInvalidTarget {
			t.Errorf("an unknown resource: %q, want %s", got, codeInvalidTarget)
		}
		both := s.with(s.browser, s.get("/authorize?"+s.params().Encode()+"&resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example", ""))
		tokens := s.exchange(s.reply(both).Get("code"), "resource", "https://b.example").ok(t)
		if _, access := payload(t, tokens["access_token"]); access["aud"] != "https://b.example" {
			t.Errorf("aud = %v, want what was asked for at the token endpoint", access["aud"])
		}
		again := s.refresh(tokens["refresh_token"].(string)).ok(t)
		_, access := payload(t, again["access_token"])
		if got, _ := access["aud"].([]any); len(got) != 2 {
			t.Errorf("aud = %v, want both", access["aud"])
		}
		one := s.tokens("resource", "https://a.example")
		wantRefusal(t, "a resource beyond the grant", s.refresh(one["refresh_token"].(string), "resource", "https://b.example"), "Bad Request invalid_target")
	})
}

func TestGrantTypes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"grant_types": ["authorization_code"]}`)
		for _, row := range []struct{ name, grantType, want string }{
			{"missing", "", "Bad Request invalid_request"},
			{"not registered", "client_credentials", "Bad Request unauthorized_client"},
			{"refresh not registered", "refresh_token", "Bad Request unauthorized_client"},
			{"password", "password", "Bad Request unsupported_grant_type"},
			{"two at once", "authorization_code refresh_token", "Bad Request unsupported_grant_type"},
		} {
			wantRefusal(t, row.name, s.token("grant_type", row.grantType), row.want)
		}
		wantRefusal(t, "no code", s.token("grant_type", "authorization_code"), "Bad Request invalid_request")
		r := s.tokenRequest("grant_type", "authorization_code")
		r.Header.Set("Content-Type", "application/json")
		if got := s.do(r).StatusCode; got != http.StatusUnsupportedMediaType {
			t.Errorf("a JSON body: status %d, want 415", got)
		}
		if got := s.token("grant_type", "authorization_code", "code", strings.Repeat("x", 65<<10)).StatusCode; got != http.StatusRequestEntityTooLarge {
			t.Errorf("a body of 65 KiB: status %d, want 413", got)
		}
		if got := s.do(s.get(tokenPath, "")).StatusCode; got != http.StatusMethodNotAllowed {
			t.Errorf("GET: status %d, want 405", got)
		}
	})
}
