package provider

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
	"ente.example/idp/provider/keys"
)

// listener is a service that hears of sessions' ends.
type listener struct {
	*service
	mu     sync.Mutex
	status int
	heard  []string // logout tokens
}

// listener registers a service under a site of its own; more is merged into its
// document.
func (h *house) listener(more string) *listener {
	h.t.Helper()
	l := &listener{status: http.StatusOK}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if r.Method == http.MethodPost && r.URL.Path == "/logout" {
			l.heard = append(l.heard, r.FormValue("logout_token"))
		}
		w.WriteHeader(l.status)
	}))
	h.t.Cleanup(site.Close)
	l.service = h.service(`{"backchannel_logout_uri": "` + site.URL + `/logout"` + more + `}`)
	return l
}

func (l *listener) answers(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status = status
}

// tokens are what has been heard so far.
func (l *listener) tokensHeard() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.heard...)
}

// send is one round of the worker.
func (h *house) send() {
	h.t.Helper()
	if err := h.provider.SendLogouts(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// signOut ends the session of this browser.
func (s *service) signOut() {
	s.t.Helper()
	if err := s.sessions.End(s.t.Context(), operator(), s.current(), login.EndSignOut); err != nil {
		s.t.Fatal(err)
	}
}

// OpenID Connect Back-Channel Logout §2: who was signed in at is told, once,
// with a token that is nothing else.
func TestBackChannelLogout(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		l, deaf := h.listener(""), h.service("")
		session := l.signIn(h.people())
		deaf.browser = l.browser
		tokens := l.tokens()
		l.tokens() // again: still told once
		deaf.tokens()
		h.send()
		if got := l.tokensHeard(); len(got) != 0 {
			t.Fatalf("told of a session that lives: %d", len(got))
		}
		l.signOut()
		h.send()
		h.send()
		heard := l.tokensHeard()
		if len(heard) != 1 {
			t.Fatalf("told %d times, want once", len(heard))
		}
		raw, header, err := h.provider.keys.Verify(t.Context(), heard[0], typLogoutToken)
		if err != nil || header.Alg != keys.RS256 {
			t.Fatalf("logout token: %v %v", header, err)
		}
		var claims map[string]any
		if err := json.Unmarshal(raw, &claims); err != nil {
			t.Fatal(err)
		}
		_, id := payload(t, tokens["id_token"])
		events, _ := claims["events"].(map[string]any)
		if claims["iss"] != issuer || claims["aud"] != l.client.ID || claims["sid"] != string(session.ID) || claims["sub"] != id["sub"] ||
			events[logoutEvent] == nil || claims["jti"] == nil || claims["exp"] == nil || claims["nonce"] != nil {
			t.Errorf("claims = %v", claims)
		}
		// it is no ID token to anybody
		if got := l.refused("id_token_hint", heard[0]); got != codeInvalidRequest {
			t.Errorf("as id_token_hint: %q", got)
		}
	})
}

// A PIN that is revoked ends every session, and their services are told.
func TestServicesHearOfARevokedPIN(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		l := h.listener("")
		id := h.people()
		l.signIn(id)
		l.tokens()
		if err := h.sessions.EndCitizen(t.Context(), id, "revoked"); err != nil {
			t.Fatal(err)
		}
		h.send()
		if got := len(l.tokensHeard()); got != 1 {
			t.Errorf("told %d times, want once", got)
		}
	})
}

// R55: a session that has gone idle is over for its services too, within the
// minute; one that is used elsewhere is not.
func TestServicesHearOfAnIdleSession(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		l := h.listener("")
		l.signIn(h.people())
		l.tokens()
		look := func(after time.Duration, want int) {
			t.Helper()
			databasetest.Shift(t, db, after)
			if err := h.provider.EndIdle(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.send()
			if got := len(l.tokensHeard()); got != want {
				t.Errorf("told %d times, want %d", got, want)
			}
		}
		look(20*time.Minute, 0)
		l.tokens() // single sign-on is activity
		look(20*time.Minute, 0)
		look(9*time.Minute, 0)
		look(2*time.Minute, 1)
		look(time.Hour, 1)
	})
}

