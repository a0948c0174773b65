package provider

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"ente.example/idp/database/databasetest"
)

// FuzzAuthorize sends anything to /authorize, signed in or not: nothing is a
// fault of ours, nobody is sent to an address that is not the service's, and
// no answer is told twice.
func FuzzAuthorize(f *testing.F) {
	h := newInstallation(f, databasetest.Open(f, databasetest.SQLite(f), nil))
	s := h.service("")
	s.signIn(h.people())
	for _, seed := range []string{
		"prompt=none&max_age=0", "response_mode=form_post&state=%22", "claims={\"userinfo\":{}}", "resource=x&resource=y",
		"id_token_hint=a.b.c", "scope=openid&scope=", "acr_values=L2&login_hint=%00", "request=x&request_uri=y", "code_challenge=%F0%9F",
	} {
		f.Add(seed, true)
	}
	cookies := s.browser.Jar.Cookies(must[*url.URL](f)(url.Parse(s.issuer)))
	good := s.params().Encode()
	ours := regexp.MustCompile(`^/((login|consent)/[A-Za-z0-9_-]{43}(/account)?|pin/request\?sign_in=[A-Za-z0-9_-]{43})$`)
	f.Fuzz(func(t *testing.T, query string, signedIn bool) {
		for _, raw := range []string{query, good + "&" + query} {
			r := httptest.NewRequest(http.MethodGet, "http://localhost:8080/authorize", nil)
			r.URL.RawQuery = raw
			if signedIn {
				for _, c := range cookies {
					r.AddCookie(c)
				}
			}
			w := httptest.NewRecorder()
			h.handler.ServeHTTP(w, r)
			if w.Code >= http.StatusInternalServerError {
				t.Fatalf("%d for %q", w.Code, raw)
			}
			if to := w.Header().Get("Location"); to != "" && !strings.HasPrefix(to, callback) && !ours.MatchString(to) {
				t.Fatalf("%q leads to %q", raw, to)
			}
		}
	})
}
