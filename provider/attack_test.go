package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
)

// posted sends a request as a service's form does, without our cookies.
func (s *service) posted(values url.Values) answer {
	s.t.Helper()
	r := must[*http.Request](s.t)(http.NewRequestWithContext(s.t.Context(), http.MethodPost,
		s.issuer+authorizePath, strings.NewReader(values.Encode())))
	r.Header.Set("Content-Type", formContentType)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	return s.do(r)
}

// Whoever may send a request may send any number of them: what is kept of one
// for an hour is what counts of it, and no more than fits into an address.
func TestKeptRequestsAreSmall(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service("")
		much := strings.Repeat("x", 50_000)
		a := s.posted(s.params("junk", much, "prompt", "login"))
		s.resume(a) // the first browser has it
		i := s.interaction(a)
		if len(i.Params) > 1000 || strings.Contains(i.Params, "junk") {
			t.Errorf("%d bytes are kept, want what counts alone", len(i.Params))
		}
		for _, name := range []string{"state", "login_hint", "claims", "ui_locales"} {
			a := s.posted(s.params(name, much))
			if v := s.reply(a); v.Get("error") != codeInvalidRequest {
				t.Errorf("%s without end: %v, want %s", name, v.Get("error"), codeInvalidRequest)
			}
			if n := len(a.Header.Get("Location")); n > maxRequest {
				t.Errorf("%s without end: an answer of %d bytes", name, n)
			}
		}
	})
}

// Every parameter that counts survives the way through the pages.
func TestKeptRequestsAreWhole(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service(`{"resources": ["https://a.example", "https://b.example"]}`)
		sent := s.params("prompt", "login", "max_age", "60", "response_mode", "form_post", "login_hint", "h", "ui_locales", "en",
			"acr_values", "x", "claims", `{"userinfo": {"name": null}}`)
		sent["resource"] = []string{"https://a.example", "https://b.example"}
		a := s.posted(sent)
		s.resume(a) // the first browser has it
		i := s.interaction(a)
		if i.Params != sent.Encode() {
			t.Errorf("kept %q, want %q", i.Params, sent.Encode())
		}
	})
}

// An essential acr without values in one member does not hide the one with
// values in the other.
func TestEssentialACRInEitherMember(t *testing.T) {
	t.Parallel()
	c, err := parseClaims(`{"id_token": {"acr": {"essential": true}}, "userinfo": {"acr": {"essential": true, "values": ["L9"]}}}`)
	if got := c.essentialACR(); err != nil || len(got) != 1 || got[0] != "L9" {
		t.Errorf("essential levels = %v, %v, want L9", got, err)
	}
}

// One token has one spelling: a text that differs in the bits that base64
// leaves over, in padding or in white space is none of ours.
func TestTokensHaveOneSpelling(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service("")
		s.signIn(s.people())
		token, _ := s.tokens()["access_token"].(string)
		if !s.alive(token) {
			t.Fatal("the token itself is refused")
		}
		alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		last := strings.IndexByte(alphabet, token[len(token)-1])
		other := token[:len(token)-1] + alphabet[last^1:][:1]
		sig := token[strings.LastIndexByte(token, '.')+1:]
		a, errA := base64.RawURLEncoding.DecodeString(sig)
		b, errB := base64.RawURLEncoding.DecodeString(other[len(token)-len(sig):])
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Fatal("the two texts do not say the same")
		}
		for name, text := range map[string]string{
			"other bits": other, "padded": token + "==", "broken": strings.Replace(token, ".", "\n.", 1),
		} {
			if _, _, err := s.provider.keys.Verify(t.Context(), text, TypAccessToken); err == nil {
				t.Errorf("%s: taken for a token", name)
			}
		}
	})
}

// The page names the host that this answer goes to, and not another that the
// client has registered too.
func TestPagesNameWhereTheAnswerGoes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service(`{"subject_type": "public", "redirect_uris": ["https://bank.example/cb", "` + callback + `"]}`)
		page := s.follow(s.authorize())
		if !strings.Contains(page.body, "service.example") || strings.Contains(page.body, "bank.example") {
			t.Errorf("the page of a sign-in that ends at service.example: %d\n%s", page.StatusCode, page.body)
		}
	})
}

// signedAs signs claims with further headers.
func (a asserter) signedAs(headers map[jose.HeaderKey]any, claims any) string {
	a.t.Helper()
	return a.signedBy(a.key, headers, claims)
}

