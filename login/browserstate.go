package login

import (
	"crypto/sha256"
	"encoding/base64"

	"github.com/labstack/echo/v4"

	"ente.example/idp/web"
)

// stateCookie is the browser state of OpenID Connect Session Management 1.0
// §3.2: what tells one sign-in of a browser from the next, to a frame of ours
// on a service's page. It is there while somebody is signed in.
const stateCookie = "session-state"

// ShowBrowserState returns the browser state of the session that this request
// came with, and sees to it that the browser has it.
func ShowBrowserState(c echo.Context) string {
	return showState(c, web.CookieValue(c, sessionCookie))
}

// BrowserState is the state that the browser shows, "" for nobody: as it came,
// or as this answer leaves it.
func BrowserState(c echo.Context) string { return web.CookieValue(c, stateCookie) }

// showState makes the browser show the state of a session by its cookie; with
// none, nothing.
func showState(c echo.Context, session string) string {
	state := ""
	if session != "" {
		// Of 256 random bits that services never see: from the session's id, which
		// ID tokens tell, whoever knows one could find out on any site who is there.
		sum := sha256.Sum256([]byte("browser-state\x00" + session))
		state = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if BrowserState(c) != state {
		web.SetShown(c, stateCookie, state)
	}
	return state
}
