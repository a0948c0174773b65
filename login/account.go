package login

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// sessionField ties a form to the session whose person it showed. A session's
// id is no secret.
const sessionField = "session"

// SameSession tells whether the posted form showed the person of s. Without it
// a form left open in one tab would answer for whoever signed in in another.
func SameSession(c echo.Context, s *Session) bool {
	said := web.PostValue(c, sessionField)
	return said == "" || SessionID(said) == s.ID
}

// SessionFields are the hidden fields that SameSession looks at.
func SessionFields(s *Session) []templates.Field {
	return []templates.Field{{Name: sessionField, Value: string(s.ID)}}
}

// showAccount says who would go on (prompt=select_account).
func (h *Handler) showAccount(c echo.Context) error {
	v, s, err := h.openSignedIn(c)
	if err != nil {
		return err
	}
	if s == nil {
		return v.Resume(c)
	}
	name, err := h.name(c, s)
	if err != nil {
		return err
	}
	return v.Render(c, templates.AccountChoice{
		Action: v.path("/account"), Person: name, SignedInAt: s.AuthTime, Hidden: SessionFields(s),
	}, web.SignedInAs(name))
}

// chooseAccount takes the answer.
func (h *Handler) chooseAccount(c echo.Context) error {
	v, s, err := h.openSignedIn(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	switch choice := web.PostValue(c, "choice"); {
	case choice == "cancel":
		return v.Cancel(c)
	case choice == "other":
		err = h.Interactions.MarkOther(ctx, v.Interaction)
	case s != nil && !SameSession(c, s):
		return c.Redirect(http.StatusSeeOther, v.path("/account"))
	case s != nil:
		err = h.Interactions.MarkChosen(ctx, v.Interaction, s.ID)
	}
	if err != nil {
		return err
	}
	return v.Resume(c)
}

func (h *Handler) openSignedIn(c echo.Context) (Visit, *Session, error) {
	return OpenSignedIn(c, h.Interactions, h.Sessions, h.Clients)
}
