package login

import (
	"errors"
	"net"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/web"
)

// The cookies' names, before web's prefix. The ticket opens a change of PIN to
// whoever has typed the right one.
const (
	sessionCookie = "session"
	ticketCookie  = "pin-change"
)

// SetSession gives the browser the cookie of the session that was begun or
// renewed for it, and this request with it: who goes on from here is signed in.
func SetSession(c echo.Context, cookie Cookie) {
	web.SetCookie(c, sessionCookie, cookie.Reveal())
	showState(c, cookie.Reveal())
}

// ClearSession makes the browser forget the session cookie. The session itself
// is ended by Sessions.End.
func ClearSession(c echo.Context) {
	forget(c, sessionCookie)
	showState(c, "")
}

// forget takes a cookie away, where the browser has it.
func forget(c echo.Context, name string) {
	if web.CookieValue(c, name) == "" {
		return
	}
	gone := web.Cookie(c, name, "")
	gone.MaxAge = -1
	c.SetCookie(gone)
}

// CurrentSession is the live session of the request's cookie, or nil. Answers
// that depend on it are one read and no write. What else is to be read goes with
// it, unless there is no cookie.
func CurrentSession(c echo.Context, sessions *Sessions, others ...database.Query) (*Session, error) {
	s, err := sessions.Get(c.Request().Context(), web.CookieValue(c, sessionCookie), others...)
	switch {
	case errors.Is(err, ErrNoSession):
		nobody(c)
		return nil, nil //nolint:nilnil // nobody is signed in: that is no error
	case err != nil:
		return nil, err
	default:
		return &s, nil
	}
}

// nobody is signed in: what the browser shows is taken away.
func nobody(c echo.Context) {
	if HadSession(c) { // another site's page brings no session, and proves no end
		showState(c, "")
	}
}

// CurrentCitizen finds whose session the request's cookie is of, or was.
func CurrentCitizen(c echo.Context) database.Subquery {
	return citizenOf(web.CookieValue(c, sessionCookie))
}

// HadSession tells whether the browser still has a session's cookie, be the
// session over or not: whoever signs out has none.
func HadSession(c echo.Context) bool { return web.CookieValue(c, sessionCookie) != "" }

// Awake is CurrentSession for pages that count as activity: it puts the idle
// end off, unless that was done lately.
func Awake(c echo.Context, sessions *Sessions) (*Session, error) {
	s, err := CurrentSession(c, sessions)
	if err != nil || s == nil {
		return nil, err
	}
	return awake(c, sessions, s)
}

func awake(c echo.Context, sessions *Sessions, s *Session) (*Session, error) {
	if s.noted() {
		return s, nil
	}
	switch err := sessions.Touch(c.Request().Context(), *s); {
	case errors.Is(err, ErrNoSession): // ended since it was read
		return nil, nil //nolint:nilnil // as above
	case err != nil:
		return nil, err
	default:
		s.SeenAt, s.IdleAt = s.Now, s.Now.Add(sessions.Idle())
		return s, nil
	}
}

// Actor is who makes this request: the citizen of s, or with nil nobody known
// yet. It carries what the audit keeps of a request.
func Actor(c echo.Context, s *Session) audit.Actor {
	r := c.Request()
	a := audit.Actor{Kind: audit.Anonymous, Request: audit.Request{
		ID: web.RequestID(c), IP: c.RealIP(), Port: port(r, c.RealIP()), UserAgent: r.UserAgent(),
	}}
	if s != nil {
		a.Kind, a.ID = audit.Citizen, string(s.Citizen)
	}
	return a
}

// port is the source port, which tells people behind one address apart. Behind
// a proxy the connection's port is the proxy's and says nothing.
func port(r *http.Request, ip string) int {
	host, text, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || host != ip {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
