package provider

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// fapiSuite is the house of the plans of FAPI 2.0, whose clients an
// administrator registers.
func fapiSuite(t *testing.T) (suite, func(*testing.T) strict) {
	t.Helper()
	h := newInstallation(t, databasetest.Open(t, databasetest.SQLite(t), &database.Clock{}))
	u := suite{h, h.people()}
	return u, func(t *testing.T) strict {
		s := u.in(t).fapi(jose.ES256, "")
		s.signIn(u.id)
		return s
	}
}

// code is that of a request which was pushed with those pairs.
func (s strict) granted(pairs ...string) string {
	s.t.Helper()
	return s.reply(s.bring(s.pushedURI(s.pushed(pairs...)))).Get("code")
}

func (s strict) redeemed(code string) map[string]any {
	s.t.Helper()
	return s.fetch(s.own.proof("POST", tokenPath), redeeming(code)...).ok(s.t)
}

// seconds from now.
func in(seconds int) int64 { return time.Now().Add(time.Duration(seconds) * time.Second).Unix() }

// fapi2-security-profile-final-… and the modules of Message Signing: what a
// pushed request may be, each ending in tokens, or in the refusal.
func TestCertificationFAPI2Requests(t *testing.T) {
	_, client := fapiSuite(t)
	refused := "Bad Request " + codeInvalidRequestObject
	for name, row := range map[string]struct {
		pairs func(strict) []string
		want  string // empty: a code
	}{
		"ensure-authorization-request-without-state-success":                 {func(strict) []string { return []string{"state", ""} }, ""},
		"ensure-authorization-request-without-nonce-success":                 {func(strict) []string { return []string{"nonce", ""} }, ""},
		"ensure-other-scope-order-succeeds":                                  {func(strict) []string { return []string{"scope", "offline_access email openid"} }, ""},
		"ensure-request-object-with-64-char-nonce-success":                   {signing("nonce", strings.Repeat("n", 64)), ""},
		"ensure-request-object-with-long-nonce":                              {signing("nonce", strings.Repeat("n", 384)), ""},
		"ensure-request-object-with-long-state":                              {signing("state", strings.Repeat("s", 384)), ""},
		"ensure-request-object-with-multiple-aud-succeeds":                   {signing("aud", []string{issuer, "https://other.example"}), ""},
		"ensure-request-object-with-nbf-8-seconds-in-the-future-is-accepted": {signing("nbf", in(8)), ""},
		"par-ensure-jwt-client-assertion-with-iat-nbf-8-seconds-in-the-future-is-accepted": {func(s strict) []string {
			return []string{"client_assertion", s.assertion("iat", in(8), "nbf", in(8))}
		}, ""},
		"ensure-expired-request-object-fails":       {signing("exp", in(-300), "nbf", in(-600)), refused},
		"ensure-request-object-with-bad-aud-fails":  {signing("aud", "https://other.example"), refused},
		"ensure-request-object-without-exp-fails":   {signing("exp", nil), refused},
		"ensure-request-object-without-nbf-fails":   {signing("nbf", nil), refused},
		"ensure-request-object-exp-over-60-fails":   {signing("exp", in(4200)), refused},
		"ensure-request-object-nbf-over-60-fails":   {signing("nbf", in(-4200)), refused},
		"ensure-signed-request-object-rs256-fails":  {badlySigned(jose.RS256), refused},
		"ensure-matching-key-in-authorization-fail": {badlySigned(jose.ES256), refused},
		"ensure-request-object-signature-algorithm-is-not-none": {func(s strict) []string {
			return []string{"request", unsigned(s.object())}
		}, refused},
		"ensure-request-object-with-invalid-signature-fails": {func(s strict) []string {
			object := s.object()
			return []string{"request", object[:len(object)-8] + "AAAAAAAA"}
		}, refused},
		"ensure-mismatched-dpop-jkt-fails": {func(strict) []string { return []string{"dpop_jkt", "x"} }, "Bad Request " + codeInvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			s := client(t)
			a := s.pushed(row.pairs(s)...)
			if row.want != "" {
				wantRefusal(t, name, a, row.want)
				return
			}
			v := s.reply(s.bring(s.pushedURI(a)))
			if pairs := row.pairs(s); pairs[0] != "state" && v.Get("state") == "" {
				t.Errorf("answer = %v", v)
			}
			s.redeemed(v.Get("code"))
		})
	}
}

