//go:build browser

package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"ente.example/idp/clients"
	"ente.example/idp/cmd/idp/demo"
	"ente.example/idp/database/databasetest"
)

// The ears of these tests hear: a page that breaks its own policy does not pass.
func testBrowserNotices(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	p := newPerson(t, b).open(h.settings.Issuer + "/").on("home").look("home")
	p.ask(`document.head.append(Object.assign(document.createElement('style'), { textContent: 'body { color: red }' })), ''`)
	p.ask(`document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1/spy.png' })), ''`)
	var heard []string
	within(t, "two complaints", func(context.Context) (bool, string) {
		heard = append(heard, p.records.take()...)
		return len(heard) >= 2, strings.Join(heard, "\n")
	})
	for _, line := range heard {
		if !strings.Contains(line, "Content Security Policy") {
			t.Errorf("the browser says: %s", line)
		}
	}
}

// The whole main job, with the halves read where they arrive: R1, R2, R23–R25.
func testFirstAccess(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	viewer := h.viewer()
	h.firstPIN(newcomer)
	p := newPerson(t, b).open(viewer).on("outbox").look("service-outbox")
	first := p.half("sms", "pin-half-1") + p.half("post", "pin-half-2")
	p.open(h.service + "/").on("service-home").look("service-home").press("main a.button")
	p.on("login").problem("").shows("Estratto conto", "127.0.0.1").look("login")
	p.signIn(" rss mra 80a01 h501 u ", first[:8]+" "+first[8:])
	p.on("pin-change").problem("").status(200)
	fresh := p.newPIN()
	if len(fresh) != 8 || fresh == first[:8] || fresh == first[8:] {
		t.Fatalf("the new PIN has %d characters and is not new, or not 8", len(fresh))
	}
	p.look("pin-change-first").change(fresh, first)
	p.on("consent").shows("Mario", "Rossi", newcomer, "1º gennaio 1980", "mario.rossi@posta.example", "Ordinario").look("consent-first")
	p.press(allow).on("service-signed-in").shows("Mario Rossi", "TINIT-"+newcomer).look("service-signed-in")
	p.press("form[action='/refresh'] button").on("service-signed-in").shows("Token rinnovati")
	p.press("form[action='/call'] button").on("service-signed-in").shows("contributi").look("service-api")
	p.press("form[action='/logout'] button").on("service-home")
	p.open(h.service+"/login").signIn(newcomer, first).on("login").problem("login.refused")
	p.signIn(newcomer, fresh).on("consent")
}

// viewer starts the outbox viewer.
func (h *house) viewer() string {
	h.t.Helper()
	site, err := (&demo.Viewer{Dir: h.settings.OutboxDir}).Handler()
	if err != nil {
		h.t.Fatal(err)
	}
	address := freePort(h.t)
	h.beside(address, site)
	return "http://" + address + "/"
}

// half is what stands alone on its line in a message.
func (p *person) half(channel, message string) string {
	p.t.Helper()
	half := alone.FindString(p.text("[data-channel=" + channel + "] [data-message=" + message + "] pre"))
	if half == "" {
		p.t.Fatalf("no half in the %s", channel)
	}
	return half
}

// R24, R26: the page makes no PIN of its own, shows the same one at every look,
// takes a slip without harm, and counts a wrong old PIN.
func testChangePage(t *testing.T, b chromium) {
	h := browserHouse(t, trusted)
	first := h.firstPIN(newcomer)
	p := newPerson(t, b).open(h.service+"/login").signIn(newcomer, first).on("pin-change")
	one := p.newPIN()
	if again := p.reload().newPIN(); again != one {
		t.Error("reloading the page made another PIN")
	}
	p.press(regenerate)
	two := p.newPIN()
	if two == one {
		t.Error("asking for another PIN gave the same")
	}
	p.change(otherPIN(two), first).on("pin-change").problem("pin-change.new-mismatch").look("pin-change-mismatch")
	p.change(two, otherPIN(first)).on("pin-change").problem("pin-change.old-wrong").look("pin-change-old-wrong")
	p.press(confirm).on("pin-change").problem("form.invalid-field").look("pin-change-missing")
	if same := p.newPIN(); same != two {
		t.Error("a wrong answer made another PIN")
	}
	p.press(regenerate).on("pin-change")
	p.press(regenerate).on("pin-change").look("pin-change-last")
	if p.has(regenerate) {
		t.Error("a fourth PIN is offered, R26 allows three more than the first")
	}
	p.press(cancel).on("service-home").shows("access_denied")
	p.open(h.service+"/login").signIn(newcomer, first).on("pin-change")
}

// R26 in two tabs: the one that started later has the PIN that counts.
func testFirstAccessTwoTabs(t *testing.T, b chromium) {
	h := browserHouse(t, trusted)
	first := h.firstPIN(newcomer)
	service := h.partner(trusted)
	left := newPerson(t, b)
	right := left.tab()
	left.open(h.service+"/login").signIn(newcomer, first).on("pin-change")
	right.open(service.request(nil)).signIn(newcomer, first).on("pin-change")
	older, newer := left.newPIN(), right.newPIN()
	if older == newer {
		t.Error("two changes show one PIN")
	}
	left.change(older, first).on("login").problem("pin-change.expired").look("login-change-expired")
	right.change(newer, first).on("partner")
	left.signIn(newcomer, newer).on("service-signed-in")
}

