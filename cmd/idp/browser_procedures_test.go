//go:build browser

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"ente.example/idp/secrets"
	"ente.example/idp/throttle"
)

// procedures are the parts about the PIN itself, from request to revocation, as
// people go through them: every code and half is read where the transports have
// brought it, every captcha is a picture.
func procedures() map[string]func(*testing.T, chromium) {
	return map[string]func(*testing.T, chromium){
		"request by SMS":              testRequestBySMS,
		"request by e-mail":           testRequestByEmail,
		"request by PEC":              testRequestByPEC,
		"request from abroad":         testRequestFromAbroad,
		"halves that do not arrive":   testNotArrived,
		"request taken back":          testTakenBack,
		"letter that comes back":      testReturnedLetter,
		"recovery, mobile and e-mail": testRecoveryByMobile,
		"recovery, e-mail and PEC":    testRecoveryByPEC,
		"revocation":                  testRevocation,
		"guide for a lost PIN":        testGuide,
		"it was not me":               testNotMe,
		"address that is no PEC":      testNoPEC,
		"gateway that says nothing":   testStuckGateway,
	}
}

// application is what somebody types to ask for a PIN, by field.
type application map[string]string

func marios(channel string, contacts ...string) application {
	a := application{
		"fiscal_code": marioCF, "given_name": "Mario", "family_name": "Rossi", "sex": "M", "birth_date": "01/01/1980", "birth_place": "Roma",
		"residence_street": "v. Appia Nuova, 12", "residence_postal_code": "00183", "residence_locality": "Roma", "residence_country": "IT",
		"phone": "06 1234567", "first_half_channel": channel,
	}
	for i := 0; i < len(contacts); i += 2 {
		a[contacts[i]] = contacts[i+1]
	}
	return a
}

// set does what fill does, for a list to choose from as well.
func (p *person) set(name, value string) *person {
	p.t.Helper()
	if !strings.Contains(p.ask(fmt.Sprintf(`document.getElementsByName(%q)[0].tagName`, name)), "SELECT") {
		return p.fill(name, value)
	}
	p.ask(fmt.Sprintf(`(([e]) => (e.focus(), e.value = %q, e.dispatchEvent(new Event('change', { bubbles: true })), ''))(document.getElementsByName(%q))`, value, name))
	if got := p.value(name); got != value {
		p.t.Fatalf("%s has no choice %q", name, value)
	}
	return p
}

// choose presses the label of a box or of one choice among several.
func (p *person) choose(selector string) *person {
	p.t.Helper()
	p.tick(fmt.Sprintf("label[for=%q]", p.ask(fmt.Sprintf(`document.querySelector(%q).id`, selector))))
	if p.ask(fmt.Sprintf(`String(document.querySelector(%q).checked)`, selector)) != "true" {
		p.t.Fatalf("%s was pressed and is not chosen", selector)
	}
	return p
}

// primary is the button, or the link, that leads on.
const primary = "main .btn-primary"

// solve types what the captcha's picture shows. The picture is there; what it
// says, the test finds as the program does, with the installation's key.
func (h *house) solve(p *person) *person {
	h.t.Helper()
	within(h.t, "the captcha's picture", func(context.Context) (bool, string) {
		got := p.try(`String(document.querySelector('.idp-captcha img')?.naturalWidth)`)
		return got == "480", got
	})
	answer, err := throttle.SolveCaptcha(h.keys.PRF(secrets.Throttle), p.value("captcha_id"))
	if err != nil {
		h.t.Fatal(err)
	}
	return p.fill("captcha", strings.ToLower(answer))
}

// snap keeps pictures of the page for whoever wants to look.
func (p *person) snap(name string) *person {
	p.t.Helper()
	if os.Getenv("IDP_TEST_SCREENSHOTS") == "" {
		return p
	}
	for _, width := range []int64{1280, 375} {
		p.do(chromedp.EmulateViewport(width, 900))
		p.picture("procedure-"+name, width)
	}
	p.do(chromedp.EmulateViewport(1280, 900))
	return p
}

