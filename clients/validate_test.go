package clients

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

func testRules() rules {
	return rules{scopes: strings.Fields("openid profile email phone address fiscal_code pin offline_access")}
}

// doc is a document as a file has it.
func doc(t testing.TB, text string) Document {
	t.Helper()
	d, err := Decode(strings.NewReader(text))
	if err != nil {
		t.Fatalf("decode %s: %v", text, err)
	}
	return d
}

func publicKeys(t testing.TB, keys ...jose.JSONWebKey) string {
	t.Helper()
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, notes, err := testRules().client(doc(t, `{"redirect_uris": ["https://a.example:8443/cb"], "client_name": "  Il   mio servizio "}`))
	if err != nil || len(notes) > 0 {
		t.Fatalf("client: %v, %v", notes, err)
	}
	want := Client{
		Metadata: Metadata{
			RedirectURIs: []string{"https://a.example:8443/cb"}, ClientName: "Il mio servizio",
			ApplicationType: "web", TokenEndpointAuthMethod: "client_secret_basic",
			GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"},
			Scope: Scope{"openid", "profile", "fiscal_code"}, SubjectType: "pairwise", IDTokenSignedResponseAlg: "RS256", AccessTokenFormat: "jwt",
		},
		Consent: ConsentRemember, Profile: ProfileOAuth21, RequirePKCE: true,
	}
	if diff := cmp.Diff(want, c, cmp.AllowUnexported(Client{})); diff != "" {
		t.Errorf("client (-want +got):\n%s", diff)
	}
	if got := c.SectorID(); got != "a.example" {
		t.Errorf("SectorID = %q, want the host without port", got)
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	jwks := publicKeys(t, jose.JSONWebKey{Key: ecKey(t, elliptic.P256()).Public(), KeyID: "1"})
	for name, test := range map[string]struct {
		document string
		holds    func(Client) bool
	}{
		"device": {`{"grant_types": ["refresh_token", "urn:ietf:params:oauth:grant-type:device_code"], "token_endpoint_auth_method": "none"}`, func(c Client) bool {
			return len(c.RedirectURIs) == 0 && len(c.ResponseTypes) == 0 && slices.Equal(c.Scope, ParseScope(DefaultScope+" offline_access"))
		}},
		"machine":                       {`{"grant_types": ["client_credentials"]}`, func(c Client) bool { return len(c.Scope) == 0 && len(c.ResponseTypes) == 0 }},
		"confidential opts out of PKCE": {`{"redirect_uris": ["https://a.example/"], "require_pkce": false}`, func(c Client) bool { return !c.RequirePKCE }},
		"oidc profile leaves PKCE open": {`{"redirect_uris": ["https://a.example/"], "profile": "oidc"}`, func(c Client) bool { return !c.RequirePKCE }},
		"public under oidc has PKCE":    {`{"redirect_uris": ["https://a.example/"], "profile": "oidc", "token_endpoint_auth_method": "none"}`, func(c Client) bool { return c.RequirePKCE && c.Public() }},
		"own scheme tells native":       {`{"redirect_uris": ["it.ente.app:/cb"], "token_endpoint_auth_method": "none"}`, func(c Client) bool { return c.ApplicationType == ApplicationNative }},
		"loopback without port too":     {`{"redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"}`, func(c Client) bool { return c.ApplicationType == ApplicationNative }},
		"loopback with port is web":     {`{"redirect_uris": ["http://127.0.0.1:80/cb"], "token_endpoint_auth_method": "none"}`, func(c Client) bool { return c.ApplicationType == ApplicationWeb }},
		"refresh brings offline_access": {`{"redirect_uris": ["https://a.example/"], "grant_types": ["authorization_code", "refresh_token"], "scope": "openid"}`, func(c Client) bool { return c.AllowsScope("offline_access") && c.AllowsGrant("refresh_token") }},
		"several hosts with a sector":   {`{"redirect_uris": ["https://a.example/", "https://b.example/"], "sector": "ente.example"}`, func(c Client) bool { return c.SectorID() == "ente.example" }},
		"several hosts, public sub":     {`{"redirect_uris": ["https://a.example/", "https://b.example/"], "subject_type": "public"}`, nil},
		"several ports of one host":     {`{"redirect_uris": ["https://a.example/", "https://a.example:444/"]}`, func(c Client) bool { return c.SectorID() == "a.example" }},
		"sector document wins":          {`{"redirect_uris": ["https://a.example/"], "sector": "x.example", "sector_identifier_uri": "https://s.example/u"}`, func(c Client) bool { return c.SectorID() == "s.example" }},
		"keys in the document":          {`{"redirect_uris": ["https://a.example/"], "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256", "jwks": ` + jwks + `}`, func(c Client) bool { return len(c.keys) == 1 }},
		"keys behind an address":        {`{"redirect_uris": ["https://a.example/"], "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://a.example/jwks"}`, nil},
		"everything for people":         {`{"redirect_uris": ["https://a.example/"], "client_uri": "https://a.example/#top", "logo_uri": "https://a.example/l.svg", "policy_uri": "https://a.example/p", "tos_uri": "https://a.example/t", "initiate_login_uri": "http://localhost:1/i", "contacts": ["aiuto@a.example"], "purpose": "Prenotare una visita"}`, nil},
		"resources": {`{"redirect_uris": ["https://a.example/"], "resources": ["https://api.a.example/v1", "urn:ente:api"]}`, func(c Client) bool {
			return c.AllowsResource("urn:ente:api") && !c.AllowsResource("https://api.a.example")
		}},
		"members that ask for nothing": {`{"redirect_uris": ["https://a.example/"], "dpop_bound_access_tokens": false, "request_uris": []}`, nil},
	} {
		c, _, err := testRules().client(doc(t, test.document))
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case test.holds != nil && !test.holds(c):
			t.Errorf("%s: got %+v", name, c)
		}
	}
}

