package provider

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
)

// What the citizen says on the consent page, and what comes of it, is one
// request and one commit.
func TestAnAnswerGoesOnAtOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"consent": "remember"}`)
		s.signIn(h.people())
		for _, row := range []struct {
			answer, remember, mode string
			code                   bool
			writes                 []string
		}{
			{"deny", "yes", "", false, []string{"UPDATE interactions", "INSERT audit_queue"}},
			{"allow", "", "", true, []string{"UPDATE interactions", "INSERT grants", "INSERT audit_queue"}},
			{"allow", "yes", "", true, []string{"UPDATE interactions", "INSERT consents", "INSERT grants", "INSERT audit_queue"}},
			{"allow", "yes", "form_post", true, nil},
		} {
			i := s.interaction(s.authorize("prompt", "consent", "response_mode", row.mode))
			press, _ := s.consentPage(i, "answer", row.answer, "remember", row.remember)
			c := databasetest.Count(t, db)
			got := press()
			_, writes := split(c.Statements())
			if row.mode != "" {
				if got.StatusCode != http.StatusOK || !strings.Contains(got.body, `name="code"`) || got.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%+v: %d, want the form that posts itself\n%s", row, got.StatusCode, got.body)
				}
				continue
			}
			v := s.reply(got)
			if (v.Get("code") != "") != row.code || (v.Get("error") == codeAccessDenied) == row.code || v.Get("state") != "a state" {
				t.Errorf("%+v: the service is told %v", row, v)
			}
			if c.Commits() != 1 || !slices.Equal(writes, row.writes) {
				t.Errorf("%+v: %d commits, writes %q", row, c.Commits(), writes)
			}
			if back := s.with(s.browser, s.get("/authorize/"+i.ID, "")); back.StatusCode != http.StatusNotFound {
				t.Errorf("%+v: Back after the end: %d", row, back.StatusCode)
			}
			if again := press(); again.StatusCode != http.StatusNotFound || !strings.Contains(again.body, "interaction-lost") {
				t.Errorf("%+v: the form once more: %d to %q", row, again.StatusCode, again.Header.Get("Location"))
			}
		}
		s.code("prompt", "none") // it was remembered
	})
}

// However often the form is sent at once, and to however many nodes, there is
// one code. Whoever came too late is told so.
func TestOneFormSentManyTimesIsOneCode(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		h := newInstallation(t, a)
		s := h.service(`{"consent": "always"}`)
		s.signIn(h.people())
		i := s.interaction(s.authorize())
		here, _ := s.consentPage(i, "answer", "allow")
		there, _ := s.at(h.another(b)).consentPage(i, "answer", "allow")
		var mu sync.Mutex
		codes := 0
		databasetest.Barrier(20, func(k int) {
			got := []func() answer{here, there}[k%2]()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case strings.HasPrefix(got.Header.Get("Location"), callback):
				codes++
			case got.Header.Get("Location") == i.ResumeURL(): // is told there, below
			case got.StatusCode != http.StatusNotFound || !strings.Contains(got.body, "interaction-lost"):
				t.Errorf("got %d to %q\n%s", got.StatusCode, got.Header.Get("Location"), got.body)
			}
		})
		if late := s.with(s.browser, s.get(i.ResumeURL(), "")); late.StatusCode != http.StatusNotFound || !strings.Contains(late.body, "interaction-lost") {
			t.Errorf("afterwards: got %d to %q", late.StatusCode, late.Header.Get("Location"))
		}
		if given := events(t, a, audit.ConsentGiven); codes != 1 || h.grants() != 1 || given != 1 {
			t.Errorf("%d codes, %d grants, %d answers recorded; want one of each", codes, h.grants(), given)
		}
	})
}

// An answer that is not the last step is kept for when the rest is done; the
// first one stands.
func TestAnAnswerBeforeAnotherStepIsKept(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"consent": "always"}`)
		s.signIn(h.people())
		i := s.interaction(s.authorize("max_age", "300"))
		allow, _ := s.consentPage(i, "answer", "allow")
		deny, _ := s.consentPage(i, "answer", "deny")
		databasetest.Shift(t, db, 10*time.Minute)
		s.leadsTo(allow(), i, "/login/{id}") // the sign-in has become too old
		if h.grants() != 0 {
			t.Error("a grant was issued on a sign-in that is too old")
		}
		s.leadsTo(deny(), i, "/authorize/{id}")
		if err := h.interactions.MarkSignedIn(t.Context(), i, s.current()); err != nil {
			t.Fatal(err)
		}
		if v := s.reply(s.with(s.browser, s.get("/authorize/"+i.ID, ""))); v.Get("code") == "" {
			t.Errorf("the service is told %v, want a code", v)
		}
	})
}

// An answer given in a session that ends meanwhile counts for nothing.
func TestAnAnswerInASessionThatEnds(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"consent": "always"}`)
		session := s.signIn(h.people())
		i := s.interaction(s.authorize())
		press, _ := s.consentPage(i, "answer", "allow")
		var once sync.Once
		databasetest.Count(t, db).Before(func(q string) {
			if q != "BEGIN" {
				return
			}
			once.Do(func() { // it has been read by now; here it begins to be written
				databasetest.Count(t, db).Before(nil)
				if err := h.sessions.End(t.Context(), operator(), session, login.EndSignOut); err != nil {
					t.Error(err)
				}
			})
		})
		s.leadsTo(press(), i, "/authorize/{id}") // which looks anew
		if h.grants() != 0 || events(t, db, audit.ConsentGiven) != 0 {
			t.Errorf("%d grants, %d answers recorded; want none", h.grants(), events(t, db, audit.ConsentGiven))
		}
		s.leadsTo(s.with(s.browser, s.get("/authorize/"+i.ID, "")), i, "/login/{id}")
	})
}
