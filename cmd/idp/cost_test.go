package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// nowhere takes an answer as net/http does: into a map of its own.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header       { return n.header }
func (*nowhere) WriteHeader(int)             {}
func (*nowhere) Write(b []byte) (int, error) { return len(b), nil }

func asked(site http.Handler, r *http.Request) func() {
	return func() { site.ServeHTTP(&nowhere{http.Header{}}, r) }
}

// What all requests pay before and after their handler shows in an answer that
// is ready before anybody asks. With the race detector they are some more.
func TestObjectsOfAPublishedDocument(t *testing.T) {
	site := wholeSite(t, slog.New(slog.NewJSONHandler(&nowhere{}, nil)))
	for path, most := range map[string]float64{"/.well-known/openid-configuration": 12, "/jwks": 12} {
		if got := testing.AllocsPerRun(100, asked(site, httptest.NewRequest(http.MethodGet, path, nil))); got > most {
			t.Errorf("%s: an answer makes %.0f objects, want %.0f at most", path, got, most)
		}
	}
}

func BenchmarkPublishedDocument(b *testing.B) {
	site := wholeSite(b, slog.New(slog.NewJSONHandler(&nowhere{}, nil)))
	for _, path := range []string{"/.well-known/openid-configuration", "/jwks"} {
		b.Run(path[1:], func(b *testing.B) {
			ask := asked(site, httptest.NewRequest(http.MethodGet, path, nil))
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}
