package login

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// askSignOut asks before the session ends; who is not signed in is told so.
func (h *Handler) askSignOut(c echo.Context) error {
	s, err := CurrentSession(c, h.Sessions)
	if err != nil {
		return err
	}
	if s == nil {
		return web.Render(c, http.StatusOK, templates.SignedOut{})
	}
	name, err := h.name(c, s)
	if err != nil {
		return err
	}
	return web.Render(c, http.StatusOK, templates.SignOut{Action: "/sign-out", Person: name, StayURL: "/"}, web.SignedInAs(name))
}

// signOut ends the session, with all that hangs on it, and shows so at an
// address that can be reloaded.
func (h *Handler) signOut(c echo.Context) error {
	s, err := CurrentSession(c, h.Sessions)
	if err != nil {
		return err
	}
	var frames []string
	if s != nil {
		ctx := c.Request().Context()
		if frames, err = h.Frames(ctx, string(s.ID)); err != nil {
			return err
		}
		if err := h.Sessions.End(ctx, Actor(c, s), *s, EndSignOut); err != nil {
			return err
		}
	}
	ClearSession(c)
	if len(frames) > 0 {
		return web.Render(c, http.StatusOK, templates.SignedOut{Frames: frames})
	}
	return c.Redirect(http.StatusSeeOther, "/sign-out")
}

// signedIn names the person in the page's header, if there is a session.
func (h *Handler) signedIn(c echo.Context) ([]web.Option, error) {
	s, err := CurrentSession(c, h.Sessions)
	if err != nil || s == nil {
		return nil, err
	}
	name, err := h.name(c, s)
	if err != nil {
		return nil, err
	}
	return []web.Option{web.SignedInAs(name)}, nil
}

// name is empty for a person who has left the registry: a session can still be
// ended.
func (h *Handler) name(c echo.Context, s *Session) (string, error) {
	person, err := h.Citizens.ByID(c.Request().Context(), s.Citizen)
	switch {
	case errors.Is(err, citizens.ErrUnknown):
		return "", nil
	case err != nil:
		return "", err
	default:
		return person.GivenName + " " + person.FamilyName, nil
	}
}
