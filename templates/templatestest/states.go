// Package templatestest holds every page in every state it can be in, for the
// tests that look at pages: golden HTML in templates, a browser in web. It
// imports templates only, and only tests import it.
package templatestest

import (
	"fmt"
	"net/http"
	"time"

	"ente.example/idp/templates"
)

// State is one page as somebody may see it.
type State struct {
	Name   string
	Status int
	Frame  templates.Frame
	Page   templates.Page
}

// Now is when the pages are shown: a Wednesday morning in Rome.
func Now() time.Time {
	return time.Date(2026, 11, 18, 9, 37, 12, 0, time.UTC)
}

// States are all states of all pages. Adding a page means adding it here.
func States() []State {
	now := Now()
	signIn := templates.Frame{Now: now, FormToken: "sample", Service: Service()}
	outside := templates.Frame{Now: now, FormToken: "sample"}
	person := outside
	person.SignedIn = &templates.SignedIn{Name: "Mario Rossi"}
	all := []State{
		{Name: "home", Frame: outside, Page: templates.Home{}},
		{Name: "home-signed-in", Frame: person, Page: templates.Home{}},
		{Name: "account-choice", Frame: signIn, Page: templates.AccountChoice{
			Action: "/login/k3v9q2m7/account", Person: "Mario Rossi", SignedInAt: now.Add(-25 * time.Minute),
		}},
		{Name: "sign-out", Frame: outside, Page: templates.SignOut{
			Action: "/sign-out", Person: "Mario Rossi", StayURL: "/",
			Hidden: []templates.Field{{Name: "state", Value: `"><script>`}},
		}},
		{Name: "sign-out-nameless", Frame: outside, Page: templates.SignOut{Action: "/sign-out"}},
		{Name: "signed-out", Frame: outside, Page: templates.SignedOut{
			ServiceName: "Estratto conto", ServiceURL: "https://estratto-conto.ente.example/",
		}},
		{Name: "signed-out-frames", Frame: outside, Page: templates.SignedOut{Frames: []string{"https://estratto.example/logout?sid=1"}}},
		{Name: "signed-out-alone", Frame: outside, Page: templates.SignedOut{}},
		{Name: "interaction-lost", Status: http.StatusBadRequest, Frame: outside, Page: templates.InteractionLost{
			ServiceName: "Estratto conto", ServiceURL: "https://estratto-conto.ente.example/",
		}},
		{Name: "interaction-lost-unknown", Status: http.StatusBadRequest, Frame: outside, Page: templates.InteractionLost{}},
		{Name: "form-post", Frame: outside, Page: templates.FormPost{
			Action: "it.ente.app:/callback", Fields: []templates.Field{{Name: "code", Value: "c"}, {Name: "state", Value: `a"b`}},
		}},
	}
	all = append(all, logins(signIn)...)
	all = append(all, changes(signIn)...)
	all = append(all, consents(signIn)...)
	all = append(all, failures(outside)...)
	all = append(all, pinPages(outside, signIn)...)
	all = append(all, requestPages(outside)...)
	all = append(all, procedures(outside, signIn)...)
	all = append(all, ownPages(outside)...)
	all = append(all, devicePages(outside, signIn)...)
	all = append(all, ownContacts(outside)...)
	for i := range all {
		if all[i].Status == 0 {
			all[i].Status = http.StatusOK
		}
	}
	return all
}

// Service is the one that the sign-ins are for.
func Service() *templates.Service {
	return &templates.Service{
		Name: "Estratto conto", Host: "estratto-conto.ente.example",
		PolicyURL: "https://estratto-conto.ente.example/privacy", TermsURL: "https://estratto-conto.ente.example/condizioni",
	}
}

