package selfservice

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"ente.example/idp/credentials"
	"ente.example/idp/login"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

func (h *Handler) mountAccountPIN(e *echo.Echo) {
	e.GET(changePath, h.inside(h.showPIN))
	e.POST(changePath, h.inside(h.changePIN))
}

// beganCookie is in the browser that began the change, and nowhere else.
const beganCookie = "new-pin"

// changing is the change of PIN that is open in this session (R26), if this
// browser began it: a session that somebody else has got hold of must not show
// him the PIN to come.
func (h *Handler) changing(c echo.Context, r resident) login.Changing {
	id := r.Change
	if subtle.ConstantTimeCompare([]byte(id), []byte(web.CookieValue(c, beganCookie))) == 0 {
		id = ""
	}
	return login.Changing{
		Credentials: h.Credentials, ID: id, By: login.Actor(c, &r.Session), Action: changePath,
		Hidden: login.SessionFields(&r.Session), Voluntary: true,
	}
}

// showPIN shows the new PIN, or what a change is. It makes none.
func (h *Handler) showPIN(c echo.Context, r resident) error {
	page, err := h.changing(c, r).Page(c.Request().Context())
	if err != nil {
		return h.notChanging(c, r, err)
	}
	return h.show(c, r, templates.AccountPIN{PINChange: page})
}

// notChanging shows where a change begins; whoever had one is told that its new
// PIN is no more.
func (h *Handler) notChanging(c echo.Context, r resident, err error) error {
	if !errors.Is(err, credentials.ErrChangeExpired) {
		return login.Busy(err)
	}
	p := templates.AccountPIN{Start: true}
	p.Action, p.Hidden = changePath, login.SessionFields(&r.Session)
	if r.Change != "" || c.Request().Method == http.MethodPost {
		p.Problem = templates.PINChangeExpired
	}
	return h.show(c, r, p)
}

// changePIN takes the buttons of the page.
func (h *Handler) changePIN(c echo.Context, r resident) error {
	switch web.PostValue(c, "action") {
	case "start":
		return h.startPIN(c, r)
	case "cancel":
		return h.cancelPIN(c, r)
	case "regenerate":
		if _, err := h.changing(c, r).Regenerate(c); err != nil {
			return h.notChanging(c, r, err)
		}
		return c.Redirect(http.StatusSeeOther, changePath)
	default:
		return h.confirmPIN(c, r)
	}
}

// startPIN makes the new PIN and binds it to the session. Of two tabs the later
// one counts: both then show its PIN.
func (h *Handler) startPIN(c echo.Context, r resident) error {
	var id credentials.ChangeID
	err := h.DB.InTx(c.Request().Context(), func(ctx context.Context) (err error) {
		if id, err = h.Credentials.StartVoluntaryChange(ctx, login.Actor(c, &r.Session), r.Citizen); err != nil {
			return err
		}
		return h.Sessions.KeepChange(ctx, r.Session, id)
	})
	switch {
	case errors.Is(err, credentials.ErrNoPIN), errors.Is(err, login.ErrNoSession):
		return h.signIn(c, login.Own{Page: changePath}, login.Wants{ForceLogin: true})
	case err != nil:
		return err
	}
	c.SetCookie(web.Cookie(c, beganCookie, string(id)))
	return c.Redirect(http.StatusSeeOther, changePath)
}

func (h *Handler) cancelPIN(c echo.Context, r resident) error {
	ctx := c.Request().Context()
	if err := h.Credentials.CancelChange(ctx, login.Actor(c, &r.Session), r.Change); err != nil {
		return err
	}
	if err := h.Sessions.DropChange(ctx, r.Session); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, accountPath)
}

// confirmPIN takes the new PIN typed back and the old one.
func (h *Handler) confirmPIN(c echo.Context, r resident) error {
	verified, again, err := h.changing(c, r).Confirm(c)
	switch {
	case err != nil:
		return h.notChanging(c, r, err)
	case again != nil:
		return h.show(c, r, templates.AccountPIN{PINChange: *again})
	default:
		return h.changed(c, r, verified)
	}
}

// changed renews the session of whoever has typed the PIN again: what another
// may have learnt of it before is worth nothing now. Services in it stay, and so
// do grants. Where session or PIN have ended meanwhile, one signs in.
func (h *Handler) changed(c echo.Context, r resident, verified credentials.Verified) error {
	in := login.SignIn{
		Browser: web.Browser(c), Citizen: r.Citizen, ACR: r.ACR, AMR: r.AMR,
		Kind: verified.Kind, PreviousAccess: r.PreviousAccess,
	}
	var cookie login.Cookie
	// the PIN has changed: that somebody pressed twice must not cost the session
	ctx := context.WithoutCancel(c.Request().Context())
	err := h.DB.InTx(ctx, func(ctx context.Context) (err error) {
		if err := h.Credentials.Hold(ctx, verified); err != nil {
			return err
		}
		if err := h.Sessions.Touch(ctx, r.Session); err != nil {
			return err
		}
		r.Session, cookie, err = h.Sessions.Start(ctx, login.Actor(c, &r.Session), in)
		return err
	})
	switch {
	case errors.Is(err, credentials.ErrRefused), errors.Is(err, login.ErrNoSession):
		return h.signIn(c, login.Own{Page: accountPath}, login.Wants{})
	case err != nil:
		return err
	}
	login.SetSession(c, cookie)
	return h.show(c, r, templates.Done{About: "pin", NextURL: accountPath, HomeURL: homePath})
}
