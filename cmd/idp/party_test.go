package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/html"

	"ente.example/idp/citizens"
	"ente.example/idp/cmd/idp/demo"
	"ente.example/idp/credentials"
)

// party is a relying service with all of its citizens' browsers, for tests
// that want many at once or nodes that fail: it answers with errors, where a
// visitor fails the test.
type party struct {
	issuer     string
	id, secret string
	nodes      http.RoundTripper
}

const callback = "http://127.0.0.1:9/callback" // nobody listens there: redirects to it are not followed

// party registers a service that asks for no consent.
func (s *terminal) party(issuer string, nodes http.RoundTripper) *party {
	s.t.Helper()
	doc := s.doc("clients", "add", s.file("party.json", `{"client_name": "Servizio", "redirect_uris": ["`+callback+`"], "consent": "trusted",
		"scope": "openid profile offline_access", "grant_types": ["authorization_code", "refresh_token", "client_credentials"]}`))
	return &party{issuer: issuer, id: doc["client_id"].(string), secret: doc["client_secret"].(string), nodes: nodes}
}

// statusError is an answer that a flow does not go on from.
type statusError struct {
	at   string
	code int
	body string
}

func (e *statusError) Error() string { return fmt.Sprintf("%s: %d: %.300s", e.at, e.code, e.body) }

// retryable reports whether a service or a person would try again: no answer,
// one that says so, or the page that leads back to the service. A browser asks
// for a page again by itself when a node dies answering, and the request has
// then been answered already.
func retryable(err error) bool {
	var status *statusError
	if errors.As(err, &status) {
		return status.code == http.StatusServiceUnavailable || strings.Contains(status.body, `data-page="interaction-lost"`)
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// browser is one citizen's.
func (p *party) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	return &http.Client{Jar: jar, Transport: p.nodes, Timeout: 30 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), callback) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// page is what a browser shows.
type page struct {
	at       *url.URL
	code     string // of the callback, where the flow has ended
	root     *html.Node
	verifier string
}

func look(a *http.Response, err error) (*page, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		return nil, err
	}
	if to := a.Header.Get("Location"); strings.HasPrefix(to, callback) {
		u, err := url.Parse(to)
		if err != nil || u.Query().Get("code") == "" {
			return nil, &statusError{at: "callback", code: a.StatusCode, body: to}
		}
		return &page{at: u, code: u.Query().Get("code")}, nil
	}
	if a.StatusCode != http.StatusOK {
		return nil, &statusError{at: a.Request.URL.Path, code: a.StatusCode, body: string(b)}
	}
	root, err := html.Parse(strings.NewReader(string(b)))
	return &page{at: a.Request.URL, root: root}, err
}

// signIn asks for a code, typing codice fiscale and PIN where that is asked.
func (p *party) signIn(c *http.Client, cf, pin string) (*page, error) {
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"client_id": {p.id}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile offline_access"},
		"state": {rand.Text()}, "code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}
	shown, err := look(c.Get(p.issuer + "/authorize?" + q.Encode()))
	if err == nil && shown.code == "" {
		shown, err = shown.submit(c, map[string]string{"fiscal_code": cf, "pin": pin})
	}
	if err != nil {
		return nil, err
	}
	if shown.code == "" {
		return nil, &statusError{at: shown.at.Path, code: http.StatusOK, body: "still " + shown.attribute("data-page") + " " + shown.attribute("data-problem")}
	}
	shown.verifier = verifier
	return shown, nil
}

// submit sends the form that asks for a codice fiscale.
func (g *page) submit(c *http.Client, fields map[string]string) (*page, error) {
	values, action := url.Values{}, ""
	for n := range g.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" && strings.EqualFold(attr(n, "method"), "post") {
			values, action = url.Values{}, attr(n, "action")
			for i := range n.Descendants() {
				if i.Type == html.ElementNode && i.Data == "input" && attr(i, "name") != "" {
					values.Set(attr(i, "name"), attr(i, "value"))
				}
			}
			if values.Has("fiscal_code") {
				break
			}
		}
	}
	if !values.Has("fiscal_code") {
		return nil, fmt.Errorf("no form for a codice fiscale on %s (%s)", g.at.Path, g.attribute("data-page"))
	}
	for k, v := range fields {
		values.Set(k, v)
	}
	target, err := g.at.Parse(action)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(http.MethodPost, target.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", g.at.Scheme+"://"+g.at.Host)
	return look(c.Do(r))
}

func (g *page) attribute(name string) string {
	for n := range g.root.Descendants() {
		if n.Type == html.ElementNode && attr(n, name) != "" {
			return attr(n, name)
		}
	}
	return ""
}

// tokens is an answer of the token endpoint.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Error   string `json:"error"`
}

func (p *party) ask(path string, form url.Values) (*http.Response, error) {
	r, err := http.NewRequest(http.MethodPost, p.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth(url.QueryEscape(p.id), url.QueryEscape(p.secret))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return (&http.Client{Transport: p.nodes, Timeout: 30 * time.Second}).Do(r)
}

// post speaks to an endpoint as the client, and reads the answer.
func (p *party) post(path string, form url.Values, into any) error {
	a, err := p.ask(path, form)
	if err != nil {
		return err
	}
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusOK {
		return &statusError{at: path, code: a.StatusCode, body: string(b)}
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}

func (p *party) redeem(g *page) (t tokens, err error) {
	err = p.post("/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {g.code}, "redirect_uri": {callback}, "code_verifier": {g.verifier},
	}, &t)
	return t, err
}

func (p *party) refresh(token string) (t tokens, err error) {
	err = p.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, &t)
	return t, err
}

