package login

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// Lost shows what cannot go on, with the way back to its service.
type Lost struct {
	Clients *clients.Registry
	Issuer  string
}

// Catch answers with the page for handlers that return a LostError.
func (l Lost) Catch(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if lost, ok := errors.AsType[*LostError](err); ok {
			return l.Render(c, lost)
		}
		return err
	}
}

// Render answers with the page. Where the service is not known, or is no
// longer one of ours, it has no way back to offer.
func (l Lost) Render(c echo.Context, lost *LostError) error {
	if lost.Own {
		return web.Render(c, http.StatusNotFound, templates.InteractionLost{Own: true})
	}
	client, err := l.Clients.Get(c.Request().Context(), lost.Client)
	switch {
	case lost.Client == "", errors.Is(err, clients.ErrUnknown), errors.Is(err, clients.ErrDisabled):
		return web.Render(c, http.StatusNotFound, templates.InteractionLost{})
	case err != nil:
		return err
	}
	client = client.In(web.Language(c, ""))
	page := templates.InteractionLost{ServiceName: client.Name(), ServiceURL: wayBack(client, l.Issuer)}
	return web.Render(c, http.StatusNotFound, page, web.ForService(ServiceOf(client, "")))
}

// wayBack is where a service begins a sign-in afresh, else its front page.
// A service that lets others begin is told by whom it was (OpenID Connect
// Core, section 4).
func wayBack(c clients.Client, issuer string) string {
	u, err := url.Parse(c.InitiateLoginURI)
	if err != nil || c.InitiateLoginURI == "" {
		return c.ClientURI
	}
	q := u.Query()
	q.Set("iss", issuer)
	u.RawQuery = q.Encode()
	return u.String()
}
