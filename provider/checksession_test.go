package provider

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// shown is the browser state that an answer leaves in the browser.
func (a answer) shown(t testing.TB) (state string, said bool) {
	t.Helper()
	for _, c := range a.Cookies() {
		if c.Name != "session-state" {
			continue
		}
		if c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteNoneMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("the cookie of the browser state is %v", c)
		}
		state, said = c.Value, true
	}
	return state, said
}

// stateFor is what a service expects of a browser in that state, with the salt
// of the session_state that it was given (Session Management 1.0 §3.2).
func stateFor(given, client, origin, browser string) string {
	_, salt, _ := strings.Cut(given, ".")
	sum := sha256.Sum256([]byte(client + " " + origin + " " + browser + " " + salt))
	return base64.RawURLEncoding.EncodeToString(sum[:]) + "." + salt
}

// Each answer of OpenID Connect tells the state of the browser it goes through,
// and no other does.
func TestSessionState(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		s := h.service(`{"profile": "oidc", "grant_types": ["authorization_code", "implicit"], "response_types": ["code", "id_token", "code id_token", "none"]}`)
		s.signIn(id)
		a := s.authorize()
		browser, _ := a.shown(t)
		given := s.reply(a).Get("session_state")
		if len(browser) != 43 || given != stateFor(given, s.client.ID, "https://service.example", browser) || strings.Contains(given, " ") {
			t.Errorf("session_state = %q in a browser of %q", given, browser)
		}
		if again := s.reply(s.authorize()).Get("session_state"); again == given {
			t.Error("two answers have the same salt")
		}
		for _, mode := range []string{"fragment", "form_post", "jwt"} {
			if got := s.delivered(s.authorize("response_mode", mode)); got.Get("session_state") == "" {
				t.Errorf("%s: %v, want a session_state", mode, got)
			}
		}
		for _, kind := range []string{"id_token", "code id_token", "none"} {
			if got := s.delivered(s.authorize("response_type", kind)); got.Get("session_state") == "" {
				t.Errorf("%s: %v, want a session_state", kind, got)
			}
		}
		if got := s.reply(s.authorize("scope", "profile")); got.Get("code") == "" || got.Has("session_state") {
			t.Errorf("without openid: %v", got)
		}
		app := h.service(`{"application_type": "native", "token_endpoint_auth_method": "none", "grant_types": ["authorization_code"], "redirect_uris": ["com.example.app:/cb"]}`)
		app.signIn(id)
		if got := app.authorize("redirect_uri", "com.example.app:/cb").Header.Get("Location"); !strings.Contains(got, "code=") || strings.Contains(got, "session_state") {
			t.Errorf("an app: %s", got)
		}
		f := h.fapi(jose.ES256, "")
		f.signIn(id)
		if got := f.reply(f.bring(f.pushedURI(f.pushed()))); got.Get("code") == "" || got.Has("session_state") {
			t.Errorf("FAPI 2.0: %v", got)
		}
	})
}

// A refusal tells it too: what the browser showed, which nobody's end is.
func TestSessionStateOfARefusal(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		silent := func(cookies string) answer {
			r := s.get("/authorize?"+s.params("prompt", "none").Encode(), "")
			r.Header.Set("Cookie", cookies)
			return h.do(r)
		}
		given := func(a answer) string {
			v := s.reply(a)
			if v.Get("error") != codeLoginRequired {
				t.Errorf("answer = %v, want %s", v, codeLoginRequired)
			}
			return v.Get("session_state")
		}
		here := func(state string) func(string) bool {
			return func(given string) bool {
				return given == stateFor(given, s.client.ID, "https://service.example", state)
			}
		}
		nobody, kept := silent(""), silent("session-state=abc")
		if !here("")(given(nobody)) {
			t.Error("nobody is signed in, and the state is not that of nobody")
		}
		if _, said := kept.shown(t); said || !here("abc")(given(kept)) { // a frame: the browser keeps the session cookie back
			t.Error("a request without the session's cookie changed what the browser shows")
		}
		over := silent("session=" + newBrowser() + "; session-state=abc")
		if state, said := over.shown(t); !said || state != "" || !here("")(given(over)) {
			t.Errorf("the session is over, and the browser shows %q", state)
		}
	})
}

// What the browser shows changes with the sign-in, and goes with the session.
func TestBrowserStateChanges(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		s := h.service("")
		s.signIn(id)
		first, _ := s.authorize().shown(t)
		if same, said := s.authorize().shown(t); said && same != first {
			t.Error("the state changed without a sign-in")
		}
		s.signIn(h.person(anna))
		second, _ := s.authorize().shown(t)
		if second == first || second == "" {
			t.Error("another person is signed in, and the state is the same")
		}
		out := s.get("/logout?id_token_hint="+url.QueryEscape(s.tokens()["id_token"].(string)), "")
		out.AddCookie(&http.Cookie{Name: "session-state", Value: second})
		if state, said := s.with(s.browser, out).shown(t); !said || state != "" {
			t.Errorf("signed out, and the browser shows %q", state)
		}
		s.signIn(id)
		databasetest.Shift(t, db, 31*time.Minute)
		idle := s.get("/authorize?"+s.params("prompt", "none").Encode(), "")
		idle.AddCookie(&http.Cookie{Name: "session-state", Value: first})
		if state, said := s.with(s.browser, idle).shown(t); !said || state != "" {
			t.Errorf("idle for too long, and the browser shows %q", state)
		}
	})
}

// The frame may be held by any page, runs its own script, and nothing else.
func TestCheckSessionFrame(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		path, _ := strings.CutPrefix(h.do(h.get(openIDPath, "")).json(t)["check_session_iframe"].(string), h.issuer)
		a := h.do(h.get(path, ""))
		policy := a.Header.Get("Content-Security-Policy")
		if a.StatusCode != http.StatusOK || a.Header.Get("X-Frame-Options") != "" || len(a.Cookies()) > 0 ||
			!strings.HasPrefix(policy, "default-src 'none'; script-src 'sha256-") || !strings.HasSuffix(policy, "; frame-ancestors *") {
			t.Errorf("the frame: %d %v", a.StatusCode, a.Header)
		}
		if strings.Count(a.body, "<script>") != 1 || !strings.Contains(a.Header.Get("Content-Type"), "text/html") {
			t.Errorf("the frame is\n%s", a.body)
		}
	})
}
