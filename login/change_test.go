package login_test

import (
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
	"ente.example/idp/login/logintest"
)

var newPIN = regexp.MustCompile(`(?s)<output id="new-pin"[^>]*>(.*?)</output>`)

// shown is the new PIN on a page.
func shown(t *testing.T, p logintest.Page) string {
	t.Helper()
	m := newPIN.FindStringSubmatch(p.Body)
	if m == nil {
		t.Fatalf("no new PIN on page %q %q", p.Name, p.Problem)
	}
	return regexp.MustCompile(`<[^>]*>|\s`).ReplaceAllString(m[1], "")
}

// changing signs Mario in with his first PIN and arrives at the change.
func changing(t *testing.T, db *database.DB) (visit, string, logintest.Page) {
	t.Helper()
	v := newVisit(t, db)
	first := v.house.FirstPIN(logintest.Mario)
	wantRedirect(t, v.signIn(logintest.Mario, first), v.path("/pin"))
	page := v.Get(v.path("/pin"))
	wantPage(t, page, "pin-change", "")
	return v, first, page
}

func (v visit) wantOpenChange(want bool) {
	v.t.Helper()
	got, err := v.house.Interactions.OpenChange(v.t.Context(), v.Cookie("idp"))
	if err != nil || got != want {
		v.t.Errorf("a change open in this browser: got %v, %v, want %v", got, err, want)
	}
}

// R23, R24: the first PIN opens the change and nothing else; the new one is
// made once, and the same at every look.
func TestR23NoSessionBeforeTheChangeIsDone(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v, first, page := changing(t, db)
		v.wantOpenChange(true)
		pin := shown(t, page)
		if len(pin) != 8 || v.session() != nil || v.Cookie("session") != "" {
			t.Fatalf("got a PIN of %d and session %v, want 8 and none", len(pin), v.session())
		}
		again := v.Get(v.path("/pin"))
		if shown(t, again) != pin || again.Header.Get("Cache-Control") != "no-store" {
			t.Error("a second look shows another PIN, or may be cached")
		}
		if strings.Contains(page.Body, logintest.Mario) {
			t.Error("codice fiscale and PIN stand on one page")
		}
		wantRedirect(t, v.Submit(page, "new_pin", pin[:4]+" "+pin[4:], "old_pin", first, "action", "confirm"), v.i.ResumeURL())
		s := v.session()
		if s == nil || v.interaction().Session != s.ID {
			t.Fatal("want a session within the interaction")
		}
		v.wantOpenChange(false)
		// R25: the first PIN is dead, the new one lives
		v = v.again(login.Request{})
		wantPage(t, v.signIn(logintest.Mario, first), "login", "login.refused")
		wantRedirect(t, v.signIn(logintest.Mario, pin), v.i.ResumeURL())
	})
}

func TestGETOfTheChangeWritesNothing(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v, _, _ := changing(t, db)
		c := databasetest.Count(t, db)
		v.Get(v.path("/pin"))
		if writes := c.Writes(); len(writes) != 0 {
			t.Errorf("got %q, want reads only", writes)
		}
	})
}

// R27: a PIN past its age opens the change, too.
func TestR27PeriodicChange(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		old := v.house.PIN(logintest.Mario)
		databasetest.Shift(t, db, 190*24*time.Hour)
		v = v.again(login.Request{})
		wantRedirect(t, v.signIn(logintest.Mario, old), v.path("/pin"))
		page := v.Get(v.path("/pin"))
		wantPage(t, page, "pin-change", "")
		wantRedirect(t, v.Submit(page, "new_pin", shown(t, page), "old_pin", old, "action", "confirm"), v.i.ResumeURL())
	})
}

func TestR26WhatWasTypedWronglyIsSaidAndThePINStays(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v, first, page := changing(t, db)
		pin := shown(t, page)
		for _, c := range []struct{ fresh, old, problem string }{
			{"", "", "form.invalid-field"},
			{pin, "", "form.invalid-field"},
			{"00000000", first, "pin-change.new-mismatch"},
			{"zu kurz", first, "pin-change.new-mismatch"},
			{pin, "123", "form.invalid-field"},
			{pin, "0000000000000000", "pin-change.old-wrong"},
		} {
			got := v.Submit(page, "new_pin", c.fresh, "old_pin", c.old, "action", "confirm")
			wantPage(t, got, "pin-change", c.problem)
			if shown(t, got) != pin || strings.Contains(got.Body, first) {
				t.Errorf("%s: the page shows another new PIN, or the old one", c.problem)
			}
		}
		wantRedirect(t, v.Submit(page, "new_pin", pin, "old_pin", first, "action", "confirm"), v.i.ResumeURL())
	})
}

