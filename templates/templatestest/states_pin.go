package templatestest

import (
	"time"

	"ente.example/idp/templates"
)

// pinPages are the page about the PIN and the guide for who has lost it.
func pinPages(outside, signIn templates.Frame) []State {
	const back, resume = "?sign_in=k3v9q2m7", "/authorize/k3v9q2m7"
	home := templates.PINHome{LostURL: "/pin/lost"}
	whole := templates.PINHome{
		Request: true, Recover: true, Revoke: true, Change: true, Track: true, Report: true,
		LostURL: "/pin/lost" + back, SignInURL: resume,
	}
	return append([]State{
		{Name: "pin-home", Frame: outside, Page: home},
		{Name: "pin-home-whole", Frame: signIn, Page: whole},
	}, lostPages(outside, signIn)...)
}

func lostPages(outside, signIn templates.Frame) []State {
	used := templates.PINLost{
		Question: templates.LostUsed, Number: 1, Of: 3, BackURL: "/pin",
		Choices: []templates.Choice{{Value: "yes", Note: true}, {Value: "no", Note: true}, {Value: "expired"}, {Value: "waiting"}},
	}
	missing := used
	missing.Fields = []templates.FieldProblem{{Field: "answer", Problem: templates.FieldMissing}}
	contacts := templates.PINLost{
		Question: templates.LostContacts, Number: 2, Of: 3, BackURL: "/pin/lost",
		Hidden:  []templates.Field{{Name: templates.LostUsed, Value: "yes"}},
		Choices: []templates.Choice{{Value: "yes", Note: true}, {Value: "no"}, {Value: "unsure"}},
	}
	card := templates.PINLost{
		Question: templates.LostCard, Number: 2, Of: 2, BackURL: "/pin/lost",
		Hidden:  []templates.Field{{Name: templates.LostUsed, Value: "no"}},
		Choices: []templates.Choice{{Value: "yes", Note: true}, {Value: "no", Note: true}},
	}
	road := func(name string, change func(*templates.PINLost)) templates.PINLost {
		p := templates.PINLost{Road: name, BackURL: "/pin/lost?used=yes", HomeURL: "/pin", ForgottenURL: "/pin/lost?used=yes"}
		if change != nil {
			change(&p)
		}
		return p
	}
	first := func(p *templates.PINLost) { p.First = true }
	resume := func(p *templates.PINLost) { p.SignInURL = "/authorize/k3v9q2m7" }
	return []State{
		{Name: "pin-lost-used", Frame: outside, Page: used},
		{Name: "pin-lost-missing", Frame: outside, Page: missing},
		{Name: "pin-lost-contacts", Frame: outside, Page: contacts},
		{Name: "pin-lost-card", Frame: signIn, Page: card},
		{Name: "pin-lost-recover", Frame: outside, Page: road(templates.LostRecover, nil)},
		{Name: "pin-lost-revoke", Frame: outside, Page: road(templates.LostRevoke, nil)},
		{Name: "pin-lost-revoke-first", Frame: outside, Page: road(templates.LostRevoke, first)},
		{Name: "pin-lost-call", Frame: outside, Page: road(templates.LostCall, nil)},
		{Name: "pin-lost-call-first", Frame: outside, Page: road(templates.LostCall, first)},
		{Name: "pin-lost-sign-in", Frame: signIn, Page: road(templates.LostSignIn, resume)},
		{Name: "pin-lost-sign-in-alone", Frame: outside, Page: road(templates.LostSignIn, nil)},
		{Name: "pin-lost-wait", Frame: signIn, Page: road(templates.LostWait, resume)},
		{Name: "pin-lost-wait-longer", Frame: outside, Page: road(templates.LostWait, func(p *templates.PINLost) {
			p.Threshold, p.Wait = 5, 20*time.Minute
		})},
	}
}