// signing is a signed request, changed by pairs.
func signing(pairs ...any) func(strict) []string {
	return func(s strict) []string { return []string{"request", s.object(pairs...)} }
}

// badlySigned is one by a key that is not the client's.
func badlySigned(alg jose.SignatureAlgorithm) func(strict) []string {
	return func(s strict) []string {
		other := s.house.asserter(alg, "sig")
		return []string{"request", other.sign(other.key, alg, "k", s.objectClaims())}
	}
}

// What stands beside a request object counts for nothing.
func TestCertificationFAPI2BesideTheObject(t *testing.T) {
	_, client := fapiSuite(t)
	t.Run("ensure-different-state-inside-and-outside-request-object", func(t *testing.T) {
		s := client(t)
		if got := s.reply(s.bring(s.pushedURI(s.pushed("request", s.object("state", "inside"), "state", "outside")))).Get("state"); got != "inside" {
			t.Errorf("state = %q", got)
		}
	})
	t.Run("state-only-outside-request-object-not-used", func(t *testing.T) {
		s := client(t)
		if v := s.reply(s.bring(s.pushedURI(s.pushed("request", s.object("state", nil), "state", "outside")))); v.Has("state") || v.Get("code") == "" {
			t.Errorf("answer = %v", v)
		}
	})
	t.Run("ensure-different-nonce-inside-and-outside-request-object", func(t *testing.T) {
		s := client(t)
		_, id := payload(t, s.redeemed(s.granted("request", s.object("nonce", "inside"), "nonce", "outside"))["id_token"])
		if id["nonce"] != "inside" {
			t.Errorf("nonce = %v", id["nonce"])
		}
	})
}

