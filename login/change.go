package login

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"ente.example/idp/credentials"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// shownField ties a form to the candidate it was shown with.
const shownField = "shown"

// showChange shows the new PIN. It makes none: the candidate was made on
// entering the step and is the same at every look (R24, R26).
func (h *Handler) showChange(c echo.Context) error {
	v, err := h.open(c)
	if err != nil {
		return err
	}
	if !v.Holds(web.CookieValue(c, ticketCookie)) {
		return h.notHolding(c, v)
	}
	change, err := h.Credentials.Change(c.Request().Context(), v.Change)
	if err != nil {
		return h.changeRefused(c, err)
	}
	return h.changePage(c, v, change, templates.PINChange{})
}

func (h *Handler) changePage(c echo.Context, v Visit, change credentials.Change, p templates.PINChange) error {
	p.Action = v.path("/pin")
	p.NewPIN = templates.Show(change.Candidate.Reveal())
	p.ExpiresAt, p.Regenerations, p.First = change.ExpiresAt, change.RegenerationsLeft, change.First
	p.Hidden = []templates.Field{{Name: shownField, Value: shown(v.Change, change)}}
	return v.Render(c, p)
}

// shown names a candidate without telling anything about it.
func shown(id credentials.ChangeID, change credentials.Change) string {
	sum := digest("change", string(id)+":"+strconv.Itoa(change.RegenerationsLeft))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
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

// regenerate makes another candidate, with ten minutes of its own. A form that
// shows an older one asks for none: a double press makes one, not two.
func (h *Handler) regenerate(c echo.Context, v Visit) error {
	ctx := c.Request().Context()
	change, err := h.Credentials.Change(ctx, v.Change)
	if err == nil && !stale(c, v, change) {
		err = h.Credentials.Regenerate(ctx, Actor(c, nil), v.Change)
	}
	if err == nil {
		change, err = h.Credentials.Change(ctx, v.Change)
	}
	if err == nil {
		err = h.Interactions.ExtendChange(ctx, v.Interaction, change.ExpiresAt)
	}
	if err != nil && !errors.Is(err, credentials.ErrNoMoreCandidates) {
		return h.changeRefused(c, err)
	}
	return c.Redirect(http.StatusSeeOther, v.path("/pin"))
}

// stale tells whether the form shows a candidate that another tab has replaced
// since. A form that does not say shows the last.
func stale(c echo.Context, v Visit, change credentials.Change) bool {
	said := web.PostValue(c, shownField)
	return said != "" && subtle.ConstantTimeCompare([]byte(said), []byte(shown(v.Change, change))) == 0
}

// confirm takes the new PIN typed back and the old one, and signs in.
func (h *Handler) confirm(c echo.Context, v Visit) error {
	ctx := c.Request().Context()
	change, err := h.Credentials.Change(ctx, v.Change)
	if err != nil {
		return h.changeRefused(c, err)
	}
	if stale(c, v, change) {
		return v.Render(c, templates.PINChange{
			Action: v.path("/pin"), Problem: templates.PINChangeExpired, RestartURL: v.path("/pin"),
		})
	}
	oldText, newText := web.PostValue(c, "old_pin"), web.PostValue(c, "new_pin")
	if missing := append(missing("new_pin", newText), missing("old_pin", oldText)...); len(missing) > 0 {
		return h.changePage(c, v, change, templates.PINChange{Problem: templates.FormInvalidField, Fields: missing})
	}
	// what is no PIN at all is the zero PIN, which credentials knows how to refuse
	old, _ := credentials.ParsePIN(oldText)
	fresh, _ := credentials.ParsePIN(newText)
	verified, err := h.Credentials.Confirm(ctx, Actor(c, nil), v.Change, old, fresh)
	if err != nil {
		return h.notConfirmed(c, v, err)
	}
	return h.enter(c, v, verified)
}

func missing(field, value string) []templates.FieldProblem {
	if strings.TrimSpace(value) != "" {
		return nil
	}
	return []templates.FieldProblem{{Field: field, Problem: templates.FieldMissing}}
}

// notConfirmed shows the page again with what was wrong, and the same candidate.
func (h *Handler) notConfirmed(c echo.Context, v Visit, err error) error {
	p := templates.PINChange{}
	waiting, isWaiting := errors.AsType[*credentials.WaitingError](err)
	switch {
	case isWaiting:
		p.Problem, p.Until = templates.LoginWaiting, waiting.Until
	case errors.Is(err, credentials.ErrNewMismatch):
		p.Problem = templates.PINChangeNewMismatch
	case errors.Is(err, credentials.ErrOldWrong):
		p.Problem = templates.PINChangeOldWrong
	case errors.Is(err, credentials.ErrMalformed):
		p.Problem = templates.FormInvalidField
		p.Fields = []templates.FieldProblem{{Field: "old_pin", Problem: templates.FieldShape}}
	default:
		return h.changeRefused(c, err)
	}
	change, err := h.Credentials.Change(c.Request().Context(), v.Change)
	if err != nil {
		return h.changeRefused(c, err)
	}
	return h.changePage(c, v, change, p)
}

// changeRefused ends a ticket whose candidate is no more: one starts again
// from the form. A second press of Confirm comes here too, after the first has
// signed in: that one goes on.
func (h *Handler) changeRefused(c echo.Context, err error) error {
	if !errors.Is(err, credentials.ErrChangeExpired) {
		return busy(err)
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
