package selfservice

import (
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// linkField is the token of a mail's link: in the address of the page that it
// opens, and from there on in a hidden field.
const linkField = "t"

// linkFields carry the token, where there is one.
func linkFields(token string) []templates.Field {
	if token == "" {
		return nil
	}
	return []templates.Field{{Name: linkField, Value: token}}
}

// hidden carries the sign-in that was left for our pages.
func (l left) hidden() []templates.Field {
	if l.id == "" {
		return nil
	}
	return []templates.Field{{Name: signInField, Value: l.id}}
}

// typedCode is the posted codice fiscale, as typed and as read.
func typedCode(c echo.Context, parse func(string) (citizens.FiscalCode, error)) (text string, fc citizens.FiscalCode, wrong []templates.FieldProblem) {
	text = web.PostValue(c, "fiscal_code")
	fc, err := parse(text)
	return text, fc, fieldProblem("fiscal_code", text, err)
}

// fieldProblem says of a field that it is missing or not of its form.
func fieldProblem(field, text string, err error) []templates.FieldProblem {
	switch {
	case strings.TrimSpace(text) == "":
		return []templates.FieldProblem{{Field: field, Problem: templates.FieldMissing}}
	case err != nil:
		return []templates.FieldProblem{{Field: field, Problem: templates.FieldShape}}
	}
	return nil
}

// unanswered adds the captcha to the fields that are missing, where there is
// one: nobody should lose it by leaving it empty.
func (h *Handler) unanswered(c echo.Context) []templates.FieldProblem {
	if !h.Captchas.Enabled() {
		return nil
	}
	return fieldProblem("captcha", web.PostValue(c, "captcha"), nil)
}

// proof is what confirms a procedure, out of a posted form.
type proof struct {
	credentials.Proof
	left
	text  string // the codice fiscale as typed; a code is not shown again
	token string
	wrong []templates.FieldProblem
}

var errShape = errors.New("not of its form")

// readProof takes the form of a confirmation. What cannot be a code is not a
// try.
func (h *Handler) readProof(c echo.Context, looks func(credentials.Code) bool) (p proof, err error) {
	if p.left, err = h.leftSignIn(c); err != nil {
		return p, err
	}
	p.token = web.PostValue(c, linkField)
	p.text, p.FiscalCode, p.wrong = typedCode(c, citizens.ParseFiscalCode)
	text := web.PostValue(c, "code")
	p.Code, p.Link = credentials.ParseCode(text), credentials.NewLink(p.token)
	if !looks(p.Code) {
		err = errShape
	}
	p.wrong = append(p.wrong, fieldProblem("code", text, err)...)
	return p, nil
}

// openProof is the page of a confirmation as a link, or the page before,
// leads to it.
func (h *Handler) openProof(c echo.Context) (p proof, err error) {
	p.left, err = h.leftSignIn(c)
	p.token = c.QueryParam(linkField)
	p.Link = credentials.NewLink(p.token)
	return p, err
}

// fields are what the form of a confirmation carries on.
func (p proof) fields() []templates.Field { return append(linkFields(p.token), p.hidden()...) }

func eightDigits(code credentials.Code) bool { return code.Len() == 8 && code.Digits() }

func tenCharacters(code credentials.Code) bool { return code.Len() == 10 }

// linkDead answers to a link that is no longer good.
func linkDead(c echo.Context, restart string) error {
	return web.Render(c, http.StatusGone, templates.LinkDead{RestartURL: restart, HomeURL: homePath})
}

// busy makes a full queue of hashes a 503 that says when to come again.
func busy(err error) error {
	if full, ok := errors.AsType[*credentials.BusyError](err); ok {
		return &web.Problem{
			Status: http.StatusServiceUnavailable, Key: templates.ServerUnavailable, Err: err, RetryAfter: full.RetryAfter,
		}
	}
	return err
}
