package provider

import (
	"context"
	"slices"

	"ente.example/idp/clients"
)

// redeemCredentials is the client credentials grant (RFC 6749 §4.4): the client
// has proved who it is, and that is all there is to redeem. It asks the database
// nothing and leaves nothing there.
func (p *Provider) redeemCredentials(ctx context.Context, f form, u *unit) (tokenAnswer, error) {
	if u.client.Public() { // registration does not let one have this grant either
		return tokenAnswer{}, badRequest(codeUnauthorizedClient, "a public client has no credentials")
	}
	return p.ownToken(ctx, f, u)
}

// ownToken is an access token that a client gets for itself, without a citizen.
// There is never a refresh token.
func (p *Provider) ownToken(ctx context.Context, f form, u *unit) (tokenAnswer, error) {
	scopes, err := p.ownScopes(f, u.client)
	if err != nil {
		return tokenAnswer{}, err
	}
	if err := p.narrowResources(f, u); err != nil {
		return tokenAnswer{}, err
	}
	if err := p.narrowDetails(f, u); err != nil {
		return tokenAnswer{}, err
	}
	token, err := p.newAccess(ctx, u, scopes)
	if err != nil {
		return tokenAnswer{}, err
	}
	return tokenAnswer{
		AccessToken: token, TokenType: u.confirmed.tokenType(), ExpiresIn: seconds(p.lifetimes.AccessToken),
		Scope: scopeText(scopes), Details: u.details,
	}, nil
}

// ownScopes are those that a client asks for in its own name. offline_access is
// nothing that it can have of itself.
func (p *Provider) ownScopes(f form, client clients.Client) ([]string, error) {
	scopes := without(clients.ParseScope(f.Get("scope")), scopeOffline)
	for _, s := range scopes {
		if !slices.Contains(p.scopes, s) || !client.AllowsScope(s) {
			return nil, badRequest(codeInvalidScope, "a scope does not exist or is not the client's")
		}
	}
	return scopes, nil
}
