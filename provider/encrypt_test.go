package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/labstack/echo/v4"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys"
)

// reader is a client that can open what is encrypted for it.
type reader struct {
	*service
	key crypto.Signer
	alg jose.KeyAlgorithm
	enc jose.ContentEncryption
}

// reader registers one whose every answer is encrypted.
func (h *house) reader(alg jose.KeyAlgorithm, enc jose.ContentEncryption, members string) reader {
	h.t.Helper()
	var key crypto.Signer = must[*ecdsa.PrivateKey](h.t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	if alg == jose.RSA_OAEP_256 {
		key = must[*rsa.PrivateKey](h.t)(rsa.GenerateKey(rand.Reader, 2048))
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "e", Use: "enc"}}}
	document := map[string]any{"jwks": set}
	for _, what := range []string{"id_token", "userinfo", "authorization", "introspection"} {
		document[what+"_encrypted_response_alg"], document[what+"_encrypted_response_enc"] = alg, enc
	}
	if err := json.Unmarshal([]byte(members), &document); err != nil {
		h.t.Fatal(err)
	}
	return reader{h.service(string(must[[]byte](h.t)(json.Marshal(document)))), key, alg, enc}
}

// open decrypts, and says what kind of content that was.
func (r reader) open(token any) (content, kind string) {
	r.t.Helper()
	text, _ := token.(string)
	jwe, err := jose.ParseEncryptedCompact(text, []jose.KeyAlgorithm{r.alg}, []jose.ContentEncryption{r.enc})
	if err != nil {
		r.t.Fatalf("%q is not encrypted by %s %s: %v", text, r.alg, r.enc, err)
	}
	kind, _ = jwe.Header.ExtraHeaders["cty"].(string)
	if jwe.Header.KeyID != "e" {
		r.t.Errorf("kid = %q, want the client's", jwe.Header.KeyID)
	}
	return string(must[[]byte](r.t)(jwe.Decrypt(r.key))), kind
}

// signedInside opens a token, which must hold a signed one.
func (r reader) signedInside(token any) (header, claims map[string]any) {
	r.t.Helper()
	content, kind := r.open(token)
	if kind != nested {
		r.t.Errorf("cty = %q, want %s", kind, nested)
	}
	return payload(r.t, content)
}

// ID token, userinfo, answer and introspection, in each way to encrypt.
func TestEncryptedAnswers(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		for alg, enc := range map[jose.KeyAlgorithm]jose.ContentEncryption{
			jose.RSA_OAEP_256: jose.A256GCM, jose.ECDH_ES: jose.A128CBC_HS256, jose.ECDH_ES_A256KW: jose.A256GCM,
		} {
			r := h.reader(alg, enc, `{"userinfo_signed_response_alg": "ES256", "introspection_signed_response_alg": "PS256"}`)
			r.signIn(id)
			location := must[*url.URL](t)(url.Parse(r.authorize("response_mode", "jwt").Header.Get("Location")))
			_, answer := r.signedInside(location.Query().Get("response"))
			code, _ := answer["code"].(string)
			tokens := r.exchange(code).ok(t)
			header, claims := r.signedInside(tokens["id_token"])
			if header["alg"] != keys.RS256 || claims["aud"] != r.client.ID || claims["nonce"] != "a nonce" {
				t.Errorf("%s: ID token = %v %v", alg, header, claims)
			}
			access, _ := tokens["access_token"].(string)
			info := r.do(r.get(userinfoPath, access))
			if _, claims := r.signedInside(info.body); claims["sub"] == "" || claims["iss"] != issuer || info.Header.Get("Content-Type") != "application/jwt" {
				t.Errorf("%s: userinfo = %v, %s", alg, claims, info.Header.Get("Content-Type"))
			}
			q := r.introspectRequest(access)
			q.Header.Set("Accept", introspectionType)
			header, claims = r.signedInside(r.do(q).body)
			if inner, _ := claims["token_introspection"].(map[string]any); inner["active"] != true || header["alg"] != keys.PS256 || header["typ"] != typIntrospection {
				t.Errorf("%s: introspection = %v %v", alg, header, claims)
			}
		}
		plain := h.reader(jose.ECDH_ES, jose.A256GCM, "{}")
		plain.signIn(id)
		location := must[*url.URL](t)(url.Parse(plain.authorize("response_mode", "jwt").Header.Get("Location")))
		_, answer := plain.signedInside(location.Query().Get("response"))
		code, _ := answer["code"].(string)
		access, _ := plain.exchange(code).ok(t)["access_token"].(string)
		content, kind := plain.open(plain.do(plain.get(userinfoPath, access)).body)
		if kind != "" || !strings.Contains(content, `"sub"`) {
			t.Errorf("userinfo that is not signed: cty %q, %s", kind, content)
		}
	})
}

