package templatestest

import (
	"net/http"
	"slices"
	"time"

	"ente.example/idp/templates"
)

// requestPages are the pages about a request for a PIN.
func requestPages(f templates.Frame) []State {
	typed := map[string]string{
		"fiscal_code": "RSSMRA80A01H501U", "given_name": "Mario", "family_name": "Rossi", "sex": "M", "birth_date": "01/01/1980",
		"birth_place": "Roma", "residence_street": "Musterstraße 12", "residence_postal_code": "80331", "residence_locality": "München",
		"residence_country": "DE", "phone": "+49 89 12345678", "call_slot": "morning", "mobile": "+4915123456789",
		"email": "mario.rossi@posta.example", "first_half_channel": "sms",
	}
	step := func(step string) templates.Request {
		return templates.Request{
			Step: step, Typed: map[string]string{}, Channels: []string{"sms", "email", "pec"}, HomeURL: "/pin",
			Hidden: []templates.Field{{Name: "step", Value: step}},
		}
	}
	first := step(templates.StepPerson)
	first.Restricted = true
	check := step(templates.StepPerson)
	check.Typed, check.Problem = typed, templates.RequestCheckData
	wrong := step(templates.StepPerson)
	wrong.Problem = templates.FormInvalidField
	for _, name := range []string{"given_name", "family_name", "sex", "birth_place"} {
		wrong.Fields = append(wrong.Fields, templates.FieldProblem{Field: name, Problem: templates.FieldMissing})
	}
	wrong.Fields = append(wrong.Fields, templates.FieldProblem{Field: "fiscal_code", Problem: templates.FieldProvisional},
		templates.FieldProblem{Field: "birth_date", Problem: templates.FieldMinor})
	away := step(templates.StepResidence)
	away.Typed = typed
	nowhere := step(templates.StepResidence)
	nowhere.Problem = templates.FormInvalidField
	for _, name := range []string{"residence_street", "residence_postal_code", "residence_locality", "residence_country"} {
		nowhere.Fields = append(nowhere.Fields, templates.FieldProblem{Field: name, Problem: templates.FieldMissing})
	}
	contacts := step(templates.StepContacts)
	unreachable := contacts
	unreachable.Problem = templates.FormInvalidField
	unreachable.Fields = []templates.FieldProblem{
		{Field: "phone", Problem: templates.FieldShape}, {Field: "call_slot", Problem: templates.FieldShape},
		{Field: "mobile", Problem: templates.FieldNone}, {Field: "email", Problem: templates.FieldShape},
		{Field: "pec", Problem: templates.FieldSame}, {Field: "first_half_channel", Problem: templates.FieldMissing},
	}
	review := step(templates.StepReview)
	review.Typed, review.BirthPlace, review.Birth = typed, "Roma (RM)", time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	review.Captcha = templates.Captcha{ID: "0192f3a4"}
	terms := review
	terms.Problem = templates.CaptchaWrong
	terms.Fields = []templates.FieldProblem{{Field: "accept_terms", Problem: templates.FieldMissing}, templates.WrongCaptcha()}
	all := []State{
		{Name: "request-person", Frame: f, Page: first}, {Name: "request-check", Frame: f, Page: check}, {Name: "request-person-wrong", Frame: f, Page: wrong},
		{Name: "request-residence", Frame: f, Page: away}, {Name: "request-residence-wrong", Frame: f, Page: nowhere},
		{Name: "request-contacts", Frame: f, Page: contacts}, {Name: "request-contacts-wrong", Frame: f, Page: unreachable},
		{Name: "request-review", Frame: f, Page: review}, {Name: "request-review-wrong", Frame: f, Page: terms},
		{Name: "request-neutral", Frame: f, Page: templates.Neutral{
			About: "request", Tracking: templates.Show("ABCDEFGHJKMN"), NextURL: "/pin/request/confirm", AgainURL: "/pin/request", HomeURL: "/pin",
		}},
		{Name: "request-done", Frame: f, Page: templates.Done{About: "request", NextURL: "/pin/track", HomeURL: "/pin"}},
		{Name: "request-withdrawn", Frame: f, Page: templates.Done{About: "withdraw", NextURL: "/pin/request", HomeURL: "/pin"}},
		{Name: "request-reissued", Frame: f, Page: templates.Done{About: "not-arrived", NextURL: "/pin/track", HomeURL: "/pin"}},
	}
	all = append(all, confirmPages(f)...)
	all = append(all, trackPages(f)...)
	all = append(all, withdrawPages(f)...)
	for i := range all {
		all[i].Status = http.StatusOK
	}
	return all
}

func confirmPages(f templates.Frame) []State {
	return []State{
		{Name: "request-confirm", Frame: f, Page: templates.RequestConfirm{RestartURL: "/pin/request"}},
		{Name: "request-confirm-wrong", Frame: f, Page: templates.RequestConfirm{
			Tracking: "ABCD-EFGH-JKMN", Problem: templates.CodeWrong, RestartURL: "/pin/request",
		}},
		{Name: "request-confirm-empty", Frame: f, Page: templates.RequestConfirm{
			Problem: templates.FormInvalidField, RestartURL: "/pin/request",
			Fields: []templates.FieldProblem{{Field: "tracking_code", Problem: templates.FieldShape}, {Field: "code", Problem: templates.FieldMissing}},
		}},
	}
}

func trackPages(f templates.Frame) []State {
	page := templates.Track{
		Tracking: "ABCD-EFGH-JKMN", FiscalCode: "RSSMRA80A01H501U", ConfirmURL: "/pin/request/confirm", RequestURL: "/pin/request", HomeURL: "/pin",
	}
	blank, unknown := page, page
	blank.Tracking, blank.FiscalCode = "", ""
	unknown.Problem = templates.TrackUnknown
	all := []State{{Name: "track", Frame: f, Page: blank}, {Name: "track-unknown", Frame: f, Page: unknown}}
	sent, late := f.Now.Add(-20*24*time.Hour), f.Now.Add(24*time.Hour)
	for _, state := range []string{"to-prove", "processing", "preparing", "part-1", "part-2", "posted", "done", "closed"} {
		found := page
		over := slices.Contains([]string{"to-prove", "done", "closed"}, state)
		found.Found = &templates.Tracked{State: state, RequestedAt: sent, MayWithdraw: !over}
		all = append(all, State{Name: "track-" + state, Frame: f, Page: found})
	}
	lost := page
	lost.Found = &templates.Tracked{State: "posted", RequestedAt: sent, First: &sent, Second: &sent, Posted: &sent, LateAt: &sent, MayReissue: true, MayWithdraw: true}
	waiting := page
	waiting.Found = &templates.Tracked{State: "part-2", RequestedAt: sent, First: &sent, Second: &sent, LateAt: &late, MayWithdraw: true}
	return append(all, State{Name: "track-late", Frame: f, Page: lost}, State{Name: "track-waiting", Frame: f, Page: waiting})
}

func withdrawPages(f templates.Frame) []State {
	page := templates.Withdraw{Tracking: "ABCD-EFGH-JKMN", FiscalCode: "RSSMRA80A01H501U", TrackURL: "/pin/track", HomeURL: "/pin"}
	wrong, empty := page, page
	wrong.Problem = templates.CodeWrong
	empty.Problem, empty.Fields = templates.FormInvalidField, []templates.FieldProblem{{Field: "code", Problem: templates.FieldMissing}}
	return []State{
		{Name: "withdraw", Frame: f, Page: page}, {Name: "withdraw-wrong", Frame: f, Page: wrong}, {Name: "withdraw-empty", Frame: f, Page: empty},
	}
}
