package clients

import (
	"fmt"
	"slices"
	"strings"

	"ente.example/idp/authorizations"
)

// ValidationError is a registration that is refused, and which member of it.
type ValidationError struct {
	Field  string // the member's name as in the document
	Reason string // completes "<field> …"; never repeats a secret

	code  string // where the field does not tell it
	cause error  // for the log: it may tell what our network looks like
}

func (e *ValidationError) Error() string { return e.Field + " " + e.Reason }

// Unwrap is why, where there is more to say than a client should hear.
func (e *ValidationError) Unwrap() error { return e.cause }

// Code is the error code of RFC 7591 §3.2.2.
func (e *ValidationError) Code() string {
	if e.code != "" {
		return e.code
	}
	if e.Field == "redirect_uris" {
		return "invalid_redirect_uri"
	}
	return "invalid_client_metadata"
}

func invalid(field, format string, args ...any) error {
	return &ValidationError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Algorithms is every signature algorithm a client may name, for what we sign
// and for its assertions.
func Algorithms() []string { return []string{"RS256", "PS256", "ES256", "EdDSA"} }

// AuthMethods is every way a client may authenticate.
func AuthMethods() []string {
	return []string{AuthBasic, AuthPost, AuthPrivateKeyJWT, AuthTLS, AuthSelfSigned, AuthNone}
}

// GrantTypes is every grant a client may have.
func GrantTypes() []string {
	return []string{GrantAuthorizationCode, GrantRefreshToken, GrantClientCredentials, GrantImplicit, GrantDeviceCode, GrantTokenExchange, GrantJWTBearer}
}

// rules decide what may be registered. They are pure: what has to be fetched
// (sector_identifier_uri) is looked at by the registry.
type rules struct {
	scopes         []string
	authorizations *authorizations.Types
	loopback       bool // addresses on this machine will do
}

// client turns a document into a client with every default filled in, or says
// what is wrong with it. Notes name what was taken otherwise than asked for.
func (r rules) client(d Document) (Client, []string, error) {
	d = d.normalised()
	d, notes := withDefaults(d)
	for _, check := range []func(Document) error{
		checkWords, checkGrants, checkAuthentication, checkCertificate, checkEncryption, checkObjectEncryption, checkTokenFormat, checkRedirects, checkShown, r.checkPages, checkLogout, checkKeys,
		checkAlgorithms, checkTexts, checkSector, checkResources, checkExchange, checkPKCE, checkRequests, r.checkScope, checkLevels, checkProfileRules,
		r.checkAuthorizations, r.checkAssertionIssuers,
	} {
		if err := check(d); err != nil {
			return Client{}, nil, err
		}
	}
	c := Client{
		ID: d.ClientID, Metadata: d.Metadata, Consent: d.Consent, Resources: d.Resources,
		TokenExchange: d.TokenExchange, OwnAudiences: d.OwnAudiences, MayIntrospect: d.MayIntrospect, RequirePKCE: *d.RequirePKCE, Profile: d.Profile, Sector: d.Sector,
		Disabled: d.Disabled,
	}
	c.AssertionIssuers = canonicalIssuers(d.AssertionIssuers)
	c.JWKS = canonicalKeys(c.JWKS)
	c.keys = parsedKeys(c.JWKS)
	return c, notes, nil
}

// checkWords holds the members with a fixed vocabulary against it.
func checkWords(d Document) error {
	for _, w := range []struct {
		field, value string
		known        []string
	}{
		{"application_type", d.ApplicationType, []string{ApplicationWeb, ApplicationNative}},
		{"subject_type", d.SubjectType, []string{SubjectPairwise, SubjectPublic}},
		{"consent", string(d.Consent), []string{string(ConsentAlways), string(ConsentRemember), string(ConsentTrusted)}},
		{"profile", string(d.Profile), profiles()},
		{"token_endpoint_auth_method", d.TokenEndpointAuthMethod, d.Profile.authMethods()},
	} {
		if !slices.Contains(w.known, w.value) {
			return unsupported(w.field, w.value, w.known)
		}
	}
	return nil
}

func profiles() []string {
	return []string{string(ProfileOAuth21), string(ProfileOIDC), string(ProfileFAPI2)}
}

func checkProfile(p Profile) error {
	if !slices.Contains(profiles(), string(p)) {
		return unsupported("profile", string(p), profiles())
	}
	return nil
}

// unsupported names what is refused, as far as it is safe to print, and what
// would be taken instead.
func unsupported(field, value string, known []string) error {
	return invalid(field, "%.60q is not supported yet: use %s", value, strings.Join(known, ", "))
}

func checkGrants(d Document) error {
	for _, g := range d.GrantTypes {
		if !slices.Contains(GrantTypes(), g) {
			return unsupported("grant_types", g, GrantTypes())
		}
	}
	signsIn := slices.Contains(d.GrantTypes, GrantAuthorizationCode) || slices.Contains(d.GrantTypes, GrantDeviceCode)
	switch {
	case len(d.GrantTypes) == 0:
		return invalid("grant_types", "must name at least one")
	case slices.Contains(d.GrantTypes, GrantRefreshToken) && !signsIn:
		return invalid("grant_types", "refresh_token needs authorization_code or the device grant beside it")
	case slices.Contains(d.GrantTypes, GrantClientCredentials) && d.TokenEndpointAuthMethod == AuthNone:
		return invalid("grant_types", "client_credentials is for clients that authenticate")
	}
	return checkResponses(d)
}

func checkAuthentication(d Document) error {
	method, alg := d.TokenEndpointAuthMethod, d.TokenEndpointAuthSigningAlg
	keys := d.JWKS != nil || d.JWKSURI != ""
	switch {
	case method == AuthPrivateKeyJWT && !keys:
		return invalid("jwks", "or jwks_uri is needed for private_key_jwt")
	case alg != "" && method != AuthPrivateKeyJWT:
		return invalid("token_endpoint_auth_signing_alg", "is only for private_key_jwt")
	case alg != "" && !slices.Contains(d.Profile.Algorithms(), alg):
		return unsupported("token_endpoint_auth_signing_alg", alg, d.Profile.Algorithms())
	case method == AuthNone && d.MayIntrospect:
		return invalid("may_introspect", "is for clients that authenticate")
	}
	return nil
}

func checkPKCE(d Document) error {
	if d.TokenEndpointAuthMethod == AuthNone && !*d.RequirePKCE {
		return invalid("require_pkce", "cannot be false for a public client")
	}
	return nil
}

// checkRequests is about signed and pushed authorization requests.
func checkRequests(d Document) error {
	keys := d.JWKS != nil || d.JWKSURI != ""
	if (d.RequestObjectSigningAlg != "" || d.RequireSignedRequestObject) && !keys {
		return invalid("jwks", "or jwks_uri is needed for signed request objects")
	}
	return nil
}

func checkAlgorithms(d Document) error {
	known := d.Profile.Algorithms()
	for _, a := range []struct{ field, value string }{
		{"id_token_signed_response_alg", d.IDTokenSignedResponseAlg}, // never empty: there is a default
		{"userinfo_signed_response_alg", d.UserinfoSignedResponseAlg},
		{"authorization_signed_response_alg", d.AuthorizationSignedResponseAlg},
		{"request_object_signing_alg", d.RequestObjectSigningAlg},
		{"introspection_signed_response_alg", d.IntrospectionSignedResponseAlg},
	} {
		if a.value != "" && !slices.Contains(known, a.value) {
			return unsupported(a.field, a.value, known)
		}
	}
	return nil
}

func (r rules) checkScope(d Document) error {
	for _, s := range d.Scope {
		if !slices.Contains(r.scopes, s) {
			return invalid("scope", "%.60q does not exist: there are %s", s, strings.Join(r.scopes, " "))
		}
	}
	return nil
}

// checkAuthorizations wants types that exist (RFC 9396 §10).
func (r rules) checkAuthorizations(d Document) error {
	for _, name := range d.AuthorizationTypes {
		if !r.authorizations.Has(name) {
			return invalid("authorization_details_types", "%.60q does not exist: there are %s", name, strings.Join(r.authorizations.Names(), " "))
		}
	}
	return nil
}

func checkLevels(d Document) error {
	if d.DefaultMaxAge != nil && *d.DefaultMaxAge < 0 {
		return invalid("default_max_age", "must not be negative")
	}
	return checkList("default_acr_values", d.DefaultACRValues, 10, func(s string) error {
		return plainText(s)
	})
}
