package selfservice

import (
	"errors"
	"strings"

	"github.com/labstack/echo/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/enrolment"
	"ente.example/idp/login"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

const (
	requestConfirmPath = "/pin/request/confirm"
	trackingLength     = 12
)

// trackingCode is the posted tracking code, as typed and as read.
func trackingCode(c echo.Context) (text string, code credentials.Code, wrong []templates.FieldProblem) {
	text = strings.TrimSpace(web.PostValue(c, "tracking_code"))
	if len(text) > longest {
		text = ""
	}
	code = credentials.ParseCode(text)
	var err error
	if code.Len() != trackingLength {
		err = errShape
	}
	return text, code, fieldProblem("tracking_code", text, err)
}

// askProof asks for the code that was sent to the contact.
func (h *Handler) askProof(c echo.Context) error {
	left, err := h.leftSignIn(c)
	if err != nil {
		return err
	}
	return left.render(c, templates.RequestConfirm{RestartURL: left.address(requestPath, nil)})
}

// takeProof proves the contact. What cannot be a code is not a try.
func (h *Handler) takeProof(c echo.Context) error {
	left, err := h.leftSignIn(c)
	if err != nil {
		return err
	}
	p := templates.RequestConfirm{RestartURL: left.address(requestPath, nil)}
	var tracking credentials.Code
	p.Tracking, tracking, p.Fields = trackingCode(c)
	code := credentials.ParseCode(web.PostValue(c, "code"))
	if !eightDigits(code) {
		err = errShape
	}
	p.Fields = append(p.Fields, fieldProblem("code", web.PostValue(c, "code"), err)...)
	if len(p.Fields) > 0 {
		p.Problem = templates.FormInvalidField
		return left.render(c, p)
	}
	err = h.Requests.Prove(c.Request().Context(), login.Actor(c, nil), tracking, code)
	if errors.Is(err, credentials.ErrCodeWrong) {
		p.Problem = templates.CodeWrong
		return left.render(c, p)
	}
	if err != nil {
		return err
	}
	return left.render(c, templates.Done{
		About: "request", NextURL: left.address(trackPath, nil), HomeURL: left.address(homePath, nil), SignInURL: left.resume,
	})
}

func (l left) trackPage() templates.Track {
	return templates.Track{
		ConfirmURL: l.address(requestConfirmPath, nil), RequestURL: l.address(requestPath, nil), HomeURL: l.address(homePath, nil),
	}
}

// askTrack asks which request.
func (h *Handler) askTrack(c echo.Context) error {
	left, err := h.leftSignIn(c)
	if err != nil {
		return err
	}
	return left.render(c, left.trackPage())
}

// track shows how far a request is, takes "non mi è arrivata" (R20), or leads
// through the two steps in which a request is taken back. Wrong
// codes, people who do not exist and requests long gone get the same answer.
func (h *Handler) track(c echo.Context) error {
	left, err := h.leftSignIn(c)
	if err != nil {
		return err
	}
	p := left.trackPage()
	var tracking credentials.Code
	p.Tracking, tracking, p.Fields = trackingCode(c)
	text, fc, wrong := typedCode(c, citizens.ParseFiscalCode)
	p.FiscalCode, p.Fields = text, append(p.Fields, wrong...)
	if len(p.Fields) > 0 {
		p.Problem = templates.FormInvalidField
		return left.render(c, p)
	}
	switch web.PostValue(c, "action") {
	case "not-arrived":
		return h.notArrived(c, left, p, tracking, fc)
	case "cancel":
		return h.askWithdrawal(c, left, p, tracking, fc)
	case "withdraw":
		return h.withdraw(c, left, p, tracking, fc)
	}
	return h.showTracked(c, left, p, tracking, fc)
}

func (h *Handler) notArrived(c echo.Context, l left, p templates.Track, tracking credentials.Code, fc citizens.FiscalCode) error {
	err := h.Requests.NotArrived(c.Request().Context(), login.Actor(c, nil), tracking, fc)
	if errors.Is(err, enrolment.ErrUnknownRequest) {
		return h.showTracked(c, l, p, tracking, fc) // pressed twice, or too early
	}
	if err != nil {
		return err
	}
	return l.render(c, templates.Done{
		About: "not-arrived", NextURL: l.address(trackPath, nil), HomeURL: l.address(homePath, nil), SignInURL: l.resume,
	})
}

// askWithdrawal has the code sent. A request that is over meanwhile is shown.
func (h *Handler) askWithdrawal(c echo.Context, l left, p templates.Track, tracking credentials.Code, fc citizens.FiscalCode) error {
	err := h.Requests.AskToWithdraw(c.Request().Context(), login.Actor(c, nil), tracking, fc)
	if errors.Is(err, enrolment.ErrUnknownRequest) {
		return h.showTracked(c, l, p, tracking, fc)
	}
	if err != nil {
		return err
	}
	return l.render(c, l.withdrawPage(p))
}

func (l left) withdrawPage(p templates.Track) templates.Withdraw {
	return templates.Withdraw{Tracking: p.Tracking, FiscalCode: p.FiscalCode, TrackURL: l.address(trackPath, nil), HomeURL: l.address(homePath, nil)}
}

// withdraw takes the code. What cannot be one is not a try.
func (h *Handler) withdraw(c echo.Context, l left, track templates.Track, tracking credentials.Code, fc citizens.FiscalCode) error {
	p, code := l.withdrawPage(track), credentials.ParseCode(web.PostValue(c, "code"))
	if !eightDigits(code) {
		p.Problem, p.Fields = templates.FormInvalidField, fieldProblem("code", web.PostValue(c, "code"), errShape)
		return l.render(c, p)
	}
	err := h.Requests.Withdraw(c.Request().Context(), login.Actor(c, nil), tracking, fc, code)
	if errors.Is(err, credentials.ErrCodeWrong) {
		p.Problem = templates.CodeWrong
		return l.render(c, p)
	}
	if err != nil {
		return err
	}
	return l.render(c, templates.Done{
		About: "withdraw", NextURL: l.address(requestPath, nil), HomeURL: l.address(homePath, nil), SignInURL: l.resume,
	})
}

func (h *Handler) showTracked(c echo.Context, l left, p templates.Track, tracking credentials.Code, fc citizens.FiscalCode) error {
	t, err := h.Requests.Track(c.Request().Context(), tracking, fc)
	if errors.Is(err, enrolment.ErrUnknownRequest) {
		p.Problem = templates.TrackUnknown
		return l.render(c, p)
	}
	if err != nil {
		return err
	}
	p.Found = &templates.Tracked{
		State: string(t.Progress), RequestedAt: t.RequestedAt, First: t.FirstHalfAt, Second: t.SecondHalfAt, Posted: t.PostedAt,
		LateAt: t.LateAt, MayReissue: t.MayReissue, MayWithdraw: t.MayWithdraw,
	}
	return l.render(c, p)
}
