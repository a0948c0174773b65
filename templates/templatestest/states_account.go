package templatestest

import (
	"time"

	"ente.example/idp/templates"
)

// area is the frame of a page of the own area.
func area(f templates.Frame, current string) templates.Frame {
	f.SignedIn = &templates.SignedIn{Name: "Mario Rossi"}
	f.Area = &templates.Area{}
	for _, p := range []templates.AreaPage{
		{Name: "overview", URL: "/account"}, {Name: "pin", URL: "/account/pin"}, {Name: "contacts", URL: "/account/contacts"},
	} {
		p.Current = p.Name == current
		f.Area.Pages = append(f.Area.Pages, p)
	}
	return f
}

// ownPages are those of the citizen's own area, and the way into it.
func ownPages(outside templates.Frame) []State {
	now := outside.Now
	last, changed, due := now.Add(-15*time.Hour-33*time.Minute), now.AddDate(0, -2, -14), now.AddDate(0, 3, 14)
	over := now.Add(-time.Hour)
	account := templates.Account{
		GivenName: "Mario", PreviousAccess: &last, Kind: "ordinario", ChangedAt: &changed, DueAt: &due,
		PINURL: "/account/pin", ContactsURL: "/account/contacts", ReportURL: "/pin/report",
		Contacts: []templates.ContactRow{
			{Kind: "mobile", Masked: "+49 *** *** 12 34", Verified: true},
			{Kind: "email", Masked: "m***@p***.example"}, {Kind: "pec"},
		},
	}
	first := account
	first.PreviousAccess, first.DueAt, first.ContactsURL, first.ReportURL = nil, &over, "", ""
	first.Contacts = []templates.ContactRow{{Kind: "mobile"}, {Kind: "email"}, {Kind: "pec", Masked: "m***@p***.example", Verified: true}}
	none := templates.Account{GivenName: "Mario", PreviousAccess: &last, Contacts: first.Contacts}
	idle := templates.AccountIdle{
		Action: "/account/idle", Idle: 27*time.Minute + 30*time.Second, EndsAt: now.Add(150 * time.Second),
		Hidden: []templates.Field{{Name: "from", Value: "/account"}},
	}
	final := idle
	final.Final = true
	alone := area(outside, "")
	alone.Area.Pages = nil
	return append([]State{
		{Name: "account", Frame: area(outside, "overview"), Page: account},
		{Name: "account-first", Frame: area(outside, "overview"), Page: first},
		{Name: "account-no-pin", Frame: area(outside, "overview"), Page: none},
		{Name: "account-idle", Frame: alone, Page: idle},
		{Name: "account-idle-final", Frame: alone, Page: final},
		{Name: "home-area", Frame: outside, Page: templates.Home{Area: true}},
		{Name: "home-area-signed-in", Frame: signedIn(outside), Page: templates.Home{Area: true}},
		{Name: "login-own", Frame: outside, Page: templates.Login{Action: "/login/k3v9q2m7"}},
		{Name: "login-own-ended", Frame: outside, Page: templates.Login{Action: "/login/k3v9q2m7", Ended: 30 * time.Minute}},
		{Name: "interaction-lost-own", Frame: outside, Page: templates.InteractionLost{Own: true}},
		{Name: "done-pin", Frame: area(outside, "pin"), Page: templates.Done{About: "pin", NextURL: "/account", HomeURL: "/pin"}},
	}, ownChanges(area(outside, "pin"))...)
}

func signedIn(f templates.Frame) templates.Frame {
	f.SignedIn = &templates.SignedIn{Name: "Mario Rossi"}
	return f
}

func ownChanges(f templates.Frame) []State {
	change := templates.PINChange{
		Action: "/account/pin", NewPIN: templates.Show("48271936"), ExpiresAt: f.Now.Add(10 * time.Minute), Regenerations: 3, Voluntary: true,
		Hidden: []templates.Field{{Name: "shown", Value: "1"}, {Name: "session", Value: "s1"}},
	}
	wrong, waiting, slip := change, change, change
	wrong.Problem = templates.PINChangeOldWrong
	waiting.Problem, waiting.Until = templates.LoginWaiting, f.Now.Add(5*time.Minute)
	slip.Problem = templates.PINChangeNewMismatch
	start := templates.PINChange{Action: "/account/pin"}
	expired := start
	expired.Problem = templates.PINChangeExpired
	stale := expired
	stale.RestartURL, stale.Voluntary = "/account/pin", true
	return []State{
		{Name: "account-pin-start", Frame: f, Page: templates.AccountPIN{Start: true, PINChange: start}},
		{Name: "account-pin-start-expired", Frame: f, Page: templates.AccountPIN{Start: true, PINChange: expired}},
		{Name: "account-pin", Frame: f, Page: templates.AccountPIN{PINChange: change}},
		{Name: "account-pin-old-wrong", Frame: f, Page: templates.AccountPIN{PINChange: wrong}},
		{Name: "account-pin-mismatch", Frame: f, Page: templates.AccountPIN{PINChange: slip}},
		{Name: "account-pin-waiting", Frame: f, Page: templates.AccountPIN{PINChange: waiting}},
		{Name: "account-pin-stale", Frame: f, Page: templates.AccountPIN{PINChange: stale}},
	}
}
