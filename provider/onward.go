package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"ente.example/idp/login"
	"ente.example/idp/web"
)

// resume is GET /authorize/{id}: the address that a browser can come back to as
// often as it likes. A sign-in for the own area is no request of a service, and
// goes on elsewhere.
func (p *Provider) resume(c echo.Context) error {
	i, err := p.interactions.Get(c.Request().Context(), web.Browser(c), c.Param("id"))
	if err != nil {
		return err
	}
	on := login.Step{Interaction: i}
	return p.goOn(c, on, func(r *authRequest) error {
		if c.QueryParam("cancel") != "" {
			return p.end(c, r, on, badRequest(codeAccessDenied, "the citizen gave up"))
		}
		return p.proceed(c, r, &on)
	})
}

// Onward is login.Onward for requests of services: what resume would find out,
// with what the page has in hand already. Others are resumed elsewhere.
func (p *Provider) Onward(c echo.Context, on login.Step) error {
	if on.Interaction.Own != nil {
		return login.Resume(c, on)
	}
	return p.goOn(c, on, func(r *authRequest) error { return p.proceed(c, r, &on) })
}

// goOn takes a kept request up again.
func (p *Provider) goOn(c echo.Context, on login.Step, then func(*authRequest) error) error {
	if on.Interaction.Own != nil {
		return &login.LostError{Own: true}
	}
	f, err := parseParameters(on.Interaction.Params)
	if err != nil {
		return fmt.Errorf("read kept request: %w", err)
	}
	ctx := c.Request().Context()
	r, err := p.retrieve(ctx, f)
	if err != nil {
		return err
	}
	// Again, for the registration may have changed on the way.
	if err := p.check(ctx, r); err != nil {
		return p.end(c, r, on, err)
	}
	return then(r)
}

// proceed asks next what comes next, and does it. A session that ends between
// the look and the answer sends the question round once more. on is nil for a
// request that has only just come in.
func (p *Provider) proceed(c echo.Context, r *authRequest, on *login.Step) error {
	const rounds = 3
	for range rounds {
		s, err := p.standing(c, r, on)
		if err != nil {
			return err
		}
		err = p.do(c, r, on, s)
		if errors.Is(err, login.ErrOver) {
			err = p.interactions.Over(c.Request().Context(), on.Interaction)
		}
		if !errors.Is(err, login.ErrNoSession) {
			return err
		}
		if on != nil {
			on.Session = nil
		}
	}
	return login.ErrNoSession // it ends faster than we can look
}

// do takes the step that is next. One that needs a page needs an interaction,
// which is made for a request that has none yet.
func (p *Provider) do(c echo.Context, r *authRequest, on *login.Step, s standing) error {
	d := next(r.asked(), s)
	switch {
	case d.step == stepRefuse && on == nil:
		return p.refuse(c, r, d.refusal)
	case d.step == stepRefuse:
		return p.end(c, r, *on, d.refusal)
	case d.step == stepIssue && r.device != nil:
		return p.issueDevice(c, r, *on, s)
	case d.step == stepIssue:
		return p.issue(c, r, on, s)
	case on == nil:
		return p.open(c, r, d.step)
	}
	// An answer counts for the session that it was given in, and for no other.
	if on.Record != nil && s.answer != nil {
		if err := on.Record(c.Request().Context(), false); err != nil {
			return err
		}
	}
	return c.Redirect(http.StatusSeeOther, stepURL(d.step, on.Interaction.ID))
}

// stepURL is the page of a step.
func stepURL(s step, id string) string {
	switch s {
	case stepConsent:
		return "/consent/" + id
	case stepChooseAccount:
		return "/login/" + id + "/account"
	case stepSignIn, stepIssue, stepRefuse:
	}
	return "/login/" + id
}

// closing ends the interaction that on belongs to, with what there is to record.
func (p *Provider) closing(ctx context.Context, on login.Step) error {
	if on.Record != nil {
		return on.Record(ctx, true)
	}
	return p.interactions.End(ctx, on.Interaction)
}

// closingIn is closing in a session. It comes first in a transaction that issues,
// for its lock: a sign-out is either seen here, or sees the grant.
func (p *Provider) closingIn(ctx context.Context, on *login.Step, s login.Session) error {
	switch {
	case on == nil:
		return p.sessions.Touch(ctx, s)
	case on.Record != nil:
		return on.Record(ctx, true)
	}
	return p.sessions.Close(ctx, on.Interaction, s)
}

// keep makes an interaction of a request, in this browser.
func (p *Provider) keep(c echo.Context, r *authRequest) (login.Interaction, error) {
	request := r.interaction(0)
	request.NewBrowser = !web.KnownBrowser(c)
	return p.interactions.Start(c.Request().Context(), web.Browser(c), request)
}

// open leads into a step that needs a page. Where so many sign in already that
// whoever begins now would be turned away at his PIN, he is turned away before
// anything is written for him.
func (p *Provider) open(c echo.Context, r *authRequest, s step) error {
	if s == stepSignIn {
		if err := p.crowded(); err != nil {
			return login.Busy(err)
		}
	}
	i, err := p.keep(c, r)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, stepURL(s, i.ID))
}

// enter leads into a request that is kept. Who has no PIN yet may be sent by the
// service to ask for one first (prompt=create); that page knows the way back,
// and whoever comes by it signs in like everybody.
func (p *Provider) enter(c echo.Context, r *authRequest, i login.Interaction) error {
	if r.prompted(promptCreate) {
		return c.Redirect(http.StatusSeeOther, "/pin/request?"+url.Values{"sign_in": {i.ID}}.Encode())
	}
	return c.Redirect(http.StatusSeeOther, i.ResumeURL())
}
