package selfservice

import (
	"errors"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/login"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

const (
	revokeConfirmPath = "/pin/revoke/confirm"
	revokeForm        = "pin-revoke"
	revokeConfirmForm = "pin-revoke-confirm"
)

func (h *Handler) mountRevoke(e *echo.Echo) {
	e.GET(revokePath, h.askRevocation)
	e.POST(revokePath, h.startRevocation)
	e.GET(revokeConfirmPath, h.askRevocationCode)
	e.POST(revokeConfirmPath, h.confirmRevocation)
}

// askRevocation shows the form (R48).
func (h *Handler) askRevocation(c echo.Context) error {
	left, err := h.leftSignIn(c)
	if err != nil {
		return err
	}
	return h.againRevocation(c, left, revokePage(left), h.challenge)
}

func revokePage(l left) templates.Revoke {
	return templates.Revoke{Hidden: l.hidden(), HomeURL: l.address(homePath, nil)}
}

// startRevocation takes the form; from then on everybody gets the same answer
// (R49).
func (h *Handler) startRevocation(c echo.Context) error {
	left, err := h.leftSignIn(c)
	if err != nil {
		return err
	}
	p := revokePage(left)
	wanted := readRevocation(c, &p)
	if wantsAnother(c) {
		p.Fields = nil
		return h.againRevocation(c, left, p, h.otherChallenge)
	}
	if p.Fields = append(p.Fields, h.unanswered(c)...); len(p.Fields) > 0 {
		p.Problem = templates.FormInvalidField
		return h.againRevocation(c, left, p, h.sameChallenge)
	}
	right, err := h.solved(c, revokeForm)
	if err != nil {
		return err
	}
	if !right {
		p.Problem, p.Fields = templates.CaptchaWrong, []templates.FieldProblem{templates.WrongCaptcha()}
		return h.againRevocation(c, left, p, h.challenge)
	}
	if err := h.Credentials.StartRevocation(c.Request().Context(), login.Actor(c, nil), wanted); err != nil {
		return err
	}
	return left.render(c, templates.Neutral{
		About: "revoke", Until: time.Now().Add(h.Credentials.RevocationLife()), NextURL: left.address(revokeConfirmPath, nil),
		AgainURL: left.address(revokePath, nil), HomeURL: left.address(homePath, nil),
	})
}

func (h *Handler) againRevocation(c echo.Context, l left, p templates.Revoke, captcha func(echo.Context, string) (templates.Captcha, error)) error {
	var err error
	if p.Captcha, err = captcha(c, revokeForm); err != nil {
		return err
	}
	return l.render(c, p)
}

// readRevocation takes what was typed. A card that has expired, or does not
// look like one, is as good as any other here: only the archive knows.
func readRevocation(c echo.Context, p *templates.Revoke) credentials.Revocation {
	var r credentials.Revocation
	var err error
	p.FiscalCode, r.FiscalCode, p.Fields = typedCode(c, citizens.ParseFiscalCode)
	p.Number = web.PostValue(c, "health_card_number")
	r.Card.Number, err = citizens.ParseCardNumber(p.Number)
	p.Fields = append(p.Fields, fieldProblem("health_card_number", p.Number, err)...)
	p.Expiry = web.PostValue(c, "health_card_expiry")
	r.Card.Expiry, err = citizens.ParseDate(p.Expiry)
	p.Fields = append(p.Fields, fieldProblem("health_card_expiry", p.Expiry, err)...)
	p.Email = web.PostValue(c, "email")
	r.To, err = citizens.ParseContact(citizens.Email, p.Email)
	p.Fields = append(p.Fields, fieldProblem("email", p.Email, err)...)
	return r
}

// askRevocationCode is what the mail's link opens; opening it changes nothing.
func (h *Handler) askRevocationCode(c echo.Context) error {
	t, err := h.openProof(c)
	if err != nil {
		return err
	}
	if t.token != "" {
		open, err := h.Credentials.RevocationOpen(c.Request().Context(), t.Link)
		if err != nil {
			return err
		}
		if !open {
			return linkDead(c, revokePath)
		}
	}
	return h.againRevocationCode(c, t, revokeConfirmPage(t), h.challenge)
}

func revokeConfirmPage(t proof) templates.RevokeConfirm {
	return templates.RevokeConfirm{Hidden: t.fields(), FiscalCode: t.text, RestartURL: t.address(revokePath, nil)}
}

func (h *Handler) againRevocationCode(c echo.Context, t proof, p templates.RevokeConfirm, captcha func(echo.Context, string) (templates.Captcha, error)) error {
	var err error
	if p.Captcha, err = captcha(c, revokeConfirmForm); err != nil {
		return err
	}
	return t.render(c, p)
}

// confirmRevocation takes codice fiscale, code and a second captcha (R51),
// which is looked at first: a wrong one never consumes a code (R54).
func (h *Handler) confirmRevocation(c echo.Context) error {
	t, err := h.readProof(c, tenCharacters)
	if err != nil {
		return err
	}
	p := revokeConfirmPage(t)
	if wantsAnother(c) {
		return h.againRevocationCode(c, t, p, h.otherChallenge)
	}
	if t.wrong = append(t.wrong, h.unanswered(c)...); len(t.wrong) > 0 {
		p.Problem, p.Fields = templates.FormInvalidField, t.wrong
		return h.againRevocationCode(c, t, p, h.sameChallenge)
	}
	right, err := h.solved(c, revokeConfirmForm)
	if err != nil {
		return err
	}
	if !right {
		p.Problem, p.Fields = templates.CaptchaWrong, []templates.FieldProblem{templates.WrongCaptcha()}
		return h.againRevocationCode(c, t, p, h.challenge)
	}
	err = h.Credentials.ConfirmRevocation(c.Request().Context(), login.Actor(c, nil), t.Proof)
	switch {
	case errors.Is(err, credentials.ErrCodeWrong):
		p.Problem = templates.CodeWrong
		return h.againRevocationCode(c, t, p, h.challenge)
	case errors.Is(err, credentials.ErrLinkDead):
		return linkDead(c, revokePath)
	case err != nil:
		return err
	}
	done := templates.Done{About: "revoke", HomeURL: t.address(homePath, nil)}
	if built(c, requestPath) { // R52: a new one may be asked for at once
		done.NextURL = t.address(requestPath, nil)
	}
	return t.render(c, done)
}
