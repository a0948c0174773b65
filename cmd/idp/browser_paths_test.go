//go:build browser

package main

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"ente.example/idp/database/databasetest"
)

// scripts turns the scripts of pages on or off.
func (p *person) scripts(on bool) *person {
	p.t.Helper()
	p.mute = !on
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	}))
	return p
}

// The Back button never leads into a dead end.
func testBack(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	first := h.firstPIN(newcomer)
	p := newPerson(t, b).open(h.service + "/").press("main a.button")
	p.signIn(newcomer, first).on("pin-change")
	p.back().on("login").forward().on("pin-change") // an open change waits for its person
	fresh := p.newPIN()
	p.change(fresh, first).on("consent")
	p.back().on("consent") // the change is over: the step that comes next
	p.press(deny).on("service-home")
	p.press("main a.button").on("consent").press(allow).on("service-signed-in")
	p.back().on("interaction-lost").status(404).problem("interaction.lost").shows("Estratto conto").look("interaction-lost")
	p.press("main .btn-primary").on("service-signed-in")

	p.press("form[action='/logout'] button").on("service-home").press("main a.button")
	p.signIn(newcomer, fresh).on("consent")
	p.back().signIn(newcomer, fresh).on("consent").press(allow).on("service-signed-in") // once more does no harm
}

// Two sign-ins in one browser do not get in each other's way.
func testTwoTabs(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	pin := h.activePIN(regular)
	s := h.partner(nil)
	left := newPerson(t, b)
	right := left.tab()
	left.open(s.request(url.Values{"state": {"left"}})).on("login")
	right.open(s.request(url.Values{"state": {"right"}})).on("login")
	left.signIn(regular, pin).on("consent")
	right.signIn(regular, pin).on("consent")
	left.press(allow).on("partner")
	right.press(deny).on("partner")
	if got := left.text("#state"); got != "left" || !left.has("#code") {
		t.Errorf("the left tab was answered for %q, with a code: %v", got, left.has("#code"))
	}
	if got := right.text("#state"); got != "right" || right.text("#error") != "access_denied" {
		t.Errorf("the right tab was answered for %q with %q, want access_denied", got, right.text("#error"))
	}
	left.open(h.service + "/login").on("consent")
	right.open(h.settings.Issuer + "/sign-out").press(signOut).on("signed-out")
	left.press(allow).on("login") // who signed out elsewhere is asked again, and nothing was sent
	left.signIn(regular, pin).on("consent").press(allow).on("service-signed-in")
}

// A request belongs to the browser that began it.
func testAnotherBrowser(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	pin := h.activePIN(regular)
	mine := newPerson(t, b).open(h.service + "/login").on("login")
	address := mine.at()
	other := newPerson(t, b).open(address).on("interaction-lost").status(404).shows("Torna a Estratto conto")
	other.press("main .btn-primary").on("service-home")
	other.open(h.settings.Issuer + "/login/unknown").on("interaction-lost").status(404).look("interaction-lost-unknown")
	mine.signIn(regular, pin).on("consent")
}

// After an hour the request is gone, whichever page is left open.
func testExpiredRequest(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	pin := h.activePIN(regular)
	p := newPerson(t, b).open(h.service + "/login").on("login")
	databasetest.Shift(t, h.db, time.Hour+time.Second)
	p.signIn(regular, pin).on("interaction-lost").status(404)
	p.press("main .btn-primary").on("service-home").press("main a.button").signIn(regular, pin).on("consent")
	databasetest.Shift(t, h.db, time.Hour+time.Second)
	p.press(allow).on("interaction-lost").status(404)
}

// After ten minutes the new PIN is gone, and the old one still good.
func testExpiredChange(t *testing.T, b chromium) {
	h := browserHouse(t, trusted)
	first := h.firstPIN(newcomer)
	p := newPerson(t, b).open(h.service+"/login").signIn(newcomer, first).on("pin-change")
	fresh := p.newPIN()
	databasetest.Shift(t, h.db, 10*time.Minute+time.Second)
	p.change(fresh, first).on("login").problem("pin-change.expired")
	p.signIn(newcomer, first).on("pin-change")
	p.change(p.newPIN(), first).on("service-signed-in")
}

// Chromium applies form-action to every hop after a form: the service's own
// redirect to another origin must go through, from each page that can end there.
func testThirdSite(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	first := h.firstPIN(newcomer)
	asking, trusting := h.partner(nil).third(), h.partner(trusted).third()
	p := newPerson(t, b)
	arrived := func(answer string) {
		t.Helper()
		if p.on("partner"); !strings.Contains(p.text("#by"), "terzo.localhost") || !p.has(answer) {
			t.Errorf("arrived at %s without %s", p.at(), answer)
		}
	}
	p.open(asking.request(nil)).on("login").press(cancel)
	arrived("#error")
	p.open(trusting.request(nil)).signIn(newcomer, first).on("pin-change").press(cancel)
	arrived("#error")
	p.open(trusting.request(nil)).signIn(newcomer, first)
	fresh := p.newPIN()
	p.change(fresh, first) // from the change page straight to the service
	arrived("#code")
	p.open(trusting.request(url.Values{"prompt": {"login"}})).signIn(newcomer, fresh) // from the sign-in page
	arrived("#code")
	p.open(trusting.request(url.Values{"prompt": {"select_account"}})).on("account-choice").press("button[value=continue]")
	arrived("#code")
	p.open(asking.request(nil)).on("consent").press(allow)
	arrived("#code")
	p.open(asking.request(nil)).on("consent").press(deny)
	arrived("#error")
}

