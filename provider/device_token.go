package provider

import (
	"context"
	"errors"

	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
)

// redeemDevice is the token endpoint for a device code (RFC 8628 §3.4). What a
// citizen has allowed is a grant like any other; until then the device is told
// to come again, and not too soon.
func (p *Provider) redeemDevice(c echo.Context, f form, u *unit) (tokenAnswer, error) {
	ctx := c.Request().Context()
	hash := deviceHash(f.Get("device_code"))
	if err := p.deviceAnswered(ctx, hash, u.client); err != nil {
		return tokenAnswer{}, err
	}
	if err := p.loadDevice(ctx, c, hash, u); err != nil {
		return tokenAnswer{}, err
	}
	if u.boundElsewhere() {
		return tokenAnswer{}, invalidGrant("the grant is bound to another key")
	}
	if err := p.narrowResources(f, u); err != nil {
		return tokenAnswer{}, err
	}
	if err := p.narrowDetails(f, u); err != nil {
		return tokenAnswer{}, err
	}
	answer, err := p.signGrant(ctx, u)
	if err != nil {
		return tokenAnswer{}, err
	}
	return answer, p.flush(ctx, clientActor(c, u.client.ID), u, clients.GrantDeviceCode)
}

// deviceAnswered is nil once a citizen has allowed the request of this client.
func (p *Provider) deviceAnswered(ctx context.Context, hash []byte, client clients.Client) error {
	row, err := p.devices.byCode(ctx, hash)
	switch {
	case errors.Is(err, errDeviceGone), err == nil && row.ClientID != client.ID:
		return invalidGrant("the device code is not valid")
	case err != nil:
		return err
	case row.State == deviceDenied:
		return badRequest(codeAccessDenied, "the citizen did not allow it")
	case row.State == deviceApproved:
		return nil
	case row.over():
		return badRequest(codeExpiredToken, "the device code has expired")
	}
	inTime, err := p.devices.poll(ctx, row)
	if err != nil {
		return err
	}
	if !inTime {
		return badRequest(codeSlowDown, "the device asks too often: wait five seconds longer from now on")
	}
	return badRequest(codePending, "the citizen has not answered yet")
}

// loadDevice reads the grant that came of the request. A code that comes again
// is a replay, as everywhere, and ends what was made of it.
func (p *Provider) loadDevice(ctx context.Context, c echo.Context, hash []byte, u *unit) error {
	g, err := p.grants.byCode(ctx, hash)
	if errors.Is(err, errGrantGone) {
		return invalidGrant("the device code is not valid any more")
	}
	if err != nil {
		return err
	}
	u.grant = &g
	switch {
	case g.CodeUsedAt != nil:
		err := p.db.InTx(ctx, func(ctx context.Context) error {
			return p.endReplayed(ctx, clientActor(c, u.client.ID), u.grant, clients.GrantDeviceCode)
		})
		if err != nil {
			return err
		}
		return invalidGrant("the device code was used")
	case g.RevokedAt != nil:
		return invalidGrant("the grant was revoked")
	case !g.Now.Before(g.CodeExpiresAt):
		return badRequest(codeExpiredToken, "the device code has expired")
	}
	return nil
}

// signGrant signs all that a grant gives, as fosite's handlers do for a code;
// nothing is written.
func (p *Provider) signGrant(ctx context.Context, u *unit) (answer tokenAnswer, err error) {
	g := u.grant
	answer = tokenAnswer{TokenType: u.confirmed.tokenType(), ExpiresIn: seconds(p.lifetimes.AccessToken), Scope: scopeText(g.Scopes), Details: u.details}
	if answer.AccessToken, err = p.newAccess(ctx, u, g.Scopes); err != nil {
		return tokenAnswer{}, err
	}
	if g.Offline && u.client.AllowsGrant(clients.GrantRefreshToken) {
		first := newRefreshToken(p.refreshKey, g.ID)
		u.successor = &first
		if answer.RefreshToken, err = first.reveal(p.refreshKey); err != nil {
			return tokenAnswer{}, err
		}
	}
	if overlap(g.Scopes, []string{scopeOpenID}) {
		answer.IDToken, err = p.signID(ctx, u, idHashes{AccessToken: halfHash(idTokenAlg(u.client), answer.AccessToken)})
	}
	return answer, err
}
