package provider

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// The document and the program, both ways: each address is mounted, and each
// endpoint that is mounted is an address in it or known to need none.
func TestDiscoveryNamesEveryEndpoint(t *testing.T) {
	h := registering(t, databasetest.Open(t, databasetest.SQLite(t), &database.Clock{}), RegistrationOpen, clients.ProfileOIDC)
	unnamed := []string{openIDPath, oauthPath, authorizePath + "/:id", devicePath, askPath, registerPath + "/:id"}
	e := echo.New()
	h.provider.Mount(e)
	mounted := map[string]bool{}
	for _, route := range e.Routes() {
		mounted[route.Path] = true
	}
	named := map[string]bool{}
	for member, value := range h.do(h.get(openIDPath, "")).json(t) {
		text, _ := value.(string)
		path, below := strings.CutPrefix(text, issuer+"/")
		if !below {
			continue
		}
		if named["/"+path] = true; !mounted["/"+path] {
			t.Errorf("%s: nobody answers at /%s", member, path)
		}
	}
	for path := range mounted {
		if named[path] == slices.Contains(unnamed, path) {
			t.Errorf("%s is mounted; in the document: %t", path, named[path])
		}
	}
}

// everyKey is a key of each kind to check with, and one to encrypt to.
func everyKey(t *testing.T) jose.JSONWebKeySet {
	t.Helper()
	r := must[*rsa.PrivateKey](t)(suiteKey())
	p := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: r.Public(), KeyID: "1", Use: "sig"}, {Key: p.Public(), KeyID: "2", Use: "sig"}, {Key: ed, KeyID: "3", Use: "sig"},
		{Key: r.Public(), KeyID: "4", Use: "enc"}, {Key: p.Public(), KeyID: "5", Use: "enc"},
	}}
}

// Each value that the document lists is one that a client can have or ask for,
// and values that it does not list are not.
func TestDiscoveryListsWhatIsTaken(t *testing.T) {
	h := newInstallation(t, databasetest.Open(t, databasetest.SQLite(t), &database.Clock{}))
	doc := h.do(h.get(openIDPath, "")).json(t)
	jwks := must[[]byte](t)(json.Marshal(everyKey(t)))
	registers := func(member, beside string) func(string) bool {
		return func(value string) bool {
			var d clients.Document
			text := `{"client_name": "c", "redirect_uris": ["` + callback + `"], "profile": "oidc", "jwks": ` + string(jwks) + beside + `, "` + member + `": "` + value + `"}`
			if err := json.Unmarshal([]byte(text), &d); err != nil {
				t.Fatal(err)
			}
			_, err := h.clients.Register(t.Context(), operator(), d)
			return err == nil
		}
	}
	s := h.service(everyResponse + `}`)
	s.signIn(h.people())
	asks := func(name string, beside ...string) func(string) bool {
		return func(value string) bool {
			pairs := append([]string{name, value, "scope", "openid"}, beside...)
			a := s.authorize(pairs...)
			return strings.HasPrefix(a.Header.Get("Location"), "/") || s.delivered(a).Get("error") == ""
		}
	}
	const key = `, "token_endpoint_auth_method": "private_key_jwt"`
	algs, encs := []string{"HS256", "none", "RS1"}, []string{"RSA1_5", "dir"}
	rows := map[string]struct {
		takes  func(string) bool
		others []string
	}{
		"id_token_signing_alg_values_supported":                    {registers("id_token_signed_response_alg", ""), algs},
		"userinfo_signing_alg_values_supported":                    {registers("userinfo_signed_response_alg", ""), algs},
		"authorization_signing_alg_values_supported":               {registers("authorization_signed_response_alg", ""), algs},
		"introspection_signing_alg_values_supported":               {registers("introspection_signed_response_alg", ""), algs},
		"request_object_signing_alg_values_supported":              {registers("request_object_signing_alg", ""), algs},
		"token_endpoint_auth_signing_alg_values_supported":         {registers("token_endpoint_auth_signing_alg", key), algs},
		"revocation_endpoint_auth_signing_alg_values_supported":    {registers("token_endpoint_auth_signing_alg", key), algs},
		"introspection_endpoint_auth_signing_alg_values_supported": {registers("token_endpoint_auth_signing_alg", key), algs},
		"token_endpoint_auth_methods_supported":                    {registers("token_endpoint_auth_method", ""), []string{"client_secret_jwt"}},
		"revocation_endpoint_auth_methods_supported":               {registers("token_endpoint_auth_method", ""), []string{"client_secret_jwt"}},
		"introspection_endpoint_auth_methods_supported":            {registers("token_endpoint_auth_method", ""), []string{"client_secret_jwt"}},
		"id_token_encryption_alg_values_supported":                 {registers("id_token_encrypted_response_alg", ""), encs},
		"userinfo_encryption_alg_values_supported":                 {registers("userinfo_encrypted_response_alg", ""), encs},
		"authorization_encryption_alg_values_supported":            {registers("authorization_encrypted_response_alg", `, "authorization_signed_response_alg": "RS256"`), encs},
		"introspection_encryption_alg_values_supported":            {registers("introspection_encrypted_response_alg", ""), encs},
		"request_object_encryption_alg_values_supported":           {registers("request_object_encryption_alg", ""), encs},
		"subject_types_supported":                                  {registers("subject_type", ""), []string{"ephemeral"}},
		"scopes_supported":                                         {registers("scope", `, "grant_types": ["authorization_code", "refresh_token"]`), []string{"nope"}},
		"response_types_supported":                                 {asks("response_type"), []string{"device", "code foo"}},
		"response_modes_supported":                                 {asks("response_mode"), []string{"web_message"}},
		"prompt_values_supported":                                  {asks("prompt"), []string{"maybe"}},
		"code_challenge_methods_supported":                         {asks("code_challenge_method"), []string{"plain", "S512"}},
	}
	for member, row := range rows {
		values, _ := doc[member].([]any)
		if len(values) == 0 {
			t.Errorf("%s: %v", member, doc[member])
		}
		for _, value := range values {
			if text, _ := value.(string); !row.takes(text) {
				t.Errorf("%s lists %v, which is refused", member, value)
			}
		}
		for _, other := range row.others {
			if slices.Contains(values, any(other)) || row.takes(other) {
				t.Errorf("%s: %s is taken, and listed: %t", member, other, slices.Contains(values, any(other)))
			}
		}
	}
	for member, value := range doc {
		text, _ := value.(string)
		if _, tried := rows[member]; !tried && !strings.HasPrefix(text, issuer) && !slices.Contains(shownElsewhere(), member) {
			t.Errorf("nothing here knows what %s says", member)
		}
	}
	for _, member := range shownElsewhere() {
		if doc[member] == nil {
			t.Errorf("the document lacks %s", member)
		}
	}
}

