package provider

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// object is a good request object, changed by pairs; nil takes a claim away.
func (a asserter) object(pairs ...any) string {
	a.t.Helper()
	return a.sign(a.key, a.alg, "k", a.objectClaims(pairs...))
}

func (a asserter) objectClaims(pairs ...any) map[string]any {
	claims := map[string]any{"iss": a.client.ID, "aud": a.issuer, "exp": time.Now().Add(time.Minute).Unix(), "nbf": time.Now().Unix()}
	for name, values := range a.params() {
		claims[name] = values[0]
	}
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		if delete(claims, name); pairs[i+1] != nil {
			claims[name] = pairs[i+1]
		}
	}
	return claims
}

// present sends nothing but the object and who it is from.
func (a asserter) request(object string, pairs ...string) answer {
	a.t.Helper()
	v := url.Values{"client_id": {a.client.ID}, "request": {object}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return a.with(a.browser, a.get("/authorize?"+v.Encode(), ""))
}

// RFC 9101: the object is the request, whatever stands beside it.
func TestRequestObject(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA} {
			a := h.asserter(alg, "sig")
			a.signIn(id)
			v := a.reply(a.request(a.object(), "state", "from outside", "scope", "nope"))
			if v.Get("code") == "" || v.Get("state") != "a state" {
				t.Errorf("%s: %v, want a code and the object's state", alg, v)
			}
		}
		a := h.asserter(jose.ES256, "sig")
		a.signIn(id)
		// B4: numbers and structures were garbled, and so dropped
		if got := a.reply(a.request(a.object("max_age", 0, "prompt", "none"))).Get("error"); got != codeLoginRequired {
			t.Errorf("max_age as a number: %q, want %s", got, codeLoginRequired)
		}
		levels := map[string]any{"id_token": map[string]any{"acr": map[string]any{"essential": true, "value": "L9"}}}
		if got := a.reply(a.request(a.object("claims", levels))).Get("error"); got != codeUnmetACR {
			t.Errorf("claims as an object: %q, want %s", got, codeUnmetACR)
		}
		if got := a.reply(a.request(a.object("resource", []string{"https://api.example/"}))).Get("error"); got != codeInvalidTarget {
			t.Errorf("resource as a list: %q, want %s", got, codeInvalidTarget)
		}
	})
}

func TestRequestObjectsThatAreRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		a, other := h.asserter(jose.ES256, "sig"), h.asserter(jose.ES256, "sig")
		a.signIn(h.people())
		at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
		unsigned := strings.Join([]string{"eyJhbGciOiJub25lIn0", strings.Split(a.object(), ".")[1], ""}, ".")
		for name, object := range map[string]string{
			"no signature (B3)":       unsigned,
			"another's key":           a.sign(other.key, jose.ES256, "k", a.objectClaims()),
			"not a token":             "x",
			"another issuer":          a.object("iss", other.client.ID),
			"another audience":        a.object("aud", "https://other.example"),
			"another client":          a.object("client_id", other.client.ID),
			"no client":               a.object("client_id", nil),
			"expired":                 a.object("exp", at(-time.Minute)),
			"not good yet":            a.object("nbf", at(time.Hour)),
			"an object in the object": a.object("request", "x"),
			"an address in it":        a.object("request_uri", "https://a.example/"),
			"a client assertion":      a.object("sub", a.client.ID),
			"broken text":             a.object("state", "\x00"),
		} {
			// without an outer redirect_uri nobody is told but the citizen
			wantUntrusted(t, name, a.request(object))
			v := a.reply(a.request(object, "redirect_uri", callback, "state", "outer"))
			if got := v.Get("error"); got != codeInvalidRequestObject {
				t.Errorf("%s: %q, want %s", name, got, codeInvalidRequestObject)
			}
		}
		if got := a.reply(a.request(a.object(), "redirect_uri", callback, "request_uri", "https://a.example/")).Get("error"); got != codeInvalidRequest {
			t.Errorf("both: %q, want %s", got, codeInvalidRequest)
		}
		wantUntrusted(t, "an inner address that is not registered", a.request(a.object("redirect_uri", "https://evil.example/"), "redirect_uri", callback))
		if got := a.refused("registration", "{}"); got != codeRegistrationUnsupported {
			t.Errorf("registration: %q, want %s", got, codeRegistrationUnsupported)
		}
	})
}

