package provider

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys"
)

// sealed is text encrypted to the provider as a client does that has read its
// discovery document and JWKS.
func (h *house) sealed(alg jose.KeyAlgorithm, enc jose.ContentEncryption, text string, o *jose.EncrypterOptions) string {
	h.t.Helper()
	kind := keys.ECDHES
	if alg == jose.RSA_OAEP_256 {
		kind = keys.RSAOAEP
	}
	key := h.published(must[string](h.t)(h.provider.keys.Active(h.t.Context(), kind)))
	e := must[jose.Encrypter](h.t)(jose.NewEncrypter(enc, jose.Recipient{Algorithm: alg, Key: key.Key, KeyID: key.KeyID}, o))
	jwe := must[*jose.JSONWebEncryption](h.t)(e.Encrypt([]byte(text)))
	return must[string](h.t)(jwe.CompactSerialize())
}

// nested is text encrypted in the way that most tests do not care about.
func (h *house) nested(text string) string {
	h.t.Helper()
	return h.sealed(jose.ECDH_ES, jose.A256GCM, text, (&jose.EncrypterOptions{}).WithContentType("JWT"))
}

// RFC 9101 §6.1: signed by the client, then encrypted to us, in every way that
// discovery names.
func TestEncryptedRequestObject(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		a := h.asserter(jose.PS256, "sig")
		a.signIn(h.people())
		var said struct {
			Algs []jose.KeyAlgorithm      `json:"request_object_encryption_alg_values_supported"`
			Encs []jose.ContentEncryption `json:"request_object_encryption_enc_values_supported"`
		}
		if err := json.Unmarshal([]byte(h.do(h.get(openIDPath, "")).body), &said); err != nil || len(said.Algs) != 3 || len(said.Encs) != 2 {
			t.Fatalf("discovery says %+v, %v", said, err)
		}
		for _, alg := range said.Algs {
			for _, enc := range said.Encs {
				v := a.reply(a.request(h.sealed(alg, enc, a.object(), nil), "state", "from outside", "scope", "nope"))
				if v.Get("code") == "" || v.Get("state") != "a state" {
					t.Errorf("%s with %s: %v, want a code and the object's state", alg, enc, v)
				}
			}
		}
		// what stands inside is judged as if it had come in the clear
		if got := a.reply(a.request(h.nested(a.object("max_age", 0, "prompt", "none")))).Get("error"); got != codeLoginRequired {
			t.Errorf("max_age 0: %q, want %s", got, codeLoginRequired)
		}
		v := a.reply(a.request(h.nested(a.object("aud", "https://other.example")), "redirect_uri", callback))
		if v.Get("error") != codeInvalidRequestObject || !strings.Contains(v.Get("error_description"), "aud") {
			t.Errorf("another audience: %v", v)
		}
	})
}

// Why something cannot be read is not said, nor whether it could be decrypted:
// all of these get one answer.
func TestEncryptedRequestObjectsThatAreRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		a, other := h.asserter(jose.ES256, "sig"), h.asserter(jose.ES256, "sig")
		a.signIn(h.people())
		good := h.nested(a.object())
		parts := strings.Split(good, ".")
		unsigned := strings.Join([]string{"eyJhbGciOiJub25lIn0", strings.Split(a.object(), ".")[1], ""}, ".")
		claims := string(must[[]byte](t)(json.Marshal(a.objectClaims())))
		signing := h.published(must[string](t)(h.provider.keys.Active(t.Context(), keys.RS256)))
		e := must[jose.Encrypter](t)(jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: signing.Key, KeyID: signing.KeyID}, nil))
		toSigning := must[string](t)(must[*jose.JSONWebEncryption](t)(e.Encrypt([]byte(a.object()))).CompactSerialize())
		for name, object := range map[string]string{
			"claims without a signature": h.nested(claims),
			"an object of alg none":      h.nested(unsigned),
			"another client's signature": h.nested(a.sign(other.key, jose.ES256, "k", a.objectClaims())),
			"encrypted twice":            h.nested(good),
			"nothing":                    h.nested(""),
			"too much":                   h.nested(a.object("state", strings.Repeat("a", 14<<10))),
			"compressed":                 h.sealed(jose.ECDH_ES, jose.A256GCM, a.object(), &jose.EncrypterOptions{Compression: jose.DEFLATE}),
			"another tag":                strings.Join(append(parts[:4:4], strings.Repeat("A", 22)), "."),
			"no key":                     strings.Join(append([]string{"eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImtpZCI6IngifQ"}, parts[1:]...), "."),
			"to a key that signs":        toSigning,
			"five parts of nothing":      "....",
		} {
			v := a.reply(a.request(object, "redirect_uri", callback))
			if v.Get("error") != codeInvalidRequestObject || v.Get("error_description") != unreadable {
				t.Errorf("%s: %v, want the one answer", name, v)
			}
		}
		if v := a.reply(a.request(good)); v.Get("code") == "" {
			t.Errorf("the good one: %v", v)
		}
	})
}

// Pushed, and from an address that the client has registered.
func TestEncryptedRequestObjectPushedAndByReference(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		a := h.asserter(jose.ES256, "sig")
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/jwt")
			if _, err := w.Write([]byte(h.nested(a.object()))); err != nil {
				t.Error(err)
			}
		}))
		t.Cleanup(site.Close)
		d := a.client.Document()
		d.RequestURIs, d.RequireSignedRequestObject = []string{site.URL}, true
		d.RequestObjectEncAlg = "ECDH-ES"
		must[clients.Registered](t)(h.clients.Update(t.Context(), operator(), a.client.ID, d))
		a.signIn(h.people())
		push := func(object string) answer {
			return h.do(h.post(parPath, "client_assertion_type", assertionType, "client_assertion", a.assertion("aud", a.issuer+parPath), "request", object))
		}
		if v := a.reply(a.bring(a.pushedURI(push(h.nested(a.object()))))); v.Get("code") == "" {
			t.Errorf("pushed: %v", v)
		}
		wantRefusal(t, "pushed, broken", push(h.nested("x")), "Bad Request "+codeInvalidRequestObject)
		v := url.Values{"client_id": {a.client.ID}, "request_uri": {site.URL}, "redirect_uri": {callback}}
		if v := a.reply(a.with(a.browser, a.get("/authorize?"+v.Encode(), ""))); v.Get("code") == "" {
			t.Errorf("by reference: %v", v)
		}
		// to name a way of encrypting is no promise to use it (Registration §2)
		if v := a.reply(a.request(a.object())); v.Get("code") == "" {
			t.Errorf("signed alone: %v", v)
		}
	})
}

// A service that has the JWKS in its cache is not turned away by a rotation.
func TestEncryptedRequestObjectAcrossARotation(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		a := h.asserter(jose.ES256, "sig")
		before := func(object string) string { return h.sealed(jose.RSA_OAEP_256, jose.A256GCM, object, nil) }
		old := before(a.object("exp", nil, "nbf", nil))
		h.rotate(keys.RSAOAEP)
		a.signIn(h.people())
		for name, object := range map[string]string{"the old key": old, "the new key": before(a.object())} {
			if v := a.reply(a.request(object)); v.Get("code") == "" {
				t.Errorf("%s: %v", name, v)
			}
		}
	})
}