// shownElsewhere are members whose truth other tests are about: the flags in
// TestDiscoverySaysWhatThisProviderDoes and the logouts' tests, the ways to
// encrypt content in TestEncryptedAnswers, claims below.
func shownElsewhere() []string {
	return []string{
		"backchannel_logout_supported", "backchannel_logout_session_supported", "frontchannel_logout_supported", "frontchannel_logout_session_supported",
		"authorization_details_types_supported", "claims_supported", "claim_types_supported", "grant_types_supported", "acr_values_supported", "ui_locales_supported", "claims_parameter_supported",
		"request_parameter_supported", "request_uri_parameter_supported", "require_request_uri_registration", "dpop_signing_alg_values_supported",
		"authorization_response_iss_parameter_supported", "tls_client_certificate_bound_access_tokens", "access_token_formats_supported",
		"request_object_encryption_enc_values_supported", "id_token_encryption_enc_values_supported", "userinfo_encryption_enc_values_supported",
		"authorization_encryption_enc_values_supported", "introspection_encryption_enc_values_supported",
	}
}

// Whatever an ID token or userinfo tells is in claims_supported.
func TestDiscoveryNamesEveryClaim(t *testing.T) {
	h := newInstallation(t, databasetest.Open(t, databasetest.SQLite(t), &database.Clock{}))
	s := h.service("")
	s.signIn(h.people())
	tokens := s.tokens("scope", strings.Join(allScopes(), " "))
	access, _ := tokens["access_token"].(string)
	_, told := payload(t, tokens["id_token"])
	maps.Copy(told, s.do(s.get(userinfoPath, access)).ok(t))
	doc := h.do(h.get(openIDPath, "")).json(t)
	named, _ := doc["claims_supported"].([]any)
	for claim := range told {
		if !slices.Contains(named, any(claim)) {
			t.Errorf("claims_supported lacks %s", claim)
		}
	}
}
