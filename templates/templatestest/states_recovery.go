package templatestest

import (
	"net/http"
	"time"

	"ente.example/idp/templates"
)

// procedures are the pages of recovery, revocation and report.
func procedures(outside, signIn templates.Frame) []State {
	return append(append(recoveries(outside, signIn), revocations(outside)...), ends(outside)...)
}

const sampleCode = "RSSMRA80A01H501U"

func sampleCaptcha() templates.Captcha { return templates.Captcha{ID: "q8Xn2"} }

func recoveries(outside, signIn templates.Frame) []State {
	empty := templates.Recover{Captcha: sampleCaptcha(), HomeURL: "/pin", GuideURL: "/pin/lost"}
	left := empty
	left.Hidden = []templates.Field{{Name: "sign_in", Value: "k3v9q2m7"}}
	left.HomeURL, left.GuideURL = "/pin?sign_in=k3v9q2m7", "/pin/lost?sign_in=k3v9q2m7"
	few := empty
	few.FiscalCode, few.Email, few.PEC, few.Problem = sampleCode, "mario@posta.example", "mario@posta.example", templates.FormInvalidField
	few.Captcha.Answer = "A2C4E6H"
	few.Fields = []templates.FieldProblem{{Field: "mobile", Problem: templates.FieldFew}, {Field: "pec", Problem: templates.FieldSame}}
	shape := empty
	shape.Mobile, shape.Email, shape.PEC, shape.Problem = "12", "mario", "mario@", templates.FormInvalidField
	shape.Fields = []templates.FieldProblem{
		{Field: "fiscal_code", Problem: templates.FieldMissing}, {Field: "mobile", Problem: templates.FieldShape},
		{Field: "email", Problem: templates.FieldShape}, {Field: "pec", Problem: templates.FieldShape},
	}
	captcha := empty
	captcha.FiscalCode, captcha.Mobile, captcha.Email = sampleCode, "+49 151 23456789", "mario@posta.example"
	captcha.Problem, captcha.Fields = templates.CaptchaWrong, []templates.FieldProblem{templates.WrongCaptcha()}
	none := empty
	none.Captcha = templates.Captcha{}
	confirm := templates.RecoverConfirm{RestartURL: "/pin/recover", ReportURL: "/pin/report"}
	link := confirm
	link.Hidden = []templates.Field{{Name: "t", Value: "sample-token"}}
	wrong := link
	wrong.FiscalCode, wrong.Problem = sampleCode, templates.CodeWrong
	missing := confirm
	missing.Problem = templates.FormInvalidField
	missing.Fields = []templates.FieldProblem{{Field: "fiscal_code", Problem: templates.FieldShape}, {Field: "code", Problem: templates.FieldShape}}
	return []State{
		{Name: "pin-recover", Frame: outside, Page: empty},
		{Name: "pin-recover-left", Frame: signIn, Page: left},
		{Name: "pin-recover-few", Frame: outside, Page: few},
		{Name: "pin-recover-shape", Frame: outside, Page: shape},
		{Name: "pin-recover-captcha", Frame: outside, Page: captcha},
		{Name: "pin-recover-no-captcha", Frame: outside, Page: none},
		{Name: "pin-recover-confirm", Frame: outside, Page: confirm},
		{Name: "pin-recover-confirm-link", Frame: outside, Page: link},
		{Name: "pin-recover-confirm-wrong", Frame: outside, Page: wrong},
		{Name: "pin-recover-confirm-missing", Frame: outside, Page: missing},
	}
}

func revocations(f templates.Frame) []State {
	empty := templates.Revoke{Captcha: sampleCaptcha(), HomeURL: "/pin"}
	missing := empty
	missing.Problem, missing.Number = templates.FormInvalidField, "8038 0000"
	missing.Fields = []templates.FieldProblem{
		{Field: "fiscal_code", Problem: templates.FieldMissing}, {Field: "health_card_number", Problem: templates.FieldShape},
		{Field: "health_card_expiry", Problem: templates.FieldMissing}, {Field: "email", Problem: templates.FieldShape},
	}
	captcha := empty
	captcha.FiscalCode, captcha.Number, captcha.Expiry, captcha.Email = sampleCode, "80380000000000000000", "31/12/2027", "mario@posta.example"
	captcha.Problem, captcha.Fields = templates.CaptchaWrong, []templates.FieldProblem{templates.WrongCaptcha()}
	confirm := templates.RevokeConfirm{
		Hidden: []templates.Field{{Name: "t", Value: "sample-token"}}, Captcha: sampleCaptcha(), RestartURL: "/pin/revoke",
	}
	wrong := confirm
	wrong.FiscalCode, wrong.Problem = sampleCode, templates.CodeWrong
	second := confirm
	second.FiscalCode, second.Problem = sampleCode, templates.CaptchaWrong
	second.Fields = []templates.FieldProblem{templates.WrongCaptcha()}
	return []State{
		{Name: "pin-revoke", Frame: f, Page: empty},
		{Name: "pin-revoke-missing", Frame: f, Page: missing},
		{Name: "pin-revoke-captcha", Frame: f, Page: captcha},
		{Name: "pin-revoke-confirm", Frame: f, Page: confirm},
		{Name: "pin-revoke-confirm-wrong", Frame: f, Page: wrong},
		{Name: "pin-revoke-confirm-captcha", Frame: f, Page: second},
	}
}

func ends(f templates.Frame) []State {
	report := templates.Report{Captcha: sampleCaptcha(), HomeURL: "/pin"}
	byLink := templates.Report{ByLink: true, HomeURL: "/pin", Hidden: []templates.Field{{Name: "t", Value: "sample-token"}}}
	wrong := report
	wrong.FiscalCode, wrong.Problem = sampleCode, templates.CodeWrong
	until := f.Now.Add(24 * time.Hour)
	return []State{
		{Name: "pin-report", Frame: f, Page: report},
		{Name: "pin-report-link", Frame: f, Page: byLink},
		{Name: "pin-report-wrong", Frame: f, Page: wrong},
		{Name: "neutral-recover", Frame: f, Page: templates.Neutral{
			About: "recover", Until: until, NextURL: "/pin/recover/confirm", AgainURL: "/pin/recover", GuideURL: "/pin/lost", HomeURL: "/pin",
		}},
		{Name: "neutral-revoke", Frame: f, Page: templates.Neutral{
			About: "revoke", Until: until, NextURL: "/pin/revoke/confirm", AgainURL: "/pin/revoke", HomeURL: "/pin",
		}},
		{Name: "done-recover", Frame: f, Page: templates.Done{About: "recover", HomeURL: "/pin", SignInURL: "/authorize/k3v9q2m7"}},
		{Name: "done-revoke", Frame: f, Page: templates.Done{About: "revoke", HomeURL: "/pin", NextURL: "/pin/request"}},
		{Name: "done-report", Frame: f, Page: templates.Done{About: "report", HomeURL: "/pin"}},
		{Name: "link-dead", Status: http.StatusGone, Frame: f, Page: templates.LinkDead{RestartURL: "/pin/recover", HomeURL: "/pin"}},
	}
}
