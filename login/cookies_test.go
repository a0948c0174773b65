package login

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"ente.example/idp/audit"
	"ente.example/idp/credentials"
	"ente.example/idp/web"
)

func TestActorIsWhoAsksAndFromWhere(t *testing.T) {
	t.Parallel()
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login/x", nil)
	r.RemoteAddr = "192.0.2.7:40123"
	r.Header.Set("User-Agent", "Browser/1")
	r.Header.Set("X-Forwarded-For", "198.51.100.1")
	c := e.NewContext(r, httptest.NewRecorder())
	c.Response().Header().Set(echo.HeaderXRequestID, "REQ")
	request := audit.Request{ID: "REQ", IP: "192.0.2.7", Port: 40123, UserAgent: "Browser/1"}
	if diff := cmp.Diff(audit.Actor{Kind: audit.Anonymous, Request: request}, Actor(c, nil)); diff != "" {
		t.Errorf("nobody known (-want +got):\n%s", diff)
	}
	want := audit.Actor{Kind: audit.Citizen, ID: "citizen-1", Request: request}
	if diff := cmp.Diff(want, Actor(c, &Session{Citizen: "citizen-1"})); diff != "" {
		t.Errorf("a citizen (-want +got):\n%s", diff)
	}
	e.IPExtractor = func(*http.Request) string { return "198.51.100.1" } // a trusted proxy says so
	if got := Actor(c, nil).Request; got.IP != "198.51.100.1" || got.Port != 0 {
		t.Errorf("behind a proxy: got %s port %d, want no port", got.IP, got.Port)
	}
}

func TestAFullQueueIs503(t *testing.T) {
	t.Parallel()
	p, ok := errors.AsType[*web.Problem](Busy(&credentials.BusyError{RetryAfter: 3 * time.Second}))
	if !ok || p.Status != http.StatusServiceUnavailable || p.RetryAfter != 3*time.Second {
		t.Errorf("got %+v, want 503 in three seconds", p)
	}
	other := errors.New("other")
	if got := Busy(other); !errors.Is(got, other) {
		t.Errorf("got %v, want it as it is", got)
	}
}
