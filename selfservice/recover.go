package selfservice

import (
	"errors"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/login"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

const (
	recoverConfirmPath = "/pin/recover/confirm"
	recoverForm        = "pin-recover" // what its captcha is bound to
)

func (h *Handler) mountRecover(e *echo.Echo) {
	e.GET(recoverPath, h.askRecovery)
	e.POST(recoverPath, h.startRecovery)
	e.GET(recoverConfirmPath, h.askRecoveryCode)
	e.POST(recoverConfirmPath, h.confirmRecovery)
}

// askRecovery shows the form (R35).
func (h *Handler) askRecovery(c echo.Context) error {
	left, err := h.leftSignIn(c)
	if err != nil {
		return err
	}
	p := recoverPage(left)
	if p.Captcha, err = h.challenge(c, recoverForm); err != nil {
		return err
	}
	return left.render(c, p)
}

func recoverPage(l left) templates.Recover {
	return templates.Recover{Hidden: l.hidden(), HomeURL: l.address(homePath, nil), GuideURL: l.address(lostPath, nil)}
}

// startRecovery takes the form. Once it is well formed and the captcha right,
// everybody gets the same answer.
func (h *Handler) startRecovery(c echo.Context) error {
	left, err := h.leftSignIn(c)
	if err != nil {
		return err
	}
	p := recoverPage(left)
	wanted := readRecovery(c, &p)
	if wantsAnother(c) {
		p.Fields = nil
		return h.againRecovery(c, left, p, h.otherChallenge)
	}
	if p.Fields = append(p.Fields, h.unanswered(c)...); len(p.Fields) > 0 {
		p.Problem = templates.FormInvalidField
		return h.againRecovery(c, left, p, h.sameChallenge)
	}
	right, err := h.solved(c, recoverForm)
	if err != nil {
		return err
	}
	if !right {
		p.Problem, p.Fields = templates.CaptchaWrong, []templates.FieldProblem{templates.WrongCaptcha()}
		return h.againRecovery(c, left, p, h.challenge)
	}
	if err := h.Credentials.StartRecovery(c.Request().Context(), login.Actor(c, nil), wanted); err != nil {
		return err
	}
	return left.render(c, templates.Neutral{
		About: "recover", Until: time.Now().Add(h.Credentials.RecoveryLife()), NextURL: left.address(recoverConfirmPath, nil),
		AgainURL: left.address(recoverPath, nil), GuideURL: left.address(lostPath, nil), HomeURL: left.address(homePath, nil),
	})
}

func (h *Handler) againRecovery(c echo.Context, l left, p templates.Recover, captcha func(echo.Context, string) (templates.Captcha, error)) error {
	var err error
	if p.Captcha, err = captcha(c, recoverForm); err != nil {
		return err
	}
	return l.render(c, p)
}

// readRecovery takes what was typed, and puts it back onto the page with what
// is wrong with it.
func readRecovery(c echo.Context, p *templates.Recover) credentials.Recovery {
	var r credentials.Recovery
	p.FiscalCode, r.FiscalCode, p.Fields = typedCode(c, citizens.ParseFiscalCode)
	shown := map[citizens.ContactKind]*string{citizens.Mobile: &p.Mobile, citizens.Email: &p.Email, citizens.PEC: &p.PEC}
	empty := ""
	for _, kind := range citizens.ContactKinds() {
		text := web.PostValue(c, string(kind))
		*shown[kind] = text
		if strings.TrimSpace(text) == "" {
			if empty == "" {
				empty = string(kind)
			}
			continue
		}
		value, err := citizens.ParseContact(kind, text)
		if err != nil {
			p.Fields = append(p.Fields, templates.FieldProblem{Field: string(kind), Problem: templates.FieldShape})
			continue
		}
		r.Contacts = append(r.Contacts, value)
	}
	if len(p.Fields) == 0 && !r.Enough() {
		p.Fields = fewContacts(p, empty)
	}
	return r
}

// fewContacts says at which field one more contact belongs: an e-mail that is
// the PEC as well is one contact (R11).
func fewContacts(p *templates.Recover, empty string) []templates.FieldProblem {
	few := []templates.FieldProblem{{Field: empty, Problem: templates.FieldFew}}
	if p.Email != "" && p.PEC != "" {
		return append(few, templates.FieldProblem{Field: string(citizens.PEC), Problem: templates.FieldSame})
	}
	return few
}

// askRecoveryCode is what the mail's link opens. Opening it changes nothing:
// programs that look through mail open links, too (R37).
func (h *Handler) askRecoveryCode(c echo.Context) error {
	t, err := h.openProof(c)
	if err != nil {
		return err
	}
	if t.token != "" {
		open, err := h.Credentials.RecoveryOpen(c.Request().Context(), t.Link)
		if err != nil {
			return err
		}
		if !open {
			return linkDead(c, recoverPath)
		}
	}
	return t.render(c, recoverConfirmPage(t))
}

func recoverConfirmPage(t proof) templates.RecoverConfirm {
	return templates.RecoverConfirm{
		Hidden: t.fields(), FiscalCode: t.text, RestartURL: t.address(recoverPath, nil), ReportURL: reportPath,
	}
}

// confirmRecovery takes codice fiscale and code (R38).
func (h *Handler) confirmRecovery(c echo.Context) error {
	t, err := h.readProof(c, eightDigits)
	if err != nil {
		return err
	}
	p := recoverConfirmPage(t)
	if len(t.wrong) > 0 {
		p.Problem, p.Fields = templates.FormInvalidField, t.wrong
		return t.render(c, p)
	}
	err = h.Credentials.ConfirmRecovery(c.Request().Context(), login.Actor(c, nil), t.Proof)
	switch {
	case errors.Is(err, credentials.ErrCodeWrong):
		p.Problem = templates.CodeWrong
		return t.render(c, p)
	case errors.Is(err, credentials.ErrLinkDead):
		return linkDead(c, recoverPath)
	case err != nil:
		return busy(err)
	}
	return t.render(c, templates.Done{About: "recover", HomeURL: t.address(homePath, nil), SignInURL: t.resume})
}
