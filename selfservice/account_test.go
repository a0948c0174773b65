package selfservice_test

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
	"ente.example/idp/login/logintest"
)

// follow goes on to where the answers lead, on our own pages.
func follow(t *testing.T, b *logintest.Browser, p logintest.Page) logintest.Page {
	t.Helper()
	for range 5 {
		if p.Status != http.StatusSeeOther || !strings.HasPrefix(p.Location, "/") {
			return p
		}
		p = b.Get(p.Location)
	}
	t.Fatalf("redirected without end, last to %s", p.Location)
	return p
}

func wantPage(t *testing.T, p logintest.Page, name, problem string) {
	t.Helper()
	if p.Status != http.StatusOK || p.Name != name || p.Problem != problem {
		t.Fatalf("got status %d, page %q %q to %q; want page %q %q", p.Status, p.Name, p.Problem, p.Location, name, problem)
	}
}

// comeIn signs somebody in at a page of the own area, and comes to it.
func comeIn(t *testing.T, b *logintest.Browser, page, code, pin string) logintest.Page {
	t.Helper()
	form := follow(t, b, b.Get(page))
	wantPage(t, form, "login", "")
	return follow(t, b, b.Submit(form, "fiscal_code", code, "pin", pin))
}

// settled is a house with Mario in his area, in one browser.
func settled(t *testing.T, db *database.DB) (node, *logintest.Browser, string) {
	t.Helper()
	n := newNode(t, db)
	pin := n.PIN(logintest.Mario)
	b := n.Browser()
	wantPage(t, comeIn(t, b, "/account", logintest.Mario, pin), "account", "")
	return n, b, pin
}

func (n node) session(t *testing.T, b *logintest.Browser) *login.Session {
	t.Helper()
	s, err := n.Sessions.Get(t.Context(), b.Cookie("session"))
	if err != nil {
		return nil
	}
	return &s
}

func TestTheOwnAreaNeedsNoService(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := newNode(t, db)
		pin := n.PIN(logintest.Mario)
		b := n.Browser()
		form := follow(t, b, b.Get("/account"))
		wantPage(t, form, "login", "")
		if strings.Contains(form.Body, "idp-service") || strings.Contains(form.Body, "torna al servizio") {
			t.Error("the form names a service where there is none")
		}
		wantPage(t, b.Submit(form, "fiscal_code", logintest.Mario, "pin", "00000000"), "login", "login.refused")
		p := follow(t, b, b.Submit(form, "fiscal_code", logintest.Mario, "pin", pin))
		wantPage(t, p, "account", "")
		for _, want := range []string{"Mario Rossi", "Ordinario", "Ultimo accesso", "m***@p***.example", `form="sign-out"`, `href="/account/pin"`} {
			if !strings.Contains(p.Body, want) {
				t.Errorf("no %q on the page", want)
			}
		}
		for _, never := range []string{"mario@posta.example", logintest.Mario, "/account/contacts"} {
			if strings.Contains(p.Body, never) {
				t.Errorf("%q stands on the page", never)
			}
		}
		if p.Header.Get("Cache-Control") != "no-store" {
			t.Error("the page may be cached")
		}
		if p := b.Get("/account"); p.Name != "account" {
			t.Errorf("who is in is sent to %s", p.Location)
		}
		out := b.Post("/sign-out", map[string][]string{"form_token": {token(p)}})
		wantPage(t, follow(t, b, out), "signed-out", "")
		form = follow(t, b, b.Get("/account"))
		if strings.Contains(form.Body, "La sessione è finita") {
			t.Error("who has signed out is told that the session has ended")
		}
	})
}

func token(p logintest.Page) string {
	return regexp.MustCompile(`name="form_token" value="([^"]*)"`).FindStringSubmatch(p.Body)[1]
}

// The last access is the one before this one, and the next change counts from
// the last.
func TestTheOwnAreaKnowsThePreviousAccess(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, pin := settled(t, db)
		databasetest.Shift(t, db, 48*time.Hour)
		p := comeIn(t, b, "/account", logintest.Mario, pin)
		wantPage(t, p, "account", "")
		s := n.session(t, b)
		if s == nil || s.PreviousAccess == nil || !strings.Contains(p.Body, s.PreviousAccess.In(rome(t)).Format("15:04")) {
			t.Errorf("the previous access does not stand on the page")
		}
	})
}

