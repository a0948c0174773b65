package provider

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// The tests of this file are named after the bugs of fosite v0.49.0 that our
// layer keeps away from the clients. B2 and B21 are with the races, B5, B6, B7
// and B9 with the endpoints they concern or not yet reachable: there is no
// pushed request. B17 and B18 are in clients, which fetches keys and compares
// secrets.

// B1: a wrong verifier, and then none, redeemed the code. A failed verifier of
// the right client burns it.
func TestB1FailedVerifierBurnsTheCode(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		citizen := h.people()
		wrong := strings.Repeat("x", 43)
		for _, document := range []string{
			"", `{"require_pkce": false}`, `{"token_endpoint_auth_method": "none", "grant_types": ["authorization_code"]}`,
		} {
			s := h.service(document)
			s.signIn(citizen)
			redeem := func(code, v string) answer {
				return s.token("grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", v)
			}
			for _, second := range []string{"", wrong, verifier} {
				for _, first := range []string{"", "short", wrong} {
					code := s.code()
					wantRefusal(t, "first with "+first, redeem(code, first), badGrant)
					wantRefusal(t, "then with "+second, redeem(code, second), badGrant)
				}
			}
		}
		if n := events(t, db, audit.GrantRevoked); n != 27 {
			t.Errorf("%d burnt codes on record, want 27", n)
		}
	})
}

// B1, the other way: a verifier for a code that was asked for without a
// challenge means that somebody has taken the challenge away.
func TestB1VerifierWithoutChallenge(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"require_pkce": false}`)
		s.signIn(h.people())
		none := []string{"code_challenge", "", "code_challenge_method", ""}
		code := s.code(none...)
		wantRefusal(t, "a verifier out of nowhere", s.exchange(code), badGrant)
		code = s.code(none...)
		s.token("grant_type", "authorization_code", "code", code, "redirect_uri", callback).ok(t)
	})
}

func TestPKCEIsAskedFor(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		for name, pairs := range map[string][]string{
			"none":                    {"code_challenge", "", "code_challenge_method", ""},
			"plain":                   {"code_challenge_method", "plain"},
			"plain by omission":       {"code_challenge_method", ""},
			"a method nobody knows":   {"code_challenge_method", "S512"},
			"a method alone":          {"code_challenge", ""},
			"a challenge that is not": {"code_challenge", "abc"},
			"not in the alphabet":     {"code_challenge", strings.Repeat("=", 43)},
		} {
			if got := s.refused(pairs...); got != codeInvalidRequest {
				t.Errorf("%s: %q, want %s", name, got, codeInvalidRequest)
			}
		}
	})
}

// B3 and B4, request objects that were believed or silently ignored: see
// TestRequestObject and TestRequestObjectsThatAreRefused.

// B8: a missing or short state was refused, and errors carried an empty one.
func TestB8StateIsTheServicesBusiness(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		for _, state := range []string{"", "x", "%&=+ è"} {
			for _, pairs := range [][]string{{"state", state}, {"state", state, "scope", "nope"}} {
				v := s.reply(s.authorize(pairs...))
				if got, sent := v["state"]; sent != (state != "") || v.Get("state") != state {
					t.Errorf("state %q came back as %q", state, got)
				}
			}
		}
		s.code("nonce", "1")
		s.code("nonce", "")
	})
}

// B10: an unknown grant type was an invalid request (TestGrantTypes has more).
func TestB10UnknownGrantType(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service("")
		wantRefusal(t, "an unknown grant type", s.token("grant_type", "urn:example:new"), "Bad Request unsupported_grant_type")
	})
}

// B13: a client that lost a scope got invalid_scope at refresh, and looped.
func TestB13LostScope(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		tokens := s.tokens("scope", "openid email offline_access")
		d := s.client.Document()
		d.Scope = clients.ParseScope("openid offline_access")
		must[clients.Registered](t)(h.clients.Update(t.Context(), operator(), s.client.ID, d))
		wantRefusal(t, "a refresh of a scope that is gone", s.refresh(tokens["refresh_token"].(string)), badGrant)
	})
}

// B14 and B15: loopback addresses matched whatever user, scheme and port they
// had, and what was wrong before the redirect URI was known ended in raw JSON.
func TestB14B15UntrustedRequestsStayHere(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"redirect_uris": ["https://service.example/callback", "http://127.0.0.1/cb"], "sector": "service.example"}`)
		s.signIn(h.people())
		disabled := h.service("")
		if err := h.clients.Disable(t.Context(), operator(), disabled.client.ID); err != nil {
			t.Fatal(err)
		}
		stays := func(name string, a answer) {
			t.Helper()
			if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" || !strings.Contains(a.body, "request.untrusted") {
				t.Errorf("%s: %d to %q", name, a.StatusCode, a.Header.Get("Location"))
			}
		}
		for _, uri := range []string{
			"", "https://evil.example/callback", "https://service.example/callback/", "https://service.example/Callback",
			"https://service.example/callback?x=1", "https://service.example/callback#x", "https://service.example@evil.example/callback",
			"https://service.example/x/../callback", "https://service.example/%63allback", "HTTPS://service.example/callback",
			"https://service.example:443/callback", "http://service.example/callback", "javascript:alert(1)", "//service.example/callback",
			"http://127.0.0.1:9999/cb", "http://evil@127.0.0.1/cb", "http://evil.example:x@127.0.0.1:9999/cb", "https://127.0.0.1/cb",
			"https://service.example/callback\x00", " https://service.example/callback",
		} {
			stays("redirect_uri "+uri, s.authorize("redirect_uri", uri))
			stays("with a bad response mode, redirect_uri "+uri, s.authorize("redirect_uri", uri, "response_mode", "nope"))
		}
		stays("no client", s.authorize("client_id", ""))
		stays("unknown client", s.authorize("client_id", "nobody"))
		stays("disabled client", disabled.authorize())
		q := s.params().Encode()
		for _, more := range []string{"&client_id=" + s.client.ID, "&redirect_uri=" + url.QueryEscape(callback), "&a=%zz", "&a=%00"} {
			stays("with "+more, s.with(s.browser, s.get("/authorize?"+q+more, "")))
		}
		post := s.params("redirect_uri", "https://evil.example/")
		r := s.post("/authorize")
		r = must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL.String(), strings.NewReader(post.Encode())))
		r.Header.Set("Content-Type", formContentType)
		stays("a POST", s.do(r))
	})
}

