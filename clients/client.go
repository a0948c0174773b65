package clients

import (
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Client is a registered relying party. The value shares its slices with the
// registry's memory: read it, never change it.
type Client struct {
	ID string
	Metadata
	Consent       ConsentPolicy
	Resources     []string // audiences it may ask for (RFC 8707)
	TokenExchange []string // audiences it may exchange a citizen's token for (RFC 8693)
	OwnAudiences  []string // what it is called, beside its id, in tokens that are sent to it
	// AssertionIssuers are those whose word about the client counts (RFC 7523 §2.1).
	AssertionIssuers []AssertionIssuer
	MayIntrospect    bool // tokens that are not its own
	RequirePKCE      bool // always true for a public client
	Profile          Profile
	Sector           string // as registered; SectorID is what counts
	Disabled         bool
	CreatedAt        time.Time
	Version          int64 // of the registry when this client last changed

	secrets []storedSecret
	keys    []jose.JSONWebKey // of Metadata.JWKS, parsed once
}

// ConsentPolicy says when the consent page is shown.
type ConsentPolicy string

// The consent policies.
const (
	ConsentAlways   ConsentPolicy = "always"   // at every sign-in
	ConsentRemember ConsentPolicy = "remember" // unless the citizen ticked to keep it
	ConsentTrusted  ConsentPolicy = "trusted"  // never
)

// Profile is the set of rules a client is held to.
type Profile string

// The profiles.
const (
	ProfileOAuth21 Profile = "oauth2.1"
	ProfileOIDC    Profile = "oidc" // as OpenID Connect certification expects: PKCE is the client's choice
	ProfileFAPI2   Profile = "fapi2"
)

// The words of RFC 7591 that code compares with.
const (
	AuthBasic         = "client_secret_basic"
	AuthPost          = "client_secret_post"
	AuthPrivateKeyJWT = "private_key_jwt"
	AuthTLS           = "tls_client_auth"             // RFC 8705 §2.1: who an authority says it is
	AuthSelfSigned    = "self_signed_tls_client_auth" // RFC 8705 §2.2: who holds a registered key
	AuthNone          = "none"

	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
	GrantImplicit          = "implicit"
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"    // RFC 8628
	GrantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"     //nolint:gosec // G101: no credential but RFC 7523
	GrantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange" //nolint:gosec // G101: no credential but RFC 8693

	ApplicationWeb    = "web"
	ApplicationNative = "native"

	SubjectPairwise = "pairwise"
	SubjectPublic   = "public"

	ScopeOfflineAccess = "offline_access"
)

// DefaultScope is what a client that signs people in gets when it names none.
const DefaultScope = "openid profile fiscal_code"

// Public reports whether the client can keep no secret.
func (c Client) Public() bool { return c.TokenEndpointAuthMethod == AuthNone }

// HasSecret reports whether the client authenticates with a client secret.
func (c Client) HasSecret() bool { return usesSecret(c.TokenEndpointAuthMethod) }

func usesSecret(method string) bool { return method == AuthBasic || method == AuthPost }

// AllowsGrant reports whether the client may use this grant type.
func (c Client) AllowsGrant(grant string) bool { return slices.Contains(c.GrantTypes, grant) }

// MustProve reports whether the client's tokens have to be bound to a key that
// it proves to hold with each use (RFC 9449). TLSBound binds them to its
// certificate (RFC 8705); a client of the FAPI profile has one of the two.
func (c Client) MustProve() bool { return c.DPoPBound || c.Profile == ProfileFAPI2 && !c.TLSBound }

// AllowsScope reports whether the client may ask for this scope.
func (c Client) AllowsScope(scope string) bool { return slices.Contains(c.Scope, scope) }

// AllowsAuthorization reports whether the client may ask for authorizations of
// this type (RFC 9396).
func (c Client) AllowsAuthorization(name string) bool {
	return slices.Contains(c.AuthorizationTypes, name)
}

// AllowsResource reports whether the client may ask for tokens for this audience.
func (c Client) AllowsResource(uri string) bool { return slices.Contains(c.Resources, uri) }

// Host is the domain people are shown, so that they can tell a service from
// one that only bears its name: the place a sign-in ends at, else the
// service's page. A native app has none.
func (c Client) Host() string {
	for _, uri := range append(slices.Clone(c.RedirectURIs), c.ClientURI) {
		if host := webHost(uri); host != "" {
			return host
		}
	}
	return ""
}

// HostAt is Host for a sign-in whose answer goes to redirect. What the citizen is
// shown is where the answer ends, whatever else the client has registered.
func (c Client) HostAt(redirect string) string {
	if redirect == "" {
		return c.Host()
	}
	if host := webHost(redirect); host != "" {
		return host
	}
	return webHost(c.ClientURI)
}

// Name is what the service is called on pages.
func (c Client) Name() string {
	switch {
	case c.ClientName != "":
		return c.ClientName
	case c.Host() != "":
		return c.Host()
	default:
		return c.ID
	}
}

// SectorID is the sector of pairwise subjects: clients with the same one see
// the same `sub` for a citizen.
func (c Client) SectorID() string {
	switch {
	case c.SectorIdentifierURI != "":
		return webHost(c.SectorIdentifierURI)
	case c.Sector != "":
		return c.Sector
	}
	hosts := redirectHosts(c.RedirectURIs)
	if c.ApplicationType == ApplicationNative || len(hosts) != 1 {
		return c.ID
	}
	return hosts[0]
}

// MatchRedirect reports whether uri is one of the client's redirect URIs:
// exactly, but for the port of a native app's loopback address (RFC 8252 §7.3).
func (c Client) MatchRedirect(uri string) bool { return c.match(c.RedirectURIs, uri) }

// MatchPostLogoutRedirect is MatchRedirect for the way back after signing out.
func (c Client) MatchPostLogoutRedirect(uri string) bool {
	return c.match(c.PostLogoutRedirectURIs, uri)
}
