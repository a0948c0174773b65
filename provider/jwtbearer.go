package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/labstack/echo/v4"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
)

// bearerLifetime is how long an assertion that stands for a grant may live.
const bearerLifetime = 5 * time.Minute

// typGrant is what such an assertion says that it is, if it says anything.
const typGrant = "authorization-grant+jwt"

// redeemAssertion is the JWT bearer grant (RFC 7523 §2.1), and strict: somebody
// whom an administrator named for this client vouches for the client, or for a
// technical account of it, and the client gets a token for itself. Nobody's word
// makes a token of a citizen. There is never a refresh token.
func (p *Provider) redeemAssertion(c echo.Context, f form, u *unit) (tokenAnswer, error) {
	ctx := c.Request().Context()
	claims, err := p.grantAssertion(ctx, u.client, f.Get("assertion"))
	if err != nil {
		return tokenAnswer{}, err
	}
	u.actor = &actor{Subject: claims.Subject, Issuer: claims.Issuer}
	answer, err := p.ownToken(ctx, f, u)
	if err != nil {
		return tokenAnswer{}, err
	}
	if err := p.useAssertion(ctx, clientActor(c, u.client.ID), claims, answer.Scope); err != nil {
		return tokenAnswer{}, err
	}
	return answer, nil
}

// grantAssertion is an assertion of a trusted issuer about the client, for us and good
// now. All that can be wrong with it is one answer (RFC 7523 §3.1).
func (p *Provider) grantAssertion(ctx context.Context, client clients.Client, assertion string) (assertionClaims, error) {
	refused := invalidGrant("the assertion is not valid for this client")
	said, ok := peek(assertion)
	issuer, trusted := client.AssertionIssuer(said.Issuer)
	if !ok || !trusted {
		return assertionClaims{}, refused
	}
	payload, typ, err := openedBy(assertion, signatureAlgorithms(client.Profile.Algorithms()), func(kid string) ([]jose.JSONWebKey, error) {
		return p.clients.AssertionKeys(ctx, issuer, kid)
	})
	if err != nil {
		return assertionClaims{}, err
	}
	if payload == nil || !isType(typ, "JWT", typGrant) {
		return assertionClaims{}, refused
	}
	var claims assertionClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return assertionClaims{}, refused
	}
	if claims.Issuer != issuer.Issuer || !issuer.MaySpeakOf(client, claims.Subject) || !p.forUsNow(claims, time.Now()) ||
		client.Profile == clients.ProfileFAPI2 && !p.addressedToUsAlone(payload) {
		return assertionClaims{}, refused
	}
	return claims, nil
}

// forUsNow is what RFC 7523 §3 asks of audience and times, and more: an
// assertion has a name, and a short life. Our own tokens are nobody's word.
func (p *Provider) forUsNow(a assertionClaims, now time.Time) bool {
	expires, hasEnd := numericDate(a.ExpiresAt)
	ours := slices.Contains(a.Audience, p.issuer) || slices.Contains(a.Audience, p.issuer+tokenPath)
	return ours && a.Issuer != p.issuer && a.JTI != "" && len(a.JTI) <= maxJTI &&
		hasEnd && !expires.Before(now.Add(-assertionSkew)) && !expires.After(now.Add(bearerLifetime+assertionSkew)) &&
		begun(a.IssuedAt, now) && begun(a.NotBefore, now)
}

// errSpent says that an assertion was used before.
var errSpent = errors.New("the assertion was used before")

// useAssertion uses the assertion up: of any number of requests, at any node and
// of any client, one is the first. The token is signed already, and handed out
// by that one alone.
func (p *Provider) useAssertion(ctx context.Context, by audit.Actor, a assertionClaims, scope string) error {
	expires, _ := numericDate(a.ExpiresAt)
	err := p.db.InTx(ctx, func(ctx context.Context) error {
		fresh, err := p.grants.firstSeen(ctx, "grant:"+a.Issuer, jtiHash(a.JTI), expires.Add(2*assertionSkew))
		if err != nil {
			return err
		}
		if !fresh {
			return errSpent
		}
		return p.audit.Record(ctx, audit.Event{
			Type: audit.TokenVouched, Outcome: audit.Succeeded, Actor: by, Client: by.ID,
			Details: map[string]string{"from": a.Issuer, "account": a.Subject, "scope": scope},
		})
	})
	if errors.Is(err, errSpent) {
		return invalidGrant("the assertion was used before")
	}
	if err != nil {
		return fmt.Errorf("use assertion: %w", err)
	}
	return nil
}
