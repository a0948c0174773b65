package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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

// header is one of those that go on answers whatever their handler says.
type header struct {
	name  string
	value []string
}

// headers go on every answer, paged besides on those that browsers may show;
// handlers that know better overwrite them. Their names are spelt as HTTP/1 sends
// them and their values are shared: nothing is made anew for an answer, and
// nobody may change them.
//
// What programs are answered is neither followed nor run, and kept out of frames
// by its policy: there paged would say nothing, and take time in each answer. net/http
// copies and sorts them all.
func headers(secure bool) (always, paged []header) {
	always = []header{
		{"X-Content-Type-Options", []string{"nosniff"}},
		{"Content-Security-Policy", []string{"default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"}},
		{"Cache-Control", []string{"no-store"}},
	}
	if secure {
		always = append(always, header{"Strict-Transport-Security", []string{"max-age=31536000"}})
	}
	return always, []header{
		{"X-Frame-Options", []string{"DENY"}},
		// Only our origin leaves, never a path; the Origin of form posts stays true.
		{"Referrer-Policy", []string{"strict-origin"}},
		{"Permissions-Policy", []string{"camera=(), geolocation=(), microphone=(), payment=(), usb=()"}},
	}
}

// begin names the request and gives its answer what every answer has.
func (s *Server) begin(c echo.Context, id string) {
	h := c.Response().Header()
	h[echo.HeaderXRequestID] = []string{id}
	for _, a := range s.always {
		h[a.name] = a.value
	}
	if s.machine(c.Request().URL.Path) {
		return
	}
	for _, a := range s.paged {
		h[a.name] = a.value
	}
}

// guard refuses what no handler is to see.
func (s *Server) guard(c echo.Context) error {
	if err := limitCounts(c.Request()); err != nil {
		return err
	}
	if err := limitBody(c); err != nil {
		return err
	}
	return s.guardForm(c)
}

// limitCounts refuses requests made of very many small things.
func limitCounts(r *http.Request) error {
	cookies := 0
	for _, line := range r.Header["Cookie"] {
		cookies += strings.Count(line, ";") + 1
	}
	if cookies > maxCookies || strings.Count(r.URL.RawQuery, "&") >= maxParameters {
		return Refuse(http.StatusBadRequest, templates.RequestMalformed)
	}
	return nil
}

// limitBody reads the body before any handler does: what is too large, too slow
// or has too many parts costs no more than its bytes.
func limitBody(c echo.Context) error {
	r := c.Request()
	if r.Body == nil || r.Body == http.NoBody {
		return nil
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
	if bytes.Count(body, []byte("&")) >= maxParameters && isForm(r) {
		return Refuse(http.StatusBadRequest, templates.RequestMalformed)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// guardForm lets a form of ours through only if this browser got it from us.
// Unknown paths and methods go on to their own answer.
func (s *Server) guardForm(c echo.Context) error {
	r := c.Request()
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	if s.isForeign(r.URL.Path) || !s.routed(c) {
		return nil
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
	return nil
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
