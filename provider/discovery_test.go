package provider

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys"
)

func TestDiscoverySaysWhatThisProviderDoes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		doc := h.do(h.get(openIDPath, "")).json(t)
		list := func(items ...any) []any { return items }
		want := map[string]any{
			"request_parameter_supported":                      true,
			"request_uri_parameter_supported":                  true,
			"require_request_uri_registration":                 true,
			"request_object_signing_alg_values_supported":      list("RS256", "PS256", "ES256", "EdDSA"),
			"claims_parameter_supported":                       true,
			"authorization_response_iss_parameter_supported":   true,
			"code_challenge_methods_supported":                 list("S256"),
			"response_types_supported":                         list("code", "id_token", "id_token token", "code id_token", "code token", "code id_token token", "none"),
			"response_modes_supported":                         list("query", "fragment", "form_post", "query.jwt", "fragment.jwt", "form_post.jwt", "jwt"),
			"subject_types_supported":                          list("pairwise", "public"),
			"acr_values_supported":                             list("https://www.spid.gov.it/SpidL1"),
			"prompt_values_supported":                          list("none", "login", "consent", "select_account", "create"),
			"ui_locales_supported":                             list("it", "en"),
			"grant_types_supported":                            list("authorization_code", "refresh_token", "client_credentials", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
			"introspection_endpoint_auth_methods_supported":    list("client_secret_basic", "client_secret_post", "private_key_jwt"),
			"token_endpoint_auth_methods_supported":            list("client_secret_basic", "client_secret_post", "private_key_jwt", "none"),
			"token_endpoint_auth_signing_alg_values_supported": list("RS256", "PS256", "ES256", "EdDSA"),
			"id_token_signing_alg_values_supported":            list("RS256", "PS256", "ES256", "EdDSA"),
		}
		got := map[string]any{}
		for name := range want {
			got[name] = doc[name]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("discovery (-want +got):\n%s", diff)
		}
		if !strings.Contains(h.do(h.get(openIDPath, "")).body, `"https://attributes.eid.gov.it/fiscal_number"`) {
			t.Error("claims_supported lacks the fiscal number")
		}
		if oauth := h.do(h.get(oauthPath, "")).json(t); cmp.Diff(doc, oauth) != "" {
			t.Error("the two documents differ")
		}
	})
}

func TestPublishedDocumentsAreCacheable(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		for _, path := range []string{openIDPath, oauthPath, jwksPath} {
			full := h.do(h.get(path, ""))
			etag := full.Header.Get("ETag")
			if full.StatusCode != http.StatusOK || etag == "" || full.Header.Get("Cache-Control") != "public, max-age=900" {
				t.Errorf("%s: %d, ETag %q, Cache-Control %q", path, full.StatusCode, etag, full.Header.Get("Cache-Control"))
			}
			if got := full.Header.Get("Access-Control-Allow-Origin"); got != "*" {
				t.Errorf("%s: scripts may not read it (%q)", path, got)
			}
			if got := full.Header.Get("X-Request-Id"); got != "" {
				t.Errorf("%s: caches are told of the request %s", path, got)
			}
			for _, tags := range []string{etag, "W/" + etag, `"other", ` + etag, "*"} {
				again := h.get(path, "")
				again.Header.Set("If-None-Match", tags)
				if got := h.do(again); got.StatusCode != http.StatusNotModified || got.body != "" {
					t.Errorf("%s with If-None-Match %s: got %d", path, tags, got.StatusCode)
				}
			}
			head := h.get(path, "")
			head.Method = http.MethodHead
			if got := h.do(head); got.StatusCode != http.StatusOK || got.body != "" || got.Header.Get("ETag") != etag {
				t.Errorf("HEAD %s: got %d, %d bytes", path, got.StatusCode, len(got.body))
			}
		}
	})
}

func TestJWKSHoldsNoPrivatePart(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		published := h.do(h.get(jwksPath, "")).json(t)["keys"].([]any)
		if len(published) != len(keys.Kinds()) {
			t.Errorf("got %d keys, want %d", len(published), len(keys.Kinds()))
		}
		for _, one := range published {
			for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
				if _, ok := one.(map[string]any)[member]; ok {
					t.Errorf("a published key has the member %q", member)
				}
			}
		}
	})
}

func TestAnOrdinaryLibraryWorksFromDiscoveryAlone(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		client, _ := h.register(`{"userinfo_signed_response_alg": "RS256"}`)
		s, _ := h.session(id)
		g, _ := h.grant(client, id, s, "openid", "profile", "email")
		ctx := oidc.ClientContext(t.Context(), h.browser())
		op, err := oidc.NewProvider(ctx, h.issuer)
		if err != nil {
			t.Fatal(err)
		}
		for _, alg := range keys.Algorithms() {
			token, err := h.provider.keys.Sign(ctx, alg, TypIDToken, h.idClaims(client, s))
			if err != nil {
				t.Fatal(err)
			}
			verifier := op.VerifierContext(ctx, &oidc.Config{ClientID: client.ID, SupportedSigningAlgs: []string{alg}})
			if _, err := verifier.Verify(ctx, token); err != nil {
				t.Errorf("%s: %v", alg, err)
			}
		}
		info, err := op.UserInfo(ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: h.token(g), TokenType: "Bearer"}))
		if err != nil || info.Subject != g.Subject || info.Email != "mario.rossi@example.it" || !info.EmailVerified {
			t.Errorf("userinfo: got %v, %v", info, err)
		}
	})
}