func logins(f templates.Frame) []State {
	const action = "/login/k3v9q2m7"
	const code = "RSSMRA80A01H501U"
	return []State{
		{Name: "login", Frame: f, Page: templates.Login{Action: action}},
		{Name: "login-refused", Frame: f, Page: templates.Login{
			Action: action, FiscalCode: code, Problem: templates.LoginRefused,
		}},
		{Name: "login-waiting", Frame: f, Page: templates.Login{
			Action: action, FiscalCode: code, Problem: templates.LoginWaiting, Until: f.Now.Add(5 * time.Minute),
		}},
		{Name: "login-invalid", Frame: f, Page: templates.Login{
			Action: action, FiscalCode: "RSSMRA80", Fields: []templates.FieldProblem{
				{Field: "fiscal_code", Problem: templates.FieldShape}, {Field: "pin", Problem: templates.FieldMissing},
			},
		}},
		{Name: "login-empty-code", Frame: f, Page: templates.Login{
			Action: action, Fields: []templates.FieldProblem{{Field: "fiscal_code", Problem: templates.FieldMissing}},
		}},
		{Name: "login-short-pin", Frame: f, Page: templates.Login{
			Action: action, FiscalCode: code, Fields: []templates.FieldProblem{{Field: "pin", Problem: templates.FieldShape}},
		}},
		{Name: "login-change-expired", Frame: f, Page: templates.Login{
			Action: action, FiscalCode: code, Problem: templates.PINChangeExpired,
		}},
	}
}

func changes(f templates.Frame) []State {
	first := templates.PINChange{
		Action: "/login/k3v9q2m7/pin", NewPIN: templates.Show("48271936"),
		ExpiresAt: f.Now.Add(10 * time.Minute), Regenerations: 3, First: true,
		Hidden: []templates.Field{{Name: "candidate", Value: "1"}},
	}
	with := func(change func(*templates.PINChange)) templates.PINChange {
		p := first
		change(&p)
		return p
	}
	missing := []templates.FieldProblem{
		{Field: "new_pin", Problem: templates.FieldMissing}, {Field: "old_pin", Problem: templates.FieldMissing},
	}
	shape := []templates.FieldProblem{
		{Field: "new_pin", Problem: templates.FieldShape}, {Field: "old_pin", Problem: templates.FieldShape},
	}
	return []State{
		{Name: "pin-change-first", Frame: f, Page: first},
		{Name: "pin-change-periodic", Frame: f, Page: with(func(p *templates.PINChange) { p.First, p.Regenerations = false, 1 })},
		{Name: "pin-change-last", Frame: f, Page: with(func(p *templates.PINChange) { p.Regenerations = 0 })},
		{Name: "pin-change-mismatch", Frame: f, Page: with(func(p *templates.PINChange) { p.Problem = templates.PINChangeNewMismatch })},
		{Name: "pin-change-old-wrong", Frame: f, Page: with(func(p *templates.PINChange) { p.Problem = templates.PINChangeOldWrong })},
		{Name: "pin-change-missing", Frame: f, Page: with(func(p *templates.PINChange) { p.Fields = missing })},
		{Name: "pin-change-shape", Frame: f, Page: with(func(p *templates.PINChange) { p.Fields = shape })},
		{Name: "pin-change-waiting", Frame: f, Page: with(func(p *templates.PINChange) {
			p.Problem, p.Until = templates.LoginWaiting, f.Now.Add(40*time.Second)
		})},
		{Name: "pin-change-expired", Frame: f, Page: templates.PINChange{
			Problem: templates.PINChangeExpired, RestartURL: "/login/k3v9q2m7",
		}},
	}
}