func rome(t *testing.T) *time.Location {
	t.Helper()
	l, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCancelLeadsOutOfTheWayIn(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := newNode(t, db)
		b := n.Browser()
		form := follow(t, b, b.Get("/account"))
		wantPage(t, follow(t, b, b.Submit(form, "action", "cancel")), "pin-home", "")
		lost := b.Submit(form, "fiscal_code", logintest.Mario, "pin", "12345678")
		if lost.Name != "interaction-lost" || !has(links(lost), "/account") {
			t.Errorf("got page %q with links %v, want the way in again", lost.Name, links(lost))
		}
	})
}

func TestALostWayInOffersTheAreaAgain(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := newNode(t, db)
		b := n.Browser()
		way := b.Get("/account").Location
		stranger := n.Browser()
		for who, p := range map[string]logintest.Page{"stranger": stranger.Get(way), "form": stranger.Get(strings.Replace(way, "/account/enter/", "/login/", 1))} {
			if p.Status != http.StatusNotFound || p.Problem != "interaction.lost" || !has(links(p), "/account") {
				t.Errorf("%s: got %d, page %q, links %v", who, p.Status, p.Name, links(p))
			}
		}
		databasetest.Shift(t, db, time.Hour+time.Second)
		if p := b.Get(way); p.Problem != "interaction.lost" || !has(links(p), "/account") {
			t.Errorf("after an hour: got page %q, links %v", p.Name, links(p))
		}
		if p := b.Get("/account/enter/unknown"); p.Problem != "interaction.lost" || has(links(p), "/account") {
			t.Errorf("an id of nobody: got page %q, links %v", p.Name, links(p))
		}
	})
}

// R23 holds on the way into the area: a first PIN opens the change alone.
func TestR23FirstAccessInTheOwnArea(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := newNode(t, db)
		first := n.FirstPIN(logintest.Mario)
		b := n.Browser()
		p := comeIn(t, b, "/account/pin", logintest.Mario, first)
		wantPage(t, p, "pin-change", "")
		if strings.Contains(p.Body, "torna al servizio") || n.session(t, b) != nil {
			t.Error("a service is named, or a session open")
		}
		p = follow(t, b, b.Submit(p, "action", "confirm", "new_pin", newPIN(t, p), "old_pin", first))
		wantPage(t, p, "account-pin", "")
	})
}

// Who is signed in for a service is let in without the PIN, and the other way
// round: one session, whatever it began for.
func TestASessionOpensTheArea(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, _ := settled(t, db)
		own := b.Begin("", login.Request{Own: &login.Own{Page: "/account/pin"}})
		wantPage(t, follow(t, b, b.Get(own.ResumeURL())), "account-pin", "")
		service := b.Begin(n.Client(clients.Document{}).ID, login.Request{})
		if p := b.Get("/account/enter/" + service.ID); p.Location != service.ResumeURL() {
			t.Errorf("a service's sign-in goes on at %q, want %q", p.Location, service.ResumeURL())
		}
	})
}

// R55: the warning comes by itself two minutes before the end and without a
// script; to be warned is no activity, to say so is.
func TestR55WarningBeforeTheEnd(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, pin := settled(t, db)
		wait, address := refresh(t, b.Get("/account/pin"))
		if wait < 25*time.Minute || wait > 28*time.Minute || address != "/account/idle?from=%2Faccount%2Fpin" {
			t.Errorf("the browser goes to %s after %s", address, wait)
		}
		databasetest.Shift(t, db, wait)
		c := databasetest.Count(t, db)
		p := b.Get(address)
		wantPage(t, p, "account-idle", "")
		if writes := c.Writes(); len(writes) != 0 {
			t.Errorf("the warning wrote %q", writes)
		}
		if left := n.session(t, b).IdleAt.Sub(n.session(t, b).Now); left < 2*time.Minute {
			t.Errorf("warned %s before the end, want two minutes at least", left)
		}
		p = follow(t, b, b.Submit(p, "action", "continue"))
		wantPage(t, p, "account-pin", "")

		databasetest.Shift(t, db, wait)
		last, address := refresh(t, b.Get(address))
		databasetest.Shift(t, db, last)
		form := follow(t, b, b.Get(address))
		wantPage(t, form, "login", "")
		if !strings.Contains(form.Body, "La sessione è finita") || !strings.Contains(form.Body, "30 minuti") {
			t.Error("nothing says why one signs in again")
		}
		wantPage(t, follow(t, b, b.Submit(form, "fiscal_code", logintest.Mario, "pin", pin)), "account-pin", "")
	})
}

// refresh is where the page leads by itself, and when.
func refresh(t *testing.T, p logintest.Page) (time.Duration, string) {
	t.Helper()
	seconds, address, ok := strings.Cut(p.Header.Get("Refresh"), "; url=")
	n, err := strconv.Atoi(seconds)
	if !ok || err != nil || n < 1 {
		t.Fatalf("page %q: Refresh is %q", p.Name, p.Header.Get("Refresh"))
	}
	return time.Duration(n) * time.Second, address
}

