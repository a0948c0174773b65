package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/labstack/echo/v4"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
)

// tokenTypeAccess is the one type of token that is taken and given (RFC 8693 §3).
const tokenTypeAccess = "urn:ietf:params:oauth:token-type:access_token" //nolint:gosec // G101: no credential

// longestChain bounds how many clients one after another may exchange a token.
const longestChain = 4

// exchangeToken is token exchange (RFC 8693), and strict: a client that a
// citizen's token was sent to gets one for an audience that an administrator
// named, for no more than the token said and no longer. It hangs on the same
// grant, whose end is its own. There is never a refresh token.
func (p *Provider) exchangeToken(c echo.Context, f form, u *unit) (tokenAnswer, error) {
	if err := checkExchange(f); err != nil {
		return tokenAnswer{}, err
	}
	ctx := c.Request().Context()
	subject, err := p.subjectToken(ctx, f.Get("subject_token"), u)
	if err != nil {
		return tokenAnswer{}, err
	}
	target, err := p.exchangeTarget(f, u.client)
	if err != nil {
		return tokenAnswer{}, err
	}
	scopes, err := exchangeScopes(f, u.client, subject)
	if err != nil {
		return tokenAnswer{}, err
	}
	claims := p.exchanged(subject, u, target, scopes)
	token, err := p.writeAccess(ctx, u.client, claims)
	if err != nil {
		return tokenAnswer{}, err
	}
	if err := p.recordExchange(ctx, clientActor(c, u.client.ID), subject, claims); err != nil {
		return tokenAnswer{}, err
	}
	return tokenAnswer{
		AccessToken: token, IssuedType: tokenTypeAccess, TokenType: u.confirmed.tokenType(),
		ExpiresIn: claims.ExpiresAt - claims.IssuedAt, Scope: claims.Scope,
	}, nil
}

// checkExchange refuses what is not done here. The actor is always the client
// that has authenticated; a token that says somebody else acts is not taken.
func checkExchange(f form) error {
	requested := f.Get("requested_token_type")
	switch {
	case f.Get("subject_token") == "":
		return badRequest(codeInvalidRequest, "subject_token is missing")
	case f.Get("subject_token_type") != tokenTypeAccess:
		return badRequest(codeInvalidRequest, "subject_token_type must be that of an access token")
	case requested != "" && requested != tokenTypeAccess:
		return badRequest(codeInvalidRequest, "requested_token_type can only be that of an access token")
	case f.Get(detailsParam) != "":
		return invalidDetails("authorization_details cannot be exchanged")
	case f.Get("actor_token") != "" || f.Get("actor_token_type") != "":
		return badRequest(codeInvalidRequest, "actor_token is not supported: the client is the actor")
	}
	return nil
}

// subjectToken is a citizen's token that counts now and was sent to this client.
// All that is wrong with it is one answer: whoever finds one learns nothing.
func (p *Provider) subjectToken(ctx context.Context, token string, u *unit) (accessToken, error) {
	a, err := p.verifyAccess(ctx, token)
	if err != nil && !errors.Is(err, errNoToken) {
		return accessToken{}, err
	}
	if err != nil || a.GID == "" || !u.client.IsAudience(a.Audience) {
		return accessToken{}, badRequest(codeInvalidRequest, "subject_token is not a citizen's token for this client")
	}
	if a.chain() >= longestChain {
		return accessToken{}, badRequest(codeInvalidRequest, "subject_token has been exchanged too often")
	}
	// Its holder has proved its key to the client. What comes of it must not be
	// worth more to a thief than the token itself.
	if !a.confirmed().isZero() && u.confirmed.isZero() {
		return accessToken{}, invalidProof("subject_token is bound to a key, so the new one has to be: a proof is needed")
	}
	return a, nil
}

// chain is how many clients have exchanged the token.
func (a accessClaims) chain() (n int) {
	for by := a.Actor; by != nil; by = by.Before {
		n++
	}
	return n
}

// exchangeTarget is where the new token may be sent. It has to be named, and is
// never ourselves: what userinfo tells, the citizen has allowed another client.
func (p *Provider) exchangeTarget(f form, client clients.Client) (audience, error) {
	var target audience
	for _, name := range append(slices.Clone(f.All("resource")), f.All("audience")...) {
		if name == p.issuer || !client.MayExchangeFor(name) {
			return nil, badRequest(codeInvalidTarget, "the client may not exchange tokens for this target")
		}
		if !slices.Contains(target, name) {
			target = append(target, name)
		}
	}
	if len(target) == 0 {
		return nil, badRequest(codeInvalidTarget, "the target is not named: resource or audience is needed")
	}
	return target, nil
}

// exchangeScopes are those of the token that the client may have too, or fewer.
func exchangeScopes(f form, client clients.Client, subject accessToken) ([]string, error) {
	allowed := without(within(subject.scopes(), client.Scope), scopeOffline)
	asked := []string(clients.ParseScope(f.Get("scope")))
	if len(asked) == 0 {
		asked = allowed
	}
	if len(asked) == 0 || len(within(asked, allowed)) != len(asked) {
		return nil, badRequest(codeInvalidScope, "the subject token, or the client's registration, does not have that scope")
	}
	return asked, nil
}

// exchanged is the new token. The citizen's sub stays the one that the client
// was shown: exchanging tells nobody another.
func (p *Provider) exchanged(subject accessToken, u *unit, target audience, scopes []string) accessClaims {
	claims := subject.accessClaims
	now := subject.grant.Now.Unix()
	claims.Audience, claims.ClientID, claims.Scope, claims.JTI = target, u.client.ID, scopeText(scopes), tokenID()
	claims.IssuedAt, claims.ExpiresAt = now, min(now+seconds(p.lifetimes.AccessToken), subject.ExpiresAt)
	claims.Confirmation, claims.Details = u.confirmed.claim(), nil // the citizen was asked about another's use of them
	claims.Actor = &actor{Subject: u.client.ID, Before: subject.Actor}
	return claims
}

// recordExchange leaves the only trace: the token itself is not stored.
func (p *Provider) recordExchange(ctx context.Context, by audit.Actor, subject accessToken, claims accessClaims) error {
	e := subject.grant.event(audit.TokenExchanged, audit.Succeeded, by)
	e.Client = claims.ClientID
	e = with(with(with(e, "from", subject.ClientID), "resource", scopeText(claims.Audience)), "scope", claims.Scope)
	err := p.db.InTx(ctx, func(ctx context.Context) error { return p.audit.Record(ctx, e) })
	if err != nil {
		return fmt.Errorf("record exchange: %w", err)
	}
	return nil
}
