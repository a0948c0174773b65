package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
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

// status asks an address and returns the answer's status, 0 for none.
func status(address string) int {
	a, err := http.Get(address)
	if err != nil {
		return 0
	}
	_ = a.Body.Close()
	return a.StatusCode
}

// SIGTERM: not ready at once, requests go on and are finished, exit 0.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.SQLite(t))
	n := s.with("IDP_POLICY_FILE", s.file("slow.json", `{"hash.memory_kib": 64, "drain.delay": "1500ms"}`)).serve()
	conn, err := net.Dial("tcp", n.environ["IDP_LISTEN"])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	const body = "grant_type=authorization_code&code=x&client_id=nobody&client_secret=x"
	_, err = fmt.Fprintf(conn, "POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:20])
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 1)
	go func() { ended <- n.stop() }()
	eventually(t, time.Second, "the node is not ready any more", func() bool { return status(n.admin+"/readyz") == http.StatusServiceUnavailable })
	if code := status(n.issuer + "/.well-known/openid-configuration"); code != http.StatusOK {
		t.Errorf("a request during the drain: %d", code)
	}
	if code := status(n.admin + "/healthz"); code != http.StatusOK {
		t.Errorf("healthz during the drain: %d; the node lives", code)
	}
	n.refuses([]string{"not ready: draining"}, "healthcheck")
	eventually(t, 10*time.Second, "nobody is admitted", func() bool { return status(n.issuer+"/jwks") == 0 })
	if _, err := io.WriteString(conn, body[20:]); err != nil {
		t.Fatal(err)
	}
	a, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("a request under way was cut: %v", err)
	}
	if _, err := io.ReadAll(a.Body); err != nil || a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a request under way: %s, %v; want the answer for an unknown client", a.Status, err)
	}
	if code := <-ended; code != exitDone {
		t.Errorf("serve ended with %d: %s", code, n.log)
	}
}

// A port that is taken is one line and exit 1.
func TestServeOnATakenPort(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.SQLite(t))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	taken := l.Addr().String()
	s.with("IDP_LISTEN", taken, "IDP_ADMIN_LISTEN", freePort(t)).refuses([]string{taken}, "serve")
	s.with("IDP_LISTEN", freePort(t), "IDP_ADMIN_LISTEN", taken).refuses([]string{taken}, "serve")
}

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

