package clients

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// fapi is a good document of the profile, with members changed.
func fapi(t testing.TB, keys string, members ...string) Document {
	t.Helper()
	all := map[string]json.RawMessage{
		"profile": json.RawMessage(`"fapi2"`), "redirect_uris": json.RawMessage(`["https://a.example/cb"]`), "jwks": json.RawMessage(keys),
	}
	for i := 0; i < len(members); i += 2 {
		if delete(all, members[i]); members[i+1] != "" {
			all[members[i]] = json.RawMessage(members[i+1])
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return doc(t, string(data))
}

// FAPI 2.0 Security Profile §5.3 and §5.4, as far as a registration tells.
func TestTheProfileFAPI2(t *testing.T) {
	t.Parallel()
	keys := publicKeys(t, jose.JSONWebKey{Key: ecKey(t, elliptic.P256()).Public(), KeyID: "1"})
	c, notes, err := testRules().client(fapi(t, keys))
	if err != nil || len(notes) > 0 {
		t.Fatalf("client: %v, %v", notes, err)
	}
	got := []any{
		c.TokenEndpointAuthMethod, c.IDTokenSignedResponseAlg, c.AuthorizationSignedResponseAlg, c.RequirePushedRequests, c.RequirePKCE,
		c.MustProve(), c.DPoPBound, strings.Join(c.ResponseTypes, ","),
	}
	want := []any{AuthPrivateKeyJWT, "ES256", "ES256", true, true, true, true, "code"}
	if !slices.Equal(got, want) {
		t.Errorf("defaults = %v, want %v", got, want)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rs256 := publicKeys(t, jose.JSONWebKey{Key: rsaKey.Public(), Algorithm: "RS256"})
	for _, row := range []struct{ member, value, field, reason string }{
		{"token_endpoint_auth_method", `"none"`, "token_endpoint_auth_method", "use private_key_jwt"},
		{"token_endpoint_auth_method", `"client_secret_basic"`, "token_endpoint_auth_method", "use private_key_jwt"},
		{"token_endpoint_auth_method", `"client_secret_post"`, "token_endpoint_auth_method", "use private_key_jwt"},
		{"jwks", "", "jwks", "needed"},
		{"jwks", rs256, "jwks", "no key fit"},
		{"require_pkce", "false", "require_pkce", "cannot be false"},
		{"response_types", `["code", "none"]`, "response_types", "only be code"},
		{"grant_types", `["authorization_code", "implicit"]`, "response_types", "do not go together"},
		{"grant_types", `["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"]`, "grant_types", "device grant"},
		{"introspection_signed_response_alg", `"RS256"`, "introspection_signed_response_alg", "PS256, ES256, EdDSA"},
		{"redirect_uris", `["http://localhost:8081/cb"]`, "redirect_uris", "https"},
		{"token_endpoint_auth_signing_alg", `"RS256"`, "token_endpoint_auth_signing_alg", "PS256, ES256, EdDSA"},
		{"request_object_signing_alg", `"RS256"`, "request_object_signing_alg", "PS256, ES256, EdDSA"},
		{"id_token_signed_response_alg", `"RS256"`, "id_token_signed_response_alg", "PS256, ES256, EdDSA"},
		{"userinfo_signed_response_alg", `"RS256"`, "userinfo_signed_response_alg", "PS256, ES256, EdDSA"},
		{"authorization_signed_response_alg", `"RS256"`, "authorization_signed_response_alg", "PS256, ES256, EdDSA"},
	} {
		_, _, err := testRules().client(fapi(t, keys, row.member, row.value))
		wrong, ok := errors.AsType[*ValidationError](err)
		if !ok || wrong.Field != row.field || !strings.Contains(wrong.Reason, row.reason) {
			t.Errorf("%s %s = %v, want %s … %s", row.member, row.value, err, row.field, row.reason)
		}
	}
	for _, member := range []string{"require_pushed_authorization_requests", "dpop_bound_access_tokens"} {
		c, _, err := testRules().client(fapi(t, keys, member, "false"))
		if err != nil || !c.RequirePushedRequests || !c.MustProve() || !c.DPoPBound {
			t.Errorf("%s false = %v; want that it is forced", member, err)
		}
	}
	native := fapi(t, keys, "application_type", `"native"`, "redirect_uris", `["http://127.0.0.1/cb"]`)
	if _, _, err := testRules().client(native); err != nil {
		t.Errorf("an app's loopback address: %v", err)
	}
}

// What each profile may do stands in the words, and what it may not does not.
func TestWords(t *testing.T) {
	t.Parallel()
	keys := publicKeys(t, jose.JSONWebKey{Key: ecKey(t, elliptic.P256()).Public(), KeyID: "1"})
	with := func(members string) Document {
		return doc(t, `{"redirect_uris": ["https://a.example/"], `+members+`}`)
	}
	for name, row := range map[string]struct {
		d        Document
		has, not []string
	}{
		"fapi2": {
			fapi(t, keys, "grant_types", `["authorization_code", "refresh_token"]`),
			[]string{"profile fapi2", "authenticates with private_key_jwt", "and only pushed, with PKCE", "proof of its key", "keeps its refresh token"},
			[]string{"whoever holds them", "through the browser;"},
		},
		"oauth2.1": {
			with(`"may_introspect": true, "consent": "trusted"`),
			[]string{
				"profile oauth2.1", "client_secret_basic", "pushed or through the browser, with PKCE", "whoever holds them", "no refresh tokens",
				"every client", "not asked", "sector a.example",
			},
			[]string{"disabled", "about no citizen"},
		},
		"oidc": {
			with(`"profile": "oidc", "subject_type": "public", "disabled": true`),
			[]string{"profile oidc", "with or without PKCE", "the same for every public client", "is disabled"},
			[]string{"fapi2"},
		},
		"public":  {with(`"token_endpoint_auth_method": "none"`), []string{"anybody may say to be it"}, nil},
		"signed":  {with(`"require_signed_request_object": true, "jwks": ` + keys), []string{"sends its requests as a signed object, pushed"}, []string{"plain"}},
		"machine": {doc(t, `{"grant_types": ["client_credentials"]}`), []string{"never signs a citizen in", "about no citizen"}, []string{"may ask for", "refresh"}},
		"device": {
			doc(t, `{"grant_types": ["urn:ietf:params:oauth:grant-type:device_code"], "token_endpoint_auth_method": "none"}`),
			[]string{"the code of a device", "whoever holds them", "may ask for openid"}, []string{"never signs", "sends its requests"},
		},
		"exchanges": {
			doc(t, `{"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"], "token_exchange": ["https://b.example"], "own_audiences": ["https://a.example"]}`),
			[]string{"never signs a citizen in", "for tokens for https://b.example"}, nil,
		},
		"always":  {with(`"consent": "always"`), []string{"asked each time"}, nil},
		"rotates": {with(`"grant_types": ["authorization_code", "refresh_token"]`), []string{"change with each use", "offline_access"}, nil},
	} {
		c, _, err := testRules().client(row.d)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text := strings.Join(c.Words(), "\n")
		for _, want := range row.has {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, text)
			}
		}
		for _, not := range row.not {
			if strings.Contains(text, not) {
				t.Errorf("%s: %q is in\n%s", name, not, text)
			}
		}
	}
}
