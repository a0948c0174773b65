package login

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// Visit is a request for a page of an open interaction: what every step begins
// with, those of the packages above too.
type Visit struct {
	Interaction
	Service clients.Client // in the language of the page; zero on the way into the own area
}

// Open finds the interaction named in the address (:id), if it is open and
// this browser's; else the error is a *LostError, for Lost to show. A service
// that was disabled meanwhile is not trusted with anything any more.
func Open(c echo.Context, n *Interactions, r *clients.Registry) (Visit, error) {
	v, err := Find(c, n, r, c.Param("id"))
	return v, untrusted(err)
}

// OpenSignedIn is Open and Awake in one read, for pages that need both. What
// else is to be read goes with it.
func OpenSignedIn(c echo.Context, n *Interactions, sessions *Sessions, r *clients.Registry, others ...database.Query) (Visit, *Session, error) {
	i, s, err := n.getBoth(c.Request().Context(), web.Browser(c), c.Param("id"), sessions, web.CookieValue(c, sessionCookie), others)
	if err != nil {
		return Visit{}, nil, err
	}
	v, err := visit(c, r, i)
	if err != nil {
		return Visit{}, nil, untrusted(err)
	}
	if s == nil {
		nobody(c)
		return v, nil, nil
	}
	s, err = awake(c, sessions, s)
	return v, s, err
}

func untrusted(err error) error {
	if errors.Is(err, clients.ErrUnknown) || errors.Is(err, clients.ErrDisabled) {
		return web.Refuse(http.StatusBadRequest, templates.RequestUntrusted)
	}
	return err
}

// Find is Open for pages that have the interaction's id from elsewhere. For the
// service it says clients.ErrUnknown or ErrDisabled.
func Find(c echo.Context, n *Interactions, r *clients.Registry, id string) (Visit, error) {
	i, err := n.Get(c.Request().Context(), web.Browser(c), id)
	if err != nil {
		return Visit{}, err
	}
	return visit(c, r, i)
}

// visit adds its service to an interaction.
func visit(c echo.Context, r *clients.Registry, i Interaction) (Visit, error) {
	if i.Own != nil {
		return Visit{Interaction: i}, nil
	}
	client, err := r.Get(c.Request().Context(), i.Client)
	if err != nil {
		return Visit{}, err
	}
	return Visit{i, client.In(web.Language(c, i.Lang))}, nil
}

// Render answers with a page of the sign-in.
func (v Visit) Render(c echo.Context, p templates.Page, opts ...web.Option) error {
	return web.Render(c, http.StatusOK, p, append(opts, v.Frame()...)...)
}

// Frame is what surrounds the pages of this visit: the band of its service, if
// there is one, its language, its time.
func (v Visit) Frame() []web.Option {
	frame := []web.Option{web.Locales(v.Lang), web.At(v.Now)}
	if v.Own == nil {
		frame = append(frame, web.ForService(ServiceOf(v.Service, v.redirect())))
	}
	return frame
}

// redirect is where the answer of this sign-in will go; empty for a device's.
func (v Visit) redirect() string {
	params, err := url.ParseQuery(v.Params)
	if err != nil {
		return ""
	}
	return params.Get("redirect_uri")
}

// Resume goes back to where the next step is decided.
func (v Visit) Resume(c echo.Context) error { return c.Redirect(http.StatusSeeOther, v.ResumeURL()) }

// Cancel gives the sign-in up.
func (v Visit) Cancel(c echo.Context) error { return c.Redirect(http.StatusSeeOther, v.CancelURL()) }

// path is an address below the login page of this interaction.
func (v Visit) path(below string) string { return "/login/" + v.ID + below }

// ServiceOf is the band that names a service on every page of a sign-in whose
// answer goes to redirect.
func ServiceOf(c clients.Client, redirect string) *templates.Service {
	return &templates.Service{Name: c.Name(), Host: c.HostAt(redirect), LogoURL: c.LogoURI, PolicyURL: c.PolicyURI, TermsURL: c.TosURI}
}
