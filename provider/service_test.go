package provider

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/consent"
	"ente.example/idp/login"
)

const (
	verifier = "0123456789-abcdefghijklmnopqrstuvwxyz_ABCDEF~"
	callback = "https://service.example/callback"
)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// service is a relying party with one citizen's browser in front of it.
type service struct {
	*house
	client  clients.Client
	secret  string
	browser *http.Client
}

// service registers a client that needs no consent page, unless the document
// says otherwise.
func (h *house) service(document string) *service {
	h.t.Helper()
	d := map[string]any{"consent": "trusted"}
	if document != "" {
		if err := json.Unmarshal([]byte(document), &d); err != nil {
			h.t.Fatal(err)
		}
	}
	text := must[[]byte](h.t)(json.Marshal(d))
	client, secret := h.register(string(text))
	return &service{house: h, client: client, secret: secret, browser: h.browser()}
}

// at is the same service and browser at another node.
func (s *service) at(h *house) *service {
	browser := *s.browser
	browser.Transport = h.network
	return &service{h, s.client, s.secret, &browser}
}

// signIn signs a citizen in to this browser.
func (s *service) signIn(id citizens.ID) login.Session {
	s.t.Helper()
	session, cookies := s.session(id)
	s.browser = s.house.browser(cookies...)
	return session
}

