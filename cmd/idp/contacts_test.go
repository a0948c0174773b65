package main

import (
	"strings"
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/cmd/idp/demo"
	"ente.example/idp/contacts"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
)

// mail waits for the newest message of a key to somebody, and is its text.
func (h *house) mail(key delivery.MessageKey, to string) string {
	h.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		list, err := demo.Read(h.settings.OutboxDir)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, m := range list {
			if m.Key == string(key) && m.To == to {
				return m.Body
			}
		}
	}
	h.t.Fatalf("no %s has arrived at %s", key, to)
	return ""
}

func (h *house) contact(kind citizens.ContactKind) string {
	h.t.Helper()
	fc, err := parseCF(regular)
	if err != nil {
		h.t.Fatal(err)
	}
	who, err := h.citizens.ByFiscalCode(h.t.Context(), fc)
	if err != nil {
		h.t.Fatal(err)
	}
	return who.Contacts.Of(kind).Value.Reveal()
}

// A contact through the whole program: asked for with the PIN, proved by the
// link of the mail in another browser, good after the pause by the worker's hand.
func TestR36AContactThroughTheWholeProgram(t *testing.T) {
	each(t, func(h *house) {
		h.people()
		pin := h.activePIN(regular)
		page := h.settings.Issuer + "/account/contacts"
		v := newVisitor(h.t).open(page).signIn(regular, pin).on("account-contacts")
		v.open(page+"?step=set&kind=email").on("account-contacts").
			submit(map[string]string{"email": "anna@nuova.example", "pin": pin}, "action", "set").on("account-contacts")
		newVisitor(h.t).open(link(h.t, h.mail(contacts.ContactCode, "anna@nuova.example"))).on("account-contacts-confirm").submit(nil).on("done")
		v.open(page).on("account-contacts")
		if !strings.Contains(v.body, "a***@n***.example") || h.contact(citizens.Email) != "anna.bianchi@posta.example" {
			h.t.Error("the new e-mail is not waiting")
		}
		for _, to := range []string{"anna.bianchi@posta.example", "anna.bianchi@pec.example", "+32470123456", "anna@nuova.example"} {
			h.mail(contacts.NoticeProved, to)
		}
		databasetest.Shift(h.t, h.db, 72*time.Hour)
		h.mail(contacts.NoticeEffective, "anna.bianchi@posta.example") // the worker has looked
		if got := h.contact(citizens.Email); got != "anna@nuova.example" {
			h.t.Error("the new e-mail does not count")
		}
		for _, never := range []string{"anna@nuova.example", pin} {
			if strings.Contains(h.log.String(), never) {
				h.t.Errorf("the log holds what must not be there")
			}
		}
	})
}

// "That was not me", by the old contact, without a sign-in: the change is
// contested, the PIN suspended, the session over.
func TestAContactIsContestedThroughTheWholeProgram(t *testing.T) {
	each(t, func(h *house) {
		h.people()
		pin := h.activePIN(regular)
		page := h.settings.Issuer + "/account/contacts"
		v := newVisitor(h.t).open(page).signIn(regular, pin).on("account-contacts")
		v.open(page+"?step=set&kind=mobile").submit(map[string]string{"mobile": "+32 470 99 99 99", "pin": pin}, "action", "set").
			submit(map[string]string{"code": code(h.t, h.mail(contacts.ContactCode, "+32470999999"))}, "action", "prove").on("account-contacts")
		report := link(h.t, h.mail(contacts.NoticeProved, "anna.bianchi@posta.example"))
		newVisitor(h.t).open(report).on("pin-report").submit(nil).on("done")
		v.open(page).on("login")
		h.mail(contacts.NoticeContested, "+32470123456")
		databasetest.Shift(h.t, h.db, 96*time.Hour)
		if err := h.contacts.Sweep(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		if got := h.contact(citizens.Mobile); got != "+32470123456" {
			h.t.Error("a contested mobile counts")
		}
	})
}
