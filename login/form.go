package login

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// methodPIN is the amr of a sign-in with the PIN alone (RFC 8176).
const methodPIN = "pin"

// form shows the login page.
func (h *Handler) form(c echo.Context) error {
	v, err := h.open(c)
	if err != nil {
		return err
	}
	return v.Render(c, templates.Login{Action: v.path(""), FiscalCode: hinted(v.LoginHint), Ended: h.ended(v)})
}

// ended is after how long a session ends by itself, for whoever comes to the
// form because theirs has; zero for everybody else.
func (h *Handler) ended(v Visit) time.Duration {
	if v.Own == nil || !v.Own.Ended {
		return 0
	}
	return h.Sessions.Idle()
}

// hinted fills the form in with a login_hint that is a codice fiscale. Any
// other is for the service's eyes, not for a citizen's page.
func hinted(hint string) string {
	code, err := citizens.ParseFiscalCode(hint)
	if err != nil {
		return ""
	}
	return code.Reveal()
}

// typed is a posted login form.
type typed struct {
	text     string // the codice fiscale as it was typed, to show again
	code     citizens.FiscalCode
	pin      credentials.PIN
	problems []templates.FieldProblem
}

func readForm(c echo.Context) typed {
	t := typed{text: web.PostValue(c, "fiscal_code")}
	pin := web.PostValue(c, "pin")
	var codeErr, pinErr error
	t.code, codeErr = citizens.ParseFiscalCode(t.text)
	t.pin, pinErr = credentials.ParsePIN(pin)
	t.problems = append(fieldProblem("fiscal_code", t.text, codeErr), fieldProblem("pin", pin, pinErr)...)
	return t
}

func fieldProblem(field, value string, err error) []templates.FieldProblem {
	switch {
	case err == nil:
		return nil
	case strings.TrimSpace(value) == "":
		return []templates.FieldProblem{{Field: field, Problem: templates.FieldMissing}}
	default:
		return []templates.FieldProblem{{Field: field, Problem: templates.FieldShape}}
	}
}

// signIn takes the login form.
func (h *Handler) signIn(c echo.Context) error {
	v, err := h.open(c)
	if err != nil {
		return err
	}
	if web.PostValue(c, "action") == "cancel" {
		return v.Cancel(c)
	}
	t := readForm(c)
	if len(t.problems) > 0 {
		return h.again(c, v, t, templates.Login{Problem: templates.LoginInvalidField, Fields: t.problems})
	}
	var b begun
	verified, err := h.Credentials.VerifyThen(c.Request().Context(), Actor(c, nil), t.code, t.pin, func(ctx context.Context, verified credentials.Verified) (err error) {
		b, err = h.begin(ctx, c, v, verified)
		return err
	})
	if err != nil {
		return h.refused(c, v, t, err)
	}
	if verified.MustChange {
		return h.mustChange(c, v, verified)
	}
	return h.entered(c, v, b)
}

// again shows the form with what was typed, except the PIN.
func (h *Handler) again(c echo.Context, v Visit, t typed, p templates.Login) error {
	p.Action, p.FiscalCode = v.path(""), t.text
	return v.Render(c, p)
}

// refused says no in the same words to everybody: wrong, unknown, suspended or
// waiting people cannot be told apart (R33).
func (h *Handler) refused(c echo.Context, v Visit, t typed, err error) error {
	if waiting, ok := errors.AsType[*credentials.WaitingError](err); ok {
		h.Observe("waiting")
		return h.again(c, v, t, templates.Login{Problem: templates.LoginWaiting, Until: waiting.Until})
	}
	if errors.Is(err, credentials.ErrRefused) {
		h.Observe("refused")
		return h.again(c, v, t, templates.Login{
			Problem: templates.LoginRefused, Threshold: h.Lock.Threshold, Wait: h.Lock.Wait,
		})
	}
	return Busy(err)
}

// Busy makes a full queue of hashes a 503 that says when to come again.
func Busy(err error) error {
	if full, ok := errors.AsType[*credentials.BusyError](err); ok {
		return &web.Problem{
			Status: http.StatusServiceUnavailable, Key: templates.ServerUnavailable,
			Err: err, RetryAfter: full.RetryAfter,
		}
	}
	return err
}

// mustChange opens the change to a right PIN that opens nothing else (R23).
func (h *Handler) mustChange(c echo.Context, v Visit, verified credentials.Verified) error {
	id, err := h.Credentials.StartChange(c.Request().Context(), Actor(c, nil), verified)
	if err == nil {
		err = h.openChange(c, v, id)
	}
	if err != nil {
		return h.changeRefused(c, err)
	}
	h.Observe("must-change")
	return c.Redirect(http.StatusSeeOther, v.path("/pin"))
}

// enter begins the session of who has changed the PIN. Session and interaction
// agree or neither changes, and neither does for a PIN that was suspended or
// revoked since it was verified.
func (h *Handler) enter(c echo.Context, v Visit, verified credentials.Verified) error {
	var b begun
	// a PIN that was changed a moment ago must not be left without its session
	// because somebody pressed twice: the second press drops the first request
	ctx := context.WithoutCancel(c.Request().Context())
	err := h.DB.InTx(ctx, func(ctx context.Context) error {
		err := h.Credentials.Hold(ctx, verified)
		if err == nil {
			b, err = h.begin(ctx, c, v, verified)
		}
		return err
	})
	switch {
	case errors.Is(err, credentials.ErrRefused):
		return h.refused(c, v, readForm(c), err)
	case err != nil:
		return err
	}
	return h.entered(c, v, b)
}

// begun is a session that has begun, and what only its browser gets of it.
type begun struct {
	session Session
	cookie  Cookie
}

// begin begins the session in the caller's transaction, which holds the PIN.
func (h *Handler) begin(ctx context.Context, c echo.Context, v Visit, verified credentials.Verified) (begun, error) {
	s, cookie, err := h.Sessions.Start(ctx, Actor(c, &Session{Citizen: verified.Citizen}), SignIn{
		Browser: web.Browser(c), Client: v.Client, Citizen: verified.Citizen, ACR: h.ACR, AMR: []string{methodPIN},
		Kind: verified.Kind, PreviousAccess: verified.PreviousAccess,
	})
	if err != nil {
		return begun{}, err
	}
	return begun{s, cookie}, h.Interactions.MarkSignedIn(ctx, v.Interaction, s)
}

// entered goes on with the session that has begun. That is written by now: where
// going on fails, the browser is sent to where it may ask as often as it likes,
// and is told there why.
func (h *Handler) entered(c echo.Context, v Visit, b begun) error {
	SetSession(c, b.cookie)
	forget(c, ticketCookie)
	h.Observe("success")
	err := h.Onward(c, Step{Interaction: v.signedIn(b.session), Session: &b.session})
	if err != nil && !c.Response().Committed {
		return v.Resume(c)
	}
	return err
}