// params are those of a good request, changed by pairs; an empty value takes
// one away.
func (s *service) params(pairs ...string) url.Values {
	v := url.Values{
		"client_id": {s.client.ID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid offline_access"},
		"state": {"a state"}, "nonce": {"a nonce"}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		if v.Del(pairs[i]); pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

func (s *service) authorize(pairs ...string) answer {
	s.t.Helper()
	return s.with(s.browser, s.get("/authorize?"+s.params(pairs...).Encode(), ""))
}

// reply is what the service is told, through the browser.
func (s *service) reply(a answer) url.Values {
	s.t.Helper()
	location, ok := strings.CutPrefix(a.Header.Get("Location"), callback+"?")
	if a.StatusCode != http.StatusSeeOther || !ok {
		s.t.Fatalf("answer = %d to %q, want a redirect to the service\n%s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	v := must[url.Values](s.t)(url.ParseQuery(location))
	if got := v.Get("iss"); got != s.issuer {
		s.t.Errorf("iss = %q, want %q", got, s.issuer)
	}
	return v
}

// code is the code of a request that is answered at once.
func (s *service) code(pairs ...string) string {
	s.t.Helper()
	v := s.reply(s.authorize(pairs...))
	if v.Get("code") == "" {
		s.t.Fatalf("no code but %v", v)
	}
	return v.Get("code")
}

// refused is the error that a request is answered with at once.
func (s *service) refused(pairs ...string) string {
	s.t.Helper()
	v := s.reply(s.authorize(pairs...))
	if v.Get("code") != "" {
		s.t.Errorf("a code was issued: %v", v)
	}
	return v.Get("error")
}

// token posts to the token endpoint, authenticated as the client is registered.
func (s *service) token(pairs ...string) answer {
	s.t.Helper()
	return s.do(s.tokenRequest(pairs...))
}

func (s *service) tokenRequest(pairs ...string) *http.Request {
	if s.client.Public() {
		return s.post(tokenPath, append(pairs, "client_id", s.client.ID)...)
	}
	r := s.post(tokenPath, pairs...)
	r.SetBasicAuth(url.QueryEscape(s.client.ID), url.QueryEscape(s.secret))
	return r
}

func (s *service) exchange(code string, pairs ...string) answer {
	s.t.Helper()
	return s.token(append([]string{
		"grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier,
	}, pairs...)...)
}

func (s *service) refresh(token string, pairs ...string) answer {
	s.t.Helper()
	return s.token(append([]string{"grant_type", "refresh_token", "refresh_token", token}, pairs...)...)
}

// tokens are those of a whole sign-in.
func (s *service) tokens(pairs ...string) map[string]any {
	s.t.Helper()
	return s.exchange(s.code(pairs...)).ok(s.t)
}

// ok is the JSON of a 200.
func (a answer) ok(t testing.TB) map[string]any {
	t.Helper()
	if a.StatusCode != http.StatusOK {
		t.Fatalf("status = %d, want 200: %s", a.StatusCode, a.body)
	}
	return a.json(t)
}

// refusal is status and error code of a JSON answer.
func (a answer) refusal(t testing.TB) string {
	t.Helper()
	code, _ := a.json(t)["error"].(string)
	return http.StatusText(a.StatusCode) + " " + code
}

const (
	badGrant  = "Bad Request invalid_grant"
	badClient = "Unauthorized invalid_client"
)

// wantRefusal compares status and error code.
func wantRefusal(t testing.TB, what string, a answer, want string) {
	t.Helper()
	if got := a.refusal(t); got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// payload decodes a JWT without checking it.
func payload(t testing.TB, token any) (header, claims map[string]any) {
	t.Helper()
	text, _ := token.(string)
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("%v is no JWT", token)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		raw := must[[]byte](t)(base64.RawURLEncoding.DecodeString(parts[i]))
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// alive reports whether an access token still counts.
func (s *service) alive(token any) bool {
	s.t.Helper()
	text, _ := token.(string)
	return s.do(s.get(userinfoPath, text)).StatusCode == http.StatusOK
}

// grants counts rows.
func (h *house) grants() (n int) {
	h.t.Helper()
	if err := h.db.Read(context.Background()).Raw("SELECT count(*) FROM grants").Scan(&n).Error; err != nil {
		h.t.Fatal(err)
	}
	return n
}

// interaction is the one that an answer sends the browser to.
func (s *service) interaction(a answer) login.Interaction {
	s.t.Helper()
	return must[login.Interaction](s.t)(s.interactions.Get(s.t.Context(), s.browserID(), s.interactionID(a)))
}

// interactionID is in the address of each of its pages.
func (s *service) interactionID(a answer) string {
	s.t.Helper()
	parts := strings.Split(a.Header.Get("Location"), "/")
	if a.StatusCode != http.StatusSeeOther || len(parts) < 3 || !slices.Contains([]string{"authorize", "login", "consent"}, parts[1]) {
		s.t.Fatalf("answer = %d to %q, want an interaction\n%s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	return parts[2]
}

// resume comes back to a request whose page an answer leads to.
func (s *service) resume(a answer) answer {
	s.t.Helper()
	return s.with(s.browser, s.get("/authorize/"+s.interactionID(a), ""))
}

// browserID is the browser's cookie.
func (s *service) browserID() string {
	for _, c := range s.browser.Jar.Cookies(must[*url.URL](s.t)(url.Parse(s.issuer))) {
		if c.Name == "idp" {
			return c.Value
		}
	}
	return ""
}

// follow goes where an answer points to, at our own site.
func (s *service) follow(a answer) answer {
	s.t.Helper()
	location := a.Header.Get("Location")
	if !strings.HasPrefix(location, "/") {
		s.t.Fatalf("answer = %d to %q, want a page of ours", a.StatusCode, location)
	}
	return s.with(s.browser, s.get(location, ""))
}

// leadsTo checks the path that an answer redirects to; {id} is the interaction.
func (s *service) leadsTo(a answer, i login.Interaction, want string) {
	s.t.Helper()
	want = strings.ReplaceAll(want, "{id}", i.ID)
	if got := a.Header.Get("Location"); got != want || a.StatusCode != http.StatusSeeOther {
		s.t.Errorf("leads to %d %q, want %q", a.StatusCode, got, want)
	}
}

// now is the database's clock.
func (h *house) now() time.Time {
	h.t.Helper()
	return must[time.Time](h.t)(h.db.Now(h.t.Context()))
}

// answer says yes or no on the consent page, as the citizen of this browser.
func (s *service) answer(i login.Interaction, allow, remember bool) {
	s.t.Helper()
	ctx := s.t.Context()
	d := consent.Decision{Interaction: i, Session: s.current(), Client: s.client, Remember: remember}
	decide := s.consents.Deny
	if allow {
		decide = s.consents.Allow
	}
	if err := decide(ctx, operator(), d); err != nil {
		s.t.Fatal(err)
	}
}

// current is the session of this browser.
func (s *service) current() login.Session {
	s.t.Helper()
	for _, c := range s.browser.Jar.Cookies(must[*url.URL](s.t)(url.Parse(s.issuer))) {
		if c.Name == "session" {
			return must[login.Session](s.t)(s.sessions.Get(s.t.Context(), c.Value))
		}
	}
	s.t.Fatal("nobody is signed in")
	return login.Session{}
}