// The answer by form reaches the service, and goes on from there.
func testFormPost(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	pin := h.activePIN(regular)
	s, onward := h.partner(nil), h.partner(nil).third()
	byForm := url.Values{"response_mode": {"form_post"}}
	p := newPerson(t, b).open(s.request(byForm)).signIn(regular, pin).on("consent").press(allow).on("partner")
	if got := p.text("#by"); !strings.HasPrefix(got, "POST ") || p.text("#state") != "s1" || p.text("#iss") != h.settings.Issuer || !p.has("#code") {
		t.Errorf("the service was answered by %s: %s", got, p.text("dl"))
	}
	p.open(s.request(byForm)).on("consent").press(deny).on("partner")
	if got := p.text("#error"); got != "access_denied" {
		t.Errorf("error = %q, want access_denied", got)
	}
	p.open(onward.request(byForm)).on("consent").press(allow).on("partner")
	if got := p.text("#by"); !strings.Contains(got, "terzo.localhost") {
		t.Errorf("arrived at %s", got)
	}
}

func testFormPostNoScript(t *testing.T, b chromium) {
	h := browserHouse(t, trusted)
	pin := h.activePIN(regular)
	s := h.partner(trusted).third()
	p := newPerson(t, b).scripts(false)
	p.open(s.request(url.Values{"response_mode": {"form_post"}})).signIn(regular, pin).on("form-post").look("form-post")
	p.press("#form-post button").on("partner")
	if !p.has("#code") || !strings.Contains(p.text("#by"), "terzo.localhost") {
		t.Errorf("arrived at %s with %s", p.at(), p.text("dl"))
	}
}

// A service may ask by posting a form. That brings none of our cookies, yet who
// is signed in is not asked for the PIN.
func testPostedRequest(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	pin := h.activePIN(regular)
	s := h.partner(trusted)
	p := newPerson(t, b).open(s.address + "/ask").on("partner-ask").press("button")
	p.signIn(regular, pin).on("partner")
	p.open(s.address + "/ask").on("partner-ask").press("button").on("partner")
	if p.text("#state") != "s1" || !p.has("#code") {
		t.Errorf("the service was answered with %s", p.text("dl"))
	}
}

// Another language in the middle of a sign-in keeps the sign-in, and stays.
func testEnglish(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	first := h.firstPIN(newcomer)
	p := newPerson(t, b).open(h.service + "/login").on("login")
	if lang := p.ask("document.documentElement.lang"); lang != "it" {
		t.Errorf("an Italian browser is spoken to in %q", lang)
	}
	p.press("a[hreflang=en]").on("login").shows("Sign in", "Estratto conto").look("en-login")
	p.signIn(newcomer, otherPIN(first)).on("login").problem("login.refused").look("en-login-refused")
	p.signIn(newcomer, first).on("pin-change").look("en-pin-change")
	fresh := p.newPIN()
	p.press("a[hreflang=it]").on("pin-change")
	if same := p.newPIN(); same != fresh {
		t.Error("another language made another PIN")
	}
	p.press("a[hreflang=en]").change(fresh, first).on("consent").shows("1 January 1980").look("en-consent")
	p.press(allow).on("service-signed-in")
	p.open(h.settings.Issuer + "/sign-out").on("sign-out").look("en-sign-out")
	if lang := p.ask("document.documentElement.lang"); lang != "en" {
		t.Errorf("the language that was chosen is forgotten: %q", lang)
	}
}

// What is not there, or cannot be trusted, is said on a page of ours.
func testErrorPages(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	s := h.partner(nil)
	p := newPerson(t, b).open(h.settings.Issuer + "/nowhere").on("error").status(404).problem("request.not-found").look("error-not-found")
	p.open(s.request(url.Values{"redirect_uri": {"https://evil.example/"}})).on("error").status(400).problem("request.untrusted").look("error-untrusted")
	p.open(h.settings.Issuer + "/logout/confirm").on("signed-out")
	p.open(s.request(url.Values{"scope": {"openid nonsense"}})).on("partner")
	if got := p.text("#error"); got != "invalid_scope" {
		t.Errorf("error = %q, want invalid_scope", got)
	}
	p.open(h.service + "/login").on("login")
	p.ask(`document.querySelector('[name=form_token]').value = 'forged', ''`)
	p.fill("fiscal_code", newcomer).fill("pin", "12345678").press(submit).on("error").status(403).problem("request.form").look("error-form")
	p.back().on("login")
}
