package provider

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/provider/keys"
)

// The plans of the implicit and hybrid flows, and those of form_post: each
// response type in its default mode and in a form.
func TestCertificationFlows(t *testing.T) {
	u := newSuite(t)
	for kind, fronts := range map[string]string{
		"code": "", "id_token": "id_token", "id_token token": "id_token access_token",
		"code id_token": "id_token", "code token": "access_token", "code id_token token": "id_token access_token",
	} {
		var grants []string
		if strings.Contains(kind, "code") {
			grants = append(grants, "authorization_code")
		}
		if fronts != "" {
			grants = append(grants, "implicit")
		}
		v := u.client("grant_types", grants, "response_types", []string{kind})
		for _, mode := range []string{"", "form_post"} {
			t.Run("oidcc-prompt-none-not-logged-in/"+kind+" "+mode, func(t *testing.T) {
				v := v.in(t)
				v.browser = v.house.browser()
				how, got := v.delivery(v.asks("response_type", kind, "response_mode", mode, "prompt", "none"))
				if got.Get("error") != codeLoginRequired || how == modeQuery && kind != "code" {
					t.Errorf("%s %v", how, got)
				}
			})
			t.Run("oidcc-server/"+kind+" "+mode, func(t *testing.T) {
				v := v.in(t)
				got := v.enters("response_type", kind, "response_mode", mode)
				for name := range strings.FieldsSeq(fronts) {
					if got.Get(name) == "" {
						t.Errorf("the answer lacks %s: %v", name, got)
					}
				}
				v.withoutPKCE(kind, got)
			})
			t.Run("oidcc-ensure-request-without-nonce/"+kind+" "+mode, func(t *testing.T) {
				got := v.in(t).enters("response_type", kind, "response_mode", mode, "nonce", "")
				if strings.Contains(kind, "id_token") != (got.Get("error") == codeInvalidRequest) {
					t.Errorf("without a nonce: %v", got)
				}
			})
		}
	}
}

// withoutPKCE checks the parts of an answer, whose code was asked for without.
func (v visited) withoutPKCE(kind string, got url.Values) {
	v.t.Helper()
	code := got.Get("code")
	if code != "" {
		tokens := v.redeems(code).ok(v.t)
		_, back := payload(v.t, tokens["id_token"])
		if text := got.Get("id_token"); text != "" {
			if _, front := payload(v.t, text); front["sub"] != back["sub"] || front["iss"] != back["iss"] || front["c_hash"] != halfHash(keys.RS256, code) {
				v.t.Errorf("%s: ID tokens %v and %v", kind, front, back)
			}
		}
		got.Del("code")
	}
	if text := got.Get("id_token"); text != "" {
		v.verifyID(text, keys.RS256)
	}
	if access := got.Get("access_token"); access != "" && (!v.alive(access) || got.Get("token_type") != "Bearer" || got.Get("expires_in") == "") {
		v.t.Errorf("%s: the access token %v", kind, got)
	}
}

