package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

const credentialsGrant = "client_credentials"

// B12: two methods at once, multipart bodies, repeated parameters and
// credentials in the query were taken, and a 401 did not say how to do better.
func TestB12ClientAuthentication(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		basic := h.service("")
		post := h.service(`{"token_endpoint_auth_method": "client_secret_post"}`)
		public := h.service(`{"token_endpoint_auth_method": "none", "grant_types": ["authorization_code"]}`)
		disabled := h.service("")
		if err := h.clients.Disable(t.Context(), operator(), disabled.client.ID); err != nil {
			t.Fatal(err)
		}
		as := func(id, secret string, pairs ...string) answer {
			r := h.post(tokenPath, append([]string{"grant_type", credentialsGrant}, pairs...)...)
			if id != "" {
				r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
			}
			return h.do(r)
		}
		as(basic.client.ID, basic.secret).ok(t)
		as(basic.client.ID, basic.secret, "client_id", basic.client.ID).ok(t)
		as("", "", "client_id", post.client.ID, "client_secret", post.secret).ok(t)

		const twice = "Bad Request invalid_request"
		for name, row := range map[string]struct {
			a    answer
			want string
		}{
			"nobody":                     {as("", ""), badClient},
			"an unknown client":          {as("nobody", "secret"), badClient},
			"a disabled client":          {as(disabled.client.ID, disabled.secret), badClient},
			"a wrong secret":             {as(basic.client.ID, "wrong"), badClient},
			"no secret":                  {as(basic.client.ID, ""), badClient},
			"the id alone":               {as("", "", "client_id", basic.client.ID), badClient},
			"the secret of another":      {as(basic.client.ID, post.secret), badClient},
			"post where basic is agreed": {as("", "", "client_id", basic.client.ID, "client_secret", basic.secret), badClient},
			"basic where post is agreed": {as(post.client.ID, post.secret), badClient},
			"a public client's secret":   {as(public.client.ID, "x"), badClient},
			"two methods":                {as(basic.client.ID, basic.secret, "client_secret", basic.secret), twice},
			"two clients":                {as(basic.client.ID, basic.secret, "client_id", post.client.ID), twice},
			"a secret twice":             {as("", "", "client_id", post.client.ID, "client_secret", post.secret, "client_secret", post.secret), twice},
			"an assertion type alone":    {as("", "", "client_id", basic.client.ID, "client_assertion_type", "x"), twice},
			"a client id of zeros":       {as("\x00", "x"), badClient},
		} {
			wantRefusal(t, name, row.a, row.want)
			if row.want == badClient && !strings.HasPrefix(row.a.Header.Get("WWW-Authenticate"), "Basic ") {
				t.Errorf("%s: WWW-Authenticate = %q", name, row.a.Header.Get("WWW-Authenticate"))
			}
			if got := row.a.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("%s: Cache-Control = %q", name, got)
			}
		}
		for name, header := range map[string]string{
			"another scheme": "Bearer x", "no base64": "Basic %%%", "no colon": "Basic " + base64.StdEncoding.EncodeToString([]byte("x")),
			"bad encoding": "Basic " + base64.StdEncoding.EncodeToString([]byte("%zz:x")),
		} {
			r := h.post(tokenPath, "grant_type", credentialsGrant)
			r.Header.Set("Authorization", header)
			wantRefusal(t, name, h.do(r), badClient)
		}
		r := h.post(tokenPath+"?client_id="+post.client.ID+"&client_secret="+url.QueryEscape(post.secret), "grant_type", credentialsGrant)
		wantRefusal(t, "credentials in the query", h.do(r), badClient)
	})
}

// The id and the secret are form-encoded before they are joined (RFC 6749
// §2.3.1), also by clients with a colon or a space in them.
func TestBasicIsPercentDecoded(t *testing.T) {
	t.Parallel()
	raw := base64.StdEncoding.EncodeToString([]byte("a%3Ab+c:d%25e%3A+f"))
	got, err := readBasic([]string{"basic " + raw})
	if err != nil || got.id != "a:b c" || got.secret != "d%e: f" {
		t.Errorf("readBasic = %q, %q, %v", got.id, got.secret, err)
	}
}

// asserter is a client that authenticates with its key.
type asserter struct {
	*service
	key crypto.Signer
	alg jose.SignatureAlgorithm
}