func TestR26FiveSlipsAndOneStartsAgain(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v, first, page := changing(t, db)
		for range 4 {
			wantPage(t, v.Submit(page, "new_pin", "00000000", "old_pin", first, "action", "confirm"), "pin-change", "pin-change.new-mismatch")
		}
		wantPage(t, v.Submit(page, "new_pin", "00000000", "old_pin", first, "action", "confirm"), "login", "pin-change.expired")
		wantRedirect(t, v.signIn(logintest.Mario, first), v.path("/pin"))
	})
}

func TestTheOldPINCountsAsATry(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v, first, page := changing(t, db)
		pin := shown(t, page)
		for range 9 {
			wantPage(t, v.Submit(page, "new_pin", pin, "old_pin", "00000000", "action", "confirm"), "pin-change", "pin-change.old-wrong")
		}
		wantPage(t, v.Submit(page, "new_pin", pin, "old_pin", "00000000", "action", "confirm"), "pin-change", "login.waiting")
		wantPage(t, v.Submit(page, "new_pin", pin, "old_pin", first, "action", "confirm"), "pin-change", "login.waiting")
		databasetest.Shift(t, db, 5*time.Minute)
		wantRedirect(t, v.Submit(page, "new_pin", pin, "old_pin", first, "action", "confirm"), v.i.ResumeURL())
	})
}

func TestRegenerateThreeTimesAndADoublePressOnce(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v, first, page := changing(t, db)
		seen := map[string]bool{shown(t, page): true}
		databasetest.Shift(t, db, 9*time.Minute)
		for k := range 3 {
			wantRedirect(t, v.Submit(page, "action", "regenerate"), v.path("/pin"))
			wantRedirect(t, v.Submit(page, "action", "regenerate"), v.path("/pin")) // the same form again
			stale := page
			page = v.Get(v.path("/pin"))
			if pin := shown(t, page); seen[pin] {
				t.Errorf("round %d: the PIN was shown before", k)
			} else {
				seen[pin] = true
			}
			// the form of before belongs to a PIN that is no more (R26, two tabs)
			wantPage(t, v.Submit(stale, "new_pin", shown(t, stale), "old_pin", first, "action", "confirm"), "pin-change", "pin-change.expired")
		}
		wantRedirect(t, v.Submit(page, "action", "regenerate"), v.path("/pin"))
		if got := v.Get(v.path("/pin")); shown(t, got) != shown(t, page) {
			t.Error("a fourth regeneration made another PIN")
		}
		databasetest.Shift(t, db, 9*time.Minute) // each candidate has its own ten minutes
		v.wantOpenChange(true)
		wantRedirect(t, v.Submit(page, "new_pin", shown(t, page), "old_pin", first, "action", "confirm"), v.i.ResumeURL())
	})
}

func TestCancelledChangeLeavesThePINAsItWas(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v, first, page := changing(t, db)
		wantRedirect(t, v.Submit(page, "action", "cancel"), v.i.CancelURL())
		v.wantOpenChange(false)
		if v.session() != nil {
			t.Error("a cancelled change signed in")
		}
		wantRedirect(t, v.Get(v.path("/pin")), v.i.ResumeURL())
		v = v.again(login.Request{})
		wantRedirect(t, v.signIn(logintest.Mario, first), v.path("/pin"))
	})
}

func TestChangeExpiresAfterTenMinutes(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v, first, page := changing(t, db)
		databasetest.Shift(t, db, 10*time.Minute)
		v.wantOpenChange(false)
		wantPage(t, v.Submit(page, "new_pin", shown(t, page), "old_pin", first, "action", "confirm"), "login", "pin-change.expired")
		wantPage(t, v.Submit(page, "action", "regenerate"), "login", "pin-change.expired")
		got := v.Get(v.path("/pin"))
		wantPage(t, got, "login", "pin-change.expired")
		wantRedirect(t, v.Submit(got, "fiscal_code", logintest.Mario, "pin", first), v.path("/pin"))
		wantPage(t, v.Get(v.path("/pin")), "pin-change", "")
	})
}

