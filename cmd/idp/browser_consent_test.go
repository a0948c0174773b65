//go:build browser

package main

import (
	"net/url"
	"testing"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/database/databasetest"
)

// R19: the person sees what would be sent, by name and value, and decides.
func testConsent(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	pin := h.activePIN(regular)
	p := newPerson(t, b).open(h.service+"/login").signIn(regular, pin).on("consent")
	p.shows("Estratto conto", "Riconoscerti e mostrarti i contributi versati a tuo nome.",
		"Anna Maria", "Bianchi", regular, "15 giugno 1972", "Rue de la Loi 44", "Belgio", "+32470123456", "anna.bianchi@posta.example",
		"Accesso anche quando non ci sei").look("consent")
	p.press(deny).on("service-home").shows("access_denied")
	p.open(h.service + "/login").on("consent").press(allow).on("service-signed-in").shows("Anna Maria Bianchi")
	// what she does not ask us to remember is asked each time, but not her PIN
	p.open(h.service + "/login").on("consent")
	p.open(h.settings.Issuer + "/").on("home").look("home-signed-in")
}

// What was agreed to and ticked is not asked again; more is, and marked.
func testRememberedConsent(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	pin := h.activePIN(regular)
	s := h.partner(func(d *clients.Document) {
		d.Consent, d.Scope = clients.ConsentRemember, clients.ParseScope("openid profile email address")
	})
	few := s.request(url.Values{"scope": {"openid profile"}})
	p := newPerson(t, b).open(few).signIn(regular, pin).on("consent").look("consent-remember")
	if p.ask("String(document.getElementById('remember').checked)") != "false" {
		t.Error("the choice to remember is ticked beforehand")
	}
	p.press(allow).on("partner").open(few).on("consent")
	p.tick("label[for=remember]").press(allow).on("partner")
	p.open(few).on("partner")
	p.open(s.request(nil)).on("consent").shows("anna.bianchi@posta.example", "quelli nuovi sono segnati").look("consent-more")
	if got := p.ask("String(document.querySelectorAll('dl .idp-badge').length)"); got != "2" {
		t.Errorf("%s attributes are marked as new, want e-mail and address", got)
	}
	p.press(deny).on("partner").open(few).on("partner")
	if !p.has("#code") {
		t.Error("to refuse more takes back what was agreed to")
	}
}

// R55: a second service within 30 minutes asks for no PIN; the page to choose
// an account says who would go on.
func testChoiceOfAccount(t *testing.T, b chromium) {
	h := browserHouse(t, trusted)
	hers := h.activePIN(regular)
	his := h.activePIN(newcomer)
	s := h.partner(trusted)
	choose := s.request(url.Values{"prompt": {"select_account"}})
	p := newPerson(t, b).open(h.service+"/login").signIn(regular, hers).on("service-signed-in")
	databasetest.Shift(t, h.db, 29*time.Minute)
	p.open(s.request(nil)).on("partner")
	p.open(choose).on("account-choice").shows("Anna Maria Bianchi").look("account-choice")
	p.press("button[value=continue]").on("partner")
	p.open(choose).on("account-choice").press(cancel).on("partner")
	if got := p.text("#error"); got != "access_denied" {
		t.Errorf("giving up answers %q, want access_denied", got)
	}
	p.open(choose).on("account-choice").press("button[value=other]")
	p.signIn(newcomer, his).on("partner")
	p.open(h.settings.Issuer + "/").on("home").shows("Mario Rossi")
	databasetest.Shift(t, h.db, 31*time.Minute)
	p.open(s.request(nil)).on("login")
}

// From the service with what it knows, by hand at our own page, and when the
// service says too little to be believed.
func testSignOut(t *testing.T, b chromium) {
	h := browserHouse(t, trusted)
	pin := h.activePIN(regular)
	p := newPerson(t, b).open(h.service+"/login").signIn(regular, pin).on("service-signed-in")
	p.press("form[action='/logout'] button").on("service-home")
	p.open(h.service + "/login").on("login")

	p.signIn(regular, pin).on("service-signed-in")
	p.open(h.settings.Issuer + "/sign-out").on("sign-out").shows("Anna Maria Bianchi").look("sign-out")
	p.press("main form a").on("home") // she stays
	p.open(h.settings.Issuer + "/sign-out").press(signOut).on("signed-out").look("signed-out")
	p.reload().on("signed-out")
	p.back().on("signed-out")
	p.open(h.service + "/login").on("login")

	p.signIn(regular, pin).on("service-signed-in")
	s := h.partner(nil).third()
	p.open(h.settings.Issuer + "/logout?" + url.Values{
		"client_id": {s.client.ID}, "post_logout_redirect_uri": {s.address + "/callback"}, "state": {"bye"},
	}.Encode()).on("sign-out").press(signOut).on("partner")
	if got := p.text("#state"); got != "bye" {
		t.Errorf("the service got state %q, want bye", got)
	}
	p.open(h.service + "/login").on("login")
}