// A page that stays open while somebody works in another tab asks in vain, and
// asks again when it is time.
func TestR55ActivityElsewherePutsTheWarningOff(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		_, b, _ := settled(t, db)
		wait, address := refresh(t, b.Get("/account"))
		databasetest.Shift(t, db, 20*time.Minute)
		b.Get("/account/pin") // the other tab
		databasetest.Shift(t, db, wait-20*time.Minute)
		again, _ := refresh(t, b.Get(address))
		if again < 15*time.Minute || again > 25*time.Minute {
			t.Errorf("asks again after %s, want some 20 minutes", again)
		}
	})
}

// The end after eight hours cannot be put off, only a new sign-in goes on.
func TestTheLongestSessionAsksForThePIN(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, pin := settled(t, db)
		for range 19 {
			databasetest.Shift(t, db, 25*time.Minute)
			wantPage(t, b.Get("/account"), "account", "")
		}
		before := n.session(t, b)
		p := b.Get("/account/idle?from=%2Faccount")
		if !strings.Contains(p.Body, `value="again"`) {
			t.Fatal("a session that can be put off no more offers to go on")
		}
		form := follow(t, b, b.Submit(p, "action", "again"))
		wantPage(t, form, "login", "") // although a session is open
		wantPage(t, follow(t, b, b.Submit(form, "fiscal_code", logintest.Mario, "pin", pin)), "account", "")
		if after := n.session(t, b); after == nil || after.ID != before.ID || !after.EndsAt.After(before.EndsAt) {
			t.Errorf("got session %v, want %s with its whole time again", after, before.ID)
		}
	})
}

// No address of another site comes out of the one that a browser brings.
func TestTheWarningLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		_, b, _ := settled(t, db)
		for _, from := range []string{"https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2Flogin%2Fx", ""} {
			p := b.Get("/account/idle?from=" + from)
			wantPage(t, p, "account-idle", "")
			if p = b.Submit(p, "action", "continue"); p.Location != "/account" {
				t.Errorf("from=%s leads to %s", from, p.Location)
			}
		}
	})
}

// A form in a tab whose session has ended asks to sign in, and comes back to
// its page with nothing done.
func TestAFormBehindTheEndOfItsSession(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, pin := settled(t, db)
		p := b.Get("/account/pin")
		databasetest.Shift(t, db, 31*time.Minute)
		form := follow(t, b, b.Submit(p, "action", "start"))
		wantPage(t, form, "login", "")
		back := follow(t, b, b.Submit(form, "fiscal_code", logintest.Mario, "pin", pin))
		wantPage(t, back, "account-pin", "")
		if n.session(t, b).Change != "" {
			t.Error("the form was taken although nobody was signed in")
		}
	})
}

// Two people at one browser: what one of them sees does not answer for the
// other.
func TestAFormAnswersForWhomItShowed(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, _ := settled(t, db)
		marios := b.Get("/account/pin")
		out := b.Post("/sign-out", map[string][]string{"form_token": {token(marios)}})
		wantPage(t, follow(t, b, out), "signed-out", "")
		wantPage(t, comeIn(t, b, "/account", logintest.Anna, n.PIN(logintest.Anna)), "account", "")
		p := follow(t, b, b.Submit(marios, "action", "start"))
		wantPage(t, p, "account-pin", "")
		if !strings.Contains(p.Body, "Anna Maria Bianchi") || strings.Contains(p.Body, `id="new-pin"`) {
			t.Error("Mario's form began a change of Anna's PIN")
		}
	})
}

// A PIN that is suspended ends the session: the area is shut at once.
func TestASuspendedPINShutsTheArea(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, b, _ := settled(t, db)
		err := n.Credentials.Suspend(context.WithoutCancel(t.Context()), audit.Actor{Kind: audit.Operator}, n.FiscalCode(logintest.Mario), "stolen")
		if err != nil {
			t.Fatal(err)
		}
		wantPage(t, follow(t, b, b.Get("/account")), "login", "")
	})
}

func TestR5TheAreaIsLinked(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		_, b, _ := settled(t, db)
		for _, page := range []string{"/", "/pin"} {
			if p := b.Get(page); !has(links(p), "/account") {
				t.Errorf("%s does not link to the area: %v", page, links(p))
			}
		}
		if p := b.Get("/pin"); !has(links(p), "/account/pin") {
			t.Error("R26: the pages about the PIN do not link to its change")
		}
	})
}
