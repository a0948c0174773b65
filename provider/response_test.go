package provider

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys"
)

const everyResponse = `{"profile": "oidc", "grant_types": ["authorization_code", "implicit", "refresh_token"],
	"response_types": ["code", "id_token", "token id_token", "code id_token", "code token", "code token id_token", "none"]`

// fragment is what a script at the service reads.
func (s *service) fragment(a answer) url.Values {
	s.t.Helper()
	text, ok := strings.CutPrefix(a.Header.Get("Location"), callback+"#")
	if a.StatusCode != http.StatusSeeOther || !ok {
		s.t.Fatalf("answer = %d to %q, want a fragment\n%s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	return must[url.Values](s.t)(url.ParseQuery(text))
}

// OpenID Connect Core §3.2 and §3.3: each response type answers with exactly
// what it names, and the hashes tie the parts together.
func TestResponseTypes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		for _, alg := range []string{keys.RS256, keys.EdDSA} {
			s := h.service(everyResponse + `, "id_token_signed_response_alg": "` + alg + `"}`)
			s.signIn(id)
			for kind, want := range map[string]string{
				"id_token":            "id_token",
				"id_token token":      "access_token id_token",
				"code id_token":       "code id_token",
				"code token":          "access_token code",
				"token code id_token": "access_token code id_token",
			} {
				v := s.fragment(s.authorize("response_type", kind))
				var got []string
				for _, name := range []string{"access_token", "code", "id_token"} {
					if v.Get(name) != "" {
						got = append(got, name)
					}
				}
				if strings.Join(got, " ") != want || v.Get("state") != "a state" || v.Get("iss") != issuer {
					t.Errorf("%s: %v, want %s", kind, v, want)
				}
				if (v.Get("token_type") == "Bearer" && v.Get("expires_in") == "600") != (v.Get("access_token") != "") {
					t.Errorf("%s: token_type %q, expires_in %q", kind, v.Get("token_type"), v.Get("expires_in"))
				}
				s.checkParts(kind, alg, v)
			}
		}
	})
}

// checkParts verifies an ID token as a library does, and what it says about
// the code and the access token beside it.
func (s *service) checkParts(kind, alg string, v url.Values) {
	s.t.Helper()
	if access := v.Get("access_token"); access != "" && !s.alive(access) {
		s.t.Errorf("%s: the access token does not count", kind)
	}
	if code := v.Get("code"); code != "" {
		s.exchange(code).ok(s.t)
	}
	text := v.Get("id_token")
	if text == "" {
		return
	}
	ctx := oidc.ClientContext(s.t.Context(), s.house.browser())
	op := must[*oidc.Provider](s.t)(oidc.NewProvider(ctx, s.issuer))
	token, err := op.VerifierContext(ctx, &oidc.Config{ClientID: s.client.ID, SupportedSigningAlgs: []string{alg}}).Verify(ctx, text)
	if err != nil {
		s.t.Fatalf("%s: %v", kind, err)
	}
	_, claims := payload(s.t, text)
	if token.Nonce != "a nonce" {
		s.t.Errorf("%s: nonce %q", kind, token.Nonce)
	}
	for hash, part := range map[string]string{"at_hash": v.Get("access_token"), "c_hash": v.Get("code")} {
		got, has := claims[hash]
		if has != (part != "") || has && got != halfHash(alg, part) {
			s.t.Errorf("%s: %s = %v", kind, hash, got)
		}
	}
	if _, has := claims["given_name"]; has {
		s.t.Errorf("%s: the ID token tells what was not asked for", kind)
	}
}