// Limits of what anybody may send.
func TestLimits(t *testing.T) {
	t.Parallel()
	n := newTerminal(t, databasetest.SQLite(t)).serve("--workers=none")
	const form = "application/x-www-form-urlencoded"
	large := strings.NewReader("a=" + strings.Repeat("x", 65<<10))
	for _, c := range []struct {
		what, path, kind string
		body             io.Reader
		header           string
		want             int
		says             string
	}{
		{"a large form", "/token", form, large, "", http.StatusRequestEntityTooLarge, ""},
		{"a large form of unknown length", "/token", form, io.MultiReader(strings.NewReader("a=" + strings.Repeat("x", 65<<10))), "", http.StatusRequestEntityTooLarge, ""},
		{"a large form for a page", "/sign-out", form, strings.NewReader(strings.Repeat("x", 65<<10)), "", http.StatusRequestEntityTooLarge, ""},
		{"JSON", "/token", "application/json", strings.NewReader(`{"grant_type": "authorization_code"}`), "", http.StatusUnsupportedMediaType, "invalid_request"},
		{"multipart", "/token", "multipart/form-data; boundary=x", strings.NewReader("--x--"), "", http.StatusUnsupportedMediaType, "invalid_request"},
		{"no kind", "/token", "", strings.NewReader("grant_type=authorization_code"), "", http.StatusUnsupportedMediaType, "invalid_request"},
		{"large headers", "/token", form, strings.NewReader("a=b"), strings.Repeat("x", 20<<10), http.StatusRequestHeaderFieldsTooLarge, ""},
		{"a parameter twice", "/token", form, strings.NewReader("grant_type=authorization_code&grant_type=refresh_token"), "", http.StatusBadRequest, "invalid_request"},
		{"client_id twice", "/revoke", form, strings.NewReader("token=x&client_id=a&client_id=b"), "", http.StatusBadRequest, "invalid_request"},
	} {
		r, err := http.NewRequest(http.MethodPost, n.issuer+c.path, c.body)
		if err != nil {
			t.Fatal(err)
		}
		if c.kind != "" {
			r.Header.Set("Content-Type", c.kind)
		}
		if c.header != "" {
			r.Header.Set("X-Large", c.header)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		b, _ := io.ReadAll(a.Body)
		_ = a.Body.Close()
		if a.StatusCode != c.want || !strings.Contains(string(b), c.says) {
			t.Errorf("%s: %s, want %d and %q\n%.200s", c.what, a.Status, c.want, c.says, b)
		}
	}
}

// Contract §5: the names of the metrics, and nobody's codice fiscale in them.
func TestMetrics(t *testing.T) {
	terminals(t, func(s *terminal) {
		n := s.with("IDP_ELIGIBILITY", "open").serve()
		p := n.party(n.issuer, http.DefaultTransport)
		pins := n.activePINs(1)
		for cf, pin := range pins {
			if _, err := p.signIn(p.browser(), cf, "97531864"); err == nil {
				s.t.Error("a wrong PIN signs in")
			}
			at, err := p.signIn(p.browser(), cf, pin)
			if err != nil {
				s.t.Fatal(err)
			}
			got, err := p.redeem(at)
			if err != nil {
				s.t.Fatal(err)
			}
			if err := p.post("/revoke", url.Values{"token": {got.Refresh}}, nil); err != nil {
				s.t.Fatal(err)
			}
		}
		text := n.metrics()
		for _, want := range []string{
			`idp_http_requests_total{code="200",method="POST",route="/token"} 1`, `idp_http_request_duration_seconds_count{`,
			`idp_logins_total{level="1",result="refused"} 1`, `idp_logins_total{level="1",result="success"} 1`,
			`idp_pin_guesses_total{lane="account",result="wrong"} 1`, `idp_locks_total 0`, `idp_tokens_issued_total{grant="authorization_code"} 1`,
			`idp_grants_revoked_total{reason=`, `idp_deliveries_total{channel="sms",result=`, `idp_deliveries_total{channel="post",result=`,
			`idp_outbox_oldest_seconds{channel="sms"} 0`, `idp_audit_unanchored_events `, `idp_keys_active{alg="ES256"} 1`, `idp_argon2_waiting 0`,
		} {
			if !strings.Contains(text, want) {
				s.t.Errorf("no %s among the metrics", want)
			}
		}
		for cf := range pins {
			if strings.Contains(strings.ToUpper(text), cf) {
				s.t.Error("a codice fiscale is among the metrics")
			}
		}
		if strings.Contains(text, p.id) {
			s.t.Error("a client's id is in a label; it would grow with every client")
		}
		if code := status(n.issuer + "/metrics"); code != http.StatusNotFound {
			s.t.Errorf("the public listener answers /metrics with %d", code)
		}
	})
}

func (n *serving) metrics() string {
	n.t.Helper()
	a, err := http.Get(n.admin + "/metrics")
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(b)
}

// selfSigned writes a certificate of that number and its key.
func selfSigned(t *testing.T, dir string, number int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"key.pem": {Type: "PRIVATE KEY", Bytes: private}, "cert.pem": {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Contract §2: certificates are read again when the files change; what cannot
// be read leaves the last one in use.
func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	selfSigned(t, dir, 1)
	s := newTerminal(t, databasetest.SQLite(t))
	listen := freePort(t)
	n := s.with("IDP_ISSUER", "https://localhost:"+port(listen), "IDP_TLS_CERT_FILE", filepath.Join(dir, "cert.pem"), "IDP_TLS_KEY_FILE", filepath.Join(dir, "key.pem")).serve("--workers=none")
	serial := func() int64 {
		c, err := tls.Dial("tcp", n.environ["IDP_LISTEN"], &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("certificate %d, want 1", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, lookEvery+5*time.Second, "the broken file is noticed", func() bool {
		if got := serial(); got != 1 {
			t.Fatalf("certificate %d, want the last good one", got)
		}
		return strings.Contains(n.log.String(), "the last one stays in use")
	})
	selfSigned(t, dir, 2)
	eventually(t, lookEvery+5*time.Second, "the new certificate is in use", func() bool { return serial() == 2 })
	if _, err := tls.Dial("tcp", n.environ["IDP_LISTEN"], &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

// Contract §1: --workers names what a node does beside serving.
func TestWorkers(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.SQLite(t)).with("IDP_ELIGIBILITY", "open")
	s.done("citizens", "import", s.file("people.csv", string(samplePeople)))
	s.done("pins", "issue", regular)
	if n := s.serve("--workers=none"); n.stop() != exitDone {
		t.Errorf("serve: %s", n.log)
	}
	if doc := s.doc("audit", "verify"); doc["events"] != 0.0 || doc["checkpoints"] != 0.0 {
		t.Errorf("a node without workers chained: %v", doc)
	}
	n := s.serve("--workers=audit,delivery")
	eventually(t, 20*time.Second, "the PIN is out and the audit chained", func() bool {
		return n.doc("pins", "status", regular)["state"] == "issued" && n.doc("audit", "verify")["unchained"] == 0.0
	})
}

// Two nodes: what one ends is dead at the other within 5 s.
func TestRevokedEverywhere(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.Postgres(t)).with("IDP_ELIGIBILITY", "open", "IDP_ISSUER", "http://localhost:8080")
	a, b := s.serve(), s.serve("--workers=none")
	here, there := newTurns(a.environ["IDP_LISTEN"]), newTurns(b.environ["IDP_LISTEN"])
	p := s.party(a.issuer, here)
	far := *p
	far.nodes = there
	pins := s.activePINs(2)
	signIn := func(cf string) tokens {
		t.Helper()
		at, err := p.signIn(p.browser(), cf, pins[cf])
		if err != nil {
			t.Fatal(err)
		}
		got, err := far.redeem(at)
		if err != nil {
			t.Fatalf("a code of the other node: %v", err)
		}
		if live, err := p.active(got.Access); !live || err != nil {
			t.Fatalf("a fresh token: active %v, %v", live, err)
		}
		return got
	}
	dead := func(what string, token string) {
		t.Helper()
		for _, node := range []*party{p, &far} {
			eventually(t, 5*time.Second, what+" is dead", func() bool {
				live, err := node.active(token)
				return err == nil && !live
			})
		}
	}
	var people []string
	for cf := range pins {
		people = append(people, cf)
	}
	got := signIn(people[0])
	if err := p.post("/revoke", url.Values{"token": {got.Access}}, nil); err != nil {
		t.Fatal(err)
	}
	dead("a revoked token", got.Access)
	dead("its refresh token", got.Refresh)
	got = signIn(people[1])
	s.done("pins", "revoke", people[1])
	dead("a token of a revoked PIN", got.Access)
	if _, err := far.refresh(got.Refresh); !refused(err, "invalid_grant") {
		t.Errorf("a refresh after the PIN was revoked: %v", err)
	}
	var own tokens
	if err := p.post("/token", url.Values{"grant_type": {"client_credentials"}}, &own); err != nil {
		t.Fatal(err)
	}
	if err := p.post("/revoke", url.Values{"token": {own.Access}}, nil); err != nil {
		t.Fatal(err)
	}
	dead("a client's own token", own.Access)
	s.done("clients", "disable", p.id)
	for _, node := range []*party{p, &far} {
		eventually(t, 10*time.Second, "the disabled client is refused", func() bool {
			_, err := node.active(own.Access)
			return err != nil && strings.Contains(err.Error(), "401")
		})
	}
}