// The address alone shows nobody a PIN, nor does the browser's cookie: that one
// is older than the sign-in, and may have been noted on a shared machine. And
// the step cannot be entered without the right PIN.
func TestTheChangeCannotBeEnteredFromOutside(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v, _, page := changing(t, db)
		stranger := v.house.Browser()
		wantLostPage(t, stranger.Get(v.path("/pin")), v.service.ClientURI)
		stranger.SetCookie("idp", v.Cookie("idp"))
		wantPage(t, stranger.Get(v.path("/pin")), "login", "pin-change.expired")
		wantPage(t, stranger.Submit(page, "action", "regenerate"), "login", "pin-change.expired")
		wantPage(t, v.Get(v.path("/pin")), "pin-change", "")
		other := v.again(login.Request{})
		wantRedirect(t, other.Get(other.path("/pin")), other.i.ResumeURL())
	})
}

// Another sign-in in the same browser takes the change over: the earlier tab is
// told so, whatever is pressed there, and sees no new PIN.
func TestR26TheLaterOfTwoTabsHoldsTheChange(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v, first, page := changing(t, db)
		other := v.again(login.Request{})
		wantRedirect(t, other.Submit(other.Get(other.path("")), "fiscal_code", logintest.Mario, "pin", first), other.path("/pin"))
		wantPage(t, v.Submit(page, "new_pin", shown(t, page), "old_pin", first, "action", "confirm"), "login", "pin-change.expired")
		wantPage(t, v.Get(v.path("/pin")), "login", "pin-change.expired")
		wantPage(t, other.Get(other.path("/pin")), "pin-change", "")
	})
}

// A later sign-in elsewhere begins the change anew; the earlier tab says so.
func TestR26TheLaterOfTwoChangesCounts(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v, first, page := changing(t, db)
		other := v
		other.Browser = v.house.Browser()
		other = other.again(login.Request{})
		wantRedirect(t, other.signIn(logintest.Mario, first), other.path("/pin"))
		wantPage(t, v.Submit(page, "new_pin", shown(t, page), "old_pin", first, "action", "confirm"), "login", "pin-change.expired")
		theirs := other.Get(other.path("/pin"))
		wantRedirect(t, other.Submit(theirs, "new_pin", shown(t, theirs), "old_pin", first, "action", "confirm"), other.i.ResumeURL())
	})
}

// R27: a PIN that is changed at a sign-in signs out whoever is in with the old
// one elsewhere.
func TestR27TheChangeEndsOtherSessions(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		old := v.house.PIN(logintest.Mario)
		wantRedirect(t, v.signIn(logintest.Mario, old), v.i.ResumeURL())
		here := v.session()
		elsewhere := v
		elsewhere.Browser = v.house.Browser()
		elsewhere = elsewhere.again(login.Request{})
		wantRedirect(t, elsewhere.signIn(logintest.Mario, old), elsewhere.i.ResumeURL())
		if err := db.Write(t.Context()).Exec(`UPDATE credentials SET changed_at = ? WHERE state = 'active'`, db.NowPlus(-200*24*time.Hour)).Error; err != nil {
			t.Fatal(err)
		}
		v = v.again(login.Request{Wants: login.Wants{ForceLogin: true}})
		wantRedirect(t, v.signIn(logintest.Mario, old), v.path("/pin"))
		page := v.Get(v.path("/pin"))
		wantRedirect(t, v.Submit(page, "new_pin", shown(t, page), "old_pin", old, "action", "confirm"), v.i.ResumeURL())
		if s := v.session(); s == nil || s.ID != here.ID {
			t.Errorf("the browser of the change has the session %v, want %s renewed", s, here.ID)
		}
		if s := elsewhere.session(); s != nil {
			t.Errorf("elsewhere somebody is signed in with the old PIN: %v", s)
		}
	})
}

func TestTwoTabsConfirmAtOnce(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v, first, page := changing(t, db)
		pin := shown(t, page)
		var on atomic.Int32
		databasetest.Barrier(6, func(int) {
			got := v.Submit(page, "new_pin", pin, "old_pin", first, "action", "confirm")
			switch {
			case got.Status == http.StatusSeeOther && got.Location == v.i.ResumeURL():
				on.Add(1)
			case got.Status == http.StatusOK && got.Problem == "pin-change.expired":
			default:
				t.Errorf("got %d %q %q", got.Status, got.Name, got.Problem)
			}
		})
		var changed int
		row := db.SQL().QueryRowContext(t.Context(), "SELECT count(*) FROM audit_events WHERE type = 'pin.changed'")
		if err := row.Scan(&changed); err != nil || changed != 1 || on.Load() < 1 {
			t.Errorf("got %d changes, %d tabs that went on, %v; want one change", changed, on.Load(), err)
		}
		if v.session() == nil {
			t.Error("nobody is signed in")
		}
		wantRedirect(t, v.Submit(page, "new_pin", pin, "old_pin", first, "action", "confirm"), v.i.ResumeURL())
	})
}