// The modules of the token endpoint.
func TestCertificationFAPI2Token(t *testing.T) {
	u, client := fapiSuite(t)
	proofError := "Bad Request " + codeInvalidProof
	for name, module := range map[string]func(*testing.T, strict){
		"ensure-holder-of-key-required": func(t *testing.T, s strict) {
			wantRefusal(t, "no proof", s.fetch("", redeeming(s.granted())...), proofError)
		},
		"ensure-authorization-code-is-bound-to-client": func(t *testing.T, s strict) {
			other := client(t)
			wantRefusal(t, "another's", other.fetch(other.own.proof("POST", tokenPath), redeeming(s.granted())...), badGrant)
		},
		"ensure-client-id-in-token-endpoint": func(t *testing.T, s strict) {
			other := client(t)
			pairs := append(redeeming(s.granted()), "client_id", other.client.ID)
			wantRefusal(t, "another's client_id", s.fetch(s.own.proof("POST", tokenPath), pairs...), "Bad Request "+codeInvalidRequest)
		},
		"attempt-reuse-authorization-code-after-one-second": func(t *testing.T, s strict) {
			code := s.granted()
			access, _ := s.redeemed(code)["access_token"].(string)
			databasetest.Shift(t, u.db, time.Second)
			wantRefusal(t, "again", s.fetch(s.own.proof("POST", tokenPath), redeeming(code)...), badGrant)
			if a := s.own.info("DPoP", access, s.own.proof("GET", userinfoPath, "ath", tokenHash(access))); a.StatusCode != http.StatusUnauthorized {
				t.Errorf("the token lives on: %d", a.StatusCode)
			}
		},
		"ensure-token-endpoint-fails-with-mismatched-dpop-jkt": func(t *testing.T, s strict) {
			code := s.granted("dpop_jkt", s.service.prover().thumbprint())
			wantRefusal(t, "another key", s.fetch(s.own.proof("POST", tokenPath), redeeming(code)...), badGrant)
		},
		"ensure-dpop-auth-code-binding-success": func(_ *testing.T, s strict) { s.redeemed(s.granted("dpop_jkt", s.own.thumbprint())) },
		"par-pkce-code-verifier-required": func(t *testing.T, s strict) {
			pairs := redeeming(s.granted())
			a := s.fetch(s.own.proof("POST", tokenPath), pairs[:len(pairs)-2]...)
			if got := a.refusal(t); got != badGrant && got != "Bad Request "+codeInvalidRequest {
				t.Errorf("no verifier: %s", got)
			}
		},
		"check-dpop-proof-nbf-exp": func(t *testing.T, s strict) {
			s.fetch(s.own.proof("POST", tokenPath, "nbf", in(0), "exp", in(300)), redeeming(s.granted())...).ok(t)
		},
		"ensure-dpop-proof-with-iat-10-seconds-before-succeeds": func(t *testing.T, s strict) {
			s.fetch(s.own.proof("POST", tokenPath, "iat", in(-10)), redeeming(s.granted())...).ok(t)
		},
		"access-token-type-header-case-sensitivity": func(t *testing.T, s strict) {
			access, _ := s.redeemed(s.granted())["access_token"].(string)
			s.own.info("dPOp", access, s.own.proof("GET", userinfoPath, "ath", tokenHash(access))).ok(t)
		},
	} {
		t.Run(name, func(t *testing.T) { module(t, client(t)) })
	}
	for name, claims := range map[string][]any{
		"ensure-client-assertion-exp-5-minutes-in-past-fails":                          {"exp", in(-300)},
		"ensure-client-assertion-with-wrong-aud-fails":                                 {"aud", "https://other.example"},
		"ensure-client-assertion-with-no-sub-fails":                                    {"sub", nil},
		"par-endpoint-as-array-audience-fails":                                         {"aud", []string{issuer + parPath}},
		"par-endpoint-as-audience-fails":                                               {"aud", issuer + parPath},
		"par-token-endpoint-as-audience-fails":                                         {"aud", issuer + tokenPath},
		"par-ensure-jwt-client-assertion-with-iat-nbf-over-60-seconds-in-future-fails": {"iat", in(70), "nbf", in(70)},
	} {
		t.Run(name, func(t *testing.T) {
			s := client(t)
			wantRefusal(t, "pushing", s.pushed("client_assertion", s.assertion(claims...)), badClient)
			r := s.post(tokenPath, append(redeeming(s.granted()), "client_assertion_type", assertionType, "client_assertion", s.assertion(claims...))...)
			r.Header.Set(dpopHeader, s.own.proof("POST", tokenPath))
			wantRefusal(t, "redeeming", s.do(r), badClient)
		})
	}
}

