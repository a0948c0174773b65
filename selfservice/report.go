package selfservice

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"ente.example/idp/credentials"
	"ente.example/idp/login"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

const reportForm = "pin-report"

func (h *Handler) mountReport(e *echo.Echo) {
	e.GET(reportPath, h.askReport)
	e.POST(reportPath, h.report)
}

// askReport is what a notice's link opens: one button. Without a link it asks
// for the code of an SMS, which has none.
func (h *Handler) askReport(c echo.Context) error {
	token := c.QueryParam(linkField)
	if token == "" {
		return h.againReport(c, templates.Report{HomeURL: homePath}, h.challenge)
	}
	open, err := h.Credentials.ReportOpen(c.Request().Context(), credentials.NewLink(token))
	if err != nil {
		return err
	}
	if !open {
		return linkDead(c, reportPath)
	}
	return web.Render(c, http.StatusOK, templates.Report{ByLink: true, Hidden: linkFields(token), HomeURL: homePath})
}

func (h *Handler) againReport(c echo.Context, p templates.Report, captcha func(echo.Context, string) (templates.Captcha, error)) error {
	var err error
	if p.Captcha, err = captcha(c, reportForm); err != nil {
		return err
	}
	return web.Render(c, http.StatusOK, p)
}

// report suspends the PIN of whoever says "that was not me".
func (h *Handler) report(c echo.Context) error {
	if token := web.PostValue(c, linkField); token != "" {
		return h.reported(c, h.Credentials.Report(c.Request().Context(), login.Actor(c, nil), credentials.NewLink(token)))
	}
	t, err := h.readProof(c, eightDigits)
	if err != nil {
		return err
	}
	p := templates.Report{FiscalCode: t.text, HomeURL: homePath}
	if wantsAnother(c) {
		return h.againReport(c, p, h.otherChallenge)
	}
	if t.wrong = append(t.wrong, h.unanswered(c)...); len(t.wrong) > 0 {
		p.Problem, p.Fields = templates.FormInvalidField, t.wrong
		return h.againReport(c, p, h.sameChallenge)
	}
	right, err := h.solved(c, reportForm)
	if err != nil {
		return err
	}
	if !right {
		p.Problem, p.Fields = templates.CaptchaWrong, []templates.FieldProblem{templates.WrongCaptcha()}
		return h.againReport(c, p, h.challenge)
	}
	err = h.Credentials.ReportByCode(c.Request().Context(), login.Actor(c, nil), t.FiscalCode, t.Code)
	if errors.Is(err, credentials.ErrCodeWrong) {
		p.Problem = templates.CodeWrong
		return h.againReport(c, p, h.challenge)
	}
	return h.reported(c, err)
}

func (h *Handler) reported(c echo.Context, err error) error {
	if errors.Is(err, credentials.ErrLinkDead) {
		return linkDead(c, reportPath)
	}
	if err != nil {
		return err
	}
	return web.Render(c, http.StatusOK, templates.Done{About: "report", HomeURL: homePath})
}