// A client of the OpenID profile may leave in the query what the object leaves
// out (OIDC Core §6.1); what stands in both is the object's.
func TestRequestObjectOfTheOpenIDProfile(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		a := h.asserter(jose.ES256, "sig")
		document := a.client.Document()
		document.Profile = "oidc"
		if _, err := h.clients.Update(t.Context(), operator(), a.client.ID, document); err != nil {
			t.Fatal(err)
		}
		a.signIn(h.people())
		claims := map[string]any{"client_id": a.client.ID, "state": "inner"}
		v := a.params("state", "outer")
		v.Set("request", a.sign(a.key, a.alg, "k", claims))
		if got := a.reply(a.with(a.browser, a.get("/authorize?"+v.Encode(), ""))); got.Get("state") != "inner" || got.Get("code") == "" {
			t.Errorf("answer = %v, want a code and the object's state", got)
		}
	})
}

// A request that must be signed is refused without a signature, pushed or not.
func TestRequiredRequestObject(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		a := h.asserter(jose.ES256, "sig")
		document := a.client.Document()
		document.RequireSignedRequestObject = true
		if _, err := h.clients.Update(t.Context(), operator(), a.client.ID, document); err != nil {
			t.Fatal(err)
		}
		a.signIn(h.people())
		if got := a.refused(); got != codeInvalidRequest {
			t.Errorf("a plain request: %q, want %s", got, codeInvalidRequest)
		}
		proof := func(pairs ...string) answer {
			return h.do(h.post(parPath, append(pairs, "client_assertion_type", assertionType, "client_assertion", a.assertion("aud", a.issuer+parPath))...))
		}
		wantRefusal(t, "a plain pushed request", proof("redirect_uri", callback), "Bad Request "+codeInvalidRequest)
		uri := a.pushedURI(proof("request", a.object()))
		if v := a.reply(a.bring(uri)); v.Get("code") == "" {
			t.Errorf("a signed and pushed request: %v", v)
		}
	})
}

// By reference: only from an address that the client has registered.
func TestRequestObjectByReference(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		a := h.asserter(jose.ES256, "sig")
		kind := "application/oauth-authz-req+jwt"
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			if _, err := w.Write([]byte(a.object())); err != nil || r.URL.Path != "/object" {
				t.Errorf("fetch of %s: %v", r.URL.Path, err)
			}
		}))
		t.Cleanup(site.Close)
		document := a.client.Document()
		document.RequestURIs = []string{site.URL + "/object"}
		if _, err := h.clients.Update(t.Context(), operator(), a.client.ID, document); err != nil {
			t.Fatal(err)
		}
		a.signIn(h.people())
		by := func(uri string) url.Values {
			v := url.Values{"client_id": {a.client.ID}, "request_uri": {uri}, "redirect_uri": {callback}}
			return a.reply(a.with(a.browser, a.get("/authorize?"+v.Encode(), "")))
		}
		if v := by(site.URL + "/object"); v.Get("code") == "" {
			t.Errorf("by reference: %v", v)
		}
		for name, uri := range map[string]string{"another path": site.URL + "/other", "another site": "https://other.example/object"} {
			if got := by(uri).Get("error"); got != codeInvalidRequestURI {
				t.Errorf("%s: %q, want %s", name, got, codeInvalidRequestURI)
			}
		}
		kind = "text/html"
		if got := by(site.URL + "/object").Get("error"); got != codeInvalidRequestURI {
			t.Errorf("another type: %q, want %s", got, codeInvalidRequestURI)
		}
	})
}

// FuzzRequestObject: whatever a client signs, it is a request, a refusal, and
// never a fault of ours.
func FuzzRequestObject(f *testing.F) {
	f.Add(`{"client_id":"a","max_age":60,"claims":{"userinfo":null},"resource":["a","b"],"exp":1}`)
	f.Add(`{"state":"\u0000","aud":[],"nbf":1e99,"x":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		var claims map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &claims) != nil {
			return
		}
		p := &Provider{issuer: issuer}
		if err := p.checkObject(clientNamed("a"), []byte(text), claims, time.Now()); err != nil {
			if asProtocolError(err).Status != http.StatusBadRequest {
				t.Errorf("%s: %v", text, err)
			}
			return
		}
		form, err := objectForm(claims)
		if err != nil {
			if asProtocolError(err).Status != http.StatusBadRequest {
				t.Errorf("%s: %v", text, err)
			}
			return
		}
		for name := range form.values {
			if !clean(name) || !clean(form.Get(name)) {
				t.Errorf("%s: %q is not clean", text, name)
			}
		}
	})
}

func clientNamed(id string) clients.Client { return clients.Client{ID: id} }
