package driver

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Those who come do so at their rate, whatever becomes of the others, and a 503
// is no error where it says when to come again.
func TestArrive(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known") {
			_, _ = w.Write([]byte("{}"))
			return
		}
		switch asked.Add(1) % 4 {
		case 0:
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusServiceUnavailable)
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(s.Close)
	d, err := New(t.Context(), Target{Issuer: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	all := make(chan struct{})
	var begun atomic.Int64
	r := d.Arrive(t.Context(), Scenario{do: func(d *Driver, ctx context.Context, _ int) error {
		if begun.Add(1) == 40 {
			close(all)
		}
		<-all // nobody is answered before the last has come
		_, err := d.get(ctx, s.URL, "")
		return err
	}}, Arrivals{Rate: 400, Time: 100 * time.Millisecond})
	if r.Done != 20 || r.Busy != 10 || r.Errors != 10 || r.P50 <= 0 || r.P99 < r.P50 {
		t.Errorf("%+v, want 20 done, 10 busy, 10 errors", r)
	}
	if err := unexpected(&http.Response{StatusCode: http.StatusForbidden, Header: http.Header{"Retry-After": {"1"}}}); !errors.Is(err, errStatus) {
		t.Errorf("403: %v, want an error", err)
	}
}
