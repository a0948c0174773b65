// Package web is what every page shares: the Echo instance, its middleware, the
// one cookie of a browser, form tokens, rendering, the error page.
//
// It imports templates and nothing else of ours: it knows no rule, no table, and
// nobody's name. Page packages mount their routes on Server.Echo, answer with
// Render, and return a *Problem for what has the error page to itself.
package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tink-crypto/tink-go/v2/prf"

	"ente.example/idp/templates"
)

// Options are what a Server is made of. Templates, Issuer, Forms and Logger are needed.
type Options struct {
	Templates *templates.Set
	// Issuer is the public address: https makes cookies Secure and sends HSTS.
	Issuer string
	// TrustedProxies are the peers whose X-Forwarded-* headers count; none by default.
	TrustedProxies []netip.Prefix
	// Forms keys the form tokens.
	Forms  *prf.Set
	Logger *slog.Logger
	// Metrics takes the idp_http_* collectors; nil for none.
	Metrics prometheus.Registerer
	// Unavailable tells whether an error means that the database is away (503)
	// rather than a fault of ours (500); nil: never.
	Unavailable func(error) bool
}

// Server is the web face of the program. Routes are mounted on Echo.
type Server struct {
	Echo *echo.Echo

	templates   *templates.Set
	forms       *prf.Set
	log         *slog.Logger
	secure      bool
	unavailable func(error) bool
	crossOrigin *http.CrossOriginProtection
	machines    []string        // where programs talk to us
	foreign     map[string]bool // paths that other sites may post to
	always      []header
	paged       []header
	metrics     *metrics
}

// New makes a Server with all its middleware and the routes of its own (assets).
func New(o Options) (*Server, error) {
	if o.Templates == nil || o.Forms == nil || o.Logger == nil {
		return nil, errors.New("web: templates, forms and logger are needed")
	}
	issuer, err := url.Parse(o.Issuer)
	if err != nil || issuer.Host == "" {
		return nil, fmt.Errorf("web: issuer %q is not an address", o.Issuer)
	}
	s := &Server{
		Echo:        echo.New(),
		templates:   o.Templates,
		forms:       o.Forms,
		log:         o.Logger,
		secure:      issuer.Scheme == "https",
		unavailable: o.Unavailable,
		machines:    machinePaths(),
		foreign:     foreignPaths(),
	}
	s.crossOrigin = crossOrigin(s.foreign)
	s.always, s.paged = headers(s.secure)
	if s.metrics, err = newMetrics(o.Metrics); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	s.configure(o.TrustedProxies)
	s.mountAssets()
	if missing := s.templates.MissingAssets(); missing {
		s.log.Warn("style and scripts are not built, pages are bare: run make assets")
	}
	return s, nil
}

// configure makes Echo ours: whose headers to believe, what runs around every
// handler, how errors end.
func (s *Server) configure(proxies []netip.Prefix) {
	e := s.Echo
	e.HideBanner, e.HidePort = true, true
	e.Renderer = renderer{s} // how Render finds its Server again
	e.HTTPErrorHandler = s.fail
	e.IPExtractor = ipExtractor(proxies)
	e.SchemeExtractor = schemeExtractor(proxies)
	e.Use(s.around)
}

// Mounted tells whether somebody answers GET at that address: what is not there
// gets no link.
func Mounted(c echo.Context, path string) bool {
	for _, r := range c.Echo().Routes() {
		if r.Method == http.MethodGet && r.Path == path {
			return true
		}
	}
	return false
}

// HTTP is a server for h (nil: this Server's own Echo) with the limits that every
// listener of ours has.
func (s *Server) HTTP(h http.Handler) *http.Server {
	if h == nil {
		h = s.Echo
	}
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    maxHeader - 4096, // net/http adds 4096 of slack
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 100},
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}