// R30, R31: nine refusals, the tenth is a wait of five minutes, and then it is over.
func testWrongPINAndLock(t *testing.T, b chromium) {
	h := browserHouse(t, trusted)
	pin := h.activePIN(regular)
	p := newPerson(t, b).open(h.service + "/login")
	for try := 1; try <= 9; try++ {
		p.signIn(regular, otherPIN(pin)).on("login").problem("login.refused")
		if got := p.value("fiscal_code"); got != regular {
			t.Fatalf("after try %d the codice fiscale is %q", try, got)
		}
	}
	if p.value("pin") != "" {
		t.Error("the refused PIN came back with the page")
	}
	p.look("login-refused")
	p.signIn(regular, otherPIN(pin)).on("login").problem("login.waiting").shows("ora italiana", "Mancano 5 minuti").look("login-waiting")
	databasetest.Shift(t, h.db, 4*time.Minute+30*time.Second)
	p.signIn(regular, pin).on("login").problem("login.waiting")
	databasetest.Shift(t, h.db, 31*time.Second)
	p.signIn(regular, pin).on("service-signed-in")
}

// Malformed fields are named, the focus goes to what is wrong, nothing is lost.
func testMalformedFields(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	p := newPerson(t, b).open(h.service + "/login")
	p.signIn("RSSMRA80A01H501", "123").on("login").problem("login.invalid-field").status(200)
	if got := p.value("fiscal_code"); got != "RSSMRA80A01H501" {
		t.Errorf("the codice fiscale is %q, want what was typed", got)
	}
	if got := p.ask("document.activeElement.dataset.problem ?? ''"); got != "login.invalid-field" {
		t.Error("the summary does not have the focus")
	}
	p.shows("Ci sono 2 campi da correggere").look("login-invalid")
	p.tick("[data-problem] a[href='#pin']")
	if got := p.ask("document.activeElement.id"); got != "pin" {
		t.Errorf("the summary's link leads to %q, want pin", got)
	}
	for _, field := range []string{"fiscal_code", "pin"} {
		if got := p.ask(`document.getElementById('` + field + `').getAttribute('aria-invalid') ?? ''`); got != "true" {
			t.Errorf("%s is not marked as invalid", field)
		}
	}
	p.open(h.service + "/login").on("login").press(submit).on("login").problem("login.invalid-field").look("login-empty")
	p.signIn(newcomer, "12345").on("login").shows("C’è 1 campo da correggere")
	if got := p.ask("String(document.querySelectorAll('[aria-invalid]').length)"); got != "1" {
		t.Errorf("%s fields are marked as invalid, want 1", got)
	}
	p.press(cancel).on("service-home").shows("access_denied")
}

// The whole way without a mouse.
func testKeyboardAlone(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	first := h.firstPIN(newcomer)
	p := newPerson(t, b).open(h.service + "/").on("service-home")
	p.to("main a.button").enter().on("login")
	p.keys(kb.Tab)
	if got := p.ask("document.activeElement.textContent"); got != "Vai al contenuto principale" {
		t.Errorf("the first stop is %q, want the link to the content", got)
	}
	p.do(chromedp.KeyEvent(kb.Enter))
	p.to("#fiscal_code").keys(newcomer).to("#pin").keys(first).enter().on("pin-change")
	fresh := p.newPIN()
	p.to("#new_pin").keys(fresh).to("#old_pin").keys(first).to(confirm).enter().on("consent")
	p.to(allow).enter().on("service-signed-in")
	p.to("form[action='/logout'] button").enter().on("service-home")
}

// to presses Tab until the element has the focus.
func (p *person) to(selector string) *person {
	p.t.Helper()
	for range 60 {
		p.keys(kb.Tab)
		if p.ask(`String(document.activeElement.matches(`+"`"+selector+"`"+`))`) == "true" {
			return p
		}
	}
	p.t.Fatalf("the Tab key does not reach %s", selector)
	return p
}

func (p *person) keys(text string) *person {
	p.t.Helper()
	p.do(chromedp.KeyEvent(text))
	return p
}

// enter presses the Enter key, and waits for the page that follows.
func (p *person) enter() *person {
	p.t.Helper()
	return p.leave(chromedp.KeyEvent(kb.Enter))
}

// The whole main job for somebody whose browser runs no script.
func testNoScript(t *testing.T, b chromium) {
	h := browserHouse(t, func(d *clients.Document) { d.Consent = clients.ConsentRemember })
	first := h.firstPIN(newcomer)
	p := newPerson(t, b).scripts(false)
	p.open(h.service + "/").on("service-home").press("main a.button")
	p.signIn(newcomer, "1").on("login").problem("login.invalid-field")
	p.signIn(newcomer, otherPIN(first)).on("login").problem("login.refused")
	if p.has(".idp-reveal") {
		t.Error("a button that needs a script is there without one")
	}
	p.signIn(newcomer, first).on("pin-change").press(regenerate)
	fresh := p.newPIN()
	p.change(fresh, first).on("consent").tick("label[for=remember]").press(allow).on("service-signed-in")
	p.press("form[action='/refresh'] button").on("service-signed-in")
	p.press("form[action='/call'] button").on("service-signed-in").shows("contributi")
	p.open(h.service + "/login").on("service-signed-in") // remembered
	p.open(h.settings.Issuer + "/sign-out").on("sign-out").press(signOut).on("signed-out")
	p.open(h.service + "/login").on("login").press("a[hreflang=en]").on("login").shows("Sign in")
}

// A second press while the first is under way changes nothing.
func testDoublePress(t *testing.T, b chromium) {
	h := browserHouse(t, trusted)
	first := h.firstPIN(newcomer)
	p := newPerson(t, b).open(h.service+"/login").on("login").fill("fiscal_code", newcomer).fill("pin", first)
	p.pressTwice(submit).on("pin-change")
	p.fill("new_pin", p.newPIN()).fill("old_pin", first)
	p.pressTwice(confirm).on("service-signed-in")
}
