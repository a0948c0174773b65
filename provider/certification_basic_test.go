package provider

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database/databasetest"
)

// The plan oidcc-basic-certification-test-plan.
func TestCertificationBasic(t *testing.T) {
	u := newSuite(t)
	for name, module := range map[string]func(*testing.T, suite){
		"oidcc-server": func(t *testing.T, u suite) {
			v := u.client()
			answer := v.enters()
			only(t, answer, "code", "state", "iss", "session_state")
			tokens := v.redeems(answer.Get("code")).ok(t)
			_, id := payload(t, tokens["id_token"])
			if id["nonce"] != "a nonce" || tokens["token_type"] != "Bearer" || v.told(tokens["access_token"])["sub"] != id["sub"] {
				t.Errorf("tokens = %v, ID token %v", tokens, id)
			}
		},
		"oidcc-response-type-missing": func(t *testing.T, u suite) {
			v := u.client().reply(u.client().asks("response_type", ""))
			if only(t, v, "error", "error_description", "state", "iss", "session_state"); v.Get("error") != codeInvalidRequest || v.Get("state") != "a state" {
				t.Errorf("answer = %v", v)
			}
		},
		"oidcc-ensure-request-without-nonce-succeeds-for-code-flow": func(t *testing.T, u suite) {
			if _, id := u.client().tokensOf("nonce", ""); id["nonce"] != nil {
				t.Errorf("nonce = %v", id["nonce"])
			}
		},
		"oidcc-prompt-login": func(t *testing.T, u suite) {
			v := u.client()
			_, first := v.tokensOf()
			databasetest.Shift(t, u.db, 2*time.Second)
			a, pages := v.goesOn(v.asks("prompt", "login"))
			_, second := payload(t, v.redeems(v.reply(a).Get("code")).ok(t)["id_token"])
			if pages != "login" || second["auth_time"].(float64) <= first["auth_time"].(float64) || second["sub"] != first["sub"] {
				t.Errorf("pages %q, ID token %v after %v", pages, second, first)
			}
		},
		"oidcc-prompt-none-not-logged-in": func(t *testing.T, u suite) {
			v := u.client()
			got := v.reply(v.asks("prompt", "none"))
			if only(t, got, "error", "error_description", "state", "iss", "session_state"); got.Get("error") != codeLoginRequired || got.Get("state") != "a state" {
				t.Errorf("answer = %v", got)
			}
		},
		"oidcc-prompt-none-logged-in": again("prompt", "none"),
		"oidcc-max-age-10000":         again("max_age", "10000"),
		"oidcc-max-age-1": func(t *testing.T, u suite) {
			v := u.client()
			_, first := v.tokensOf()
			databasetest.Shift(t, u.db, 2*time.Second)
			a, pages := v.goesOn(v.asks("max_age", "1"))
			_, second := payload(t, v.redeems(v.reply(a).Get("code")).ok(t)["id_token"])
			if pages != "login" || second["auth_time"].(float64) <= first["auth_time"].(float64) {
				t.Errorf("pages %q, ID token %v after %v", pages, second, first)
			}
		},
		"oidcc-id-token-hint": func(t *testing.T, u suite) {
			v := u.client()
			tokens, first := v.tokensOf()
			hint, _ := tokens["id_token"].(string)
			if _, second := v.tokensOf("prompt", "none", "id_token_hint", hint); second["sub"] != first["sub"] {
				t.Errorf("sub = %v, want %v", second["sub"], first["sub"])
			}
		},
		"oidcc-ensure-request-with-acr-values-succeeds": func(t *testing.T, u suite) {
			if _, id := u.client().tokensOf("acr_values", level1); id["acr"] != level1 {
				t.Errorf("acr = %v", id["acr"])
			}
		},
		"oidcc-codereuse": func(t *testing.T, u suite) {
			v := u.client()
			code := v.enters().Get("code")
			v.redeems(code).ok(t)
			wantRefusal(t, "at once", v.redeems(code), badGrant)
		},
		"oidcc-codereuse-30seconds": func(t *testing.T, u suite) {
			v := u.client()
			code := v.enters().Get("code")
			tokens := v.redeems(code).ok(t)
			databasetest.Shift(t, u.db, 30*time.Second)
			wantRefusal(t, "after half a minute", v.redeems(code), badGrant)
			if v.alive(tokens["access_token"]) {
				t.Error("the access token of a code that was used twice is good")
			}
		},
		"oidcc-ensure-registered-redirect-uri": func(t *testing.T, u suite) {
			wantUntrusted(t, "another address", u.client().asks("redirect_uri", callback+"/unregistered"))
		},
		"oidcc-ensure-post-request-succeeds": func(t *testing.T, u suite) {
			v := u.client()
			a, _ := v.goesOn(v.posted(v.params(v.plain()...)))
			v.redeems(v.reply(a).Get("code")).ok(t)
		},
		"oidcc-server-client-secret-post": func(t *testing.T, u suite) {
			u.client("token_endpoint_auth_method", "client_secret_post").tokensOf()
		},
		"oidcc-claims-essential": func(t *testing.T, u suite) {
			v := u.client()
			tokens, _ := v.tokensOf("claims", `{"userinfo": {"name": {"essential": true}}}`)
			if told := v.told(tokens["access_token"]); told["name"] != "Mario Rossi" {
				t.Errorf("userinfo = %v", told)
			}
		},
		"oidcc-refresh-token": func(t *testing.T, u suite) {
			grants := []string{"authorization_code", "refresh_token"}
			v, other := u.client("grant_types", grants), u.client("grant_types", grants)
			tokens, first := v.tokensOf("scope", "openid offline_access", "prompt", "consent")
			text, _ := tokens["refresh_token"].(string)
			wantRefusal(t, "of another client", other.refresh(text), badGrant)
			again := v.refresh(text).ok(t)
			if _, id := payload(t, again["id_token"]); id["sub"] != first["sub"] || id["iss"] != first["iss"] || id["auth_time"] != first["auth_time"] || !v.alive(again["access_token"]) {
				t.Errorf("refreshed ID token %v after %v", id, first)
			}
		},
		"oidcc-ensure-request-with-valid-pkce-succeeds": func(t *testing.T, u suite) {
			v := u.client()
			a, _ := v.goesOn(v.authorize("scope", "openid"))
			v.exchange(v.reply(a).Get("code")).ok(t)
		},
	} {
		t.Run(name, func(t *testing.T) { module(t, u.in(t)) })
	}
}

