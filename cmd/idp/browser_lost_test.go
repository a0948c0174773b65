//go:build browser

package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery/deliverytest"
)

// starts fills in the form of a recovery with the contacts that are given.
func (h *house) starts(p *person, cf string, contacts ...string) *person {
	h.t.Helper()
	p.open(h.settings.Issuer+"/pin/recover").on("pin-recover").fill("fiscal_code", cf)
	for i := 0; i < len(contacts); i += 2 {
		p.fill(contacts[i], contacts[i+1])
	}
	return p
}

// R35 to R40 with a telephone and a mailbox.
func testRecoveryByMobile(t *testing.T, b chromium) {
	h, g := transportHouse(t, anna)
	h.open(trusted)
	phone, mail := g.phone("+393331234567"), g.mailbox("anna.bianchi@posta.example")
	old := h.has(newPerson(t, b), annaCF, phone, g.letterbox("Anna Maria Bianchi"))
	p := newPerson(t, b).open(h.service + "/login").on("login")
	h.starts(p, annaCF, "mobile", "+39 333 1234567", "email", "Anna.Bianchi@posta.example").fill("captcha", "wrong77").press(primary)
	p.on("pin-recover").problem("captcha.wrong").snap("recover-captcha-wrong")
	h.solve(p).snap("recover").press(primary).on("neutral").snap("recover-neutral")
	text := mail.next("codice per recuperare")
	if len(phone.all("recuperare il PIN")) > 0 {
		t.Error("the code went by SMS, too")
	}
	phone.next("qualcuno ha chiesto di recuperare")
	p.open(link(t, text)).on("pin-recover-confirm").fill("fiscal_code", annaCF).fill("code", otherPIN(code(t, text))).press(primary)
	p.on("pin-recover-confirm").problem("code.wrong").snap("recover-code-wrong")
	p.fill("code", code(t, text)).press(primary).on("done").snap("recover-done")
	first := code(t, phone.next("prima parte")) + code(t, mail.next("seconda parte"))
	p.open(link(t, text)).on("link-dead").status(http.StatusGone).snap("link-dead")
	pin := h.begins(p, annaCF, first)
	for _, dead := range []string{old, first} {
		h.refused(newPerson(t, b), annaCF, dead)
	}
	newPerson(t, b).open(h.service+"/login").signIn(annaCF, pin).on("service-signed-in")
	if len(g.certified("anna.bianchi@pec.example").all("parte del nuovo PIN")) > 0 {
		t.Error("a half came by PEC, which nobody had named")
	}
}

// C6: without a telephone the halves go by e-mail and by PEC. Five wrong codes
// end the request, the next one is as good as new.
func testRecoveryByPEC(t *testing.T, b chromium) {
	h, g := transportHouse(t, anna)
	h.open(trusted)
	mail, pec := g.mailbox("anna.bianchi@posta.example"), g.certified("anna.bianchi@pec.example")
	h.has(newPerson(t, b), annaCF, g.phone("+393331234567"), g.letterbox("Anna Maria Bianchi"))
	p := newPerson(t, b)
	both := []string{"email", "anna.bianchi@posta.example", "pec", "anna.bianchi@pec.example"}
	h.solve(h.starts(p, annaCF, both...)).press(primary).on("neutral")
	text := pec.next("codice per recuperare")
	p.open(link(t, text)).on("pin-recover-confirm")
	for range 5 {
		p.fill("fiscal_code", annaCF).fill("code", otherPIN(code(t, text))).press(primary)
	}
	p.open(link(t, text)).on("link-dead").status(http.StatusGone)
	h.solve(h.starts(p, annaCF, both...)).press(primary).on("neutral")
	text = pec.next("codice per recuperare")
	p.open(link(t, text)).on("pin-recover-confirm").fill("fiscal_code", annaCF).fill("code", code(t, text)).press(primary).on("done")
	h.begins(p, annaCF, code(t, mail.next("prima parte"))+code(t, pec.next("seconda parte")))
	if len(mail.all("codice per recuperare")) > 0 || len(g.phone("+393331234567").all("parte del tuo nuovo PIN")) > 0 {
		t.Error("the code or a half went elsewhere, too")
	}
}

// R49 has the words of the answer.
const accepted = "La richiesta di revoca del PIN è stata accettata. Le arriverà a momenti una email, al suo indirizzo di posta elettronica, " +
	"con le istruzioni per il completamento della procedura"

// R47 to R52.
func testRevocation(t *testing.T, b chromium) {
	h, g := transportHouse(t, anna)
	h.open(trusted)
	phone, other := g.phone("+393331234567"), g.mailbox("altra@posta.example")
	signedIn := newPerson(t, b)
	pin := h.has(signedIn, annaCF, phone, g.letterbox("Anna Maria Bianchi"))
	p := newPerson(t, b).open(h.settings.Issuer + "/pin/revoke").on("pin-revoke")
	p.fill("fiscal_code", annaCF).fill("health_card_number", "8038 0000 3012 3456 7890").fill("health_card_expiry", "31/05/2031").fill("email", "altra@posta.example")
	first := p.value("captcha_id")
	h.solve(p).snap("revoke").press(primary).on("neutral").shows(accepted).snap("revoke-neutral")
	text := other.next("codice per revocare")
	phone.next("qualcuno ha chiesto di revocare")
	p.open(link(t, text)).on("pin-revoke-confirm").fill("fiscal_code", annaCF).fill("code", strings.ToLower(code(t, text)))
	if p.value("captcha_id") == first {
		t.Error("the second captcha is the first")
	}
	p.fill("captcha", "wrong77").press(primary).on("pin-revoke-confirm").problem("captcha.wrong")
	h.solve(p.fill("code", code(t, text))).snap("revoke-confirm").press(primary).on("done").snap("revoke-done")
	phone.next("il tuo PIN è revocato")
	p.press(primary).on("pin-request") // R52: a new one may be asked for at once
	signedIn.press("form[action='/refresh'] button").shows("bisogna entrare di nuovo")
	signedIn.open(h.service + "/login").on("login") // and no session answers in her place
	h.refused(newPerson(t, b), annaCF, pin)
}

