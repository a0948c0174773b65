package login

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"ente.example/idp/credentials"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// changing is the change of PIN that is open in this interaction.
func (h *Handler) changing(c echo.Context, v Visit) Changing {
	return Changing{Credentials: h.Credentials, ID: v.Change, By: Actor(c, nil), Action: v.path("/pin")}
}

// showChange shows the new PIN.
func (h *Handler) showChange(c echo.Context) error {
	v, err := h.open(c)
	if err != nil {
		return err
	}
	if !v.Holds(web.CookieValue(c, ticketCookie)) {
		return h.notHolding(c, v)
	}
	page, err := h.changing(c, v).Page(c.Request().Context())
	if err != nil {
		return h.changeRefused(c, err)
	}
	return v.Render(c, page)
}

// change takes the buttons of the page.
func (h *Handler) change(c echo.Context) error {
	v, err := h.open(c)
	if err != nil {
		return err
	}
	if !v.Holds(web.CookieValue(c, ticketCookie)) {
		return h.notHolding(c, v)
	}
	switch web.PostValue(c, "action") {
	case "cancel":
		return h.cancelChange(c, v)
	case "regenerate":
		return h.regenerate(c, v)
	default:
		return h.confirm(c, v)
	}
}

// notHolding answers a browser without the ticket of the change that is open
// here: mostly a second tab, where another sign-in took its place. It is told
// so (R26), and never sees the new PIN. With no change open the next step is.
func (h *Handler) notHolding(c echo.Context, v Visit) error {
	if v.Change == "" {
		return v.Resume(c)
	}
	return h.changeRefused(c, credentials.ErrChangeExpired)
}

func (h *Handler) cancelChange(c echo.Context, v Visit) error {
	ctx := c.Request().Context()
	if err := h.Credentials.CancelChange(ctx, Actor(c, nil), v.Change); err != nil {
		return err
	}
	if err := h.Interactions.ClearChange(ctx, v.Interaction, v.Change); err != nil {
		return err
	}
	forget(c, ticketCookie)
	return v.Cancel(c)
}

// openChange keeps a change in the interaction and gives its ticket to this
// browser. Without both nobody sees the new PIN.
func (h *Handler) openChange(c echo.Context, v Visit, id credentials.ChangeID) error {
	ctx := c.Request().Context()
	change, err := h.Credentials.Change(ctx, id)
	if err != nil {
		return err
	}
	ticket := newSecret()
	if err := h.Interactions.MarkChange(ctx, v.Interaction, id, ticket, change.ExpiresAt); err != nil {
		return err
	}
	c.SetCookie(web.Cookie(c, ticketCookie, ticket))
	return nil
}

// regenerate makes another candidate, with ten minutes of its own.
func (h *Handler) regenerate(c echo.Context, v Visit) error {
	until, err := h.changing(c, v).Regenerate(c)
	if err == nil {
		err = h.Interactions.ExtendChange(c.Request().Context(), v.Interaction, until)
	}
	if err != nil {
		return h.changeRefused(c, err)
	}
	return c.Redirect(http.StatusSeeOther, v.path("/pin"))
}

// confirm takes both PINs, and signs in.
func (h *Handler) confirm(c echo.Context, v Visit) error {
	verified, again, err := h.changing(c, v).Confirm(c)
	switch {
	case err != nil:
		return h.changeRefused(c, err)
	case again != nil:
		return v.Render(c, *again)
	default:
		return h.enter(c, v, verified)
	}
}

// changeRefused ends a ticket whose candidate is no more: one starts again
// from the form. A second press of Confirm comes here too, after the first has
// signed in: that one goes on.
func (h *Handler) changeRefused(c echo.Context, err error) error {
	if !errors.Is(err, credentials.ErrChangeExpired) {
		return Busy(err)
	}
	now, err := h.open(c)
	if err != nil {
		return err
	}
	if now.Session != "" && now.Change == "" {
		return now.Resume(c)
	}
	return now.Render(c, templates.Login{
		Action: now.path(""), FiscalCode: hinted(now.LoginHint), Problem: templates.PINChangeExpired,
	})
}