// A key that cannot be had lets nothing out in the clear, and uses nothing up.
func TestEncryptionWithoutAKey(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		var away atomic.Bool
		away.Store(true)
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if away.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "e"}}})
		}))
		t.Cleanup(site.Close)
		members := func(path string) string {
			return `{"jwks_uri": "` + site.URL + path + `", "id_token_encrypted_response_alg": "ECDH-ES", "authorization_encrypted_response_alg": "ECDH-ES"}`
		}
		s := h.service(members("/one"))
		s.signIn(h.people())
		code := s.code()
		wantRefusal(t, "the keys are away", s.exchange(code), "Bad Request "+codeInvalidRequest)
		wantUntrusted(t, "an answer to nobody", s.authorize("response_mode", "jwt"))
		away.Store(false)
		// the memory of a failed fetch is by address: a new one stands for later
		d := s.client.Document()
		d.JWKSURI = site.URL + "/two"
		if _, err := h.clients.Update(t.Context(), operator(), s.client.ID, d); err != nil {
			t.Fatal(err)
		}
		token := s.exchange(code).ok(t)["id_token"]
		if got := strings.Count(token.(string), "."); got != 4 {
			t.Errorf("the ID token has %d dots, want the four of an encrypted one", got)
		}
	})
}

// RFC 9701: an answer as a token, for who accepts that by name.
func TestIntrospectionAsAToken(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		access, _ := s.tokens()["access_token"].(string)
		ask := func(token, accept string) answer {
			r := s.introspectRequest(token)
			if accept != "" {
				r.Header.Set("Accept", accept)
			}
			return s.do(r)
		}
		a := ask(access, "application/json;q=0.5, "+introspectionType)
		header, claims := payload(t, a.body)
		inner, _ := claims["token_introspection"].(map[string]any)
		if a.Header.Get("Content-Type") != introspectionType || header["typ"] != typIntrospection || header["alg"] != keys.RS256 || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("answer = %s %v", a.Header.Get("Content-Type"), header)
		}
		if claims["iss"] != issuer || claims["aud"] != s.client.ID || claims["sub"] != nil || claims["exp"] != nil || inner["active"] != true || inner["client_id"] != s.client.ID {
			t.Errorf("claims = %v", claims)
		}
		if _, err := h.provider.readAccess(t.Context(), a.body); err == nil {
			t.Error("it passes for an access token")
		}
		_, dead := payload(t, ask("x", introspectionType).body)
		if inner, _ := dead["token_introspection"].(map[string]any); inner["active"] != false || len(inner) != 1 {
			t.Errorf("of a token that is not one: %v", inner)
		}
		for _, accept := range []string{"", "*/*", "application/*", "application/json", introspectionType + ";q=0", introspectionType + ";q=x"} {
			if got := ask(access, accept).json(t)["active"]; got != true {
				t.Errorf("Accept %q: active %v, want JSON", accept, got)
			}
		}
	})
}

// FuzzAccept: whatever is accepted, the answer is one of the two.
func FuzzAccept(f *testing.F) {
	f.Add(introspectionType + ";q=0.1, */*")
	f.Add(";;=,")
	f.Fuzz(func(t *testing.T, accept string) {
		r := httptest.NewRequest(http.MethodPost, introspectPath, nil)
		r.Header.Set("Accept", accept)
		if wantsToken(echo.New().NewContext(r, httptest.NewRecorder())) && !strings.Contains(strings.ToLower(accept), introspectionType) {
			t.Errorf("%q does not name it", accept)
		}
	})
}