func consents(f templates.Frame) []State {
	previous := f.Now.Add(-16*time.Hour - 33*time.Minute)
	whole := templates.Consent{
		Action: "/consent/k3v9q2m7",
		Attributes: []templates.Attribute{
			{Claim: "given_name", Value: "Mario"},
			{Claim: "family_name", Value: "Rossi"},
			{Claim: "https://attributes.eid.gov.it/fiscal_number", Value: "RSSMRA80A01H501U"},
			{Claim: "birthdate", Value: "1980-01-01"},
			{Claim: "place_of_birth", Value: "Roma (RM)"},
			{Claim: "pin_kind", Value: "ordinario"},
		},
		Purpose:  "Riconoscerti e mostrarti i contributi versati a tuo nome.",
		Remember: true,
		Person:   "Mario Rossi", SignedInAt: f.Now, Level: 1, PreviousAccess: &previous, SignOutURL: "/sign-out",
	}
	more := whole
	more.Renewed, more.Offline, more.OfflineNew, more.Remember = true, true, true, false
	more.Attributes = append(append([]templates.Attribute{}, whole.Attributes...),
		templates.Attribute{Claim: "name", Value: "Mario Rossi", New: true},
		templates.Attribute{Claim: "gender", Value: "male", New: true},
		templates.Attribute{Claim: "email", Value: "mario.rossi.con.un.indirizzo.molto.lungo@posta.example", New: true},
		templates.Attribute{Claim: "email_verified", Value: "true", New: true},
		templates.Attribute{Claim: "phone_number", Value: "+4915100000000", New: true},
		templates.Attribute{Claim: "phone_number_verified", Value: "false", New: true},
		templates.Attribute{Claim: "address", Value: "Musterstraße 12\n80331 München\nGermania", New: true},
	)
	little := templates.Consent{
		Action: "/consent/k3v9q2m7", Person: "Łucja Nowak", SignedInAt: f.Now.Add(-26 * time.Hour), Level: 1,
	}
	detailed := whole
	detailed.Remember, detailed.Permissions = false, permissions()
	away := detailed
	away.Offline, away.Attributes = true, nil
	return []State{
		{Name: "consent-permissions", Frame: f, Page: detailed},
		{Name: "consent-permissions-offline", Frame: f, Page: away},
		{Name: "consent", Frame: f, Page: whole},
		{Name: "consent-more", Frame: f, Page: more},
		{Name: "consent-nothing", Frame: f, Page: little},
	}
}

// permissions are two, one of them with words in Italian alone and values that
// would like to be something else.
func permissions() []templates.Permission {
	value := func(text string) templates.Piece { return templates.Piece{Text: text, Value: true} }
	day := templates.Piece{Text: "2026-12-01", Value: true, Kind: templates.PieceDay}
	return []templates.Permission{
		{
			Sentence: templates.Phrase{
				"it": {{Text: "Prenotare a tuo nome "}, value("una visita cardiologica"), {Text: " per il giorno "}, day, {Text: "."}},
				"en": {{Text: "Book "}, value("a cardiological examination"), {Text: " in your name for "}, day, {Text: "."}},
			},
			Further: []templates.PermissionField{
				{Label: templates.Text{"it": "Ticket da pagare (euro)", "en": "Fee to pay (euros)"}, Value: templates.Phrase{
					"it": {{Text: "36.15", Value: true, Kind: templates.PieceDecimal}},
				}},
				{Label: templates.Text{"it": "Dove", "en": "Where"}, Value: templates.Phrase{"it": {value("Poliambulatorio Santa Chiara, via dei Condottieri 12, 00176 Roma")}}},
			},
		},
		{Sentence: templates.Phrase{"it": {
			{Text: "Leggere i referti di tipo "}, value(`<b>"tutti"</b>. Autorizzi anche altro, pneumoultramicroscopicossilicovulcanoconiotico.incluso/1234567890`), {Text: "."},
		}}},
	}
}

func failures(f templates.Frame) []State {
	var all []State
	for _, e := range []struct {
		status  int
		problem templates.Problem
	}{
		{http.StatusBadRequest, templates.RequestUntrusted},
		{http.StatusBadRequest, templates.RequestMalformed},
		{http.StatusForbidden, templates.RequestForm},
		{http.StatusNotFound, templates.RequestNotFound},
		{http.StatusMethodNotAllowed, templates.RequestMethod},
		{http.StatusRequestEntityTooLarge, templates.RequestTooLarge},
		{http.StatusTooManyRequests, templates.RequestTooMany},
		{http.StatusServiceUnavailable, templates.ServerUnavailable},
		{http.StatusInternalServerError, templates.ServerFault},
	} {
		all = append(all, State{
			Name: fmt.Sprintf("error-%s", e.problem), Status: e.status, Frame: f,
			Page: templates.Error{Problem: e.problem, Reference: "7KQ4-2M9X", At: f.Now},
		})
	}
	all[0].Page = templates.Error{
		Problem: templates.RequestUntrusted, Reference: "7KQ4-2M9X", At: f.Now,
		BackURL: "https://estratto-conto.ente.example/",
	}
	return all
}