// again is a request that shows no page once the citizen is in, and speaks of
// the same sign-in.
func again(pairs ...string) func(*testing.T, suite) {
	return func(t *testing.T, u suite) {
		v := u.client()
		_, first := v.tokensOf()
		databasetest.Shift(t, u.db, 2*time.Second)
		_, second := payload(t, v.redeems(v.reply(v.asks(pairs...)).Get("code")).ok(t)["id_token"])
		if second["sub"] != first["sub"] || second["auth_time"] != first["auth_time"] {
			t.Errorf("ID token %v after %v", second, first)
		}
	}
}

// Modules that only want a request to succeed, in which nothing may break it.
func TestCertificationRequestsThatSucceed(t *testing.T) {
	u := newSuite(t)
	for name, pairs := range map[string][]string{
		"oidcc-display-page":  {"display", "page"},
		"oidcc-display-popup": {"display", "popup"},
		"oidcc-ensure-request-with-unknown-parameter-succeeds": {"extra", "foobar"},
		"oidcc-login-hint":                        {"login_hint", "bob@oidf.example"},
		"oidcc-ui-locales":                        {"ui_locales", "se"},
		"oidcc-claims-locales":                    {"claims_locales", "se"},
		"oidcc-ensure-other-scope-order-succeeds": {"scope", "email openid"},
	} {
		t.Run(name, func(t *testing.T) {
			v := u.in(t).client()
			a, pages := v.goesOn(v.asks(pairs...))
			if pages != "login consent" {
				t.Errorf("pages = %q, want the sign-in and the question", pages)
			}
			v.redeems(v.reply(a).Get("code")).ok(t)
		})
	}
}