// B16: expires_in was 599 and the token type in lower case (TestCodeFlow checks
// both; here, that they stay so for every grant).
func TestB16TokenTypeAndLifetime(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		code := s.tokens()
		for _, tokens := range []map[string]any{code, s.refresh(code["refresh_token"].(string)).ok(t), s.token("grant_type", "client_credentials").ok(t)} {
			if tokens["token_type"] != "Bearer" || tokens["expires_in"] != 600.0 {
				t.Errorf("token_type %v, expires_in %v", tokens["token_type"], tokens["expires_in"])
			}
		}
	})
}

// B19: an empty signature was looked up, and could be found.
func TestB19EmptyAndForeignTokens(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		tokens := s.tokens()
		wantRefusal(t, "an empty code", s.exchange(""), "Bad Request invalid_request")
		wantRefusal(t, "an empty refresh token", s.refresh(""), "Bad Request invalid_request")
		for name, token := range tokens {
			text, ok := token.(string)
			if !ok {
				continue
			}
			wantRefusal(t, name+" as a code", s.exchange(text), badGrant)
			if name != "refresh_token" {
				wantRefusal(t, name+" as a refresh token", s.refresh(text), badGrant)
			}
		}
		code := s.code()
		wantRefusal(t, "a code as a refresh token", s.refresh(code), badGrant)
		wantRefusal(t, "a code cut off", s.exchange(code[:len(code)-1]), badGrant)
		wantRefusal(t, "a code made longer", s.exchange(code+"A"), badGrant)
		s.exchange(code).ok(t)
	})
}

// B20: whether the client may use authorization_code at all was not asked.
func TestB20GrantTypeAtAuthorize(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		s.client.GrantTypes = []string{clients.GrantClientCredentials}
		f := must[form](t)(parseParameters(s.params().Encode()))
		r := &authRequest{form: f, client: s.client, redirect: callback}
		if got := codeOf(h.provider.check(t.Context(), r)); got != codeUnauthorizedClient {
			t.Errorf("check = %q, want %s", got, codeUnauthorizedClient)
		}
	})
}

// The code is bound to its redirect URI.
func TestCodeIsBoundToTheRedirectURI(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"redirect_uris": ["https://service.example/callback", "https://service.example/other"]}`)
		s.signIn(h.people())
		redeem := func(uri string) answer {
			return s.token("grant_type", "authorization_code", "code", s.code(), "redirect_uri", uri, "code_verifier", verifier)
		}
		wantRefusal(t, "another redirect URI", redeem("https://service.example/other"), badGrant)
		wantRefusal(t, "no redirect URI", redeem(""), badGrant)
		redeem(callback).ok(t)
	})
}

// The access token of a refresh is new, and says so (a stale iat was fosite's).
func TestRefreshedAccessTokenIsNew(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		first := s.tokens()
		databasetest.Shift(t, db, 5*time.Minute)
		second := s.refresh(first["refresh_token"].(string)).ok(t)
		_, a := payload(t, first["access_token"])
		_, b := payload(t, second["access_token"])
		if b["iat"].(float64) < a["iat"].(float64)+300 || a["jti"] == b["jti"] || a["gid"] != b["gid"] {
			t.Errorf("iat %v after %v, jti %v after %v, gid %v after %v", b["iat"], a["iat"], b["jti"], a["jti"], b["gid"], a["gid"])
		}
	})
}
