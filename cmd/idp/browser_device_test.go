//go:build browser

package main

import (
	"bytes"
	"context"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
	"ente.example/idp/secrets"
)

func devices() map[string]func(*testing.T, chromium) {
	return map[string]func(*testing.T, chromium){
		"device":                   testDevice,
		"device, code by hand":     testDeviceByHand,
		"device, somebody says no": testDeviceRefused,
		"device, too late":         testDeviceTooLate,
	}
}

// televisions is a house whose devices ask each second, with somebody who has
// a PIN.
func televisions(t *testing.T) (h *house, pin string) {
	t.Helper()
	dir := t.TempDir()
	keys := filepath.Join(dir, "secrets")
	if err := secrets.Init(keys); err != nil {
		t.Fatal(err)
	}
	s := houseSettings(t, databasetest.SQLite(t), keys)
	s.OutboxDir = filepath.Join(dir, "outbox")
	figures := strings.Replace(testPolicy, "{", `{"device.interval": "1s", "device.tries": 3, `, 1)
	if err := os.WriteFile(s.PolicyFile, []byte(figures), 0o600); err != nil {
		t.Fatal(err)
	}
	h = nodeWith(t, s, &database.Clock{}, delivery.Network{}).open(nil).people()
	return h, h.activePIN(regular)
}

// television switches the sample service's screen on, in a browser of its own.
func (h *house) television(b chromium) *person {
	h.t.Helper()
	return newPerson(h.t, b).open(h.service + "/tv").on("service-tv").press("main button").on("service-tv")
}

// telephone is a citizen's, held upright.
func telephone(t *testing.T, b chromium) *person {
	t.Helper()
	p := newPerson(t, b)
	p.do(chromedp.EmulateViewport(375, 812))
	return p
}

// heading waits until the screen, which looks again by itself, says that.
func (p *person) heading(want string) *person {
	p.t.Helper()
	within(p.t, "the screen to say "+want, func(context.Context) (bool, string) {
		seen := p.try("document.querySelector('h1')?.innerText ?? ''")
		return seen == want, seen
	})
	return p
}

// scan is what the telephone's camera reads off the screen.
func (p *person) scan() string {
	p.t.Helper()
	picture, err := png.Decode(bytes.NewReader(p.screenshot()))
	if err != nil {
		p.t.Fatal(err)
	}
	seen, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		p.t.Fatal(err)
	}
	read, err := qrcode.NewQRCodeReader().Decode(seen, nil)
	if err != nil {
		p.t.Fatalf("no QR code can be read on the screen: %v", err)
	}
	return read.GetText()
}

const goOn = "button[value=continue]"

// RFC 8628 as people meet it: the screen shows a picture and a code, the
// telephone opens the page, shows the same code, and the rest is a sign-in like
// any other.
func testDevice(t *testing.T, b chromium) {
	h, pin := televisions(t)
	tv := h.television(b).heading("Entra con il telefono")
	tv.picture("tv-code", 1280)
	code := tv.text("#user-code")
	link := tv.scan()
	if want := h.settings.Issuer + "/device?user_code=" + code; link != want {
		t.Fatalf("the picture says %s, want %s", link, want)
	}
	p := telephone(t, b).open(link).on("device").look("device-filled")
	if got := p.value("user_code"); got != code {
		t.Errorf("the form holds %q, want the screen's code", got)
	}
	p.press(submit).on("device-confirm").shows(code, "Estratto conto sul televisore", "Confronta ogni lettera").look("device-confirm")
	p.press(goOn).on("login").shows("Estratto conto sul televisore").look("device-login")
	p.signIn(regular, pin).on("consent").look("device-consent")
	p.press(allow).on("device-done").shows("torna al dispositivo").look("device-done")
	tv.heading("Buongiorno, Anna Maria Bianchi").picture("tv-done", 1280)
	p.open(link).on("device").press(submit).on("device").problem("code.wrong")
}

// Without a camera the code is typed, and what is wrong with it is said.
func testDeviceByHand(t *testing.T, b chromium) {
	h, pin := televisions(t)
	tv := h.television(b).heading("Entra con il telefono")
	code := tv.text("#user-code")
	p := telephone(t, b).open(h.settings.Issuer + "/device").on("device").look("device")
	p.press(submit).on("device").problem("form.invalid-field").look("device-missing")
	p.fill("user_code", "WDJB-MJ").press(submit).on("device").problem("form.invalid-field").look("device-shape")
	p.fill("user_code", "BCDF-GHJK").press(submit).on("device").problem("code.wrong").look("device-wrong")
	p.fill("user_code", strings.ToLower(strings.ReplaceAll(code, "-", " "))).press(submit).on("device-confirm").shows(code)
	p.press(goOn).signIn(regular, pin).on("consent").press(allow).on("device-done")
	tv.heading("Buongiorno, Anna Maria Bianchi")
	for range 2 {
		p.open(h.settings.Issuer+"/device").fill("user_code", "BCDF-GHJK").press(submit).on("device").problem("code.wrong")
	}
	p.fill("user_code", code).press(submit).on("device").problem("login.waiting").look("device-waiting")
}

// Both ways of saying no reach the screen.
func testDeviceRefused(t *testing.T, b chromium) {
	h, pin := televisions(t)
	tv := h.television(b).heading("Entra con il telefono")
	p := telephone(t, b).open(tv.scan()).on("device").press(submit).on("device-confirm")
	p.press(deny).on("device-done").shows("L’accesso è rifiutato").look("device-done-denied")
	tv.heading("Hai detto di no").picture("tv-denied", 1280)
	tv.press("main button").heading("Entra con il telefono")
	p.open(tv.scan()).on("device").press(submit).press(goOn).signIn(regular, pin).on("consent")
	p.press(deny).on("device-done").shows("L’accesso è rifiutato")
	tv.heading("Hai detto di no")
}

// A code that is over is over on both sides, even where somebody was about to
// say yes.
func testDeviceTooLate(t *testing.T, b chromium) {
	h, pin := televisions(t)
	tv := h.television(b).heading("Entra con il telefono")
	p := telephone(t, b).open(tv.scan()).on("device").press(submit).press(goOn).signIn(regular, pin).on("consent")
	databasetest.Shift(t, h.db, 11*time.Minute)
	p.press(allow).on("device-done").shows("Il codice non vale più").look("device-done-over")
	tv.heading("Il codice è scaduto").picture("tv-expired", 1280)
	p.press("main a.btn-primary").on("device")
}