func TestOfflineAccessNeedsTheGrant(t *testing.T) {
	t.Parallel()
	c, notes, err := testRules().client(doc(t, `{"redirect_uris": ["https://a.example/"], "scope": "openid offline_access"}`))
	if err != nil || c.AllowsScope("offline_access") || len(notes) != 1 {
		t.Errorf("client = scope %v, notes %v, %v; want it left out with a note", c.Scope, notes, err)
	}
}

func TestSectorOfNativeApp(t *testing.T) {
	t.Parallel()
	c, _, err := testRules().client(doc(t, `{"redirect_uris": ["https://a.example/", "it.ente.app:/"], "application_type": "native", "client_id": "app-1"}`))
	if err != nil || c.SectorID() != "app-1" {
		t.Errorf("SectorID = %q, %v, want the client id", c.SectorID(), err)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	private := publicKeys(t, jose.JSONWebKey{Key: ecKey(t, elliptic.P256()), KeyID: "1"})
	p384 := publicKeys(t, jose.JSONWebKey{Key: ecKey(t, elliptic.P384()).Public(), KeyID: "1"})
	encryption := publicKeys(t, jose.JSONWebKey{Key: ecKey(t, elliptic.P256()).Public(), Use: "enc"})
	p256 := publicKeys(t, jose.JSONWebKey{Key: ecKey(t, elliptic.P256()).Public()})
	with := func(members string) string { return `{"redirect_uris": ["https://a.example/"], ` + members + `}` }
	for _, test := range []struct{ document, field, reason string }{
		{`{}`, "redirect_uris", "at least one"},
		{`{"redirect_uris": []}`, "redirect_uris", "at least one"},
		{`{"redirect_uris": ["https://a.example/", "http://b.example/"]}`, "redirect_uris", "entry 2 may use http only"},
		{`{"redirect_uris": ["https://a.example/", "https://a.example/"]}`, "redirect_uris", "twice"},
		{`{"redirect_uris": ["https://a.example/", "https://b.example/"]}`, "redirect_uris", "several hosts"},
		{`{"redirect_uris": ["http://127.0.0.1:1/", "http://localhost:1/"]}`, "redirect_uris", "several hosts"},
		{with(`"post_logout_redirect_uris": ["javascript:/x"]`), "post_logout_redirect_uris", "reverse domain"},
		{with(`"token_endpoint_auth_method": "client_secret_jwt"`), "token_endpoint_auth_method", "not supported yet"},
		{with(`"token_endpoint_auth_method": "private_key_jwt"`), "jwks", "needed"},
		{with(`"token_endpoint_auth_method": "private_key_jwt", "jwks": ` + private), "jwks", "private or symmetric"},
		{with(`"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}`), "jwks", "private or symmetric"},
		{with(`"jwks": {"keys": [{"kty": "oct"}]}`), "jwks", "private or symmetric"},
		{with(`"jwks": {}`), "jwks", "not a JWK set"},
		{with(`"jwks": []`), "jwks", "not a JWK set"},
		{with(`"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}`), "jwks", "no key fit"},
		{with(`"token_endpoint_auth_method": "private_key_jwt", "jwks": ` + p384), "jwks", "no key fit"},
		{with(`"token_endpoint_auth_method": "private_key_jwt", "jwks": ` + encryption), "jwks", "no key fit"},
		{with(`"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "RS256", "jwks": ` + p256), "jwks", "no key fit"},
		{with(`"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "HS256", "jwks": ` + p256), "token_endpoint_auth_signing_alg", "not supported yet"},
		{with(`"token_endpoint_auth_signing_alg": "ES256"`), "token_endpoint_auth_signing_alg", "only for"},
		{with(`"jwks_uri": "https://a.example/j", "jwks": ` + p256), "jwks", "exclude"},
		{with(`"jwks_uri": "http://127.0.0.1/j"`), "jwks_uri", "https"},
		{with(`"sector_identifier_uri": "http://localhost/s"`), "sector_identifier_uri", "https"},
		{with(`"sector": "https://a.example"`), "sector", "host name"},
		{with(`"id_token_signed_response_alg": "none"`), "id_token_signed_response_alg", "RS256, PS256, ES256, EdDSA"},
		{with(`"id_token_signed_response_alg": "HS256"`), "id_token_signed_response_alg", "not supported yet"},
		{with(`"userinfo_signed_response_alg": "none"`), "userinfo_signed_response_alg", "not supported yet"},
		{with(`"grant_types": ["implicit"]`), "response_types", "do not go together"},
		{with(`"grant_types": ["implicit"], "response_types": ["id_token"]`), "grant_types", "profile oidc"},
		{with(`"grant_types": ["implicit"], "response_types": ["id_token", "none"], "profile": "oidc"`), "response_types", "beside it"},
		{with(`"response_types": ["token"]`), "response_types", "not supported yet"},
		{with(`"authorization_signed_response_alg": "none"`), "authorization_signed_response_alg", "not supported yet"},
		{with(`"grant_types": ["password"]`), "grant_types", "not supported yet"},
		{with(`"grant_types": []`), "grant_types", "at least one"},
		{with(`"grant_types": ["refresh_token"]`), "grant_types", "beside it"},
		{`{"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"]}`, "token_exchange", "go together"},
		{with(`"token_exchange": ["https://api.example"]`), "token_exchange", "go together"},
		{with(`"own_audiences": ["https://api.example"], "token_endpoint_auth_method": "none"`), "own_audiences", "authenticate"},
		{with(`"access_token_format": "opaque"`), "access_token_format", "use jwt, reference"},
		{`{"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"], "token_exchange": ["not a name"]}`, "token_exchange", "entry 1"},
		{`{"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"], "token_exchange": ["c1"], "token_endpoint_auth_method": "none"}`, "grant_types", "authenticate"},
		{`{"grant_types": ["refresh_token"], "response_types": []}`, "grant_types", "device grant"},
		{with(`"grant_types": ["client_credentials"], "token_endpoint_auth_method": "none"`), "grant_types", "authenticate"},
		{with(`"response_types": ["code id_token"]`), "response_types", "do not go together"},
		{with(`"response_types": []`), "response_types", "do not go together"},
		{with(`"scope": "openid admin"`), "scope", `"admin" does not exist`},
		{with(`"scope": ["openid"]`), "document", "one string"},
		{with(`"token_endpoint_auth_method": "none", "require_pkce": false`), "require_pkce", "public"},
		{with(`"token_endpoint_auth_method": "none", "may_introspect": true`), "may_introspect", "authenticate"},
		{with(`"subject_type": "ephemeral"`), "subject_type", "pairwise"},
		{with(`"profile": "fapi3"`), "profile", "oauth2.1, oidc, fapi2"},
		{with(`"consent": "never"`), "consent", "always, remember, trusted"},
		{with(`"application_type": "spa"`), "application_type", "web, native"},
		{with(`"logo_uri": "javascript:/alert(1)"`), "logo_uri", "https"},
		{with(`"logo_uri": "data:/image/svg+xml,x"`), "logo_uri", "https"},
		{with(`"client_uri": "http://a.example"`), "client_uri", "https"},
		{with(`"client_name": "Banca\u202eatnif"`), "client_name", "cannot be shown"},
		{with(`"client_name": "` + strings.Repeat("x", 101) + `"`), "client_name", "too long"},
		{with(`"contacts": [""]`), "contacts", "empty"},
		{with(`"default_max_age": -1`), "default_max_age", "negative"},
		{with(`"default_acr_values": ["a b"]`), "default_acr_values", "entry 1"},
		{with(`"resources": ["/api"]`), "resources", "absolute"},
		{with(`"resources": ["https://api.example/#x"]`), "resources", "fragment"},
		{with(`"redirect_uri": "https://a.example/"`), "document", `unknown member "redirect_uri"`},
		{with(`"Client_Name": "x"`), "document", `unknown member "Client_Name"`},
		{with(`"scope": "openid", "scope": "email"`), "scope", "twice"},
		{with(`"client_secret": "x"`), "client_secret", "made by this server"},
		{with(`"backchannel_logout_uri": "http://a.example/l"`), "backchannel_logout_uri", "https"},
		{with(`"frontchannel_logout_uri": "https://a.example/l#x"`), "frontchannel_logout_uri", "fragment"},
		{with(`"require_pkce": "no"`), "require_pkce", "cannot be a JSON string"},
		{`[]`, "document", "not a JSON object"},
		{`{"scope": "openid"`, "document", "not JSON"},
		{`{} {}`, "document", "goes on"},
		{``, "document", "not a JSON object"},
	} {
		d, err := Decode(strings.NewReader(test.document))
		if err == nil {
			_, _, err = testRules().client(d)
		}
		wrong, ok := errors.AsType[*ValidationError](err)
		if !ok || wrong.Field != test.field || !strings.Contains(wrong.Reason, test.reason) {
			t.Errorf("%s\n  = %v, want %s … %s", test.document, err, test.field, test.reason)
			continue
		}
		want := "invalid_client_metadata"
		if test.field == "redirect_uris" {
			want = "invalid_redirect_uri"
		}
		if wrong.Code() != want {
			t.Errorf("%s: code %s, want %s", test.document, wrong.Code(), want)
		}
	}
}

func TestDocumentTooLarge(t *testing.T) {
	t.Parallel()
	_, err := Decode(strings.NewReader(`{"client_name": "` + strings.Repeat("x", maxDocument) + `"}`))
	if err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("Decode = %v, want it refused", err)
	}
}

