package selfservice_test

import (
	"strings"
	"testing"

	"ente.example/idp/audit"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
	"ente.example/idp/enrolment"
	"ente.example/idp/login/logintest"
)

// §2.2: a request is taken back with its tracking code and a code sent to the
// contact; looking, asking and mistyping change nothing.
func TestARequestIsTakenBack(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		o := newOffice(t, db)
		b := o.Browser()
		code := tracking(t, walk(t, b, annaTypes()))
		o.post()
		b.Submit(b.Get("/pin/request/confirm"), "tracking_code", code, "code", alone.FindString(o.letter(enrolment.ContactCode).Body.Reveal()))
		o.post()
		p := b.Submit(b.Get("/pin/track"), "tracking_code", code, "fiscal_code", logintest.Anna)
		p = b.Submit(p, "action", "cancel")
		if p.Name != "pin-withdraw" {
			t.Fatalf("page %q, problem %q", p.Name, p.Problem)
		}
		o.post()
		if p = b.Submit(p, "code", "123"); p.Name != "pin-withdraw" || p.Problem != "form.invalid-field" {
			t.Errorf("what is no code: page %q, problem %q", p.Name, p.Problem)
		}
		if p = b.Submit(p, "code", "00000000"); p.Name != "pin-withdraw" || p.Problem != "code.wrong" {
			t.Errorf("a wrong code: page %q, problem %q", p.Name, p.Problem)
		}
		first := alone.FindString(o.letter(delivery.PINHalf1).Body.Reveal()) + alone.FindString(o.letter(delivery.PINHalf2).Body.Reveal())
		by := audit.Actor{Kind: audit.Anonymous}
		pin, err := credentials.ParsePIN(first)
		must(t, pin, err)
		if _, err := o.pins.Verify(t.Context(), by, o.FiscalCode(logintest.Anna), pin); err != nil {
			t.Errorf("the PIN is dead before the code was right: %v", err)
		}
		p = b.Submit(p, "code", alone.FindString(o.letter(enrolment.WithdrawalCode).Body.Reveal()))
		if p.Name != "done" {
			t.Fatalf("page %q, problem %q", p.Name, p.Problem)
		}
		if _, err := o.pins.Verify(t.Context(), by, o.FiscalCode(logintest.Anna), pin); err == nil {
			t.Error("the halves of a request that was taken back still open something")
		}
		p = b.Submit(b.Get("/pin/track"), "tracking_code", code, "fiscal_code", logintest.Anna)
		if !strings.Contains(p.Body, `data-state="closed"`) || strings.Contains(p.Body, `value="cancel"`) {
			t.Error("the request is not over, or can be taken back again")
		}
	})
}
