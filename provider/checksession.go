package provider

import (
	"crypto/sha256"
	_ "embed" // of the frame
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
)

// checkSessionPath is the check_session_iframe of OpenID Connect Session
// Management 1.0 §3.3.
const checkSessionPath = "/session/check"

//go:embed checksession.html
var checkSessionPage string

// checkSessionPolicy lets the page run its one script, and pages of any site
// hold it: there is nothing in it to press or to read.
func checkSessionPolicy() string {
	_, rest, _ := strings.Cut(checkSessionPage, "<script>")
	script, _, _ := strings.Cut(rest, "</script>")
	sum := sha256.Sum256([]byte(script))
	return "default-src 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors *"
}

// checkSession serves the frame: it looks at a cookie in the browser, and at
// nothing here.
func (p *Provider) checkSession(c echo.Context) error {
	h := c.Response().Header()
	h.Del("X-Frame-Options")
	h.Set("Content-Security-Policy", p.framePolicy)
	return p.checkFrame.serve(c)
}

// sessionState is session_state in the answer to a request of OpenID Connect
// (Session Management 1.0 §2), "" where there is none: a page of the redirect
// address's origin asks with it whether browser is still this browser's state.
// FAPI 2.0 knows none, and an app's own scheme has no pages.
func sessionState(r *authRequest, browser string) string {
	redirect, err := url.Parse(r.redirect)
	if err != nil || redirect.Scheme != "https" && redirect.Scheme != "http" || r.device != nil ||
		r.client.Profile == clients.ProfileFAPI2 || !slices.Contains(clients.ParseScope(r.form.Get("scope")), scopeOpenID) {
		return ""
	}
	salt := randomText()[:22]
	sum := sha256.Sum256([]byte(strings.Join([]string{r.client.ID, originOf(redirect), browser, salt}, " ")))
	return base64.RawURLEncoding.EncodeToString(sum[:]) + "." + salt
}

// originOf is the origin of an address as browsers write it.
func originOf(u *url.URL) string {
	port := ":443"
	if u.Scheme == "http" {
		port = ":80"
	}
	return u.Scheme + "://" + strings.TrimSuffix(strings.ToLower(u.Host), port)
}
