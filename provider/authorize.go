package provider

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"ente.example/idp/audit"
	"ente.example/idp/consent"
	"ente.example/idp/login"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// authorize is GET /authorize. What can be answered at once is; anything else
// becomes an interaction, which the citizen's pages and resume bring to its end.
func (p *Provider) authorize(c echo.Context) error {
	f, err := parseParameters(c.Request().URL.RawQuery)
	if err != nil {
		return untrusted(err)
	}
	if pushed(f) {
		return p.takePushed(c, f)
	}
	return p.begin(c, f, func(r *authRequest) error {
		if !r.prompted(promptCreate) {
			return p.proceed(c, r, nil)
		}
		i, err := p.keep(c, r)
		if err != nil {
			return err
		}
		return p.enter(c, r, i)
	})
}

// keepAuthorize is POST /authorize. A service's form brings none of our cookies,
// so that nothing can be decided here: the request is kept, and belongs to the
// first browser that follows the redirect.
func (p *Provider) keepAuthorize(c echo.Context) error {
	f, err := readBody(c.Request())
	if e, ok := errors.AsType[*protocolError](err); ok {
		if e.Status == http.StatusBadRequest {
			return untrusted(err)
		}
		return echo.NewHTTPError(e.Status).WithInternal(err)
	}
	if err != nil {
		return err
	}
	if pushed(f) { // kept already; the GET brings the cookie that it is waiting for
		return c.Redirect(http.StatusSeeOther, authorizePath+"?"+f.Encode("client_id", "request_uri"))
	}
	return p.begin(c, f, func(r *authRequest) error {
		i, err := p.interactions.Start(c.Request().Context(), "", r.interaction(0))
		if err != nil {
			return err
		}
		return p.enter(c, r, i)
	})
}

// begin checks a request that has just come in, and goes on with one that holds.
func (p *Provider) begin(c echo.Context, f form, then func(*authRequest) error) error {
	ctx := c.Request().Context()
	r, refusal, err := p.opened(ctx, f)
	if err != nil {
		return err
	}
	if refusal == nil {
		refusal = p.check(ctx, r)
	}
	if refusal == nil && r.client.RequirePushedRequests {
		refusal = badRequest(codeInvalidRequest, "the client has to push its requests")
	}
	if refusal != nil {
		return p.refuse(c, r, refusal)
	}
	return then(r)
}

// asked is the request as next needs to know it. A voluntary acr_values is not
// in it: what cannot be met goes on with what was done.
func (r *authRequest) asked() asked {
	return asked{prompts: r.prompts, maxAge: r.maxAge, levels: r.claims.essentialACR(), subjects: r.subjects}
}

// standing finds out how far the citizen has come, in one round trip.
func (p *Provider) standing(c echo.Context, r *authRequest, on *login.Step) (standing, error) {
	s := standing{levels: p.levels}
	session, kept, err := p.session(c, r, on)
	if err != nil {
		return standing{}, err
	}
	ctx := c.Request().Context()
	if session == nil {
		if r.prompted(promptNone) {
			s.changing, err = p.interactions.OpenChange(ctx, web.Browser(c))
		}
		return s, err
	}
	s.session, s.subject = session, p.subject(r.client, session.Citizen)
	if on != nil {
		i := on.Interaction
		s.signedIn = i.Session == session.ID
		s.other = i.Wants.ForceLogin && !r.wants().ForceLogin // said on the account page, not by the service
		s.chosen = i.AccountChosen && i.ChosenSession == session.ID
		// Another person's answer, from before the account was changed, is none.
		if i.Consent != nil && i.Consent.Session == session.ID {
			s.answer = i.Consent
			return s, nil
		}
	}
	if kept != nil {
		s.needed = kept.Needed(r.client, r.wants())
		return s, nil
	}
	s.needed, err = p.consents.Needed(ctx, session.Citizen, r.client, r.wants())
	return s, err
}

// session is who is signed in, as the page that has gone on knows it. Where it
// has to be read, what is kept for the service is read along with it.
func (p *Provider) session(c echo.Context, r *authRequest, on *login.Step) (*login.Session, *consent.Kept, error) {
	if on != nil && on.Session != nil {
		return on.Session, nil, nil
	}
	kept, reads := p.consents.Asking(login.CurrentCitizen(c), r.client)
	s, err := login.CurrentSession(c, p.sessions, reads...)
	return s, kept, err
}

