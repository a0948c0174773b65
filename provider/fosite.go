package provider

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"net/http"
	"net/url"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/handler/pkce"

	"ente.example/idp/clients"
)

// configurator is fosite's configuration. Every field that fosite would fill in
// by itself during a request, which is a race, is set or overridden here.
type configurator struct {
	*fosite.Config
	provider *Provider
	grants   map[string]fosite.TokenEndpointHandlers // by grant type
}

// GetTokenEndpointHandlers are those of the grant at hand. Each of the others
// would say that it is not its own, and collect a stack of calls for it.
func (c configurator) GetTokenEndpointHandlers(ctx context.Context) fosite.TokenEndpointHandlers {
	return c.grants[unitOf(ctx).grantType]
}

// GetEnforcePKCE decides per client: fosite knows only all or nothing.
func (configurator) GetEnforcePKCE(ctx context.Context) bool {
	c := unitOf(ctx).client
	return c.RequirePKCE || c.Public()
}

// GetClientAuthenticationStrategy hands fosite the client that we have
// authenticated before it was called.
func (c configurator) GetClientAuthenticationStrategy(context.Context) fosite.ClientAuthenticationStrategy {
	return func(ctx context.Context, _ *http.Request, _ url.Values) (fosite.Client, error) {
		return c.provider.fositeClient(unitOf(ctx)), nil
	}
}

// GetRedirectSecureChecker trusts registration, which is stricter.
func (configurator) GetRedirectSecureChecker(context.Context) func(context.Context, *url.URL) bool {
	return func(context.Context, *url.URL) bool { return true }
}

// What would reach out or hash by itself is not there to be called.
func (configurator) GetSecretsHasher(context.Context) fosite.Hasher                    { return noHasher{} }
func (configurator) GetJWKSFetcherStrategy(context.Context) fosite.JWKSFetcherStrategy { return nil }
func (configurator) GetHMACHasher(context.Context) func() hash.Hash                    { return sha256.New }

// noHasher stands where fosite wants a hasher of client secrets.
type noHasher struct{}

var errNoHasher = errors.New("clients are authenticated elsewhere")

func (noHasher) Compare(context.Context, []byte, []byte) error         { return errNoHasher }
func (noHasher) Hash(context.Context, []byte) (hash []byte, err error) { return nil, errNoHasher }

// newFosite puts the handlers together that this provider uses, in the order in
// which they depend on each other: PKCE comes last, it needs the code.
func newFosite(p *Provider) *fosite.Fosite {
	config := &fosite.Config{
		AuthorizeCodeLifespan: p.lifetimes.Code, AccessTokenLifespan: p.lifetimes.AccessToken,
		IDTokenLifespan: p.lifetimes.IDToken, RefreshTokenLifespan: p.lifetimes.Refresh,
		IDTokenIssuer: p.issuer, AccessTokenIssuer: p.issuer, TokenURL: p.issuer + tokenPath,
		ScopeStrategy: fosite.ExactScopeStrategy, AudienceMatchingStrategy: fosite.ExactAudienceMatchingStrategy,
		MinParameterEntropy: 1, OmitRedirectScopeParam: true,
		RefreshTokenScopes:  []string{clients.ScopeOfflineAccess},
		SanitationWhiteList: []string{"redirect_uri"},
	}
	c := configurator{Config: config, provider: p, grants: map[string]fosite.TokenEndpointHandlers{}}
	s := storage{provider: p}
	code := &oauth2.AuthorizeExplicitGrantHandler{
		AccessTokenStrategy: s, RefreshTokenStrategy: s, AuthorizeCodeStrategy: s,
		CoreStorage: s, TokenRevocationStorage: s, Config: c,
	}
	idTokens := &openid.IDTokenHandleHelper{IDTokenStrategy: s}
	explicit := &openid.OpenIDConnectExplicitHandler{
		OpenIDConnectRequestStorage:   s,
		OpenIDConnectRequestValidator: openid.NewOpenIDConnectRequestValidator(nil, c),
		IDTokenHandleHelper:           idTokens, Config: c,
	}
	proof := &pkce.Handler{AuthorizeCodeStrategy: s, Storage: s, Config: c}
	config.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{code, explicit, proof}
	c.grants[clients.GrantAuthorizationCode] = fosite.TokenEndpointHandlers{code, idTokenOfCode{explicit}, proof}
	c.grants[clients.GrantRefreshToken] = fosite.TokenEndpointHandlers{
		&oauth2.RefreshTokenGrantHandler{AccessTokenStrategy: s, RefreshTokenStrategy: s, TokenRevocationStorage: s, Config: c},
		&openid.OpenIDConnectRefreshHandler{IDTokenHandleHelper: idTokens, Config: c},
	}
	return fosite.NewOAuth2Provider(s, c)
}

// idTokenOfCode adds the ID token to the answer to a code. Of the request it has
// nothing to check; fosite's handler says so with a stack of calls.
type idTokenOfCode struct {
	*openid.OpenIDConnectExplicitHandler
}

// HandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (idTokenOfCode) HandleTokenEndpointRequest(context.Context, fosite.AccessRequester) error {
	return fosite.ErrUnknownRequest
}

func (p *Provider) fositeClient(u *unit) fositeClient {
	return fositeClient{client: &u.client, redirect: u.redirect, scopes: p.scopes}
}

// fositeRequest makes the request that fosite is shown: our parameters, already
// parsed, and nothing else of what came over the wire.
func fositeRequest(ctx context.Context, method string, values url.Values) *http.Request {
	r := &http.Request{Method: method, URL: &url.URL{}, Header: http.Header{}, Form: values, PostForm: values}
	return r.WithContext(ctx)
}

// fromFosite brings fosite's errors to ours. Its hints repeat what was sent, so
// only the general sentence is passed on.
func fromFosite(err error) *protocolError {
	r := fosite.ErrorToRFC6749Error(err)
	switch r.ErrorField {
	case codeInvalidRequest, codeInvalidScope, codeUnauthorizedClient, codeUnsupportedGrantType, codeUnsupportedResponseType, codeInvalidGrant:
		e := badRequest(r.ErrorField, r.DescriptionField)
		e.cause = err
		return e
	case codeInvalidClient:
		return invalidClient()
	default:
		e := oauthError(codeServerError, "the request could not be completed", http.StatusInternalServerError)
		e.cause = err
		return e
	}
}
