package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/login"
	"ente.example/idp/provider/keys"
	"ente.example/idp/templates"
	"ente.example/idp/web"
	"github.com/labstack/echo/v4"
)

// EndSessionPath is the end_session_endpoint. Other sites may post to it.
const EndSessionPath = "/logout"

// askPath is where the citizen is asked. Its POST is a form of ours.
const askPath = EndSessionPath + "/confirm"

// departure is a request to sign out, believed as far as it proves itself. The
// session that ends is always the one of the browser's cookie: a hint only
// tells whether the citizen must be asked first.
type departure struct {
	Issuer    string `json:"iss"`
	ExpiresAt int64  `json:"exp"`
	Client    string `json:"client_id,omitempty"`
	Redirect  string `json:"post_logout_redirect_uri,omitempty"` // registered by Client
	State     string `json:"state,omitempty"`
	Locales   string `json:"ui_locales,omitempty"`
	SID       string `json:"sid,omitempty"` // of a genuine id_token_hint
	Subject   string `json:"sub,omitempty"`
}

// maxState leaves room for the rest of an address.
const maxState = 4096

// departureLife is how long the question may stand unanswered.
const departureLife = time.Hour

func (p *Provider) mountEndSession(e *echo.Echo) {
	e.GET(EndSessionPath, p.endSession)
	e.POST(EndSessionPath, p.keepEndSession)
	e.GET(askPath, p.askEndSession)
	e.POST(askPath, p.confirmEndSession)
}

// endSession is RP-initiated logout by redirect.
func (p *Provider) endSession(c echo.Context) error {
	f, err := parseParameters(c.Request().URL.RawQuery)
	if err != nil {
		return untrusted(err)
	}
	d, err := p.departure(c.Request().Context(), f)
	if err != nil {
		return err
	}
	s, err := login.CurrentSession(c, p.sessions)
	if err != nil {
		return err
	}
	if p.mustAsk(c.Request().Context(), d, s) { // at an address without the hint
		return p.toQuestion(c, d)
	}
	return p.leave(c, d, s)
}

// keepEndSession is RP-initiated logout by form. A form posted by another site
// brings no session cookie, so the request goes on by GET.
func (p *Provider) keepEndSession(c echo.Context) error {
	f, err := readBody(c.Request())
	if err != nil {
		return untrusted(err)
	}
	d, err := p.departure(c.Request().Context(), f)
	if err != nil {
		return err
	}
	return p.toQuestion(c, d)
}

func (p *Provider) toQuestion(c echo.Context, d departure) error {
	ticket, err := p.keys.Sign(c.Request().Context(), keys.ES256, typLogout, d)
	if err != nil {
		return fmt.Errorf("keep sign-out request: %w", err)
	}
	return c.Redirect(http.StatusSeeOther, askPath+"?ticket="+url.QueryEscape(ticket))
}

// askEndSession shows the question, unless there is nothing to ask.
func (p *Provider) askEndSession(c echo.Context) error {
	ctx, ticket := c.Request().Context(), c.QueryParam("ticket")
	d, ok, err := p.readTicket(ctx, ticket)
	if err != nil {
		return err
	}
	if !ok {
		return c.Redirect(http.StatusSeeOther, signOutPath)
	}
	s, err := login.CurrentSession(c, p.sessions)
	if err != nil {
		return err
	}
	switch {
	case p.mustAsk(ctx, d, s):
		return p.showQuestion(c, d, s, ticket)
	case s == nil && d.Redirect == "":
		return p.showFarewell(c, d, nil)
	default:
		return p.leave(c, d, s)
	}
}

// signOutPath is login's own page, for whoever has lost the thread.
const signOutPath = "/sign-out"

func (p *Provider) showQuestion(c echo.Context, d departure, s *login.Session, ticket string) error {
	citizen, err := p.citizens.ByID(c.Request().Context(), s.Citizen)
	if err != nil && !errors.Is(err, citizens.ErrUnknown) { // who has left the registry may leave here too
		return fmt.Errorf("ask before sign-out: %w", err)
	}
	person := strings.TrimSpace(citizen.GivenName + " " + citizen.FamilyName)
	page := templates.SignOut{
		Action: askPath, Person: person, StayURL: d.stay(),
		Hidden: []templates.Field{{Name: "ticket", Value: ticket}},
	}
	return web.Render(c, http.StatusOK, page, web.SignedInAs(person), web.Locales(d.Locales))
}

// showFarewell says that nobody is signed in any more, and which service that
// was for.
func (p *Provider) showFarewell(c echo.Context, d departure, frames []string) error {
	page := templates.SignedOut{Frames: frames}
	if d.Redirect != "" { // once the frames have been loaded, without a script too
		c.Response().Header().Set("Refresh", "2; url="+d.back())
	}
	if client, err := p.clients.Get(c.Request().Context(), d.Client); err == nil {
		client = client.In(web.Language(c, d.Locales))
		page.ServiceName, page.ServiceURL = client.Name(), cmp.Or(d.link(), client.ClientURI)
	}
	return web.Render(c, http.StatusOK, page, web.Locales(d.Locales))
}

// confirmEndSession is the answer yes; web has checked that the form is ours.
func (p *Provider) confirmEndSession(c echo.Context) error {
	d, ok, err := p.readTicket(c.Request().Context(), c.FormValue("ticket"))
	if err != nil {
		return err
	}
	if !ok {
		return c.Redirect(http.StatusSeeOther, signOutPath)
	}
	s, err := login.CurrentSession(c, p.sessions)
	if err != nil {
		return err
	}
	return p.leave(c, d, s)
}

