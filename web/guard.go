package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"

	"ente.example/idp/templates"
)

const (
	maxBody       = 64 << 10
	maxHeader     = 16 << 10
	maxParameters = 100
	maxCookies    = 50
)

// machinePaths are where programs talk to us. A trailing slash means everything below.
func machinePaths() []string {
	return []string{
		"/token", "/userinfo", "/introspect", "/revoke", "/par", "/device_authorization",
		"/register", "/register/", "/jwks", "/jwks.json", "/.well-known/", "/hooks/",
	}
}

// foreignPaths are what other sites may post to: the protocol, from authorize to
// the end-session endpoint. Everything else that takes a POST is a form of ours.
func foreignPaths() map[string]bool {
	paths := map[string]bool{"/authorize": true, "/logout": true}
	for _, p := range machinePaths() {
		paths[p] = true
	}
	return paths
}

func crossOrigin(foreign map[string]bool) *http.CrossOriginProtection {
	p := http.NewCrossOriginProtection()
	for path := range foreign {
		p.AddInsecureBypassPattern(path)
	}
	return p
}

func (s *Server) isForeign(path string) bool {
	return s.foreign[path] || s.machine(path)
}

// headers go on every answer; handlers that know better overwrite them. Their
// names are spelt as HTTP/1 sends them and their values are shared: nothing is
// made anew for an answer, and nobody may append to them.
func (s *Server) headers(next echo.HandlerFunc) echo.HandlerFunc {
	always := map[string][]string{
		"X-Content-Type-Options": {"nosniff"},
		"X-Frame-Options":        {"DENY"},
		// Only our origin leaves, never a path; the Origin of form posts stays true.
		"Referrer-Policy":         {"strict-origin"},
		"Permissions-Policy":      {"camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
		"Content-Security-Policy": {"default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"},
		"Cache-Control":           {"no-store"},
	}
	if s.secure {
		always["Strict-Transport-Security"] = []string{"max-age=31536000"}
	}
	return func(c echo.Context) error {
		maps.Copy(c.Response().Header(), always)
		return next(c)
	}
}

// limitCounts refuses requests made of very many small things.
func (s *Server) limitCounts(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		cookies := 0
		for _, line := range r.Header.Values("Cookie") {
			cookies += strings.Count(line, ";") + 1
		}
		if cookies > maxCookies || strings.Count(r.URL.RawQuery, "&") >= maxParameters {
			return Refuse(http.StatusBadRequest, templates.RequestMalformed)
		}
		return next(c)
	}
}

// limitBody reads the body before any handler does: what is too large, too slow
// or has too many parts costs no more than its bytes.
func (s *Server) limitBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.Body == nil || r.Body == http.NoBody {
			return next(c)
		}
		if r.ContentLength > maxBody {
			c.Response().Header().Set("Connection", "close")
			return Refuse(http.StatusRequestEntityTooLarge, templates.RequestTooLarge)
		}
		body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, maxBody))
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			c.Response().Header().Set("Connection", "close")
			return Refuse(http.StatusRequestEntityTooLarge, templates.RequestTooLarge)
		}
		if err != nil {
			return &Problem{Status: http.StatusBadRequest, Key: templates.RequestMalformed, Err: fmt.Errorf("read body: %w", err)}
		}
		if isForm(r) && bytes.Count(body, []byte("&")) >= maxParameters {
			return Refuse(http.StatusBadRequest, templates.RequestMalformed)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		return next(c)
	}
}

// guardForms lets a form of ours through only if this browser got it from us.
// Unknown paths and methods go on to their own answer.
func (s *Server) guardForms(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
			return next(c)
		}
		if !s.routed(c) || s.isForeign(r.URL.Path) {
			return next(c)
		}
		if err := s.crossOrigin.Check(r); err != nil {
			return &Problem{Status: http.StatusForbidden, Key: templates.RequestForm, Err: err}
		}
		if !isForm(r) {
			return Refuse(http.StatusBadRequest, templates.RequestMalformed)
		}
		if !FormGenuine(c) {
			return Refuse(http.StatusForbidden, templates.RequestForm)
		}
		return next(c)
	}
}

// routed tells whether a handler of somebody waits for this request.
func (s *Server) routed(c echo.Context) bool {
	for _, r := range s.Echo.Routes() {
		if r.Path == c.Path() && r.Method == c.Request().Method {
			return true
		}
	}
	return false
}

func isForm(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/x-www-form-urlencoded"
}

// ipExtractor believes X-Forwarded-For only from the configured proxies, and only
// as far as they vouch for it.
func ipExtractor(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	return echo.ExtractIPFromXFFHeader(trust(proxies)...)
}

func schemeExtractor(proxies []netip.Prefix) echo.SchemeExtractor {
	if len(proxies) == 0 {
		return echo.ExtractSchemeDirect()
	}
	return echo.ExtractSchemeFromHeaders(trust(proxies)...)
}

// trust takes Echo's own defaults (loopback and private networks) away.
func trust(proxies []netip.Prefix) []echo.TrustOption {
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return options
}
