package clients

import (
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// inside is a policy under which a test's own server may be reached.
func inside(s *httptest.Server) FetchPolicy {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return FetchPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, RootCAs: roots}
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestFetch(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=600")
		_, _ = io.WriteString(w, `{"keys":[]}`)
	})
	got, err := newFetcher(inside(s)).get(t.Context(), s.URL+"/jwks")
	if err != nil || string(got.body) != `{"keys":[]}` || got.maxAge != 10*time.Minute {
		t.Errorf("get = %s, %v, %v", got.body, got.maxAge, err)
	}
}

func TestFetchRefusesAnswers(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/fine", http.StatusFound)
		case "/html":
			w.Header().Set("Content-Type", "text/html")
		case "/untyped":
			w.Header()["Content-Type"] = nil
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/large":
			_, _ = io.WriteString(w, `"`+strings.Repeat("x", maxFetched)+`"`)
		default:
			_, _ = io.WriteString(w, `{}`)
		}
	})
	f := newFetcher(inside(s))
	for path, reason := range map[string]string{
		"/redirect": "status 302", "/html": "not declared", "/untyped": "not declared",
		"/missing": "status 404", "/empty": "status 204", "/large": "larger than",
	} {
		if _, err := f.get(t.Context(), s.URL+path); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("get %s = %v, want %q", path, err, reason)
		}
	}
}

// TestFetchStaysOutside: no address of ours is reached, however it is written.
// The addresses are refused before anything is sent to them.
func TestFetchStaysOutside(t *testing.T) {
	t.Parallel()
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	policy := inside(s)
	policy.Allow = nil
	f := newFetcher(policy)
	port := s.URL[strings.LastIndexByte(s.URL, ':'):]
	for _, host := range []string{
		"127.0.0.1", "localhost", "127.1", "127.0.0.2", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]",
		"10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "[fd00::1]", "[fe80::1]",
		"[64:ff9b::7f00:1]", "2130706433", "0x7f.0.0.1", "0177.0.0.1",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if _, err := f.get(ctx, "https://"+host+port+"/jwks"); err == nil {
			t.Errorf("fetched from %s", host)
		}
		cancel()
	}
}

// TestAddressesAreJudgedWhenDialled: after DNS, so that no name and no change
// of mind of a name server leads inside.
func TestAddressesAreJudgedWhenDialled(t *testing.T) {
	t.Parallel()
	f := newFetcher(FetchPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}})
	for address, allowed := range map[string]bool{
		"93.184.216.34:443": true, "93.184.216.34:8443": true, "[2606:2800:220:1::1]:443": true, "10.1.2.3:8443": true,
		"[::ffff:10.1.2.3]:443": true,
		"10.2.0.1:443":          false, "127.0.0.1:443": false, "169.254.169.254:443": false, "[::1]:443": false,
		"[::ffff:127.0.0.1]:443": false, "[fd00::1]:443": false, "[64:ff9b::7f00:1]:443": false, "[2002:7f00:1::]:443": false,
		"0.0.0.0:443": false, "224.0.0.1:443": false, "255.255.255.255:443": false, "not an address": false,
	} {
		network := "tcp4"
		if strings.HasPrefix(address, "[") {
			network = "tcp6"
		}
		if got := f.control(network, address, nil) == nil; got != allowed {
			t.Errorf("dial %s allowed = %v, want %v", address, got, allowed)
		}
	}
	if f.control("udp4", "93.184.216.34:443", nil) == nil {
		t.Error("dialled over udp")
	}
}

func TestFetchOnlyHTTPS(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	defer s.Close()
	f := newFetcher(FetchPolicy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	for _, uri := range []string{s.URL, "file:///etc/passwd", "gopher://127.0.0.1/x", "https://u:p@127.0.0.1/"} {
		if _, err := f.get(t.Context(), uri); err == nil {
			t.Errorf("fetched %s", uri)
		}
	}
}

func TestFetchUsesNoProxy(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked the proxy") }))
	defer proxy.Close()
	t.Setenv("HTTPS_PROXY", proxy.URL)
	if _, err := newFetcher(FetchPolicy{}).get(t.Context(), "https://127.0.0.1:1/jwks"); err == nil {
		t.Error("fetched")
	}
}

func TestNoFetchInsideATransaction(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") })
		err := db.InTx(t.Context(), func(ctx context.Context) error {
			_, err := newFetcher(inside(s)).get(ctx, s.URL)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "transaction open") {
			t.Errorf("get = %v", err)
		}
	})
}

func TestMaxAge(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"": 0, "no-store": 0, "max-age=60": time.Minute, "public, Max-Age=\"60\"": time.Minute,
		"max-age=-1": 0, "max-age=99999999999999": 0, "s-maxage=60": 0,
	} {
		if got := maxAge(http.Header{"Cache-Control": {header}}); got != want {
			t.Errorf("maxAge(%q) = %v, want %v", header, got, want)
		}
	}
}

// TestPostStaysOutside: what is told to services goes under the same guard as
// what is fetched from them, and no answer leads it on.
func TestPostStaysOutside(t *testing.T) {
	t.Parallel()
	inner := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	outer := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, inner.URL, http.StatusTemporaryRedirect)
	})
	r := &Registry{fetch: newFetcher(inside(outer))}
	status, err := r.Post(t.Context(), outer.URL+"/logout", nil)
	if err != nil || status != http.StatusTemporaryRedirect {
		t.Errorf("post = %d, %v, want the redirect and no more", status, err)
	}
	policy := inside(inner)
	policy.Allow = nil
	r = &Registry{fetch: newFetcher(policy)}
	port := inner.URL[strings.LastIndexByte(inner.URL, ':'):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "169.254.169.254", "2130706433"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if status, err := r.Post(ctx, "https://"+host+port+"/logout", nil); err == nil {
			t.Errorf("posted to %s: %d", host, status)
		}
		cancel()
	}
	if _, err := r.Post(t.Context(), "http://service.example/logout", nil); err == nil {
		t.Error("posted without TLS")
	}
}

// TestFetchGivesUp: a body that comes a byte at a time, without end, is waited
// for as long as any other.
func TestFetchGivesUp(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			if f, ok := w.(http.Flusher); ok {
				f.Flush()
			}
		}
	})
	f := newFetcher(inside(s))
	f.http.Timeout = 200 * time.Millisecond // of a body that is endless, maxFetched comes first
	slow := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // a handler that returns ends the body, and a quick client still reads that end
	})
	if _, err := f.get(t.Context(), s.URL); err == nil {
		t.Error("an endless body was read")
	}
	f = newFetcher(inside(slow))
	f.http.Timeout = 200 * time.Millisecond
	if _, err := f.get(t.Context(), slow.URL); err == nil {
		t.Error("a body that never comes was waited for")
	}
	if f := newFetcher(FetchPolicy{}); f.http.Timeout != fetchTimeout {
		t.Errorf("the time-out is %v, want %v for headers and body together", f.http.Timeout, fetchTimeout)
	}
}
