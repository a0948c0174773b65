//go:build browser

package main

import (
	"strings"
	"testing"
	"time"

	"ente.example/idp/database/databasetest"
)

// today is the day for a report of the print service.
func today() string { return time.Now().UTC().Format(time.DateOnly) }

// requests goes the whole way of somebody whose address matches: request, code,
// two halves by two ways, first access.
func requests(t *testing.T, b chromium, a application, where func(*transports) *inbox) (*house, *transports) {
	h, g := transportHouse(t, mario)
	h.open(trusted)
	box, letters := where(g), g.letterbox("Mario Rossi")
	p := newPerson(t, b).open(h.settings.Issuer + "/pin").on("pin-home").snap("pin-home")
	tracking := h.asksForPIN(p, a)
	text := box.next(tracking)
	h.proves(p, tracking, text)
	letter := letters.next("seconda parte")
	h.tracks(p, tracking, marioCF, "part-2")
	half := box.next("prima parte")
	if len(box.all("prima parte")) != 1 || len(letters.all("")) != 1 {
		t.Errorf("%d first halves and %d letters, want one of each", len(box.all("prima parte")), len(letters.all("")))
	}
	for _, line := range []string{"Via Appia Nuova 12", "00183 Roma"} {
		if !strings.Contains(letter, line) {
			t.Errorf("the letter is not for the address of the archive:\n%s", letter)
		}
	}
	if strings.Contains(letter, code(t, half)) || strings.Contains(half, code(t, letter)) {
		t.Error("one message has both halves")
	}
	h.printed(letter, "posted")
	h.tracks(p, tracking, marioCF, "posted")
	first := code(t, half) + code(t, letter)
	h.refused(newPerson(t, b), marioCF, code(t, half)) // R22: a half is none
	pin := h.begins(p, marioCF, first)
	h.tracks(p, tracking, marioCF, "done")
	h.refused(newPerson(t, b), marioCF, first) // R25
	newPerson(t, b).open(h.service+"/login").signIn(marioCF, pin).on("service-signed-in")
	if log := h.log.String(); strings.Contains(log, code(t, half)) || strings.Contains(log, code(t, letter)) || strings.Contains(log, marioCF) {
		t.Error("the log has a half or a codice fiscale")
	}
	return h, g
}

func testRequestBySMS(t *testing.T, b chromium) {
	h, g := requests(t, b, marios("sms", "mobile", "333 765 4321"), func(g *transports) *inbox { return g.phone("+393337654321") })
	h.reported("sms", len(g.sms.Texts())) // the gateway signs what became of each
}

func testRequestByEmail(t *testing.T, b chromium) {
	requests(t, b, marios("email", "email", "mario@posta.example", "mobile", "+393337654321"),
		func(g *transports) *inbox { return g.mailbox("mario@posta.example") })
}

func testRequestByPEC(t *testing.T, b chromium) {
	h, g := requests(t, b, marios("pec", "pec", "mario@pec.example"), func(g *transports) *inbox { return g.certified("mario@pec.example") })
	h.reported("pec", 2*len(g.pec.Taken())) // taken, and delivered
}

// reported waits until so many reports of a channel are recorded.
func (h *house) reported(channel string, want int) {
	h.t.Helper()
	got := 0
	eventually(h.t, patience, "the reports are recorded", func() bool {
		got = h.rows(`SELECT count(*) FROM delivery_outcomes o JOIN deliveries d ON d.id = o.delivery_id WHERE d.channel = '` + channel + `'`)
		return got == want
	})
}

