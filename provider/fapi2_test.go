package provider

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys"
)

// strict is a client of the FAPI 2.0 profile: it authenticates with one key and
// proves another.
type strict struct {
	asserter
	own prover
}

// fapi registers one; members are those of its document that differ.
func (h *house) fapi(alg jose.SignatureAlgorithm, members string) strict {
	h.t.Helper()
	a := h.asserter(alg, "sig")
	d := a.client.Document()
	d.Profile, d.IDTokenSignedResponseAlg, d.AuthorizationSignedResponseAlg = clients.ProfileFAPI2, "", ""
	if members != "" {
		if err := json.Unmarshal([]byte(members), &d); err != nil {
			h.t.Fatal(err)
		}
	}
	a.client = must[clients.Registered](h.t)(h.clients.Update(h.t.Context(), operator(), a.client.ID, d)).Client
	return strict{a, a.service.prover()}
}

// proven adds an assertion to a form.
func (s strict) proven(pairs ...string) []string {
	return append(pairs, "client_assertion_type", assertionType, "client_assertion", s.assertion())
}

// pushed pushes a good request, changed by pairs.
func (s strict) pushed(pairs ...string) answer {
	s.t.Helper()
	v := s.params(pairs...)
	for name, value := range map[string]string{"client_assertion_type": assertionType, "client_assertion": s.assertion()} {
		if !v.Has(name) {
			v.Set(name, value)
		}
	}
	return s.do(s.form(parPath, v))
}

func (s strict) form(path string, v url.Values) *http.Request {
	s.t.Helper()
	r := must[*http.Request](s.t)(http.NewRequestWithContext(s.t.Context(), http.MethodPost, issuer+path, strings.NewReader(v.Encode())))
	r.Header.Set("Content-Type", formContentType)
	return r
}

// fetch asks the token endpoint with an assertion, and a proof unless it is empty.
func (s strict) fetch(proof string, pairs ...string) answer {
	s.t.Helper()
	r := s.post(tokenPath, s.proven(pairs...)...)
	if proof != "" {
		r.Header.Set(dpopHeader, proof)
	}
	return s.do(r)
}

func redeeming(code string) []string {
	return []string{"grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier}
}

// FAPI 2.0 Security Profile, start to finish, in each algorithm that it knows.
func TestFAPI2(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		for _, alg := range []jose.SignatureAlgorithm{jose.PS256, jose.ES256, jose.EdDSA} {
			s := h.fapi(alg, "")
			s.signIn(id)
			v := s.reply(s.bring(s.pushedURI(s.pushed())))
			tokens := s.fetch(s.own.proof("POST", tokenPath), redeeming(v.Get("code"))...).ok(t)
			header, _ := payload(t, tokens["id_token"])
			if header["alg"] != keys.ES256 || tokens["token_type"] != "DPoP" {
				t.Errorf("%s: ID token by %v, access token %v; want ES256, DPoP", alg, header["alg"], tokens["token_type"])
			}
			// §5.3.2.1: the refresh token stays, and goes with the client's own key
			refresh, _ := tokens["refresh_token"].(string)
			for range 2 {
				again := s.fetch(s.own.proof("POST", tokenPath), "grant_type", "refresh_token", "refresh_token", refresh).ok(t)
				if again["refresh_token"] != refresh {
					t.Errorf("%s: the refresh token changed", alg)
				}
			}
			wantRefusal(t, "a refresh without a proof", s.fetch("", "grant_type", "refresh_token", "refresh_token", refresh), "Bad Request "+codeInvalidProof)
		}
	})
}

