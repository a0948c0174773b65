//go:build browser

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
	"ente.example/idp/secrets"
)

// ownArea are the parts of the browser run about the citizen's own area.
func ownArea() map[string]func(*testing.T, chromium) {
	return map[string]func(*testing.T, chromium){
		"own area":                     testOwnArea,
		"own area, first access":       testOwnAreaFirstAccess,
		"own area, no script":          testOwnAreaNoScript,
		"own area, idle":               testOwnAreaIdle,
		"own area, two tabs":           testOwnAreaTwoTabs,
		"own area, lost way in":        testOwnAreaLost,
		"own area, after the session":  testOwnAreaAfterTheSession,
		"own area, one press too many": testOwnAreaDoublePress,
	}
}

const (
	startChange = "button[value=start]"
	keepOn      = "button[value=continue]"
	leaveArea   = ".it-header-slim-user button"
	areaLink    = "main a[href='/account']"
)

// account is an address of the own area.
func (h *house) account(below string) string { return h.settings.Issuer + "/account" + below }

// ownPIN is the new PIN of a voluntary change.
func (p *person) ownPIN() string {
	p.t.Helper()
	return strings.Join(strings.Fields(p.on("account-pin").text("#new-pin")), "")
}

// confirmOwn types it back, with the old one.
func (p *person) confirmOwn(fresh, old string) *person {
	p.t.Helper()
	return p.on("account-pin").fill("new_pin", fresh).fill("old_pin", old).press(confirm)
}

// R26, from the public page about the PIN to the new PIN; what services hold
// stays (R5, R26, R58).
func testOwnArea(t *testing.T, b chromium) {
	h := browserHouse(t, trusted)
	old := h.activePIN(regular)
	p := newPerson(t, b).open(h.service+"/login").signIn(regular, old).on("service-signed-in")
	p.open(h.settings.Issuer + "/sign-out").press(signOut).on("signed-out")

	p.open(h.settings.Issuer + "/").on("home").look("own-home").press(areaLink)
	p.on("login").problem("").look("own-login")
	if p.has(".idp-service") {
		t.Error("a service is named where none waits")
	}
	p.signIn(regular, otherPIN(old)).on("login").problem("login.refused")
	p.signIn(regular, old).on("account").status(200).look("own-account")
	p.open(h.service + "/login").on("service-signed-in") // one session for both
	p.open(h.settings.Issuer + "/pin").on("pin-home").press("main a[href='/account/pin']").on("account-pin").look("own-pin-start")
	if p.has("#new-pin") {
		t.Error("a look at the page made a PIN")
	}
	p.press(startChange)
	one := p.ownPIN()
	if again := p.look("own-pin").reload().ownPIN(); again != one {
		t.Error("reloading the page made another PIN")
	}
	two := p.press(regenerate).ownPIN()
	p.confirmOwn(one, old).on("account-pin").problem("pin-change.new-mismatch").look("own-pin-mismatch")
	p.confirmOwn(two, otherPIN(old)).on("account-pin").problem("pin-change.old-wrong").look("own-pin-old-wrong")
	p.confirmOwn(two, old).on("done").look("own-pin-done")
	p.open(h.account("")).on("account").shows("Anna Maria")
	p.open(h.service + "/").press("form[action='/refresh'] button").on("service-signed-in").shows("Token rinnovati")
	p.open(h.service + "/login").on("service-signed-in") // without the PIN
	p.open(h.account("")).on("account").press(leaveArea).on("signed-out")
	p.open(h.account("/pin")).signIn(regular, old).on("login").problem("login.refused")
	p.signIn(regular, two).on("account-pin")
}

func testOwnAreaFirstAccess(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	first := h.firstPIN(newcomer)
	p := newPerson(t, b).open(h.account("")).signIn(newcomer, first).on("pin-change").look("own-first-access")
	p.press(cancel).on("pin-home")
	p.open(h.account("")).signIn(newcomer, first)
	p.change(p.newPIN(), first).on("account").look("own-account-first")
}

func testOwnAreaNoScript(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	old := h.activePIN(regular)
	p := newPerson(t, b).scripts(false).open(h.account("")).signIn(regular, old).on("account")
	p.press("nav a[href='/account/pin']").press(startChange)
	p.press(regenerate)
	fresh := p.ownPIN()
	p.confirmOwn(fresh, old).on("done").press(areaLink).on("account")
	p.press("nav a[href='/account/pin']").press(startChange).on("account-pin").press(cancel).on("account")
	p.press("a[hreflang=en]").on("account").shows("Your contacts").look("en-own-account")
	p.press(leaveArea).on("signed-out")
}

