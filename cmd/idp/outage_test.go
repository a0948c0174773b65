package main

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ente.example/idp/database/databasetest"
)

// gate is the way to the PostgreSQL server, a socket that can be shut.
type gate struct {
	dir, server string
	mu          sync.Mutex
	listener    net.Listener
	open        map[net.Conn]bool
}

const socket = ".s.PGSQL.5432"

// newGate stands before the server of a database's URL, and returns the URL
// that leads through it.
func newGate(t *testing.T, address string) (*gate, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "gate-") // socket paths are limited to 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	g := &gate{dir: dir, server: filepath.Join(q.Get("host"), socket), open: map[net.Conn]bool{}}
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	t.Cleanup(func() {
		g.shut()
		_ = os.RemoveAll(dir)
	})
	return g, u.String()
}

func (g *gate) unlock(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(g.dir, socket))
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	g.listener = l
	g.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go g.join(c)
		}
	}()
}

func (g *gate) join(c net.Conn) {
	far, err := net.Dial("unix", g.server)
	if err != nil {
		_ = c.Close()
		return
	}
	g.mu.Lock()
	g.open[c], g.open[far] = true, true
	g.mu.Unlock()
	go func() { _, _ = io.Copy(far, c); _ = far.Close() }()
	_, _ = io.Copy(c, far)
	_ = c.Close()
}

// shut cuts every connection and admits none.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listener != nil {
		_ = g.listener.Close()
	}
	for c := range g.open {
		_ = c.Close()
	}
	clear(g.open)
}

// The database goes and comes back: pages say 503 and when to come again, the
// node is not ready, and all is well by itself afterwards.
func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	g, address := newGate(t, databasetest.Postgres(t))
	s := newTerminal(t, address).with("IDP_ELIGIBILITY", "open")
	s.with("IDP_LISTEN", freePort(t), "IDP_ADMIN_LISTEN", freePort(t)).refuses(nil, "serve")
	s.refuses(nil, "clients", "list")
	g.unlock(t)
	n := s.serve()
	p := n.party(n.issuer, http.DefaultTransport)
	pins := n.activePINs(1)
	signIn := func() (tokens, error) {
		for cf, pin := range pins {
			at, err := p.signIn(p.browser(), cf, pin)
			if err != nil {
				return tokens{}, err
			}
			return p.redeem(at)
		}
		return tokens{}, nil
	}
	before, err := signIn()
	if err != nil {
		t.Fatal(err)
	}
	g.shut()
	eventually(t, 5*time.Second, "the node is not ready", func() bool { return status(n.admin+"/readyz") == http.StatusServiceUnavailable })
	n.unavailable(t, p, before)
	if code := status(n.admin + "/healthz"); code != http.StatusOK {
		t.Errorf("healthz = %d; the node itself lives", code)
	}
	if code := status(n.issuer + "/jwks"); code != http.StatusOK {
		t.Errorf("the keys = %d; they need no database", code)
	}
	g.unlock(t)
	eventually(t, 10*time.Second, "the node is ready again", func() bool { return status(n.admin+"/readyz") == http.StatusOK })
	if _, err := signIn(); err != nil {
		t.Errorf("a sign-in once the database is back: %v", err)
	}
	if live, err := p.active(before.Access); !live || err != nil {
		t.Errorf("a token from before: active %v, %v", live, err)
	}
	eventually(t, 10*time.Second, "the audit is chained again", func() bool { return n.doc("audit", "verify")["unchained"] == 0.0 })
	if code := n.stop(); code != exitDone {
		t.Errorf("serve ended with %d: %s", code, n.log)
	}
}

// unavailable wants 503 and Retry-After of everything that needs the database.
func (n *serving) unavailable(t *testing.T, p *party, old tokens) {
	t.Helper()
	q := url.Values{"client_id": {p.id}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid"}, "code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}}
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.Refresh}}
	for what, ask := range map[string]func() (*http.Response, error){
		"page":    func() (*http.Response, error) { return http.Get(n.issuer + "/authorize?" + q.Encode()) },
		"unknown": func() (*http.Response, error) { return http.Get(n.issuer + "/authorize?client_id=another") },
		"token":   func() (*http.Response, error) { return p.ask("/token", refresh) },
		"sign-in": func() (*http.Response, error) {
			return http.Get(n.issuer + "/login/01999999-0000-7000-8000-000000000000")
		},
		"userinfo": func() (*http.Response, error) { return n.bearer("/userinfo", old.Access) },
	} {
		a, err := ask()
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		b, _ := io.ReadAll(a.Body)
		_ = a.Body.Close()
		if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s without the database: %s, Retry-After %q\n%.200s", what, a.Status, a.Header.Get("Retry-After"), b)
		}
	}
}

func (n *serving) bearer(path, token string) (*http.Response, error) {
	r, err := http.NewRequest(http.MethodGet, n.issuer+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return http.DefaultClient.Do(r)
}
