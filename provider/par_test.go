package provider

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// push sends a good request, changed by pairs, to the PAR endpoint.
func (s *service) push(pairs ...string) answer {
	s.t.Helper()
	return s.pushValues(s.params(pairs...))
}

func (s *service) pushValues(v url.Values) answer {
	s.t.Helper()
	r := s.post(parPath)
	body := strings.NewReader(v.Encode())
	r = must[*http.Request](s.t)(http.NewRequestWithContext(s.t.Context(), http.MethodPost, r.URL.String(), body))
	r.Header.Set("Content-Type", formContentType)
	r.SetBasicAuth(url.QueryEscape(s.client.ID), url.QueryEscape(s.secret))
	return s.do(r)
}

// pushedURI is the request_uri of a request that was taken.
func (s *service) pushedURI(a answer) string {
	s.t.Helper()
	if a.StatusCode != http.StatusCreated {
		s.t.Fatalf("push = %d %s", a.StatusCode, a.body)
	}
	uri, _ := a.json(s.t)["request_uri"].(string)
	return uri
}

// bring is the browser bringing a pushed request.
func (s *service) bring(uri string, pairs ...string) answer {
	s.t.Helper()
	v := url.Values{"client_id": {s.client.ID}, "request_uri": {uri}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return s.with(s.browser, s.get("/authorize?"+v.Encode(), ""))
}

// RFC 9126 §2 to §4, start to finish.
func TestPushedRequest(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service(`{"require_pushed_authorization_requests": true}`)
		s.signIn(s.people())
		a := s.push()
		uri := s.pushedURI(a)
		if got := a.json(t)["expires_in"]; got != 60.0 || !strings.HasPrefix(uri, pushedPrefix) || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("answer = %v, Cache-Control %q", a.json(t), a.Header.Get("Cache-Control"))
		}
		// what else the address says counts for nothing
		v := s.reply(s.bring(uri, "scope", "nope", "state", "another", "redirect_uri", "https://evil.example/"))
		if v.Get("state") != "a state" {
			t.Errorf("state = %q, want the pushed one", v.Get("state"))
		}
		s.exchange(v.Get("code")).ok(t)
		wantUntrusted(t, "a second use", s.bring(uri))
		if got := s.refused(); got != codeInvalidRequest {
			t.Errorf("a request that was not pushed: %q, want %s", got, codeInvalidRequest)
		}
	})
}

// A pushed request waits, and for one browser only; the same may reload.
func TestPushedRequestAndBrowsers(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service("")
		s.people()
		uri := s.pushedURI(s.push())
		first := s.bring(uri)
		if location := first.Header.Get("Location"); !strings.HasPrefix(location, "/login/") {
			t.Fatalf("leads to %q, want the sign-in", location)
		}
		if again := s.bring(uri); again.Header.Get("Location") != first.Header.Get("Location") {
			t.Errorf("a reload leads to %q, want %q", again.Header.Get("Location"), first.Header.Get("Location"))
		}
		s.browser = s.house.browser(&http.Cookie{Name: "idp", Value: newBrowser()})
		wantUntrusted(t, "another browser", s.bring(uri))
	})
}

func TestPushedRequestExpires(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service("")
		s.signIn(s.people())
		late, inTime := s.pushedURI(s.push()), s.pushedURI(s.push("prompt", "login"))
		databasetest.Shift(t, db, 59*time.Second)
		s.bring(inTime)
		databasetest.Shift(t, db, 2*time.Second)
		wantUntrusted(t, "after a minute", s.bring(late))
		// the citizen's hour begins when the browser comes
		databasetest.Shift(t, db, 58*time.Minute)
		if location := s.bring(inTime).Header.Get("Location"); !strings.HasPrefix(location, "/login/") {
			t.Errorf("leads to %q, want the sign-in", location)
		}
	})
}

func TestPushedRequestsThatAreRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s, other := h.service(""), h.service("")
		for name, pairs := range map[string][]string{
			"another address":      {"redirect_uri", "https://evil.example/"},
			"no address":           {"redirect_uri", ""},
			"a request_uri":        {"request_uri", pushedPrefix + "x"},
			"no challenge":         {"code_challenge", ""},
			"another client's id":  {"client_id", other.client.ID},
			"an unknown prompt":    {"prompt", "maybe"},
			"a hint that is none":  {"id_token_hint", "x"},
			"max_age as one likes": {"max_age", "soon"},
		} {
			wantRefusal(t, name, s.push(pairs...), "Bad Request "+codeInvalidRequest)
		}
		wantRefusal(t, "a scope that does not exist", s.push("scope", "nope"), "Bad Request "+codeInvalidScope)
		stranger := *s
		stranger.secret = "wrong"
		wantRefusal(t, "a wrong secret", stranger.push(), badClient)
		twice := s.params()
		twice.Add("state", "another")
		wantRefusal(t, "a parameter twice", s.pushValues(twice), "Bad Request "+codeInvalidRequest)
		// another client's, an invented one
		s.people()
		uri := s.pushedURI(s.push())
		wantUntrusted(t, "another client's", other.bring(uri))
		if location := s.bring(uri).Header.Get("Location"); !strings.HasPrefix(location, "/login/") {
			t.Errorf("after another client's try it leads to %q, want the sign-in", location)
		}
		wantUntrusted(t, "an invented one", s.bring(pushedPrefix+"x"))
		if got := h.do(h.get("/par", "")).StatusCode; got != http.StatusMethodNotAllowed {
			t.Errorf("GET = %d, want 405", got)
		}
	})
}

// A form of another site brings no cookie: the browser is sent to bring it.
func TestPushedRequestByPost(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service("")
		s.signIn(s.people())
		uri := s.pushedURI(s.push())
		a := s.with(s.browser, s.post("/authorize", "client_id", s.client.ID, "request_uri", uri))
		if a.StatusCode != http.StatusSeeOther {
			t.Fatalf("POST = %d", a.StatusCode)
		}
		if code := s.reply(s.follow(a)).Get("code"); code == "" {
			t.Error("no code after the redirect")
		}
	})
}

// wantUntrusted is the page for a request that cannot be answered to anybody.
func wantUntrusted(t testing.TB, what string, a answer) {
	t.Helper()
	if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "request.untrusted") {
		t.Errorf("%s: %d to %q, want the page request.untrusted", what, a.StatusCode, a.Header.Get("Location"))
	}
}