func (h *house) asserter(alg jose.SignatureAlgorithm, use string) asserter {
	h.t.Helper()
	var key crypto.Signer
	switch alg {
	case jose.ES256:
		key = must[*ecdsa.PrivateKey](h.t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	case jose.EdDSA:
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			h.t.Fatal(err)
		}
		key = k
	default:
		key = must[*rsa.PrivateKey](h.t)(rsa.GenerateKey(rand.Reader, 2048))
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Use: use}}}
	text := must[[]byte](h.t)(json.Marshal(set))
	s := h.service(`{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "` + string(alg) + `", "jwks": ` + string(text) + `}`)
	return asserter{s, key, alg}
}

// assertion is a good one, changed by pairs; nil takes a claim away.
func (a asserter) assertion(pairs ...any) string {
	a.t.Helper()
	return a.sign(a.key, a.alg, "k", a.claims(pairs...))
}

func (a asserter) claims(pairs ...any) map[string]any {
	now := time.Now()
	claims := map[string]any{
		"iss": a.client.ID, "sub": a.client.ID, "aud": a.issuer, "jti": uuid.NewString(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		if delete(claims, name); pairs[i+1] != nil {
			claims[name] = pairs[i+1]
		}
	}
	return claims
}

func (a asserter) sign(key any, alg jose.SignatureAlgorithm, kid string, claims any) string {
	a.t.Helper()
	signer := must[jose.Signer](a.t)(jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil))
	jws := must[*jose.JSONWebSignature](a.t)(signer.Sign(must[[]byte](a.t)(json.Marshal(claims))))
	return must[string](a.t)(jws.CompactSerialize())
}

func (a asserter) present(assertion string, pairs ...string) answer {
	a.t.Helper()
	return a.do(a.post(tokenPath, append([]string{
		"grant_type", credentialsGrant, "client_assertion_type", assertionType, "client_assertion", assertion,
	}, pairs...)...))
}

// B11: assertions with the issuer for their audience, from a clock that is a
// little fast, with a key that does not say what it is for, or by EdDSA were
// refused; and one that lives for ever was taken.
func TestB11ClientAssertions(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA} {
			a := h.asserter(alg, "")
			a.present(a.assertion()).ok(t)
		}
		a, other := h.asserter(jose.ES256, "sig"), h.asserter(jose.ES256, "sig")
		now := time.Now()
		at := func(d time.Duration) int64 { return now.Add(d).Unix() }
		for name, claims := range map[string][]any{
			"the token endpoint for audience": {"aud", a.issuer + tokenPath},
			"the issuer among others":         {"aud", []string{"https://other.example", a.issuer}},
			"a clock ten seconds fast":        {"iat", at(10 * time.Second), "nbf", at(10 * time.Second)},
			"expired a moment ago":            {"exp", at(-5 * time.Second)},
			"no iat":                          {"iat", nil},
			"fractions of seconds":            {"exp", float64(at(time.Minute)) + 0.5},
		} {
			if got := a.present(a.assertion(claims...)); got.StatusCode != http.StatusOK {
				t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
			}
		}
		for name, claims := range map[string][]any{
			"another audience":         {"aud", "https://other.example"},
			"no audience":              {"aud", nil},
			"a path below the issuer":  {"aud", a.issuer + "/other"},
			"another subject":          {"sub", other.client.ID},
			"another issuer":           {"iss", other.client.ID},
			"another client":           {"iss", other.client.ID, "sub", other.client.ID},
			"no jti":                   {"jti", nil},
			"a jti of a kilobyte":      {"jti", strings.Repeat("x", 1024)},
			"no end":                   {"exp", nil},
			"an end in words":          {"exp", "soon"},
			"expired":                  {"exp", at(-61 * time.Second)},
			"a life of an hour":        {"exp", at(time.Hour)},
			"a clock a minute fast":    {"iat", at(61 * time.Second)},
			"not valid for a minute":   {"nbf", at(61 * time.Second)},
			"an issue date in words":   {"iat", "now"},
			"an audience of a number":  {"aud", 7},
			"an end beyond all bounds": {"exp", 1e300},
		} {
			wantRefusal(t, name, a.present(a.assertion(claims...)), badClient)
		}
		stolen := a.sign(other.key, jose.ES256, "k", a.claims())
		wantRefusal(t, "another's key", a.present(stolen), badClient)
		wantRefusal(t, "HS256 with the public key", a.present(a.sign([]byte(strings.Repeat("k", 32)), jose.HS256, "k", a.claims())), badClient)
		unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." +
			base64.RawURLEncoding.EncodeToString(must[[]byte](t)(json.Marshal(a.claims()))) + "."
		wantRefusal(t, "alg none", a.present(unsigned), badClient)
		wantRefusal(t, "no JWT", a.present("x.y.z"), badClient)
		wantRefusal(t, "of a client with a secret", h.service("").asserted(a), badClient)
		wantRefusal(t, "with a secret too", a.present(a.assertion(), "client_secret", "x"), "Bad Request invalid_request")
		wantRefusal(t, "with another client_id", a.present(a.assertion(), "client_id", other.client.ID), "Bad Request invalid_request")
	})
}