// The plan oidcc-dynamic-certification-test-plan, and that of third-party
// initiated login.
func TestCertificationDynamic(t *testing.T) {
	u := newSuite(t)
	redirects := func(list ...string) []any { return []any{"redirect_uris", list} }
	for name, module := range map[string]func(*testing.T, suite){
		"oidcc-idtoken-rs256": func(t *testing.T, u suite) {
			tokens, _ := u.client("id_token_signed_response_alg", "RS256").tokensOf()
			if header, _ := payload(t, tokens["id_token"]); header["alg"] != "RS256" || header["kid"] == nil {
				t.Errorf("header = %v", header)
			}
		},
		"oidcc-idtoken-unsigned": func(t *testing.T, u suite) {
			wantRefusal(t, "none", u.registers("id_token_signed_response_alg", "none"), "Bad Request invalid_client_metadata")
		},
		"oidcc-userinfo-rs256": func(t *testing.T, u suite) {
			v := u.client("userinfo_signed_response_alg", "RS256")
			tokens, id := v.tokensOf()
			text, _ := tokens["access_token"].(string)
			a := v.do(v.get(userinfoPath, text))
			header, claims := payload(t, a.body)
			if a.Header.Get("Content-Type") != "application/jwt" || header["alg"] != "RS256" || claims["sub"] != id["sub"] || claims["iss"] != issuer || claims["aud"] != v.client.ID {
				t.Errorf("%s %v %v", a.Header.Get("Content-Type"), header, claims)
			}
		},
		"oidcc-ensure-redirect-uri-in-authorization-request": func(t *testing.T, u suite) {
			wantUntrusted(t, "no address", u.client().asks("redirect_uri", ""))
		},
		"oidcc-redirect-uri-query-ok": func(t *testing.T, u suite) {
			v := u.client(redirects(callback + "?foo=bar")...)
			a, _ := v.goesOn(v.asks("redirect_uri", callback+"?foo=bar"))
			if got := v.reply(a); got.Get("foo") != "bar" || got.Get("code") == "" {
				t.Errorf("answer = %v", got)
			}
		},
		"oidcc-redirect-uri-query-mismatch": func(t *testing.T, u suite) {
			wantUntrusted(t, "another query", u.client(redirects(callback+"?foo=bar")...).asks("redirect_uri", callback+"?bar=foo"))
		},
		"oidcc-redirect-uri-query-added": func(t *testing.T, u suite) {
			wantUntrusted(t, "one more query", u.client().asks("redirect_uri", callback+"?foo=bar"))
		},
		"oidcc-redirect-uri-regfrag": func(t *testing.T, u suite) {
			wantRefusal(t, "a fragment", u.registers(redirects(callback+"#foo")...), "Bad Request invalid_redirect_uri")
		},
		"oidcc-registration-logo-uri":   shown("logo_uri", "https://service.example/logo.png", `<img src="https://service.example/logo.png"`),
		"oidcc-registration-policy-uri": shown("policy_uri", "https://service.example/privacy", `href="https://service.example/privacy"`),
		"oidcc-registration-tos-uri":    shown("tos_uri", "https://service.example/terms", `href="https://service.example/terms"`),
		"oidcc-3rd_party-init-login": func(t *testing.T, u suite) {
			const uri = "https://service.example/initiate"
			doc := u.registers("initiate_login_uri", uri).json(t)
			at, _ := doc["registration_client_uri"].(string)
			token, _ := doc["registration_access_token"].(string)
			read := u.sendJSON(http.MethodGet, strings.TrimPrefix(at, issuer), token, "").ok(t)
			if doc["initiate_login_uri"] != uri || read["initiate_login_uri"] != uri {
				t.Errorf("registered %v, read %v", doc["initiate_login_uri"], read["initiate_login_uri"])
			}
		},
		"oidcc-3rd_party-init-login-nohttps": func(t *testing.T, u suite) {
			wantRefusal(t, "http", u.registers("initiate_login_uri", "http://service.example/initiate"), "Bad Request invalid_client_metadata")
		},
		"oidcc-server-rotate-keys": func(t *testing.T, u suite) {
			before := u.kids()
			u.rotate(keys.RS256)
			after := u.kids()
			for kid := range before {
				if !after[kid] {
					t.Errorf("the old key %s has gone", kid)
				}
			}
			if len(after) != len(before)+1 {
				t.Errorf("keys = %v, after %v", after, before)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { module(t, u.in(t)) })
	}
}

// shown is a module for which somebody looks at the page of the sign-in.
func shown(member, value, want string) func(*testing.T, suite) {
	return func(t *testing.T, u suite) {
		v := u.client(member, value)
		page := v.follow(v.asks())
		if page.StatusCode != http.StatusOK || !strings.Contains(page.body, want) {
			t.Errorf("the page (%d) does not show %s", page.StatusCode, want)
		}
	}
}

// kids are the keys in the JWKS.
func (u suite) kids() map[string]bool {
	u.t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(u.do(u.get(jwksPath, "")).body), &set); err != nil {
		u.t.Fatal(err)
	}
	kids := map[string]bool{}
	for _, key := range set.Keys {
		if kids[key.KeyID] = true; key.KeyID == "" || !key.IsPublic() {
			u.t.Errorf("a key without a kid, or a private one")
		}
	}
	return kids
}