func TestKeyWithoutUseIsForSignatures(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edKey, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := ecKey(t, elliptic.P256()).Public()
	for _, test := range []struct {
		key  jose.JSONWebKey
		want bool
	}{
		{jose.JSONWebKey{Key: rsaKey.Public()}, true},
		{jose.JSONWebKey{Key: rsaKey.Public(), Algorithm: "PS256", Use: "sig"}, true},
		{jose.JSONWebKey{Key: edKey}, true},
		{jose.JSONWebKey{Key: ec, Algorithm: "ES256"}, true},
		{jose.JSONWebKey{Key: ec, Algorithm: "RS256"}, false},
		{jose.JSONWebKey{Key: ec, Algorithm: "HS256"}, false},
		{jose.JSONWebKey{Key: ec, Use: "enc"}, false},
		{jose.JSONWebKey{Key: rsaKey.Public(), Algorithm: "RSA-OAEP"}, false},
		{jose.JSONWebKey{Key: &rsa.PublicKey{N: new(big.Int).Rsh(rsaKey.N, 1100), E: 3}}, false},
		{jose.JSONWebKey{Key: ecKey(t, elliptic.P521()).Public()}, false},
	} {
		if got := Verifies(test.key); got != test.want {
			t.Errorf("Verifies(%T, alg %q, use %q) = %v, want %v", test.key.Key, test.key.Algorithm, test.key.Use, got, test.want)
		}
	}
}