// Modules about what userinfo tells under each scope, and how it is asked.
func TestCertificationUserinfo(t *testing.T) {
	u := newSuite(t)
	v := u.client()
	tokens, id := v.tokensOf("scope", "openid profile email address phone")
	text, _ := tokens["access_token"].(string)
	for name, r := range map[string]*http.Request{
		"oidcc-userinfo-get": v.get(userinfoPath, text), "oidcc-userinfo-post-header": withBearer(v.post(userinfoPath), text),
		"oidcc-userinfo-post-body": v.post(userinfoPath, "access_token", text),
	} {
		t.Run(name, func(t *testing.T) {
			a := u.in(t).do(r)
			if got := a.ok(t); got["sub"] != id["sub"] || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
				t.Errorf("userinfo = %v, %s", got, a.Header.Get("Content-Type"))
			}
		})
	}
	for scope, claims := range map[string][]string{
		"profile": {"name", "given_name", "family_name", "gender", "birthdate"}, "email": {"email", "email_verified"},
		"address": {"address"}, "phone": {"phone_number", "phone_number_verified"},
		"all": {"name", "email", "address", "phone_number"},
	} {
		t.Run("oidcc-scope-"+scope, func(t *testing.T) {
			asked := strings.ReplaceAll("openid "+scope, "all", "profile email address phone")
			mine := u.in(t).client()
			tokens, _ := mine.tokensOf("scope", asked)
			told := mine.told(tokens["access_token"])
			for _, claim := range claims {
				if told[claim] == nil {
					t.Errorf("userinfo lacks %s: %v", claim, told)
				}
			}
			if scope != "all" && len(told) != len(claims)+1 {
				t.Errorf("userinfo tells more than %s: %v", scope, told)
			}
			if address, is := told["address"].(map[string]any); told["address"] != nil && (!is || address["locality"] == nil) {
				t.Errorf("address = %v", told["address"])
			}
		})
	}
}

// Modules with unsigned request objects are skipped, because discovery does not
// name none; the provider is the same with those that come.
func TestCertificationUnsignedRequests(t *testing.T) {
	u := newSuite(t)
	doc := u.do(u.get(openIDPath, "")).json(t)
	for _, member := range []string{"request_object_signing_alg_values_supported", "id_token_signing_alg_values_supported"} {
		if algs, _ := doc[member].([]any); len(algs) == 0 || slices.Contains(algs, any("none")) {
			t.Errorf("%s = %v", member, algs)
		}
	}
	v := u.client()
	claims := map[string]string{"client_id": v.client.ID, "redirect_uri": callback, "response_type": "code", "scope": "openid", "state": "inside", "nonce": "n"}
	object := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(must[[]byte](t)(json.Marshal(claims))) + "."
	t.Run("oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", func(t *testing.T) {
		v := v.in(t)
		if got := v.reply(v.asks("request", object)); got.Get("error") != codeInvalidRequestObject {
			t.Errorf("answer = %v", got)
		}
	})
	t.Run("oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", func(t *testing.T) {
		v := v.in(t)
		if got := v.reply(v.asks("request_uri", "https://service.example/object")); got.Get("error") != codeInvalidRequestURI {
			t.Errorf("answer = %v", got)
		}
	})
	t.Run("oidcc-ensure-request-object-with-redirect-uri", func(t *testing.T) {
		wantUntrusted(t, "another address beside it", v.in(t).asks("request", object, "redirect_uri", callback+"/other"))
	})
}