// A service that is away is tried again, later and later, for two hours; one
// that refuses is not.
func TestLogoutsAreTriedAgain(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		for name, row := range map[string]struct {
			status int
			final  bool
		}{"away": {http.StatusServiceUnavailable, false}, "too many": {http.StatusTooManyRequests, false}, "refuses": {http.StatusBadRequest, true}} {
			l := h.listener("")
			l.signIn(id)
			l.tokens()
			l.answers(row.status)
			l.signOut()
			h.send()
			h.send() // nothing is due yet
			if got := len(l.tokensHeard()); got != 1 {
				t.Errorf("%s: tried %d times at once, want one", name, got)
			}
			l.answers(http.StatusOK)
			databasetest.Shift(t, db, 5*time.Minute)
			h.send()
			if got := len(l.tokensHeard()); (got == 1) != row.final {
				t.Errorf("%s: tried %d times", name, got)
			}
		}
		l := h.listener("")
		l.signIn(id)
		l.tokens()
		l.answers(http.StatusInternalServerError)
		l.signOut()
		for range 40 {
			h.send()
			databasetest.Shift(t, db, 11*time.Minute)
		}
		tried := len(l.tokensHeard())
		if tried < 5 || tried > 15 {
			t.Errorf("tried %d times in two hours", tried)
		}
		var failed int
		err := db.Read(t.Context()).Raw(`SELECT count(*) FROM audit_events WHERE type = ? AND outcome = ? AND client_id = ?`,
			audit.LogoutSent, audit.Failed, l.client.ID).Row().Scan(&failed)
		if err != nil || failed != 1 {
			t.Errorf("%d records that it was given up, %v, want one", failed, err)
		}
	})
}

// Many workers at once on two nodes: each service is told once.
func TestLogoutsAreSentOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		other := h.another(db)
		id := h.people()
		const services = 5
		var all []*listener
		browser := h.listener("")
		browser.signIn(id)
		for range services {
			l := h.listener("")
			l.browser = browser.browser
			l.tokens()
			all = append(all, l)
		}
		browser.signOut()
		start := make(chan struct{})
		var workers sync.WaitGroup
		for i := range 8 {
			node := []*house{h, other}[i%2]
			workers.Go(func() {
				<-start
				if err := node.provider.SendLogouts(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		workers.Wait()
		for i, l := range all {
			if got := len(l.tokensHeard()); got != 1 {
				t.Errorf("service %d was told %d times", i, got)
			}
		}
	})
}

// A service that takes its time, with many sessions to hear of, keeps nobody
// else from hearing of theirs.
func TestASlowServiceHoldsNobodyUp(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		heard, gaveUp := make(chan struct{}), make(chan struct{}, 100)
		slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // else the end of the connection goes unseen
			select {
			case <-heard:
			case <-r.Context().Done(): // whoever asked has waited as long as it does
				gaveUp <- struct{}{}
			}
		}))
		t.Cleanup(slow.Close)
		quick := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(heard) }))
		t.Cleanup(quick.Close)
		queue := func(address string, sessions int) {
			s := h.service(`{"backchannel_logout_uri": "` + address + `/logout"}`)
			for range sessions {
				if err := h.provider.logouts.add(t.Context(), logoutRow{ClientID: s.client.ID, SessionID: uuid.NewString(), Subject: "x"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		queue(slow.URL, logoutBatch+5)
		queue(quick.URL, 1)
		ctx, stop := context.WithCancel(t.Context())
		var worker sync.WaitGroup
		worker.Go(func() {
			if err := h.provider.RunLogouts(ctx); err != nil {
				t.Error(err)
			}
		})
		select {
		case <-heard:
		case <-gaveUp:
			t.Error("the slow ones were waited for")
		}
		stop()
		worker.Wait()
	})
}

// OpenID Connect Front-Channel Logout §2 and §3: the page of the sign-out loads
// each service's address, then goes where the service asked for.
func TestFrontChannelLogout(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"frontchannel_logout_uri": "https://service.example/bye?x=1", "post_logout_redirect_uris": ["https://service.example/out"]}`)
		session := s.signIn(h.people())
		hint, _ := s.tokens()["id_token"].(string)
		v := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://service.example/out"}, "state": {"s"}}
		a := s.with(s.browser, s.get(EndSessionPath+"?"+v.Encode(), ""))
		want := `src="https://service.example/bye?x=1&amp;iss=` + url.QueryEscape(issuer) + `&amp;sid=` + string(session.ID) + `"`
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, want) || a.Header.Get("Refresh") != "2; url=https://service.example/out?state=s" {
			t.Errorf("page = %d, Refresh %q, want %s in\n%s", a.StatusCode, a.Header.Get("Refresh"), want, a.body)
		}
		if got := a.Header.Get("Content-Security-Policy"); !strings.Contains(got, "frame-src https://service.example") {
			t.Errorf("Content-Security-Policy = %q", got)
		}
		if got := s.refused("prompt", "none"); got != codeLoginRequired {
			t.Errorf("after the sign-out: %q", got)
		}
	})
}
