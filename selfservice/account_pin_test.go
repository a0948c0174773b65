package selfservice_test

import (
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login/logintest"
)

var shownPIN = regexp.MustCompile(`(?s)<output id="new-pin"[^>]*>(.*?)</output>`)

// newPIN is the one that the page shows.
func newPIN(t *testing.T, p logintest.Page) string {
	t.Helper()
	m := shownPIN.FindStringSubmatch(p.Body)
	if m == nil {
		t.Fatalf("no new PIN on page %q %q, status %d to %q", p.Name, p.Problem, p.Status, p.Location)
	}
	return regexp.MustCompile(`<[^>]*>|\s`).ReplaceAllString(m[1], "")
}

// changing is settled, with a change of PIN begun.
func changing(t *testing.T, db *database.DB) (node, *logintest.Browser, string, logintest.Page) {
	t.Helper()
	n, b, pin := settled(t, db)
	p := b.Get("/account/pin")
	wantPage(t, p, "account-pin", "")
	if shownPIN.MatchString(p.Body) {
		t.Fatal("R26: a look at the page made a new PIN")
	}
	p = follow(t, b, b.Submit(p, "action", "start"))
	wantPage(t, p, "account-pin", "")
	return n, b, pin, p
}

func (n node) accepts(t *testing.T, code, pin string) bool {
	t.Helper()
	parsed, err := credentials.ParsePIN(pin)
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.Credentials.Verify(t.Context(), audit.Actor{Kind: audit.Anonymous}, n.FiscalCode(code), parsed)
	return err == nil
}

// R26 from end to end: shown, typed back with the old one, done. The session
// goes on under its name with another secret.
func TestR26VoluntaryChange(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, old, p := changing(t, db)
		fresh, secret, before := newPIN(t, p), b.Cookie("session"), n.session(t, b)
		if strings.Contains(p.Body, logintest.Mario) || p.Header.Get("Cache-Control") != "no-store" {
			t.Error("R58: the codice fiscale stands beside the PIN, or the page may be cached")
		}
		done := b.Submit(p, "action", "confirm", "new_pin", fresh[:4]+" "+fresh[4:], "old_pin", old)
		wantPage(t, done, "done", "")
		after := n.session(t, b)
		if after == nil || after.ID != before.ID || b.Cookie("session") == secret || after.Change != "" {
			t.Fatalf("got session %v after %v, want the same with another secret and no change", after, before)
		}
		if _, err := n.Sessions.Get(t.Context(), secret); err == nil {
			t.Error("the old secret still opens the session")
		}
		wantPage(t, b.Get("/account"), "account", "")
		if n.accepts(t, logintest.Mario, old) || !n.accepts(t, logintest.Mario, fresh) {
			t.Error("R25: the old PIN lives, or the new one does not")
		}
		st, err := n.Credentials.StatusOf(t.Context(), n.Citizen(logintest.Mario))
		if err != nil || st.State != credentials.Active {
			t.Errorf("got %v, %v, want an active PIN", st.State, err)
		}
		p = b.Get("/account/pin")
		wantPage(t, p, "account-pin", "") // nothing is left of the change
	})
}

// R26: who is signed in elsewhere with the old PIN is so no more, and no sign-in
// with it that is under way at that moment stays.
func TestR26AChangeEndsOtherSessions(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, old, p := changing(t, db)
		elsewhere := n.Browser()
		wantPage(t, comeIn(t, elsewhere, "/account", logintest.Mario, old), "account", "")
		late := make([]*logintest.Browser, 4)
		forms := make([]logintest.Page, len(late))
		for i := range late {
			late[i] = n.Browser()
			forms[i] = follow(t, late[i], late[i].Get("/account"))
		}
		databasetest.Barrier(len(late)+1, func(i int) {
			if i < len(late) {
				late[i].Submit(forms[i], "fiscal_code", logintest.Mario, "pin", old)
				return
			}
			wantPage(t, b.Submit(p, "action", "confirm", "new_pin", newPIN(t, p), "old_pin", old), "done", "")
		})
		for i, other := range append(late, elsewhere) {
			if s := n.session(t, other); s != nil {
				t.Errorf("browser %d is signed in with the old PIN: %v", i, s)
			}
		}
		wantPage(t, b.Get("/account"), "account", "")
		var ends int
		if err := db.Read(t.Context()).Raw(`SELECT count(*) FROM audit_events WHERE type = ? AND reason = 'pin-changed'`,
			audit.SessionEnded).Row().Scan(&ends); err != nil || ends < 1 {
			t.Errorf("%d ends of sessions are recorded, %v", ends, err)
		}
	})
}

