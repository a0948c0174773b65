package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
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
	got = signIn(people[0])
	s.done("clients", "disable", p.id)
	for _, node := range []*party{p, &far} {
		eventually(t, 10*time.Second, "the disabled client is refused", func() bool {
			_, err := node.active(own.Access)
			return err != nil && strings.Contains(err.Error(), "401")
		})
	}
	// what it was granted before does not come back with it
	s.done("clients", "enable", p.id)
	eventually(t, 10*time.Second, "the client is admitted again", func() bool {
		live, err := p.active(got.Access)
		return err == nil && !live
	})
	if _, err := p.refresh(got.Refresh); !refused(err, "invalid_grant") {
		t.Errorf("a refresh after the client was disabled and enabled: %v", err)
	}
}