// Each requirement on a request, with its refusal.
func TestFAPI2Requests(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.fapi(jose.PS256, "")
		s.signIn(h.people())
		if got := s.refused(); got != codeInvalidRequest {
			t.Errorf("a request that was not pushed: %q", got)
		}
		if got := s.reply(s.request(s.object(), "redirect_uri", callback)).Get("error"); got != codeInvalidRequest {
			t.Errorf("a signed request that was not pushed: %q", got)
		}
		at := func(by time.Duration) int64 { return time.Now().Add(by).Unix() }
		assertion := func(pairs ...any) []string { return []string{"client_assertion", s.assertion(pairs...)} }
		for name, row := range map[string]struct {
			pairs []string
			want  string
		}{
			"no challenge":                         {[]string{"code_challenge", "", "code_challenge_method", ""}, "Bad Request " + codeInvalidRequest},
			"a plain challenge":                    {[]string{"code_challenge_method", "plain"}, "Bad Request " + codeInvalidRequest},
			"no redirect_uri":                      {[]string{"redirect_uri", ""}, "Bad Request " + codeInvalidRequest},
			"another redirect_uri":                 {[]string{"redirect_uri", callback + "/"}, "Bad Request " + codeInvalidRequest},
			"another response type":                {[]string{"response_type", "code id_token"}, "Bad Request " + codeUnauthorizedClient},
			"an unknown response mode":             {[]string{"response_mode", "web_message"}, "Bad Request " + codeInvalidRequest},
			"a request_uri":                        {[]string{"request_uri", "https://a.example/"}, "Bad Request " + codeInvalidRequest},
			"an assertion for the token endpoint":  {assertion("aud", issuer+tokenPath), badClient},
			"an assertion for the PAR endpoint":    {assertion("aud", issuer+parPath), badClient},
			"an assertion for a list":              {assertion("aud", []string{issuer}), badClient},
			"an assertion for others too":          {assertion("aud", []string{issuer, "https://other.example"}), badClient},
			"an assertion for the issuer and /":    {assertion("aud", issuer+"/"), badClient},
			"an assertion a minute ahead":          {assertion("iat", at(61*time.Second)), badClient},
			"an assertion good in a minute":        {assertion("nbf", at(61*time.Second)), badClient},
			"an assertion by RS256":                {[]string{"client_assertion", s.sign(s.key, jose.RS256, "k", s.claims())}, badClient},
			"an object by RS256":                   {[]string{"request", s.sign(s.key, jose.RS256, "k", s.objectClaims())}, "Bad Request " + codeInvalidRequestObject},
			"an object without an end":             {[]string{"request", s.object("exp", nil)}, "Bad Request " + codeInvalidRequestObject},
			"an object without a beginning":        {[]string{"request", s.object("nbf", nil)}, "Bad Request " + codeInvalidRequestObject},
			"an object of two hours":               {[]string{"request", s.object("exp", at(2*time.Hour))}, "Bad Request " + codeInvalidRequestObject},
			"an object two hours old":              {[]string{"request", s.object("nbf", at(-2*time.Hour))}, "Bad Request " + codeInvalidRequestObject},
			"an object for nobody":                 {[]string{"request", s.object("aud", nil)}, "Bad Request " + codeInvalidRequestObject},
			"an object from nobody":                {[]string{"request", s.object("iss", nil)}, "Bad Request " + codeInvalidRequestObject},
			"an object without redirect_uri in it": {[]string{"request", s.object("redirect_uri", nil)}, "Bad Request " + codeInvalidRequest},
		} {
			wantRefusal(t, name, s.pushed(row.pairs...), row.want)
		}
		wantRefusal(t, "no assertion", s.do(s.form(parPath, s.params())), badClient)
		for name, pairs := range map[string][]string{
			"an assertion ten seconds ahead": assertion("iat", at(10*time.Second), "nbf", at(10*time.Second)),
			"an object":                      {"request", s.object()},
			"an object ten seconds ahead":    {"request", s.object("nbf", at(10*time.Second), "iat", at(10*time.Second))},
			"a signed answer":                {"response_mode", "jwt"},
		} {
			if a := s.pushed(pairs...); a.StatusCode != http.StatusCreated {
				t.Errorf("%s: %d %s, want it taken", name, a.StatusCode, a.body)
			}
		}
	})
}

// Each requirement on what is done with the code, and on the answer.
func TestFAPI2Tokens(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.fapi(jose.ES256, `{"require_signed_request_object": true}`)
		s.signIn(h.people())
		code := func() string {
			return s.reply(s.bring(s.pushedURI(s.pushed("request", s.object())))).Get("code")
		}
		wantRefusal(t, "a request that is not signed", s.pushed(), "Bad Request "+codeInvalidRequest)
		at := func(by time.Duration) int64 { return time.Now().Add(by).Unix() }
		machine := []string{"grant_type", credentialsGrant}
		for name, proof := range map[string]string{
			"no proof":             "",
			"a proof a minute old": s.own.proof("POST", tokenPath, "iat", at(-62*time.Second)),
			"a minute ahead":       s.own.proof("POST", tokenPath, "iat", at(61*time.Second)),
		} {
			wantRefusal(t, name, s.fetch(proof, machine...), "Bad Request "+codeInvalidProof)
			wantRefusal(t, name+" for a code", s.fetch(proof, redeeming(code())...), "Bad Request "+codeInvalidProof)
		}
		s.fetch(s.own.proof("POST", tokenPath, "iat", at(10*time.Second)), machine...).ok(t)
		wrong := redeeming(code())
		wrong[len(wrong)-1] += "x"
		wantRefusal(t, "another verifier", s.fetch(s.own.proof("POST", tokenPath), wrong...), badGrant)
		late := code()
		databasetest.Shift(t, db, 61*time.Second)
		wantRefusal(t, "a code a minute old", s.fetch(s.own.proof("POST", tokenPath), redeeming(late)...), badGrant)

		answer := s.reply(s.bring(s.pushedURI(s.pushed("request", s.object()))))
		access, _ := s.fetch(s.own.proof("POST", tokenPath), redeeming(answer.Get("code"))...).ok(t)["access_token"].(string)
		if got := s.own.info("Bearer", access, ""); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("the token without its key: %d", got.StatusCode)
		}
		s.own.info("DPoP", access, s.own.proof("GET", userinfoPath, "ath", tokenHash(access))).ok(t)
	})
}

// Message Signing §5.4: the answer of such a client is signed with what its
// profile allows, though it has named nothing.
func TestFAPI2Answers(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.fapi(jose.ES256, "")
		s.signIn(h.people())
		a := s.bring(s.pushedURI(s.pushed("response_mode", "jwt")))
		location := must[*url.URL](t)(url.Parse(a.Header.Get("Location")))
		header, claims := payload(t, location.Query().Get("response"))
		if header["alg"] != keys.ES256 || claims["iss"] != issuer || claims["aud"] != s.client.ID || claims["code"] == "" {
			t.Errorf("answer = %v %v", header, claims)
		}
	})
}
