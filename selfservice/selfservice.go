// Package selfservice is the citizen's own pages about the PIN: the page that
// says what can be done, the guide for who has lost it, and the procedures to
// request, follow, recover and revoke one. None of them needs a sign-in, and
// all of them can be reached with no service waiting (R5).
//
// Its pages hold no rule: the procedures live in credentials, the captcha in
// throttle. It builds on login and consent, knows the rules and web, and owns
// no table. Each procedure has its own file with its own mount method.
package selfservice

import (
	"errors"

	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
	"ente.example/idp/credentials"
	"ente.example/idp/enrolment"
	"ente.example/idp/login"
	"ente.example/idp/throttle"
)

// Deps is what the pages need.
type Deps struct {
	Interactions *login.Interactions // the sign-in to go back to
	Clients      *clients.Registry   // and the service it is for
	Credentials  *credentials.Service
	// Requests may be nil: nobody can then ask for a PIN here.
	Requests *enrolment.Requests
	// Captchas may be nil: no page then has or asks for a captcha.
	Captchas *throttle.Captchas
	// Lock is what is said about waiting; zero says the rule's figures.
	Lock throttle.Policy
}

// Handler answers for the pages of this package.
type Handler struct{ Deps }

// New returns the pages.
func New(d Deps) (*Handler, error) {
	if d.Interactions == nil || d.Clients == nil || d.Credentials == nil {
		return nil, errors.New("selfservice: a dependency is missing")
	}
	return &Handler{d}, nil
}

// Mount adds the routes. A procedure without its line here has no page, and the
// other pages then do not link to it.
func (h *Handler) Mount(e *echo.Echo) {
	h.mountCaptcha(e)
	h.mountHome(e)
	h.mountRecover(e)
	h.mountRevoke(e)
	h.mountReport(e)
	h.mountRequest(e)
}