// leave ends the session of this browser, if there is one, and lets the
// citizen go where the service asked for, or to a page that can be reloaded.
func (p *Provider) leave(c echo.Context, d departure, s *login.Session) error {
	var frames []string
	if s != nil {
		ctx := c.Request().Context()
		var err error
		if frames, err = p.FrontChannel(ctx, string(s.ID)); err != nil {
			return err
		}
		if err := p.sessions.End(ctx, login.Actor(c, s), *s, login.EndSignOut); err != nil {
			return fmt.Errorf("sign out: %w", err)
		}
		login.ClearSession(c)
	}
	if len(frames) > 0 {
		return p.showFarewell(c, d, frames)
	}
	if d.Redirect == "" {
		return p.toQuestion(c, d)
	}
	return c.Redirect(http.StatusSeeOther, d.back())
}

// mustAsk: without a hint anybody could have sent this browser here; with one
// of its own session, only a service that the citizen is signed in at.
func (p *Provider) mustAsk(ctx context.Context, d departure, s *login.Session) bool {
	if s == nil || d.SID != "" && d.SID == string(s.ID) {
		return false
	}
	if d.Subject == "" || d.Client == "" {
		return true
	}
	client, err := p.clients.Get(ctx, d.Client)
	return err != nil || p.subject(client, s.Citizen) != d.Subject // a client that is gone proves nothing
}

// departure reads a request to sign out. Its redirect is believed only when a
// client that is known registered it.
func (p *Provider) departure(ctx context.Context, f form) (departure, error) {
	if err := f.once(); err != nil {
		return departure{}, untrusted(err)
	}
	if len(f.Get("state")) > maxState {
		return departure{}, untrusted(errors.New("state is too long to be carried in an address"))
	}
	d := departure{
		Issuer: p.issuer, ExpiresAt: time.Now().Add(departureLife).Unix(), Client: f.Get("client_id"),
		Redirect: f.Get("post_logout_redirect_uri"), State: f.Get("state"), Locales: f.Get("ui_locales"),
	}
	if err := p.believeHint(ctx, f.Get("id_token_hint"), &d); err != nil {
		return departure{}, err
	}
	if d.Client == "" && d.Redirect == "" {
		return d, nil
	}
	client, err := p.clients.Get(ctx, d.Client)
	switch {
	case errors.Is(err, clients.ErrUnknown), errors.Is(err, clients.ErrDisabled):
		return departure{}, untrusted(err)
	case err != nil:
		return departure{}, fmt.Errorf("read sign-out request: %w", err)
	case d.Redirect != "" && !client.MatchPostLogoutRedirect(d.Redirect):
		return departure{}, untrusted(errors.New("post_logout_redirect_uri is not registered"))
	}
	return d, nil
}

// hintClaims are what a sign-out needs of an ID token. It may have expired:
// people leave later than that.
type hintClaims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	SID      string   `json:"sid"`
}

// believeHint takes the client and the session from a genuine ID token. One
// that is not (or no longer: its key was revoked) counts as none, which the
// missing client turns into a refusal where a redirect is asked for.
func (p *Provider) believeHint(ctx context.Context, hint string, d *departure) error {
	if hint == "" {
		return nil
	}
	var h hintClaims
	raw, _, err := p.keys.Verify(ctx, hint, TypIDToken)
	if err == nil {
		err = json.Unmarshal(raw, &h)
	} else if !errors.Is(err, keys.ErrBadToken) {
		return fmt.Errorf("read id_token_hint: %w", err)
	}
	if err != nil || h.Issuer != p.issuer || len(h.Audience) == 0 {
		if d.Redirect != "" {
			return untrusted(errors.New("id_token_hint is not ours"))
		}
		d.Client = ""
		return nil
	}
	if d.Client == "" {
		d.Client = h.Audience[0]
	}
	if !slices.Contains(h.Audience, d.Client) {
		return untrusted(errors.New("id_token_hint belongs to another client"))
	}
	d.SID, d.Subject = h.SID, h.Subject
	return nil
}

func (p *Provider) readTicket(ctx context.Context, ticket string) (departure, bool, error) {
	raw, _, err := p.keys.Verify(ctx, ticket, typLogout)
	if errors.Is(err, keys.ErrBadToken) {
		return departure{}, false, nil
	}
	if err != nil {
		return departure{}, false, fmt.Errorf("read sign-out request: %w", err)
	}
	var d departure
	if json.Unmarshal(raw, &d) != nil || d.Issuer != p.issuer || time.Now().Unix() >= d.ExpiresAt {
		return departure{}, false, nil
	}
	return d, true, nil
}

// back is the service's address with its state.
func (d departure) back() string {
	if d.State == "" {
		return d.Redirect
	}
	separator := "?"
	if strings.Contains(d.Redirect, "?") {
		separator = "&"
	}
	return d.Redirect + separator + "state=" + url.QueryEscape(d.State)
}

// stay is where "stay signed in" leads; an app's own scheme is no link.
func (d departure) stay() string { return cmp.Or(d.link(), "/") }

// link is back, where that is an address that a page can link to.
func (d departure) link() string {
	if strings.HasPrefix(d.Redirect, "https:") || strings.HasPrefix(d.Redirect, "http:") {
		return d.back()
	}
	return ""
}

func untrusted(err error) error {
	return &web.Problem{Status: http.StatusBadRequest, Key: templates.RequestUntrusted, Err: err}
}