// R26: the page makes no PIN, however often one looks; another is made on
// demand, three times; a reload shows the same.
func TestR26TheSamePINAtEveryLook(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		_, b, _, p := changing(t, db)
		seen := map[string]bool{newPIN(t, p): true}
		c := databasetest.Count(t, db)
		if again := b.Get("/account/pin"); !seen[newPIN(t, again)] {
			t.Error("a second look shows another PIN")
		}
		for _, w := range c.Writes() {
			if !strings.Contains(w, "UPDATE sessions SET seen_at") {
				t.Errorf("a look wrote %s", w)
			}
		}
		for range 3 {
			p = follow(t, b, b.Submit(p, "action", "regenerate"))
			if pin := newPIN(t, p); seen[pin] {
				t.Error("the same PIN once more")
			} else {
				seen[pin] = true
			}
		}
		if p = follow(t, b, b.Submit(p, "action", "regenerate")); !seen[newPIN(t, p)] || strings.Contains(p.Body, `value="regenerate"`) {
			t.Error("a fourth one was made, or offered")
		}
	})
}

// R32: the old PIN of a change is a try like any other; a slip of copying is
// none.
func TestR32OldPINOfAVoluntaryChangeCounts(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, old, p := changing(t, db)
		fresh := newPIN(t, p)
		wantPage(t, b.Submit(p, "action", "confirm", "new_pin", "", "old_pin", ""), "account-pin", "form.invalid-field")
		wantPage(t, b.Submit(p, "action", "confirm", "new_pin", old, "old_pin", old), "account-pin", "pin-change.new-mismatch")
		for range 9 {
			again := b.Submit(p, "action", "confirm", "new_pin", fresh, "old_pin", "00000000")
			wantPage(t, again, "account-pin", "pin-change.old-wrong")
			if newPIN(t, again) != fresh {
				t.Fatal("a wrong old PIN changed the new one")
			}
		}
		wantPage(t, b.Submit(p, "action", "confirm", "new_pin", fresh, "old_pin", "00000000"), "account-pin", "login.waiting")
		if n.accepts(t, logintest.Mario, old) {
			t.Error("the wait holds in one lane only")
		}
		databasetest.Shift(t, db, 5*time.Minute)
		wantPage(t, b.Submit(p, "action", "confirm", "new_pin", fresh, "old_pin", old), "done", "")
	})
}

// R26: of two tabs the last new PIN counts, and the other tab says so.
func TestR26TwoTabs(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, old, left := changing(t, db)
		right := follow(t, b, b.Submit(left, "action", "regenerate"))
		stale := b.Submit(left, "action", "confirm", "new_pin", newPIN(t, left), "old_pin", old)
		wantPage(t, stale, "account-pin", "pin-change.expired")
		if shownPIN.MatchString(stale.Body) || !has(links(stale), "/account/pin") {
			t.Error("the stale tab shows a PIN, or no way on")
		}
		right = follow(t, b, b.Submit(right, "action", "start")) // as from a third tab
		wantPage(t, b.Submit(left, "action", "confirm", "new_pin", newPIN(t, left), "old_pin", old), "account-pin", "pin-change.expired")
		wantPage(t, b.Submit(right, "action", "confirm", "new_pin", newPIN(t, right), "old_pin", old), "done", "")
		if !n.accepts(t, logintest.Mario, newPIN(t, right)) {
			t.Error("not the last PIN counts")
		}
	})
}

// The new PIN is shown in the session that it was made in and in no other, be it
// the same person's.
func TestTheNewPINIsTheSessions(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, old, p := changing(t, db)
		other := n.Browser()
		q := comeIn(t, other, "/account/pin", logintest.Mario, old)
		wantPage(t, q, "account-pin", "")
		if shownPIN.MatchString(q.Body) {
			t.Fatal("another browser sees the new PIN")
		}
		q = follow(t, other, other.Submit(q, "action", "start"))
		wantPage(t, b.Submit(p, "action", "confirm", "new_pin", newPIN(t, p), "old_pin", old), "account-pin", "pin-change.expired")
		wantPage(t, b.Get("/account/pin"), "account-pin", "pin-change.expired")
		wantPage(t, other.Submit(q, "action", "confirm", "new_pin", newPIN(t, q), "old_pin", old), "done", "")
	})
}