func (h *house) rows(query string) int {
	h.t.Helper()
	var n int
	if err := h.db.Read(h.t.Context()).Raw(query).Row().Scan(&n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

// R15, §2.2: who lives abroad is called, and then gets both halves.
func testRequestFromAbroad(t *testing.T, b chromium) {
	h, g := transportHouse(t, miller)
	h.open(trusted)
	mail, letters := g.mailbox("sam@posta.example"), g.letterbox("Samantha Miller")
	p := newPerson(t, b)
	tracking := h.asksForPIN(p, application{
		"fiscal_code": "MLLSNT82P65Z404U", "given_name": "Samantha", "family_name": "Miller", "sex": "F", "birth_date": "25/09/1982",
		"birth_place": "Stati Uniti d'America", "residence_street": "Leopoldstr. 12", "residence_postal_code": "80802",
		"residence_locality": "München", "residence_country": "DE", "phone": "+49 89 12345678", "email": "sam@posta.example", "first_half_channel": "email",
	})
	h.proves(p, tracking, mail.next(tracking))
	h.tracks(p, tracking, "MLLSNT82P65Z404U", "processing")
	s := h.terminal()
	var list []map[string]any
	eventually(t, patience, "the call is in the queue", func() bool {
		list = s.list("callbacks", "list")
		return len(list) == 1
	})
	id := list[0]["id"].(string)
	if phone := s.doc("callbacks", "assign", id)["phone"]; phone != "+498912345678" {
		t.Errorf("the contact centre is to call %v", phone)
	}
	if len(mail.all("prima parte")) > 0 || len(letters.all("")) > 0 {
		t.Error("a half has left before the call")
	}
	s.done("callbacks", "close", id, "approve")
	first := code(t, mail.next("prima parte")) + code(t, letters.next("GERMANIA"))
	h.begins(p, "MLLSNT82P65Z404U", first)
	h.tracks(p, tracking, "MLLSNT82P65Z404U", "done")
}

// R20: what did not arrive is not sent again: both halves are new, and the old
// ones dead.
func testNotArrived(t *testing.T, b chromium) {
	h, g := transportHouse(t, mario)
	h.open(trusted)
	phone, letters := g.phone("+393337654321"), g.letterbox("Mario Rossi")
	p := newPerson(t, b)
	tracking := h.asksForPIN(p, marios("sms", "mobile", "+393337654321"))
	h.proves(p, tracking, phone.next(tracking))
	old := [2]string{code(t, phone.next("prima parte")), code(t, letters.next("seconda parte"))}
	h.tracks(p, tracking, marioCF, "part-2")
	if p.has("button[value=not-arrived]") {
		t.Error("a letter is missed before it can have arrived")
	}
	databasetest.Shift(t, h.db, 31*24*time.Hour) // late, and no letter in the last thirty days
	h.tracks(p, tracking, marioCF, "part-2").press("button[value=not-arrived]").on("done").snap("not-arrived-done")
	fresh := [2]string{code(t, phone.next("prima parte")), code(t, letters.next("seconda parte"))}
	other := newPerson(t, b)
	for _, dead := range []string{old[0] + old[1], old[0] + fresh[1], fresh[0] + old[1]} {
		h.refused(other, marioCF, dead)
	}
	h.begins(p, marioCF, fresh[0]+fresh[1])
}

// §2.2: a request is taken back with a code that goes to the contact, and both
// halves are dead.
func testTakenBack(t *testing.T, b chromium) {
	h, g := transportHouse(t, mario)
	h.open(trusted)
	phone, letters := g.phone("+393337654321"), g.letterbox("Mario Rossi")
	p := newPerson(t, b)
	tracking := h.asksForPIN(p, marios("sms", "mobile", "+393337654321"))
	h.proves(p, tracking, phone.next(tracking))
	first := code(t, phone.next("prima parte")) + code(t, letters.next("seconda parte"))
	h.tracks(p, tracking, marioCF, "part-2").snap("track").press("button[value=cancel]").on("pin-withdraw").snap("withdraw")
	text := phone.next(tracking)
	p.fill("code", "00000000").press(primary).on("pin-withdraw").problem("code.wrong").snap("withdraw-wrong")
	p.fill("code", code(t, text)).press(primary).on("done").snap("withdraw-done")
	phone.next("annullata")
	h.tracks(p, tracking, marioCF, "closed")
	h.refused(newPerson(t, b), marioCF, first)
}

// R21: mail that comes back ends its PIN, and somebody calls.
func testReturnedLetter(t *testing.T, b chromium) {
	h, g := transportHouse(t, mario)
	h.open(trusted)
	phone, letters := g.phone("+393337654321"), g.letterbox("Mario Rossi")
	p := newPerson(t, b)
	tracking := h.asksForPIN(p, marios("sms", "mobile", "+393337654321"))
	h.proves(p, tracking, phone.next(tracking))
	letter := letters.next("seconda parte")
	h.printed(letter, "returned")
	h.tracks(p, tracking, marioCF, "processing")
	h.refused(newPerson(t, b), marioCF, code(t, phone.next("prima parte"))+code(t, letter))
	if list := h.terminal().list("callbacks", "list"); len(list) != 1 || list[0]["name"] != "Rossi M." {
		t.Errorf("the calls are %v, want one to Mario Rossi", list)
	}
}
