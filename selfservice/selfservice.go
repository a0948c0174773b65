// Package selfservice is the citizen's own pages. Those about the PIN say what
// can be done, guide who has lost it, and hold the procedures to request,
// follow, recover and revoke one: none of them needs a sign-in, and all can be
// reached with no service waiting (R5). Those of the own area (/account) are
// for who is signed in; a resident is what each of them begins with.
//
// Its pages hold no rule: the procedures live in credentials, the captcha in
// throttle. It builds on login and consent, knows the rules and web, and owns
// no table. Each procedure has its own file with its own mount method.
package selfservice

import (
	"errors"

	"github.com/labstack/echo/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/contacts"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/enrolment"
	"ente.example/idp/login"
	"ente.example/idp/throttle"
)

// Deps is what the pages need.
type Deps struct {
	DB           *database.DB
	Interactions *login.Interactions // the sign-in to go back to
	Clients      *clients.Registry   // and the service it is for
	Issuer       string
	Sessions     *login.Sessions // who is in the own area
	Citizens     *citizens.Registry
	Credentials  *credentials.Service
	// Requests may be nil: nobody can then ask for a PIN here.
	Requests *enrolment.Requests
	// Contacts may be nil: nobody can then change them here.
	Contacts *contacts.Service
	// Captchas may be nil: no page then has or asks for a captcha.
	Captchas *throttle.Captchas
	// Lock is what is said about waiting; zero says the rule's figures.
	Lock throttle.Policy
}

// Handler answers for the pages of this package.
type Handler struct {
	Deps
	gone login.Lost // answers for a way into the own area that is lost
}

// New returns the pages.
func New(d Deps) (*Handler, error) {
	if d.DB == nil || d.Interactions == nil || d.Sessions == nil || d.Citizens == nil || d.Clients == nil || d.Credentials == nil {
		return nil, errors.New("selfservice: a dependency is missing")
	}
	return &Handler{d, login.Lost{Clients: d.Clients, Issuer: d.Issuer}}, nil
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
	h.mountAccount(e)
	h.mountAccountPIN(e)
	h.mountContacts(e)
}