// Modules in which the suite serves a document of its client.
func TestCertificationAddresses(t *testing.T) {
	u := newSuite(t)
	documents := map[string]any{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(documents[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	key := u.asserter(jose.RS256, "sig")
	documents["/jwks"] = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.key.Public(), KeyID: "k", Use: "sig", Algorithm: "RS256"}}}
	v := u.client("jwks", nil, "jwks_uri", server.URL+"/jwks", "token_endpoint_auth_method", "private_key_jwt")
	key.client = v.client
	for module, audience := range map[string]string{
		"oidcc-registration-jwks-uri": issuer + tokenPath, "oidcc-ensure-client-assertion-with-iss-aud-succeeds": issuer,
	} {
		t.Run(module, func(t *testing.T) {
			v := v.in(t)
			assertion := key.sign(key.key, jose.RS256, "k", key.claims("aud", audience))
			v.do(v.post(tokenPath, "grant_type", "authorization_code", "redirect_uri", callback, "code", v.enters().Get("code"),
				"client_assertion_type", assertionType, "client_assertion", assertion)).ok(t)
		})
	}
	documents["/sector"] = []string{callback}
	t.Run("oidcc-registration-sector-uri", func(t *testing.T) {
		if a := u.registers("sector_identifier_uri", server.URL+"/sector", "subject_type", "pairwise"); a.StatusCode != http.StatusCreated {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
	documents["/sector"] = []string{"https://other.example/callback"}
	t.Run("oidcc-registration-sector-bad", func(t *testing.T) {
		wantRefusal(t, "another's", u.registers("sector_identifier_uri", server.URL+"/sector", "subject_type", "pairwise"), "Bad Request invalid_client_metadata")
	})
}

// What oidcc-discovery-endpoint-verification and its sisters look for, and
// FAPI 2.0's.
func TestCertificationDiscovery(t *testing.T) {
	u := newSuite(t)
	a := u.do(u.get(openIDPath, ""))
	doc := a.ok(t)
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		t.Errorf("Content-Type %q", a.Header.Get("Content-Type"))
	}
	for plan, members := range map[string]map[string][]string{
		"oidcc-discovery-endpoint-verification": {
			"response_types_supported": {"code", "id_token", "id_token token"}, "subject_types_supported": {"public", "pairwise"},
			"id_token_signing_alg_values_supported": {"RS256"}, "userinfo_signing_alg_values_supported": {"RS256"},
			"request_object_signing_alg_values_supported": {"RS256"}, "grant_types_supported": {"authorization_code", "implicit"},
			"scopes_supported": {"openid"}, "claims_supported": {"sub"}, "code_challenge_methods_supported": {"S256"},
			"authorization_endpoint": nil, "token_endpoint": nil, "userinfo_endpoint": nil, "registration_endpoint": nil, "jwks_uri": nil,
		},
		"oidcc-rp-initiated-logout-discovery-endpoint-verification":         {"end_session_endpoint": nil},
		"oidcc-session-management-discovery-endpoint-verification":          {"end_session_endpoint": nil, "check_session_iframe": nil},
		"oidcc-frontchannel-logout-discovery-endpoint-verification":         {"frontchannel_logout_supported": nil, "frontchannel_logout_session_supported": nil},
		"oidcc-backchannel-logout-discovery-endpoint-verification":          {"backchannel_logout_supported": nil, "backchannel_logout_session_supported": nil},
		"fapi2-security-profile-final-discovery-end-point-verification":     {"dpop_signing_alg_values_supported": {"PS256", "ES256", "EdDSA"}, "token_endpoint_auth_methods_supported": {"private_key_jwt"}, "token_endpoint_auth_signing_alg_values_supported": {"PS256"}, "id_token_signing_alg_values_supported": {"PS256"}, "pushed_authorization_request_endpoint": nil, "authorization_response_iss_parameter_supported": nil},
		"fapi2-message-signing-final-discovery-end-point-verification/jarm": {"authorization_signing_alg_values_supported": {"PS256"}, "response_modes_supported": {"jwt"}, "request_object_signing_alg_values_supported": {"PS256"}},
	} {
		t.Run(plan, func(t *testing.T) {
			for member, values := range members {
				list, _ := doc[member].([]any)
				for _, value := range values {
					if !holds(list, value) {
						t.Errorf("%s lacks %s: %v", member, value, list)
					}
				}
				text, isText := doc[member].(string)
				if values == nil && doc[member] != true && (!isText || !strings.HasPrefix(text, issuer+"/")) {
					t.Errorf("%s = %v", member, doc[member])
				}
			}
		})
	}
}

func holds(list []any, value string) bool {
	for _, one := range list {
		if one == value {
			return true
		}
	}
	return false
}
