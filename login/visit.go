package login

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// Visit is a request for a page of an open interaction: what every step begins
// with, those of the packages above too.
type Visit struct {
	Interaction
	Service clients.Client
}

// Open finds the interaction named in the address (:id), if it is open and
// this browser's; else the error is a *LostError, for Lost to show. A service
// that was disabled meanwhile is not trusted with anything any more.
func Open(c echo.Context, n *Interactions, r *clients.Registry) (Visit, error) {
	ctx := c.Request().Context()
	i, err := n.Get(ctx, web.Browser(c), c.Param("id"))
	if err != nil {
		return Visit{}, err
	}
	client, err := r.Get(ctx, i.Client)
	if errors.Is(err, clients.ErrUnknown) || errors.Is(err, clients.ErrDisabled) {
		return Visit{}, web.Refuse(http.StatusBadRequest, templates.RequestUntrusted)
	}
	if err != nil {
		return Visit{}, err
	}
	return Visit{i, client}, nil
}

// Render answers with a page of the sign-in, under the band of its service.
func (v Visit) Render(c echo.Context, p templates.Page, opts ...web.Option) error {
	opts = append(opts, web.ForService(ServiceOf(v.Service)), web.Locales(v.Lang), web.At(v.Now))
	return web.Render(c, http.StatusOK, p, opts...)
}

// Resume goes back to where the next step is decided.
func (v Visit) Resume(c echo.Context) error { return c.Redirect(http.StatusSeeOther, v.ResumeURL()) }

// Cancel gives the sign-in up.
func (v Visit) Cancel(c echo.Context) error { return c.Redirect(http.StatusSeeOther, v.CancelURL()) }

// path is an address below the login page of this interaction.
func (v Visit) path(below string) string { return "/login/" + v.ID + below }

// ServiceOf is the band that names a service on every page of a sign-in.
func ServiceOf(c clients.Client) *templates.Service {
	return &templates.Service{Name: c.Name(), Host: c.Host(), LogoURL: c.LogoURI}
}