// With nothing but an ID token, the claims of the scopes are in it (§5.4); else
// they are at userinfo.
func TestClaimsInTheOnlyToken(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(everyResponse + `}`)
		s.signIn(h.people())
		_, claims := payload(t, s.fragment(s.authorize("response_type", "id_token", "scope", "openid profile")).Get("id_token"))
		if claims["given_name"] != "Mario" {
			t.Errorf("claims = %v, want those of the scope profile", claims)
		}
		_, claims = payload(t, s.fragment(s.authorize("response_type", "id_token token", "scope", "openid profile")).Get("id_token"))
		if _, has := claims["given_name"]; has {
			t.Errorf("claims = %v, want those of the scopes at userinfo alone", claims)
		}
		if v := s.reply(s.authorize("response_type", "none")); v.Get("state") != "a state" || v.Has("code") || v.Has("error") {
			t.Errorf("none = %v", v)
		}
	})
}

func TestResponsesThatAreRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s, plain := h.service(everyResponse+`}`), h.service("")
		id := h.people()
		s.signIn(id)
		plain.signIn(id)
		for name, row := range map[string]struct {
			s     *service
			pairs []string
			want  string
		}{
			"no nonce":              {s, []string{"response_type", "id_token", "nonce", ""}, codeInvalidRequest},
			"no openid":             {s, []string{"response_type", "id_token", "scope", "profile"}, codeInvalidScope},
			"tokens in a query":     {s, []string{"response_type", "id_token token", "response_mode", "query"}, codeInvalidRequest},
			"another client's type": {plain, []string{"response_type", "code id_token"}, codeUnauthorizedClient},
			"token alone":           {s, []string{"response_type", "token"}, codeUnsupportedResponseType},
		} {
			if got := row.s.fragment(row.s.authorize(row.pairs...)).Get("error"); got != row.want {
				t.Errorf("%s: %q, want %q", name, got, row.want)
			}
		}
	})
}

// JARM: the answer is one token, signed as the client wants it, wherever it
// travels; a refusal too.
func TestSignedAnswers(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		s := h.service(everyResponse + `, "authorization_signed_response_alg": "ES256"}`)
		s.signIn(id)
		inside := func(v url.Values) map[string]any {
			t.Helper()
			if len(v) != 1 {
				t.Errorf("beside the token: %v", v)
			}
			raw, header, err := h.provider.keys.Verify(t.Context(), v.Get("response"), typAnswer)
			if err != nil || header.Alg != keys.ES256 {
				t.Fatalf("response %q: %v, %v", v.Get("response"), header, err)
			}
			var claims map[string]any
			if err := json.Unmarshal(raw, &claims); err != nil {
				t.Fatal(err)
			}
			if claims["iss"] != issuer || claims["aud"] != s.client.ID || claims["state"] != "a state" || claims["exp"] == nil {
				t.Errorf("claims = %v", claims)
			}
			return claims
		}
		query := func(a answer) url.Values {
			return must[url.Values](t)(url.ParseQuery(strings.TrimPrefix(a.Header.Get("Location"), callback+"?")))
		}
		code, _ := inside(query(s.authorize("response_mode", "jwt")))["code"].(string)
		s.exchange(code).ok(t)
		if inside(query(s.authorize("response_mode", "query.jwt")))["code"] == nil {
			t.Error("query.jwt: no code")
		}
		if inside(s.fragment(s.authorize("response_mode", "fragment.jwt")))["code"] == nil {
			t.Error("fragment.jwt: no code")
		}
		if claims := inside(s.fragment(s.authorize("response_mode", "jwt", "response_type", "id_token token"))); claims["expires_in"] != 600.0 {
			t.Errorf("jwt for tokens = %v", claims)
		}
		if claims := inside(query(s.authorize("response_mode", "jwt", "scope", "nope"))); claims["error"] != codeInvalidScope {
			t.Errorf("a refusal = %v", claims)
		}
		page := s.authorize("response_mode", "form_post.jwt")
		if page.StatusCode != http.StatusOK || !strings.Contains(page.body, `name="response"`) || strings.Contains(page.body, `name="code"`) {
			t.Errorf("form_post.jwt = %d %s", page.StatusCode, page.body)
		}
	})
}