// asksForPIN goes through the steps of the request and returns its code.
func (h *house) asksForPIN(p *person, a application) string {
	h.t.Helper()
	const next = "button[value=next]"
	p.open(h.settings.Issuer + "/pin/request").on("pin-request")
	for _, step := range [][]string{
		{"fiscal_code", "given_name", "family_name", "sex", "birth_date", "birth_place"},
		{"residence_street", "residence_postal_code", "residence_locality", "residence_country"},
		{"phone", "mobile", "email", "pec"},
	} {
		for _, name := range step {
			if a[name] != "" {
				p.set(name, a[name])
			}
		}
		if step[0] == "phone" {
			p.choose("#half-" + a["first_half_channel"])
		}
		p.snap("request-" + step[0]).press(next).on("pin-request").problem("")
	}
	p.shows(a["fiscal_code"], a["given_name"]+" "+a["family_name"])
	h.solve(p).choose("#accept_terms").snap("request-review").press("button[value=send]").on("neutral").snap("request-neutral")
	return tracked.FindString(p.text("#tracking-code"))
}

// proves types the code that came, and sees how far the request is.
func (h *house) proves(p *person, tracking, text string) {
	h.t.Helper()
	if !strings.Contains(text, tracking) {
		h.t.Errorf("the message names another request than %s", tracking)
	}
	p.press(primary).on("pin-request-confirm").fill("tracking_code", strings.ToLower(tracking))
	p.fill("code", otherPIN(code(h.t, text))).press(primary).on("pin-request-confirm").problem("code.wrong").
		shows("Codice della richiesta e codice non corrispondono").snap("request-code-wrong")
	p.fill("tracking_code", tracking).fill("code", code(h.t, text)).snap("request-confirm").press(primary).on("done").snap("request-done")
}

// tracks looks how far a request is, until it is that far.
func (h *house) tracks(p *person, tracking, cf, want string) *person {
	h.t.Helper()
	eventually(h.t, patience, "the request is "+want, func() bool {
		p.open(h.settings.Issuer+"/pin/track").on("pin-track").fill("tracking_code", tracking).fill("fiscal_code", cf).press(primary)
		return p.on("pin-track").ask(`document.querySelector('[data-state]')?.dataset.state ?? ''`) == want
	})
	return p.snap("track-" + want)
}

// printed has the print service report a letter.
func (h *house) printed(letter, status string) {
	h.t.Helper()
	o := h.terminal().feed("letter_id,status,date\n"+letterID(letter)+","+status+","+today()+"\n", "letters", "report", "-")
	if o.code != exitDone || !strings.Contains(o.out, status) {
		h.t.Fatalf("letters report: exit %d, %q, %q", o.code, o.out, o.err)
	}
}

// begins signs in at the service with the 16 characters, takes the new PIN and
// comes to the service.
func (h *house) begins(p *person, cf, first string) (pin string) {
	h.t.Helper()
	p.open(h.service+"/login").signIn(cf, first).on("pin-change").problem("")
	pin = p.newPIN()
	p.change(pin, first).on("service-signed-in")
	return pin
}

// refused tries to sign in with what is no PIN, or no PIN any more.
func (h *house) refused(p *person, cf, pin string) {
	h.t.Helper()
	p.open(h.service+"/login").signIn(cf, pin).on("login").problem("login.refused")
}

// has gives somebody of the registry a PIN in use, through the transports, and
// leaves her signed in at the service.
func (h *house) has(p *person, cf string, phone, letters *inbox) (pin string) {
	h.t.Helper()
	if err := h.issue(h.t.Context(), cf); err != nil {
		h.t.Fatal(err)
	}
	first := code(h.t, phone.next("prima parte")) + code(h.t, letters.next("seconda parte"))
	return h.begins(p, cf, first)
}