func (a asserter) signedBy(key any, headers map[jose.HeaderKey]any, claims any) string {
	a.t.Helper()
	options := &jose.SignerOptions{ExtraHeaders: headers}
	signer := must[jose.Signer](a.t)(jose.NewSigner(jose.SigningKey{Algorithm: a.alg, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, options))
	jws := must[*jose.JSONWebSignature](a.t)(signer.Sign(must[[]byte](a.t)(json.Marshal(claims))))
	return must[string](a.t)(jws.CompactSerialize())
}

// unencoded is a token whose signature is over its payload as it is (RFC 7797),
// as services sign the bodies of messages: it is no JWT (§7 there).
func (a asserter) unencoded(claims any) string {
	a.t.Helper()
	options := (&jose.SignerOptions{}).WithBase64(false)
	signer := must[jose.Signer](a.t)(jose.NewSigner(jose.SigningKey{Algorithm: a.alg, Key: jose.JSONWebKey{Key: a.key, KeyID: "k"}}, options))
	raw := must[[]byte](a.t)(json.Marshal(claims))
	detached := must[string](a.t)(must[*jose.JSONWebSignature](a.t)(signer.Sign(raw)).DetachedCompactSerialize())
	return strings.Replace(detached, "..", "."+base64.RawURLEncoding.EncodeToString(raw)+".", 1)
}

// What a client has signed for something else is no proof of who it is: not its
// request object, its DPoP proof or the body of a message of its own.
func TestAssertionsAreNotConfused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		a := newInstallation(t, db).asserter(jose.ES256, "sig")
		for _, typ := range []string{"oauth-authz-req+jwt", "application/oauth-authz-req+jwt", "dpop+jwt", "at+jwt", "secevent+jwt", "logout+jwt"} {
			wantRefusal(t, typ, a.present(a.signedAs(map[jose.HeaderKey]any{"typ": typ}, a.claims())), badClient)
		}
		for _, typ := range []string{"JWT", "jwt", "client-authentication+jwt", "application/client-authentication+jwt"} {
			a.present(a.signedAs(map[jose.HeaderKey]any{"typ": typ}, a.claims())).ok(t)
		}
		wantRefusal(t, "b64", a.present(a.unencoded(a.claims())), badClient)
		a.signIn(a.people())
		wantUntrusted(t, "a request object of unencoded payload", a.request(a.unencoded(a.objectClaims())))
		for name, headers := range map[string]map[jose.HeaderKey]any{
			"a key in the header":   {"jwk": jose.JSONWebKey{Key: a.key.Public()}},
			"an address of keys":    {"jku": "https://evil.example/jwks"},
			"an address of a chain": {"x5u": "https://evil.example/chain"},
		} { // they change nothing: the registered key has signed
			a.present(a.signedAs(headers, a.claims())).ok(t)
			other := asserter{a.service, must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), a.alg}
			if headers["jwk"] != nil {
				headers["jwk"] = jose.JSONWebKey{Key: other.key.Public()}
			}
			wantRefusal(t, name, other.present(other.signedAs(headers, other.claims())), badClient)
		}
	})
}

// Who has to sign its requests is asked for nothing that it has not signed, also
// under the profile that takes what an object leaves out from beside it.
func TestSignedRequestsTakeNothingFromBeside(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		a := h.asserter(jose.ES256, "sig")
		document := a.client.Document()
		document.Profile, document.RequireSignedRequestObject = "oidc", true
		if _, err := h.clients.Update(t.Context(), operator(), a.client.ID, document); err != nil {
			t.Fatal(err)
		}
		a.signIn(h.people())
		v := a.reply(a.request(a.object("state", nil, "prompt", nil), "state", "unsigned", "prompt", "login"))
		if v.Get("state") != "" || v.Get("error") != "" {
			t.Errorf("answer = %v, want a code without the state and the prompt that nobody has signed", v)
		}
		wantUntrusted(t, "an address beside", a.request(a.object("redirect_uri", nil), "redirect_uri", callback))
	})
}