// "Non sono stato io": from a mail by its link, from an SMS by its code.
func testNotMe(t *testing.T, b chromium) {
	for _, way := range []string{"link", "code"} {
		t.Run(way, func(t *testing.T) {
			h, g := transportHouse(t, anna)
			h.open(trusted)
			phone, mail := g.phone("+393331234567"), g.mailbox("anna.bianchi@posta.example")
			signedIn := newPerson(t, b)
			pin := h.has(signedIn, annaCF, phone, g.letterbox("Anna Maria Bianchi"))
			thief := newPerson(t, b)
			h.solve(h.starts(thief, annaCF, "mobile", "+393331234567", "email", "anna.bianchi@posta.example")).press(primary).on("neutral")
			stolen := mail.next("codice per recuperare")
			p := newPerson(t, b)
			if way == "link" {
				p.open(link(t, mail.next("sospendiamo il tuo PIN"))).on("pin-report").snap("report-link").press(primary)
			} else {
				p.open(h.settings.Issuer+"/pin/report").on("pin-report").fill("fiscal_code", annaCF).fill("code", code(t, phone.next("Non sono stato io")))
				h.solve(p).snap("report-code").press(primary)
			}
			p.on("done").snap("report-done")
			phone.next("il tuo PIN è sospeso")
			thief.open(link(t, stolen)).on("link-dead")
			signedIn.open(h.service + "/login").on("login")
			h.refused(newPerson(t, b), annaCF, pin)
		})
	}
}

// §2.7: every road of the guide, and the page that it begins on.
func testGuide(t *testing.T, b chromium) {
	h, _ := transportHouse(t, anna)
	p := newPerson(t, b).open(h.settings.Issuer + "/pin").on("pin-home")
	if text := p.text("body"); !strings.Contains(text, "Aperto ora") && !strings.Contains(text, "Chiuso") {
		t.Errorf("the page does not say whether somebody answers:\n%s", text)
	}
	for _, road := range []struct{ answers, heading, leads string }{
		{"yes yes", "Puoi recuperarlo da qui", "pin-recover"},
		{"yes no yes", "", "pin-revoke"},
		{"yes unsure yes", "", "pin-revoke"},
		{"yes no no", "", ""},
		{"no yes", "", "pin-revoke"},
		{"no no", "", ""},
		{"expired", "", ""},
		{"waiting", "", ""},
	} {
		p.open(h.settings.Issuer + "/pin/lost").on("pin-lost")
		for answer := range strings.FieldsSeq(road.answers) {
			p.choose("input[name=answer][value=" + answer + "]").press(primary).on("pin-lost").problem("")
		}
		p.snap("lost-" + strings.ReplaceAll(road.answers, " ", "-"))
		if p.has("input[name=answer]") {
			t.Errorf("%s: the guide asks on", road.answers)
		}
		if road.leads != "" {
			p.press(primary).on(road.leads)
		}
	}
}

// §4.11: who gives an ordinary address for a PEC is told.
func testNoPEC(t *testing.T, b chromium) {
	h, g := transportHouse(t, mario)
	h.open(trusted)
	ordinary := g.certified("mario@posta.example")
	p := newPerson(t, b)
	tracking := h.asksForPIN(p, marios("pec", "pec", "mario@posta.example"))
	h.proves(p, tracking, ordinary.next(tracking))
	g.mailbox("mario@posta.example").next("non è una PEC")
	h.tracks(p, tracking, marioCF, "part-2") // it arrives there, and the request goes on
}

// P8: a gateway that takes a message and says nothing, then breaks, is no
// business of the pages; when it is back, the message arrives once.
func testStuckGateway(t *testing.T, b chromium) {
	h, g := transportHouse(t, mario)
	held, let := make(chan struct{}, 100), make(chan struct{})
	g.sms.Answer(http.StatusServiceUnavailable)
	g.sms.Before = func(deliverytest.Text) { held <- struct{}{}; <-let }
	p := newPerson(t, b)
	tracking := h.asksForPIN(p, marios("sms", "mobile", "+393337654321")) // the answer does not wait for the gateway
	<-held
	h.tracks(p, tracking, marioCF, "to-prove")
	g.sms.Answer(http.StatusAccepted)
	close(let)
	within(t, "the message is tried again", func(context.Context) (bool, string) {
		databasetest.Shift(t, h.db, 10*time.Second)
		return h.rows(`SELECT count(*) FROM deliveries WHERE state = 'accepted'`) == 1, ""
	})
	phone := g.phone("+393337654321")
	h.proves(p, tracking, phone.next(tracking))
	if got := phone.all("codice per confermare"); len(got) != 1 {
		t.Errorf("%d different messages have the code, want the same one at every try", len(got))
	}
}
