package templatestest

import (
	"time"

	"ente.example/idp/templates"
)

// ownContacts are the states of the page of the contacts, and of the page that a
// mail's link opens.
func ownContacts(outside templates.Frame) []State {
	f := area(outside, "contacts")
	due := f.Now.Add(72 * time.Hour)
	hidden := []templates.Field{{Name: "session", Value: "s1"}}
	line := func(kind, masked string, verified bool) templates.ContactLine {
		return templates.ContactLine{ContactRow: templates.ContactRow{Kind: kind, Masked: masked, Verified: verified}, Settable: true}
	}
	mobile, email, pec := line("mobile", "+49 *** *** 12 34", true), line("email", "m***@p***.example", true), line("pec", "", false)
	mobile.Removable, email.Removable = true, true
	list := func(problem templates.Problem, few bool, lines ...templates.ContactLine) templates.AccountContacts {
		return templates.AccountContacts{Action: "/account/contacts", Hidden: hidden, Lines: lines, Few: few, Problem: problem}
	}
	with := func(l templates.ContactLine, c templates.ContactChange) templates.ContactLine {
		l.Change = &c
		return l
	}
	failed := func(l templates.ContactLine, why string) templates.ContactLine {
		l.Failed = why
		return l
	}
	proving := templates.ContactChange{Masked: "n***@m***.example", Proving: true, DueAt: f.Now.Add(24 * time.Hour)}
	receipt := templates.ContactChange{Masked: "m***@p***.example", Proving: true, CodeRight: true, DueAt: due}
	cooling := templates.ContactChange{Masked: "+49 *** *** 56 78", DueAt: due}
	proposed := cooling
	proposed.ByOperator = true
	alone := line("mobile", "+49 *** *** 12 34", true)
	unproved := line("email", "m***@p***.example", false)
	unproved.Removable = true
	off := pec
	off.Settable = false
	states := []State{
		{Name: "account-contacts", Frame: f, Page: list("", false, mobile, email, pec)},
		{Name: "account-contacts-few", Frame: f, Page: list("", true, alone, unproved, off)},
		{Name: "account-contacts-changing", Frame: f, Page: list("", false, with(mobile, cooling), with(email, proving), with(pec, receipt))},
		{Name: "account-contacts-removal", Frame: f, Page: list(templates.ContactsLast, false, alone, with(email, templates.ContactChange{Removal: true, DueAt: due}), pec)},
		{Name: "account-contacts-proposed", Frame: f, Page: list("", false, with(mobile, proposed), email, pec)},
		{Name: "account-contacts-failed", Frame: f, Page: list(templates.ContactsOver, false, failed(mobile, "undelivered"), failed(email, "attempts-exceeded"), failed(pec, "not-pec"))},
		{Name: "account-contacts-failed-late", Frame: f, Page: list(templates.ContactsTooMany, false, failed(mobile, "not-proved"), failed(email, "overtaken"), failed(pec, "contested"))},
		{Name: "account-contacts-confirm", Frame: outside, Page: templates.ContactConfirm{Hidden: []templates.Field{{Name: "t", Value: "x"}}, Masked: "m***@p***.example"}},
		{Name: "done-contact", Frame: outside, Page: templates.Done{About: "contact", NextURL: "/account/contacts", HomeURL: "/pin"}},
	}
	return append(states, contactForms(f, hidden)...)
}

func contactForms(f templates.Frame, hidden []templates.Field) []State {
	form := func(step, kind, masked string, wrong ...templates.FieldProblem) templates.AccountContacts {
		p := templates.AccountContacts{
			Action: "/account/contacts", Hidden: hidden, Step: step, Kind: kind, Masked: masked, Fields: wrong,
			DueAt: f.Now.Add(24 * time.Hour), Pause: 72 * time.Hour,
		}
		if len(wrong) > 0 {
			p.Problem, p.Typed = templates.FormInvalidField, "mario.rossi@posta.example"
		}
		return p
	}
	field := func(name string, problem templates.Problem) templates.FieldProblem {
		return templates.FieldProblem{Field: name, Problem: problem}
	}
	waiting := form(templates.ContactSet, "mobile", "")
	waiting.Problem, waiting.Until = templates.LoginWaiting, f.Now.Add(5*time.Minute)
	one := form(templates.ContactRemove, "mobile", "+49 *** *** 12 34")
	one.Pause = 24 * time.Hour
	short := form(templates.ContactSet, "mobile", "+49 *** *** 12 34")
	short.Pause = 24 * time.Hour
	return []State{
		{Name: "account-contacts-set", Frame: f, Page: form(templates.ContactSet, "mobile", "")},
		{Name: "account-contacts-set-replace", Frame: f, Page: short},
		{Name: "account-contacts-set-email", Frame: f, Page: form(templates.ContactSet, "email", "m***@p***.example")},
		{Name: "account-contacts-set-empty", Frame: f, Page: form(templates.ContactSet, "email", "", field("email", templates.FieldEmpty), field("pin", templates.FieldMissing))},
		{Name: "account-contacts-set-wrong", Frame: f, Page: form(templates.ContactSet, "pec", "", field("pec", templates.FieldTwin), templates.WrongPIN())},
		{Name: "account-contacts-set-on-file", Frame: f, Page: form(templates.ContactSet, "email", "m***@p***.example", field("email", templates.FieldOnFile))},
		{Name: "account-contacts-set-twin", Frame: f, Page: form(templates.ContactSet, "email", "", field("email", templates.FieldTwin))},
		{Name: "account-contacts-set-landline", Frame: f, Page: form(templates.ContactSet, "mobile", "", field("mobile", templates.FieldNotMobile))},
		{Name: "account-contacts-set-mobile-on-file", Frame: f, Page: form(templates.ContactSet, "mobile", "", field("mobile", templates.FieldOnFile))},
		{Name: "account-contacts-set-mobile-empty", Frame: f, Page: form(templates.ContactSet, "mobile", "", field("mobile", templates.FieldEmpty))},
		{Name: "account-contacts-set-pec-empty", Frame: f, Page: form(templates.ContactSet, "pec", "", field("pec", templates.FieldEmpty))},
		{Name: "account-contacts-set-pec-on-file", Frame: f, Page: form(templates.ContactSet, "pec", "", field("pec", templates.FieldOnFile))},
		{Name: "account-contacts-waiting", Frame: f, Page: waiting},
		{Name: "account-contacts-prove", Frame: f, Page: form(templates.ContactProve, "mobile", "+49 *** *** 56 78")},
		{Name: "account-contacts-prove-email", Frame: f, Page: form(templates.ContactProve, "email", "n***@m***.example")},
		{Name: "account-contacts-prove-pec", Frame: f, Page: form(templates.ContactProve, "pec", "n***@m***.example")},
		{Name: "account-contacts-prove-wrong", Frame: f, Page: form(templates.ContactProve, "mobile", "+49 *** *** 56 78", templates.WrongCode())},
		{Name: "account-contacts-remove", Frame: f, Page: form(templates.ContactRemove, "email", "m***@p***.example")},
		{Name: "account-contacts-remove-soon", Frame: f, Page: one},
		{Name: "account-contacts-remove-pec", Frame: f, Page: form(templates.ContactRemove, "pec", "m***@p***.example")},
	}
}