// fapi2-security-profile-final-par-…: what happens to a request_uri.
func TestCertificationFAPI2Pushed(t *testing.T) {
	u, client := fapiSuite(t)
	for name, module := range map[string]func(*testing.T, strict){
		"par-ensure-reused-request-uri-prior-to-auth-completion-succeeds": func(t *testing.T, s strict) {
			s.browser = s.house.browser()
			uri := s.pushedURI(s.pushed())
			first, second := s.bring(uri), s.bring(uri)
			if to := second.Header.Get("Location"); !strings.HasPrefix(to, "/login/") || to != first.Header.Get("Location") {
				t.Errorf("leads to %q", to)
			}
		},
		"par-attempt-reuse-request_uri": func(t *testing.T, s strict) {
			uri := s.pushedURI(s.pushed())
			s.reply(s.bring(uri))
			wantUntrusted(t, "again", s.bring(uri))
		},
		"par-attempt-to-use-expired-request_uri": func(t *testing.T, s strict) {
			uri := s.pushedURI(s.pushed())
			databasetest.Shift(t, u.db, 61*time.Second)
			wantUntrusted(t, "too late", s.bring(uri))
		},
		"par-attempt-to-use-request_uri-for-different-client": func(t *testing.T, s strict) {
			wantUntrusted(t, "another's", client(t).bring(s.pushedURI(s.pushed())))
		},
		"par-authorization-request-containing-request_uri-form-param": func(t *testing.T, s strict) {
			wantRefusal(t, "beside", s.pushed("request_uri", pushedPrefix+"x"), "Bad Request "+codeInvalidRequest)
		},
		"par-authorization-request-containing-request_uri": func(t *testing.T, s strict) {
			got := s.pushed("request", s.object("request_uri", pushedPrefix+"x")).refusal(t)
			if got != "Bad Request "+codeInvalidRequestObject {
				t.Errorf("inside: %s", got)
			}
		},
		"par-attempt-invalid-http-method": func(t *testing.T, s strict) {
			r := s.form(parPath, s.params())
			if r.Method = http.MethodPut; s.do(r).StatusCode != http.StatusMethodNotAllowed {
				t.Error("PUT is taken")
			}
		},
		"par-without-duplicate-parameters": func(t *testing.T, s strict) { s.redeemed(s.granted()) },
		"par-ensure-plain-pkce-rejected": func(t *testing.T, s strict) {
			wantRefusal(t, "plain", s.pushed("code_challenge", verifier, "code_challenge_method", "plain"), "Bad Request "+codeInvalidRequest)
		},
	} {
		t.Run(name, func(t *testing.T) { module(t, client(t)) })
	}
}

// fapi2-security-profile-final-dpop-negative-tests, at userinfo.
func TestCertificationFAPI2Proofs(t *testing.T) {
	_, client := fapiSuite(t)
	s := client(t)
	access, _ := s.redeemed(s.granted())["access_token"].(string)
	ath := tokenHash(access)
	good := func(pairs ...any) string {
		return s.own.proof("GET", userinfoPath, append([]any{"ath", ath}, pairs...)...)
	}
	claims := map[string]any{"jti": "1", "htm": "GET", "htu": issuer + userinfoPath, "iat": in(0), "ath": ath}
	signed := func(options *jose.SignerOptions, key any, alg jose.SignatureAlgorithm) string {
		signer := must[jose.Signer](t)(jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options))
		return must[string](t)(must[*jose.JSONWebSignature](t)(signer.Sign(must[[]byte](t)(json.Marshal(claims)))).CompactSerialize())
	}
	typed := (&jose.SignerOptions{}).WithType(dpopType)
	private := (&jose.SignerOptions{}).WithType(dpopType).WithHeader("jwk", jose.JSONWebKey{Key: s.own.key})
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"dpop+jwt"}`)) + "." + strings.Split(good(), ".")[1] + "."
	once := good()
	s.own.info("DPoP", access, once).ok(t)
	for name, proof := range map[string]string{
		"not a JWT": "x.y", "no typ": s.own.signed(claims, ""), "another typ": s.own.signed(claims, "jwt"), "no jwk": signed(typed, s.own.key, jose.ES256),
		"a private jwk": signed(private, s.own.key, jose.ES256), "alg none": none, "no jti": good("jti", nil), "no htm": good("htm", nil), "no htu": good("htu", nil),
		"no iat": good("iat", nil), "no ath": good("ath", nil), "htm PUT": good("htm", "PUT"), "another htu": good("htu", "https://other.example/userinfo"),
		"iat in an hour": good("iat", in(3600)), "iat an hour ago": good("iat", in(-3600)), "another ath": good("ath", tokenHash("x")),
		"a broken signature": once[:len(once)-8] + "AAAAAAAA", "used before": once, "another key": s.service.prover().proof("GET", userinfoPath, "ath", ath),
	} {
		if a := s.own.info("DPoP", access, proof); a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	for name, proof := range map[string]string{
		"a query and a fragment": good("htu", issuer+userinfoPath+"?a=b#c"), "more claims": good("extra", map[string]any{"a": 1}),
	} {
		if a := s.own.info("DPoP", access, proof); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
}
