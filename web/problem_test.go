package web_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/templates"
	"ente.example/idp/web"
)

func TestErrorPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	big := post("/login/1", url.Values{"pin": {strings.Repeat("1", 70<<10)}})
	many := post("/login/1", nil)
	many.URL.RawQuery = strings.Repeat("a=1&", 200)
	crumbs := get("/home")
	crumbs.Header.Set("Cookie", strings.Repeat("a=1;", 60))
	upload := post("/login/1", nil)
	upload.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	for name, c := range map[string]struct {
		request *http.Request
		status  int
		problem string
	}{
		"unknown path":    {get("/nowhere"), http.StatusNotFound, "request.not-found"},
		"unknown post":    {post("/nowhere", nil), http.StatusNotFound, "request.not-found"},
		"wrong method":    {post("/home", nil), http.StatusMethodNotAllowed, "request.method-not-allowed"},
		"large body":      {big, http.StatusRequestEntityTooLarge, "request.too-large"},
		"many parameters": {many, http.StatusBadRequest, "request.malformed"},
		"many cookies":    {crumbs, http.StatusBadRequest, "request.malformed"},
		"not a form":      {upload, http.StatusBadRequest, "request.malformed"},
		"panic":           {get("/panic"), http.StatusInternalServerError, "server.fault"},
	} {
		w := s.do(c.request)
		if w.Code != c.status || problemOf(w) != c.problem {
			t.Errorf("%s: %d %q, want %d %q", name, w.Code, problemOf(w), c.status, c.problem)
		}
		reference := regexp.MustCompile(`idp-code">([^<]+)<`).FindStringSubmatch(w.Body.String())
		if reference == nil || !regexp.MustCompile(`^[2-9A-HJKMNP-Z]{4}-[2-9A-HJKMNP-Z]{4}$`).MatchString(reference[1]) {
			t.Errorf("%s: reference %v", name, reference)
			continue
		}
		if id := w.Header().Get("X-Request-Id"); !strings.HasPrefix(id, reference[1]) || !strings.Contains(s.log.String(), id) {
			t.Errorf("%s: reference %s does not lead to the log line of %s", name, reference[1], id)
		}
	}
}

// The database is away: 503 with Retry-After, for people and for programs. A
// refusal keeps its own words; what nobody foresaw is a fault of ours.
func TestErrorsOfHandlers(t *testing.T) {
	t.Parallel()
	away := errors.New("connection refused")
	s := newSite(t, func(o *web.Options) {
		o.Unavailable = func(err error) bool { return errors.Is(err, away) }
	})
	s.Echo.GET("/away", func(echo.Context) error { return fmt.Errorf("read session: %w", away) })
	s.Echo.GET("/userinfo", func(echo.Context) error { return fmt.Errorf("read grant: %w", away) })
	s.Echo.GET("/fault", func(echo.Context) error { return errors.New("no such column: pin") })
	s.Echo.GET("/busy", func(echo.Context) error {
		return fmt.Errorf("sign in: %w", &web.Problem{
			Status: http.StatusServiceUnavailable, Key: templates.ServerUnavailable, RetryAfter: 1500 * time.Millisecond,
		})
	})
	s.Echo.GET("/untrusted", func(echo.Context) error { return web.Refuse(http.StatusBadRequest, templates.RequestUntrusted) })
	for path, want := range map[string]struct {
		status         int
		problem, retry string
	}{
		"/away":      {http.StatusServiceUnavailable, "server.unavailable", "5"},
		"/busy":      {http.StatusServiceUnavailable, "server.unavailable", "2"},
		"/userinfo":  {http.StatusServiceUnavailable, "", "5"},
		"/fault":     {http.StatusInternalServerError, "server.fault", ""},
		"/untrusted": {http.StatusBadRequest, "request.untrusted", ""},
	} {
		w := s.do(get(path))
		if w.Code != want.status || problemOf(w) != want.problem || w.Header().Get("Retry-After") != want.retry {
			t.Errorf("%s: %d %q, Retry-After %q", path, w.Code, problemOf(w), w.Header().Get("Retry-After"))
		}
		if strings.Contains(w.Body.String(), "no such column") || strings.Contains(w.Body.String(), "refused\"") {
			t.Errorf("%s shows the cause to the world", path)
		}
	}
	if got := strings.TrimSpace(s.do(get("/userinfo")).Body.String()); got != `{"error":"temporarily_unavailable"}` {
		t.Errorf("a program got %s", got)
	}
	if !strings.Contains(s.log.String(), "no such column: pin") {
		t.Error("the fault is not in the log")
	}
}

func TestChunkedBodyIsLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	r := post("/token", url.Values{"code": {strings.Repeat("1", 70<<10)}})
	r.ContentLength = -1 // nobody said how long it is
	w := s.do(r)
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413", w.Code)
	}
	if got := strings.TrimSpace(w.Body.String()); got != `{"error":"invalid_request"}` {
		t.Errorf("a program got %s", got)
	}
}
