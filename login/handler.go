package login

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/templates"
	"ente.example/idp/throttle"
	"ente.example/idp/web"
)

// Deps is what the pages need.
type Deps struct {
	DB           *database.DB
	Interactions *Interactions
	Sessions     *Sessions
	Credentials  *credentials.Service
	Citizens     *citizens.Registry
	Clients      *clients.Registry
	Issuer       string
	ACR          string // of a sign-in with the PIN alone

	// Onward goes on once somebody has signed in; nil is Resume.
	Onward Onward
	// Frames are the addresses that tell services in this browser of a session's
	// end; nil for none.
	Frames func(ctx context.Context, session string) ([]string, error)
	// Lock is what a refusal says about waiting; zero says the rule's figures.
	Lock throttle.Policy
	// Observe counts how sign-ins go: success, must-change, refused, waiting.
	Observe func(result string)
}

// Handler answers for the pages of this package.
type Handler struct {
	Deps
	lost Lost
}

// New returns the pages. Lock and Observe may be left out.
func New(d Deps) (*Handler, error) {
	if d.DB == nil || d.Interactions == nil || d.Sessions == nil || d.Credentials == nil || d.Citizens == nil || d.Clients == nil {
		return nil, errors.New("login: a dependency is missing")
	}
	if d.Issuer == "" || d.ACR == "" {
		return nil, errors.New("login: issuer and acr are required")
	}
	if d.Onward == nil {
		d.Onward = Resume
	}
	if d.Frames == nil {
		d.Frames = func(context.Context, string) ([]string, error) { return nil, nil }
	}
	if d.Observe == nil {
		d.Observe = func(string) {}
	}
	return &Handler{d, Lost{Clients: d.Clients, Issuer: d.Issuer}}, nil
}

// Mount adds the routes.
func (h *Handler) Mount(e *echo.Echo) {
	e.GET("/", h.home)
	e.GET("/sign-out", h.askSignOut)
	e.POST("/sign-out", h.signOut)
	g := e.Group("/login/:id", h.lost.Catch)
	g.GET("", h.form)
	g.POST("", h.signIn)
	g.GET("/pin", h.showChange)
	g.POST("/pin", h.change)
	g.GET("/account", h.showAccount)
	g.POST("/account", h.chooseAccount)
}

// home is for whoever comes without a service.
func (h *Handler) home(c echo.Context) error {
	opts, err := h.signedIn(c)
	if err != nil {
		return err
	}
	return web.Render(c, http.StatusOK, templates.Home{Area: web.Mounted(c, AreaPath)}, opts...)
}

// open is Open with this handler's own.
func (h *Handler) open(c echo.Context) (Visit, error) { return Open(c, h.Interactions, h.Clients) }