func TestAVoluntaryChangeExpiresAndCanBeGivenUp(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, old, p := changing(t, db)
		databasetest.Shift(t, db, 10*time.Minute+time.Second)
		again := b.Submit(p, "action", "confirm", "new_pin", newPIN(t, p), "old_pin", old)
		wantPage(t, again, "account-pin", "pin-change.expired")
		p = follow(t, b, b.Submit(again, "action", "start"))
		wantPage(t, follow(t, b, b.Submit(p, "action", "cancel")), "account", "")
		wantPage(t, b.Get("/account/pin"), "account-pin", "")
		wantPage(t, b.Submit(p, "action", "confirm", "new_pin", newPIN(t, p), "old_pin", old), "account-pin", "pin-change.expired")
		if !n.accepts(t, logintest.Mario, old) {
			t.Error("the old PIN is dead although nothing was confirmed")
		}
	})
}

// Whoever signs out while the old PIN is being checked stays out; the PIN has
// changed.
func TestAChangeDoesNotSignInWhoHasSignedOut(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, old, p := changing(t, db)
		s := *n.session(t, b)
		n.Tried = func() {
			n.Tried = nil
			if err := n.Sessions.End(t.Context(), audit.Actor{Kind: audit.System}, s, "sign-out"); err != nil {
				t.Error(err)
			}
		}
		got := follow(t, b, b.Submit(p, "action", "confirm", "new_pin", newPIN(t, p), "old_pin", old))
		wantPage(t, got, "login", "")
		if n.session(t, b) != nil || !n.accepts(t, logintest.Mario, newPIN(t, p)) {
			t.Error("a session came back, or the change was lost")
		}
	})
}

// Eight presses at once: whatever comes first, session and change agree, and of
// eight confirmations one changes the PIN.
func TestR26PressesAtOnce(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, old, p := changing(t, db)
		databasetest.Barrier(8, func(int) { b.Submit(p, "action", "start") })
		// the answers may have come in another order than the changes began
		p = follow(t, b, b.Submit(p, "action", "start"))
		fresh := newPIN(t, p)
		var done atomic.Int32
		databasetest.Barrier(8, func(int) {
			if b.Submit(p, "action", "confirm", "new_pin", fresh, "old_pin", old).Name == "done" {
				done.Add(1)
			}
		})
		if done.Load() != 1 || !n.accepts(t, logintest.Mario, fresh) {
			t.Errorf("%d confirmations came through, want one", done.Load())
		}
	})
}

// What happened can be read in the audit, and whose doing it was.
func TestAVoluntaryChangeIsAudited(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, old, p := changing(t, db)
		wantPage(t, b.Submit(p, "action", "confirm", "new_pin", newPIN(t, p), "old_pin", old), "done", "")
		var types []string
		if err := db.Read(t.Context()).Raw(`SELECT type FROM audit_events WHERE actor_kind = ? AND actor_id = ? ORDER BY id`,
			"citizen", string(n.Citizen(logintest.Mario).ID)).Scan(&types).Error; err != nil {
			t.Fatal(err)
		}
		text := strings.Join(types, " ")
		for _, want := range []audit.Type{audit.PINChangeOpened, audit.PINChanged, audit.SessionStarted} {
			if !strings.Contains(text, string(want)) {
				t.Errorf("no %s of the citizen's in %s", want, text)
			}
		}
	})
}

// A session that somebody else holds as well does not give him the new PIN: it
// is shown to the browser that had it made, and no other (pin-rules §5.4).
func TestASessionAloneDoesNotShowTheNewPIN(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, old, p := changing(t, db)
		thief := n.Browser()
		thief.SetCookie("session", b.Cookie("session"))
		stolen := thief.Get("/account/pin")
		wantPage(t, stolen, "account-pin", "pin-change.expired")
		if shownPIN.MatchString(stolen.Body) {
			t.Fatal("who has the session reads the new PIN")
		}
		for _, action := range []string{"regenerate", "confirm"} {
			got := follow(t, thief, thief.Submit(stolen, "action", action, "new_pin", "00000000", "old_pin", "00000000"))
			if shownPIN.MatchString(got.Body) {
				t.Errorf("%s shows the new PIN", action)
			}
		}
		wantPage(t, b.Submit(p, "action", "confirm", "new_pin", newPIN(t, p), "old_pin", old), "done", "")
	})
}