// Keys to which nothing can be encrypted, and with which nothing can be checked,
// are as good as none: else each answer to the client would be a fault of ours.
func TestKeysThatAreNone(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := registering(t, db, RegistrationOpen, clients.ProfileOIDC)
		good := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
		even := new(big.Int).Sub(good.N, big.NewInt(1))
		for name, key := range map[string]*rsa.PublicKey{
			"exponent 1": {N: good.N, E: 1}, "exponent 2": {N: good.N, E: 2}, "an even modulus": {N: even, E: 65537},
			"exponent 3": {N: good.N, E: 3}, // small, and allowed
		} {
			set := must[[]byte](t)(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "e"}}}))
			a := h.sendJSON(http.MethodPost, registerPath, "", `{"redirect_uris": ["`+callback+`"], "userinfo_encrypted_response_alg": "RSA-OAEP-256", "jwks": `+string(set)+`}`)
			want := http.StatusBadRequest
			if name == "exponent 3" {
				want = http.StatusCreated
			}
			if a.StatusCode != want {
				t.Errorf("%s: %d %s, want %d", name, a.StatusCode, a.body, want)
			}
		}
	})
}

// A proof is believed for the key that it brings, so that this key has to be a
// public one, and one that can sign.
func TestProofsWithKeysThatAreNone(t *testing.T) {
	t.Parallel()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	weak := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	a := asserter{service: &service{house: &house{t: t}}, key: key, alg: jose.ES256}
	claims := map[string]any{"jti": "1", "htm": "POST", "htu": issuer + tokenPath, "iat": 1}
	typ := func(more ...any) map[jose.HeaderKey]any {
		h := map[jose.HeaderKey]any{"typ": dpopType}
		for i := 0; i < len(more); i += 2 {
			name, _ := more[i].(string)
			h[jose.HeaderKey(name)] = more[i+1]
		}
		return h
	}
	public := jose.JSONWebKey{Key: key.Public()}
	if _, _, err := openProof(a.signedAs(typ("jwk", public), claims), proofAlgorithms()); err != nil {
		t.Fatalf("a good one: %v", err)
	}
	secret := []byte(strings.Repeat("k", 32))
	for name, proof := range map[string]string{
		"no key":               a.signedAs(typ(), claims),
		"a private key":        a.signedAs(typ("jwk", jose.JSONWebKey{Key: key}), claims),
		"another key":          a.signedAs(typ("jwk", jose.JSONWebKey{Key: weak.Public()}), claims),
		"a key for encryption": a.signedAs(typ("jwk", jose.JSONWebKey{Key: key.Public(), Use: "enc"}), claims),
		"an extension":         a.signedAs(typ("jwk", public, "crit", []string{"b64"}, "b64", true), claims),
		"HS256":                asserter{a.service, nil, jose.HS256}.signedBy(secret, typ("jwk", jose.JSONWebKey{Key: secret}), claims),
		"no signature":         strings.Join([]string{base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"dpop+jwt"}`)), "e30", ""}, "."),
	} {
		if _, _, err := openProof(proof, proofAlgorithms()); err == nil {
			t.Errorf("%s passes for a proof", name)
		}
	}
}

// B9: what proves the client to the endpoint is no part of what is kept, and who
// opens the interaction finds none of it.
func TestPushedRequestsKeepNoCredential(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		h.people()
		post := h.service(`{"token_endpoint_auth_method": "client_secret_post"}`)
		a := h.asserter(jose.ES256, "sig")
		for _, c := range []struct {
			s     *service
			proof []string
		}{
			{post, []string{"client_secret", post.secret}},
			{a.service, []string{"client_assertion_type", assertionType, "client_assertion", a.assertion("aud", a.issuer+parPath)}},
		} {
			values := c.s.params()
			for i := 0; i < len(c.proof); i += 2 {
				values.Set(c.proof[i], c.proof[i+1])
			}
			uri := c.s.pushedURI(h.do(h.post(parPath, pairsOf(values)...)))
			c.s.bring(uri)
			i := must[login.Interaction](t)(h.interactions.Get(t.Context(), c.s.browserID(), strings.TrimPrefix(uri, pushedPrefix)))
			kept := must[url.Values](t)(url.ParseQuery(i.Params))
			if kept.Get("state") != "a state" || kept.Has("client_secret") || kept.Has("client_assertion") || strings.Contains(i.Params, c.proof[len(c.proof)-1]) {
				t.Errorf("kept: %v", kept)
			}
		}
	})
}

func pairsOf(values url.Values) (pairs []string) {
	for name, all := range values {
		pairs = append(pairs, name, all[0])
	}
	return pairs
}