// impatientHouse is one whose sessions end so soon that a browser sees it.
func impatientHouse(t *testing.T, idle string) *house {
	t.Helper()
	dir := t.TempDir()
	keys := filepath.Join(dir, "secrets")
	if err := secrets.Init(keys); err != nil {
		t.Fatal(err)
	}
	s := houseSettings(t, databasetest.SQLite(t), keys)
	s.OutboxDir = filepath.Join(dir, "outbox")
	policy := strings.Replace(testPolicy, "{", `{"session.idle": "`+idle+`", `, 1)
	if err := os.WriteFile(s.PolicyFile, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	return nodeWith(t, s, &database.Clock{}, delivery.Network{}).open(nil).people()
}

// R55 as it is lived: the page goes to the warning by itself, without a script,
// and from there to the sign-in that says why.
func testOwnAreaIdle(t *testing.T, b chromium) {
	h := impatientHouse(t, "20s")
	pin := h.activePIN(regular)
	p := newPerson(t, b).scripts(false).open(h.account("/pin")).signIn(regular, pin).on("account-pin")
	p.on("account-idle").shows("Continua").press(keepOn).on("account-pin")
	p.on("account-idle").on("login").shows("La sessione è finita")
	p.signIn(regular, pin).on("account-pin")
}

// The same pages, looked at with time to do so.
func testOwnAreaAfterTheSession(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	pin := h.activePIN(regular)
	p := newPerson(t, b).open(h.account("/pin")).signIn(regular, pin).on("account-pin")
	databasetest.Shift(t, h.db, 27*time.Minute+30*time.Second)
	p.open(h.account("/idle?from=%2Faccount%2Fpin")).on("account-idle").look("own-idle").press(keepOn).on("account-pin")
	databasetest.Shift(t, h.db, 31*time.Minute)
	p.press(startChange).on("login").shows("La sessione è finita", "30 minuti").look("own-login-ended")
	p.signIn(regular, pin).on("account-pin")
	if p.has("#new-pin") {
		t.Error("a form from before the end began a change")
	}
}

// Of two tabs the last new PIN counts, and the other says so.
func testOwnAreaTwoTabs(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	old := h.activePIN(regular)
	left := newPerson(t, b).open(h.account("/pin")).signIn(regular, old).on("account-pin").press(startChange)
	older := left.ownPIN()
	right := left.tab().open(h.account("/pin"))
	if right.ownPIN() != older {
		t.Error("a second look shows another PIN")
	}
	newer := right.press(regenerate).ownPIN()
	left.confirmOwn(older, old).on("account-pin").problem("pin-change.expired").look("own-pin-stale")
	if got := left.press("main a.btn-primary").ownPIN(); got != newer {
		t.Error("the way on leads to another PIN")
	}
	databasetest.Shift(t, h.db, 10*time.Minute+time.Second)
	right.confirmOwn(newer, old).on("account-pin").problem("pin-change.expired").look("own-pin-expired")
	newest := right.press(startChange).ownPIN()
	right.confirmOwn(newest, old).on("done")
	left.open(h.account("")).on("account")
}

func testOwnAreaLost(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	pin := h.activePIN(regular)
	p := newPerson(t, b).open(h.account("")).on("login")
	other := newPerson(t, b).open(p.at()).on("interaction-lost").status(404).look("own-lost")
	other.press("main a.btn-primary").signIn(regular, pin).on("account")
	p.press(cancel).on("pin-home")
	p.back().on("interaction-lost").press("main a.btn-primary").on("login")
}

// A second press on confirm while the first is under way changes the PIN once
// and keeps the person in.
func testOwnAreaDoublePress(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	old := h.activePIN(regular)
	p := newPerson(t, b).open(h.account("/pin")).signIn(regular, old).on("account-pin").press(startChange)
	fresh := p.ownPIN()
	p.fill("new_pin", fresh).fill("old_pin", old).pressTwice(confirm).on("done")
	p.back().on("account-pin")
	if p.has("#new-pin") {
		t.Error("the Back button shows a PIN")
	}
	p.open(h.account("")).on("account")
}
