package selfservice

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/login"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

const (
	idlePath  = accountPath + "/idle"
	fromField = "from"
)

// warning is how long before its end a session says so: two minutes (R55), and
// half a minute for slow pages and slow clocks.
const warning = 2*time.Minute + 30*time.Second

func (h *Handler) mountIdle(e *echo.Echo) {
	e.GET(idlePath, h.idle)
	e.POST(idlePath, h.stay)
}

// end is when a session is over if nothing is done.
func end(s login.Session) time.Time {
	if s.EndsAt.Before(s.IdleAt) {
		return s.EndsAt
	}
	return s.IdleAt
}

// warn has the browser itself go to the warning in time, without a script. When
// it is too late to warn it goes there at the end, to be told that it was.
func (h *Handler) warn(c echo.Context, s login.Session, from string) {
	lead := min(warning, h.Sessions.Idle()/2)
	next := end(s).Add(-lead)
	if !next.After(s.Now) {
		next = end(s).Add(time.Second)
	}
	seconds := strconv.Itoa(int((next.Sub(s.Now) + time.Second - 1) / time.Second))
	c.Response().Header().Set("Refresh", seconds+"; url="+idlePath+"?"+url.Values{fromField: {from}}.Encode())
}

// idle asks whether somebody is still there. The browser comes here by itself:
// that is no activity, and puts nothing off.
func (h *Handler) idle(c echo.Context) error {
	from := areaPage(c, c.QueryParam(fromField))
	s, err := login.CurrentSession(c, h.Sessions)
	if err != nil {
		return err
	}
	if s == nil {
		return h.signIn(c, login.Own{Page: from}, login.Wants{})
	}
	person, err := h.Citizens.ByID(c.Request().Context(), s.Citizen)
	if err != nil && !errors.Is(err, citizens.ErrUnknown) {
		return err
	}
	h.warn(c, *s, from)
	return web.Render(c, http.StatusOK, templates.AccountIdle{
		Action: idlePath, Hidden: append(login.SessionFields(s), templates.Field{Name: fromField, Value: from}),
		Idle: s.Now.Sub(s.SeenAt), EndsAt: end(*s), Final: s.EndsAt.Before(s.IdleAt.Add(warning)),
	}, web.SignedInAs(resident{*s, person}.name()), web.InArea(templates.Area{}), web.At(s.Now))
}

// stay puts the end off and goes back to the page; a session that can be put off
// no more is gone on with by signing in again.
func (h *Handler) stay(c echo.Context) error {
	from := areaPage(c, web.PostValue(c, fromField))
	s, err := login.Awake(c, h.Sessions)
	if err != nil {
		return err
	}
	if again := web.PostValue(c, "action") == "again"; s == nil || again {
		return h.signIn(c, login.Own{Page: from}, login.Wants{ForceLogin: again})
	}
	return c.Redirect(http.StatusSeeOther, from)
}

// areaPage is the page of the area at that address; of any other address, the
// first.
func areaPage(c echo.Context, address string) string {
	for _, p := range areaPages() {
		if p.URL == address && built(c, address) {
			return address
		}
	}
	return accountPath
}
