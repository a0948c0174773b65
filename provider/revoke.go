package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
	"github.com/labstack/echo/v4"
)

// reasonClient says that a client gave its own token back.
const reasonClient = "revoked-by-client"

// revoke ends a token of the client that asks (RFC 7009). 200 means that the
// token is worth nothing now: it was ended, or never counted. When that cannot
// be written down, the answer is 503 and the client tries again.
func (p *Provider) revoke(c echo.Context) error {
	f, err := parseForm(c)
	if err != nil {
		return p.fail(c, err)
	}
	caller, err := p.authenticateClient(c, f)
	if err != nil {
		return p.fail(c, err)
	}
	token := f.Get("token")
	if token == "" {
		return p.fail(c, badRequest(codeInvalidRequest, "the parameter token is missing"))
	}
	if strings.HasPrefix(token, refreshPrefix) {
		err = p.revokeRefresh(c, caller, token)
	} else {
		err = p.revokeAccess(c, caller, token)
	}
	if err != nil {
		return p.fail(c, err)
	}
	noStore(c.Response().Header())
	return c.NoContent(http.StatusOK)
}

// revokeRefresh ends the family, whichever of its generations is presented:
// the client wants to be rid of it.
func (p *Provider) revokeRefresh(c echo.Context, caller clients.Client, token string) error {
	t, ok := p.openRefresh(token)
	if !ok {
		return nil
	}
	return p.revokeGrant(c, caller, t.grant)
}

// revokeAccess ends the grant an access token hangs on, or the one token where
// there is no grant. An expired token needs no ending of its own, but its
// grant may still have a refresh token.
func (p *Provider) revokeAccess(c echo.Context, caller clients.Client, token string) error {
	ctx := c.Request().Context()
	a, err := p.readAccess(ctx, token)
	switch {
	case errors.Is(err, errNoToken):
		return nil
	case err != nil:
		return err
	case a.ClientID != caller.ID:
		return foreignToken()
	case a.GID != "" && a.Actor == nil: // an exchanged token's grant is another client's
		return p.revokeGrant(c, caller, a.GID)
	}
	if err := p.revoked.add(ctx, a.JTI, a.ClientID, time.Unix(a.ExpiresAt, 0)); err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}

func (p *Provider) revokeGrant(c echo.Context, caller clients.Client, id string) error {
	ctx := c.Request().Context()
	row, err := p.grants.byID(ctx, id)
	if errors.Is(err, errGrantGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if row.ClientID != caller.ID {
		return foreignToken()
	}
	by := clientActor(c, caller.ID)
	return p.db.InTx(ctx, func(ctx context.Context) error { return p.endGrant(ctx, by, row) })
}

// endGrant needs a transaction. Ending a grant twice is no event.
func (p *Provider) endGrant(ctx context.Context, by audit.Actor, row grantRow) error {
	ended, err := p.grants.revoke(ctx, row.ID, reasonClient)
	if err != nil || !ended {
		return err
	}
	p.db.AfterCommit(ctx, func() { p.metrics.revoked(reasonClient, 1) })
	e := row.event(audit.GrantRevoked, audit.Succeeded, by)
	e.Reason = reasonClient
	return p.audit.Record(ctx, e)
}

// foreignToken refuses to end what was issued to another client. Its holder
// knows the token already; nothing is told that it does not know.
func foreignToken() error {
	return invalidGrant("the token was issued to another client")
}

// SweepTokens deletes a batch of rows about tokens that are over.
func (p *Provider) SweepTokens(ctx context.Context) (int, error) {
	n, err := p.revoked.sweep(ctx)
	if err != nil {
		return 0, fmt.Errorf("sweep revoked tokens: %w", err)
	}
	return n, nil
}
