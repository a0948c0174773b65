package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// readable are the endpoints whose answers scripts of any origin may read: what
// a page without a server needs. They look at no cookie. Introspection is for
// servers, which have a secret to keep; registration stays closed so that a page
// cannot have its visitors register clients.
func readable() map[string]string {
	return map[string]string{
		"/.well-known/openid-configuration":       http.MethodGet,
		"/.well-known/oauth-authorization-server": http.MethodGet,
		"/jwks":                 http.MethodGet,
		"/userinfo":             http.MethodGet + ", " + http.MethodPost,
		"/token":                http.MethodPost,
		"/revoke":               http.MethodPost,
		"/par":                  http.MethodPost,
		"/device_authorization": http.MethodPost,
	}
}

// wholeSite is everything that the program can mount.
func wholeSite(t testing.TB, logger *slog.Logger) *echo.Echo {
	t.Helper()
	url := databasetest.SQLite(t)
	s := houseSettings(t, url, newKeys(t))
	s.Registration = "open"
	v, err := wire(t.Context(), s, options{
		logger: logger,
		open: func(context.Context, string) (*database.DB, error) {
			return databasetest.Open(t, url, &database.Clock{}), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server, err := v.site()
	if err != nil {
		t.Fatal(err)
	}
	return server.Echo
}

// Every route that is mounted, asked beforehand and asked at once, by a script
// of another origin.
func TestScriptsOfOtherOrigins(t *testing.T) {
	site := wholeSite(t, discard())
	seen := map[string]bool{}
	for _, route := range site.Routes() {
		if seen[route.Path] = true; route.Method == http.MethodOptions || !strings.HasPrefix(route.Path, "/") {
			continue
		}
		methods, open := readable()[route.Path]
		if open && !slices.Contains(strings.Split(methods, ", "), route.Method) {
			t.Errorf("%s %s is mounted beside %s", route.Method, route.Path, methods)
		}
		preflight := ask(site, http.MethodOptions, route)
		simple := ask(site, route.Method, route)
		for _, a := range []http.Header{preflight.Header(), simple.Header()} {
			if a.Get("Access-Control-Allow-Credentials") != "" || len(a["Set-Cookie"]) > 0 && open {
				t.Errorf("%s %s lets cookies in: %v", route.Method, route.Path, a)
			}
			if got := a.Get("Access-Control-Allow-Origin"); (got == "*") != open || (got != "") != open {
				t.Errorf("%s %s: Access-Control-Allow-Origin %q", route.Method, route.Path, got)
			}
		}
		if !open {
			continue
		}
		// a document that is published says nothing in headers
		exposed, document := simple.Header().Get("Access-Control-Expose-Headers"), simple.Header().Get("ETag") != ""
		if says := strings.Contains(exposed, "WWW-Authenticate") && strings.Contains(exposed, "DPoP-Nonce"); says == document {
			t.Errorf("%s %s exposes %q", route.Method, route.Path, exposed)
		}
		h := preflight.Header()
		if preflight.Code != http.StatusNoContent || h.Get("Access-Control-Allow-Methods") != methods ||
			h.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type, DPoP" {
			t.Errorf("OPTIONS %s: %d %v", route.Path, preflight.Code, h)
		}
	}
	for path := range readable() {
		if !seen[path] {
			t.Errorf("%s is not mounted", path)
		}
	}
}

// ask sends what a browser sends for a script at https://app.example.
func ask(site http.Handler, method string, route *echo.Route) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+strings.NewReplacer(":", "", "*", "x").Replace(route.Path), strings.NewReader(""))
	r.Header.Set("Origin", "https://app.example")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Mode", "cors")
	if method == http.MethodOptions {
		r.Header.Set("Access-Control-Request-Method", route.Method)
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type,dpop")
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	return w
}