// asserted is what a client with a secret gets for an assertion.
func (s *service) asserted(a asserter) answer {
	s.t.Helper()
	a.client.ID = s.client.ID
	return a.present(a.assertion())
}

// An assertion counts once, on any number of nodes, for its client; and one that
// fails does not use its jti up.
func TestB11AssertionIsUsedOnce(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, one, two *database.DB) {
		h := newInstallation(t, one)
		a, other := h.asserter(jose.ES256, ""), h.asserter(jose.EdDSA, "")
		jti := uuid.NewString()
		wantRefusal(t, "for somebody else", a.present(a.assertion("jti", jti, "aud", "https://other.example")), badClient)
		second := asserter{a.at(h.another(two)), a.key, a.alg}
		assertion := a.assertion("jti", jti)
		var won, lost atomic.Int64
		databasetest.Barrier(20, func(i int) {
			node := []asserter{a, second}[i%2]
			if got := node.present(assertion); got.StatusCode == http.StatusOK {
				won.Add(1)
			} else if got.refusal(t) == badClient {
				lost.Add(1)
			}
		})
		if won.Load() != 1 || lost.Load() != 19 {
			t.Errorf("an assertion counted %d times, and was refused %d times", won.Load(), lost.Load())
		}
		other.present(other.assertion("jti", jti)).ok(t)
	})
}

// FuzzAssertion: whatever a client signs, with whatever header, is a proof of who
// it is only if it is for us, from it, and good for a short while.
func FuzzAssertion(f *testing.F) {
	a := newInstallation(f, databasetest.Open(f, databasetest.SQLite(f), nil)).asserter(jose.ES256, "")
	good, err := json.Marshal(a.claims())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good), "JWT", "")
	f.Add(`{"iss":"x","iss":"`+a.client.ID+`","sub":"`+a.client.ID+`","aud":[null],"exp":1e400,"jti":"\u0000"}`, "client-authentication+jwt", "crit")
	f.Add(`{"iss":null,"aud":{},"exp":-0.0,"iat":"1","nbf":9223372036854775808}`, "application/", "jku")
	f.Fuzz(func(t *testing.T, claims, typ, header string) {
		options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ))
		if header != "" && header != "b64" {
			options = options.WithHeader(jose.HeaderKey(header), typ)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: a.key, KeyID: "k"}}, options)
		if err != nil {
			return
		}
		jws, err := signer.Sign([]byte(claims))
		if err != nil {
			return
		}
		text, err := jws.CompactSerialize()
		if err != nil {
			return
		}
		id, _ := assertedClient(text)
		ok, err := a.provider.checkAssertion(t.Context(), a.client, text)
		if err != nil {
			t.Fatalf("%s: %v", claims, err)
		}
		if !ok {
			return
		}
		var said assertionClaims
		if json.Unmarshal([]byte(claims), &said) != nil || id != a.client.ID || said.Issuer != id || said.Subject != id || len(said.Audience) == 0 || said.JTI == "" {
			t.Errorf("%s passes for an assertion of %s", claims, a.client.ID)
		}
		if end, ok := numericDate(said.ExpiresAt); !ok || time.Until(end) > assertionLifetime+assertionSkew || time.Until(end) < -time.Minute {
			t.Errorf("%s is good until %v", claims, end)
		}
	})
}