func TestPickByKid(t *testing.T) {
	t.Parallel()
	keys := []jose.JSONWebKey{{KeyID: "1"}, {KeyID: "2"}, {KeyID: ""}, {KeyID: "1", Use: "enc"}}
	signing := func(k jose.JSONWebKey) bool { return k.Use != "enc" }
	for kid, want := range map[string][]string{"1": {"1"}, "": {"1", "2", ""}, "9": {""}} {
		var got []string
		for _, k := range pick(keys, kid, signing) {
			got = append(got, k.KeyID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("pick(%q) = %q, want %q", kid, got, want)
		}
	}
}

// A set of very many keys, or of very much text, costs nobody the time to try
// them all.
func TestSetsOfManyKeysAreRefused(t *testing.T) {
	t.Parallel()
	var set jose.JSONWebKeySet
	key := ecKey(t, elliptic.P256()).Public()
	for len(set.Keys) <= maxKeys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key})
	}
	many, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseKeys(many); err == nil {
		t.Errorf("%d keys were read", len(set.Keys))
	}
	for name, text := range map[string]string{
		"much": `{"keys": [], "x": "` + strings.Repeat("x", maxFetched) + `"}`, "deep": `{"keys": ` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + `}`,
	} {
		if _, err := parseKeys([]byte(text)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// FuzzDocument: whatever is accepted comes out of its own answer unchanged, so
// that show, update, export and import agree about a client.
func FuzzDocument(f *testing.F) {
	jwks := publicKeys(f, jose.JSONWebKey{Key: ecKey(f, elliptic.P256()).Public(), KeyID: "1"})
	f.Add(`{"redirect_uris": ["https://a.example/cb"]}`)
	f.Add(`{"redirect_uris": ["it.ente.app:/cb"], "token_endpoint_auth_method": "none", "scope": "openid offline_access"}`)
	f.Add(`{"grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt", "jwks": ` + jwks + `}`)
	f.Add(`{"redirect_uris": ["https://a.example/cb"], "profile": "fapi2", "jwks": ` + jwks + `}`)
	f.Add(`{"redirect_uris": ["https://a.example/cb"], "require_pkce": false, "client_name": "à", "default_max_age": 0}`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Decode(strings.NewReader(text))
		if err != nil {
			return
		}
		c, _, err := testRules().client(d)
		if err != nil {
			return
		}
		data, err := json.Marshal(c.Document())
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		again, notes, err := testRules().client(doc(t, string(data)))
		if err != nil || len(notes) > 0 {
			t.Fatalf("%s\nread back: %v, notes %v", data, err, notes)
		}
		if fields := differences(c.Document(), again.Document()); len(fields) > 0 {
			t.Fatalf("%s\nread back differs in %v", data, fields)
		}
	})
}

// FuzzOwnDocument: whatever registers itself gets nothing that an administrator
// gives, and leaves nothing that a database does not store.
func FuzzOwnDocument(f *testing.F) {
	f.Add(`{"redirect_uris": ["https://a.example/cb"], "client_name": "a", "client_name#it": "b", "consent": "trusted"}`, false)
	f.Add(`{"redirect_uris": ["https://a.example/cb"], "request_uris": ["https://a.example/o#x"], "resources": ["urn:x"], "may_introspect": true}`, false)
	f.Add(`{"grant_types": ["`+GrantDeviceCode+`"], "token_endpoint_auth_method": "none", "client_uri": "https://b.example", "sector": "b.example"}`, true)
	f.Add(`{"grant_types": ["`+GrantTokenExchange+`"], "token_exchange": ["https://b.example"], "own_audiences": ["x"], "profile": "fapi2"}`, true)
	f.Add(`{"redirect_uris": ["it.app:/x"], "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_ip": "::1%\u0000", "require_pkce": false}`, true)
	f.Add(`{"redirect_uris": ["https://a.example/"], "default_max_age": 1e400, "scope": "openid\u000bx", "jwks": {"keys": [{"kty": "RSA", "n": "AA", "e": "Ag"}]}}`, false)
	f.Fuzz(func(t *testing.T, text string, invited bool) {
		d, err := DecodeOwn(strings.NewReader(text))
		if err != nil {
			return
		}
		d, err = d.own(ProfileOAuth21, invited, Client{})
		if err != nil {
			return
		}
		c, _, err := testRules().client(d)
		if err != nil {
			return
		}
		if c.Consent != ConsentRemember || c.MayIntrospect || c.Resources != nil || c.TokenExchange != nil || c.OwnAudiences != nil ||
			c.Profile != ProfileOAuth21 || !c.RequirePKCE || c.Sector != "" || c.Disabled || c.ID != "" {
			t.Fatalf("%s gives %+v", text, c)
		}
		data, err := json.Marshal(c.Document())
		if err != nil || strings.Contains(string(data), `\u0000`) {
			t.Fatalf("%s is kept as %s, %v", text, data, err)
		}
		if c.AllowsGrant(GrantDeviceCode) && (!invited || c.HostAt("") != "" || c.SectorID() != c.ID) {
			t.Fatalf("%s: a device at %q in the sector %q", text, c.HostAt(""), c.SectorID())
		}
		for _, uri := range c.RedirectURIs {
			if host := c.HostAt(uri); host != webHost(uri) {
				t.Fatalf("%s: the host shown for %s is %q", text, uri, host)
			}
		}
	})
}

// As many scopes as fit into a request cost no more than their reading: else a
// body of 64 KiB would keep a processor busy for a second.
func TestManyScopesAreReadInOneGo(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	const words = 150_000
	for i := range words {
		text.WriteString(strconv.FormatInt(int64(i), 36))
		text.WriteByte(' ')
	}
	began := time.Now()
	if got := len(ParseScope(text.String() + text.String())); got != words {
		t.Errorf("%d scopes, want %d", got, words)
	}
	if took := time.Since(began); took > 5*time.Second { // one by one against all before it took minutes
		t.Errorf("read in %v", took)
	}
}