// grant is what is about to be issued. What the citizen was asked bounds it.
func (p *Provider) grant(r *authRequest, s standing) *grantRow {
	g := &grantRow{
		ID: newGrantID(), ClientID: r.client.ID, CitizenID: s.session.Citizen, Subject: s.subject,
		SessionID: string(s.session.ID), Scopes: r.scopes, Resources: r.resources, RedirectURI: r.redirect,
		UserinfoClaims: names(r.claims.userinfo, r.mayGet), IDTokenClaims: names(r.claims.idToken, r.mayGet),
		BoundTo: r.form.Get("dpop_jkt"), Offline: r.wants().Offline, ACR: s.session.ACR, AMR: s.session.AMR, AuthTime: s.session.AuthTime,
	}
	if s.answer != nil {
		g.Scopes = within(g.Scopes, s.answer.Scopes)
		g.UserinfoClaims, g.IDTokenClaims = within(g.UserinfoClaims, s.answer.Claims), within(g.IDTokenClaims, s.answer.Claims)
		g.Offline = overlap(g.Scopes, []string{scopeOffline})
		g.Details = r.details.Encode() // with them somebody is always asked
	}
	return g
}

// issue hands out the code. fosite makes it first; then the session's activity,
// the grant, the end of the interaction and the audit are one commit; then the
// service is answered.
func (p *Provider) issue(c echo.Context, r *authRequest, on *login.Step, s standing) error {
	answer, err := p.newAnswer(c.Request().Context(), r, s)
	if err != nil {
		return p.refuse(c, r, err)
	}
	g := r.unit.grant
	err = p.db.InTx(c.Request().Context(), func(ctx context.Context) error {
		if err := p.closingIn(ctx, on, *s.session); err != nil {
			return err
		}
		if err := p.grants.insert(ctx, g); err != nil {
			return err
		}
		if err := p.rememberService(ctx, r.client, g); err != nil {
			return err
		}
		e := g.event(audit.CodeIssued, audit.Succeeded, login.Actor(c, s.session))
		return p.audit.Record(ctx, with(e, "scope", scopeText(g.Scopes)))
	})
	if err != nil {
		return err
	}
	return p.send(c, r, answer, login.ShowBrowserState(c))
}

// newAnswer is all that the service gets, signed; nothing is written.
func (p *Provider) newAnswer(ctx context.Context, r *authRequest, s standing) (map[string]string, error) {
	answer := map[string]string{}
	r.unit.grant = p.grant(r, s)
	if r.answers(typeCode) {
		code, err := p.newCode(ctx, r, s)
		if err != nil {
			return nil, err
		}
		answer[typeCode] = code
	} else { // no code leads to this grant
		r.unit.grant.CodeHash, r.unit.grant.Offline = []byte(codeHash(randomText())), false
	}
	return answer, p.front(ctx, r, s, answer)
}

// newCode has fosite's handlers judge and fill in the grant; nothing is written.
func (p *Provider) newCode(ctx context.Context, r *authRequest, s standing) (string, error) {
	for _, scope := range r.unit.grant.Scopes {
		r.fosite.GrantScope(scope)
	}
	ctx = withUnit(ctx, r.unit)
	response, err := p.fosite.NewAuthorizeResponse(ctx, r.fosite, newSession(s.subject, idTokenAlg(r.client)))
	if err != nil {
		return "", fromFosite(err)
	}
	return response.GetCode(), nil
}

// end refuses, and closes the interaction with it: Back leads nowhere then.
func (p *Provider) end(c echo.Context, r *authRequest, on login.Step, refusal error) error {
	e := asProtocolError(refusal)
	if e.Status >= http.StatusInternalServerError {
		return refusal
	}
	err := p.db.InTx(c.Request().Context(), func(ctx context.Context) error {
		if err := p.closing(ctx, on); err != nil {
			return err
		}
		if r.device != nil {
			return p.denyDevice(ctx, c, r.device, r.client)
		}
		if on.Interaction.Session == "" { // nobody has signed in: it concerns no one, and anybody could fill the audit with it
			return nil
		}
		return p.audit.Record(ctx, audit.Event{
			Type: audit.AuthorizeFailed, Session: string(on.Interaction.Session), Outcome: audit.Refused, Actor: login.Actor(c, nil),
			Client: r.client.ID, Reason: e.Code,
		})
	})
	if errors.Is(err, errDeviceGone) {
		return p.endDevice(c, r.client, templates.DeviceOver)
	}
	if err != nil {
		return err
	}
	return p.refuse(c, r, e)
}

// refuse tells the service no. What is our own fault is shown to the citizen
// instead: the service could do nothing about it.
func (p *Provider) refuse(c echo.Context, r *authRequest, refusal error) error {
	e := asProtocolError(refusal)
	if e.Status >= http.StatusInternalServerError {
		return refusal
	}
	if r.device != nil {
		return p.endDevice(c, r.client, templates.DeviceDenied)
	}
	return p.send(c, r, map[string]string{"error": e.Code, "error_description": e.Description}, login.BrowserState(c))
}