// active asks the introspection whether a token lives.
func (p *party) active(token string) (bool, error) {
	var answer struct{ Active bool }
	err := p.post("/introspect", url.Values{"token": {token}}, &answer)
	return answer.Active, err
}

// refused reports whether err is the protocol's error of that name.
func refused(err error, name string) bool {
	var status *statusError
	return errors.As(err, &status) && status.code == http.StatusBadRequest && strings.Contains(status.body, `"`+name+`"`)
}

// turns sends each request to the next node, and to another where one does not
// listen, as a load balancer does.
type turns struct {
	addresses []string
	next      atomic.Int64
	transport http.Transport
}

func newTurns(addresses ...string) *turns {
	return &turns{addresses: addresses, transport: http.Transport{MaxIdleConnsPerHost: 200}}
}

// RoundTrip implements http.RoundTripper.
func (b *turns) RoundTrip(r *http.Request) (*http.Response, error) {
	first := int(b.next.Add(1))
	for i := range b.addresses {
		there := r.Clone(r.Context())
		there.Host = r.URL.Host
		there.URL.Scheme, there.URL.Host = "http", b.addresses[(first+i)%len(b.addresses)]
		if r.GetBody != nil {
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			there.Body = body
		}
		a, err := b.transport.RoundTrip(there)
		var op *net.OpError
		if i+1 < len(b.addresses) && errors.As(err, &op) && op.Op == "dial" {
			continue
		}
		if a != nil {
			a.Request = r // the address that the browser knows
		}
		return a, err
	}
	return nil, errors.New("no node listens")
}

// services wires the house over this installation, to prepare what a test
// needs; delivery is for the serve that runs.
func (s *terminal) services() *services {
	s.t.Helper()
	probe := &settingsProbe{}
	if err := probe.parse(s.variables(), []string{"version"}); err != nil {
		s.t.Fatal(err)
	}
	v, err := wire(s.t.Context(), probe.settings, options{logger: slog.New(slog.DiscardHandler), open: openDatabase})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = v.close() })
	return v
}

// activePINs imports n people and takes them through the first access, with
// the halves that a running serve delivers.
func (s *terminal) activePINs(n int) (pins map[string]string) {
	s.t.Helper()
	v, csv, codes := s.services(), peopleHeader, []string{}
	for i := range n {
		cf := completed(s.t, fmt.Sprintf("RSSMRA%02dA%02dH501", 40+i/28, 1+i%28))
		codes = append(codes, cf)
		csv += row(cf, fmt.Sprintf("Hauptstraße %d,80331,München,Bayern,DE", i), "no", fmt.Sprintf("+4915123%06d,,", i), "")
	}
	if _, err := v.importPeople(s.t.Context(), strings.NewReader(csv), citizens.ImportOptions{}); err != nil {
		s.t.Fatal(err)
	}
	for _, cf := range codes {
		if err := v.issue(s.t.Context(), cf); err != nil {
			s.t.Fatal(err)
		}
	}
	pins = map[string]string{}
	for i, cf := range codes {
		var first credentials.PIN
		eventually(s.t, time.Minute, "the halves have arrived", func() bool {
			fc, err := parseCF(cf)
			if err != nil {
				return false
			}
			status, err := v.pins.Status(s.t.Context(), fc)
			if err != nil || status.State != credentials.Issued {
				return false
			}
			first, err = halvesOf(s.environ["IDP_OUTBOX_DIR"], i)
			return err == nil
		})
		pins[cf] = s.firstAccess(v, cf, first)
	}
	return pins
}

// halvesOf reads the PIN of the i-th of activePINs' people: number and house
// number say whose half it is.
func halvesOf(dir string, i int) (credentials.PIN, error) {
	messages, err := demo.Read(dir)
	if err != nil {
		return credentials.PIN{}, err
	}
	halves := map[string]string{}
	for _, m := range messages {
		if strings.Contains(m.To, fmt.Sprintf("+4915123%06d", i)) || strings.Contains(m.To, fmt.Sprintf("Hauptstraße %d,", i)) {
			halves[m.Key] = alone.FindString(m.Body)
		}
	}
	return credentials.ParsePIN(halves["pin-half-1"] + halves["pin-half-2"])
}

func (s *terminal) firstAccess(v *services, cf string, first credentials.PIN) string {
	s.t.Helper()
	fc, err := parseCF(cf)
	if err != nil {
		s.t.Fatal(err)
	}
	pin, err := v.change(s.t.Context(), fc, first)
	if err != nil {
		s.t.Fatal(err)
	}
	return pin.Reveal()
}

func (v *services) change(ctx context.Context, fc citizens.FiscalCode, first credentials.PIN) (credentials.PIN, error) {
	known, err := v.pins.Verify(ctx, operator(), fc, first)
	if err != nil {
		return credentials.PIN{}, err
	}
	id, err := v.pins.StartChange(ctx, operator(), known)
	if err != nil {
		return credentials.PIN{}, err
	}
	change, err := v.pins.Change(ctx, id)
	if err != nil {
		return credentials.PIN{}, err
	}
	_, err = v.pins.Confirm(ctx, operator(), id, first, change.Candidate)
	return change.Candidate, err
}
