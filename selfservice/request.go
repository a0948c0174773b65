package selfservice

import (
	"crypto/rand"
	"encoding/base64"
	"maps"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/login"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

const (
	requestForm = "pin-request" // what its captcha is bound to
	// What the form carries beside what is typed: the step that was shown, the
	// form's name, and that the person has read the data again.
	stepField    = "step"
	nameField    = "form"
	checkedField = "checked"
)

// mountRequest adds the request for a PIN and what follows it. Without
// requests there is none.
func (h *Handler) mountRequest(e *echo.Echo) {
	if h.Requests == nil {
		return
	}
	e.GET(requestPath, h.askRequest)
	e.POST(requestPath, h.takeRequest)
	e.GET(requestConfirmPath, h.askProof)
	e.POST(requestConfirmPath, h.takeProof)
	e.GET(trackPath, h.askTrack)
	e.POST(trackPath, h.track)
}

// visit is one post of the request's form. All of it is in the browser until
// the last step sends it: nothing is kept here before.
type visit struct {
	left
	form
	step, action string
	name         string // of this form, by which a second press is known
	checked      bool
}

// askRequest shows the first step.
func (h *Handler) askRequest(c echo.Context) error {
	left, err := h.leftSignIn(c)
	if err != nil {
		return err
	}
	return h.showStep(c, visit{left: left, form: form{}, name: newFormName()}, templates.StepPerson, nil)
}

func newFormName() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (h *Handler) readVisit(c echo.Context) (v visit, err error) {
	if v.left, err = h.leftSignIn(c); err != nil {
		return v, err
	}
	v.form, v.step, v.action = readForm(c), web.PostValue(c, stepField), web.PostValue(c, "action")
	if !slices.Contains(steps(), v.step) {
		v.step = templates.StepPerson
	}
	if v.name = web.PostValue(c, nameField); len(v.name) != len(newFormName()) {
		v.name = newFormName()
	}
	v.checked = web.PostValue(c, checkedField) == "yes"
	return v, nil
}

func steps() []string { return templates.Request{}.Steps() }

// before and after are the steps beside one.
func before(step string) string { return steps()[max(0, slices.Index(steps(), step)-1)] }
func after(step string) string {
	return steps()[min(len(steps())-1, slices.Index(steps(), step)+1)]
}

// takeRequest leads from step to step. Back and the ways to change something
// look at nothing; going on looks at the step and, before the summary, at all
// of it: hidden fields can be changed by whoever sends them.
func (h *Handler) takeRequest(c echo.Context) error {
	v, err := h.readVisit(c)
	if err != nil {
		return err
	}
	switch v.action {
	case "back":
		return h.showStep(c, v, before(v.step), nil)
	case "edit-person", "edit-residence", "edit-contacts":
		return h.showStep(c, v, v.action[len("edit-"):], nil)
	case another:
		return h.showReview(c, v, nil, "", h.otherChallenge)
	}
	if v.step == templates.StepReview {
		return h.sendRequest(c, v)
	}
	return h.goOn(c, v)
}

func (h *Handler) goOn(c echo.Context, v visit) error {
	a, wrong := v.read(h.channels())
	if fields := wrong[v.step]; len(fields) > 0 {
		return h.showStep(c, v, v.step, fields)
	}
	if v.step == templates.StepPerson && !v.checked && len(a.FiscalCode.Mismatches(a.Declared)) > 0 {
		v.checked = true // §3.7: ask once, then believe
		p := h.requestPage(v, v.step)
		p.Problem = templates.RequestCheckData
		return v.render(c, p)
	}
	next := after(v.step)
	if next != templates.StepReview {
		return h.showStep(c, v, next, nil)
	}
	if step, fields := wrong.first(); step != "" {
		return h.showStep(c, v, step, fields)
	}
	return h.showReview(c, v, nil, "", h.challenge)
}

// sendRequest takes the summary. Once it is well formed and the captcha right,
// everybody gets the same answer. A form that has been sent already gets its
// answer once more: people press twice.
func (h *Handler) sendRequest(c echo.Context, v visit) error {
	a, wrong := v.read(h.channels())
	if step, fields := wrong.first(); step != "" {
		return h.showStep(c, v, step, fields)
	}
	nonce := web.Browser(c) + "|" + v.name
	if done, err := h.sentBefore(c, v, nonce); done || err != nil {
		return err
	}
	fields := h.unanswered(c)
	if v.form["accept_terms"] != "yes" {
		fields = append(fields, templates.FieldProblem{Field: "accept_terms", Problem: templates.FieldMissing})
	}
	if len(fields) > 0 {
		return h.showReview(c, v, fields, templates.FormInvalidField, h.sameChallenge)
	}
	right, err := h.solved(c, requestForm)
	if err != nil {
		return err
	}
	if !right {
		if done, err := h.sentBefore(c, v, nonce); done || err != nil {
			return err // the other press was faster
		}
		return h.showReview(c, v, []templates.FieldProblem{templates.WrongCaptcha()}, templates.CaptchaWrong, h.challenge)
	}
	a.Language = web.Language(c, "")
	tracking, err := h.Requests.Submit(c.Request().Context(), login.Actor(c, nil), a, nonce)
	if err != nil {
		return err
	}
	return v.neutral(c, tracking)
}

func (h *Handler) sentBefore(c echo.Context, v visit, nonce string) (bool, error) {
	sent, err := h.Requests.Submitted(c.Request().Context(), nonce)
	if err != nil || !sent {
		return false, err
	}
	tracking, err := h.Requests.TrackingCode(nonce)
	if err != nil {
		return false, err
	}
	return true, v.neutral(c, tracking)
}

// neutral is the answer for everybody; of the code nothing depends on who it is.
func (v visit) neutral(c echo.Context, tracking credentials.Code) error {
	return v.render(c, templates.Neutral{
		About: "request", Tracking: templates.Show(tracking.Reveal()), NextURL: v.address(requestConfirmPath, nil),
		AgainURL: v.address(requestPath, nil), HomeURL: v.address(homePath, nil),
	})
}

func (h *Handler) showStep(c echo.Context, v visit, step string, wrong []templates.FieldProblem) error {
	if step == templates.StepReview {
		return h.showReview(c, v, wrong, "", h.challenge)
	}
	p := h.requestPage(v, step)
	if p.Fields = wrong; len(wrong) > 0 {
		p.Problem = templates.FormInvalidField
	}
	return v.render(c, p)
}

// showReview shows the summary as it was understood, not as it was typed.
func (h *Handler) showReview(c echo.Context, v visit, wrong []templates.FieldProblem, problem templates.Problem,
	captcha func(echo.Context, string) (templates.Captcha, error)) error {
	a, unread := v.read(h.channels())
	if step, fields := unread.first(); step != "" {
		return h.showStep(c, v, step, fields)
	}
	p := h.requestPage(v, templates.StepReview)
	p.Typed = maps.Clone(p.Typed)
	p.Typed["fiscal_code"], p.Typed["phone"] = a.FiscalCode.Reveal(), a.Phone
	for _, kind := range citizens.ContactKinds() {
		p.Typed[string(kind)] = a.Contacts.Of(kind).Value.Reveal()
	}
	p.Birth = time.Date(a.Declared.BirthDate.Year, a.Declared.BirthDate.Month, a.Declared.BirthDate.Day, 12, 0, 0, 0, time.UTC)
	p.BirthPlace = placeName(a.Declared.BirthPlace, a.Declared.BirthDate)
	p.Fields, p.Problem = wrong, problem
	var err error
	if p.Captcha, err = captcha(c, requestForm); err != nil {
		return err
	}
	return v.render(c, p)
}

func placeName(code string, on citizens.Date) string {
	for _, day := range []citizens.Date{on, {}} {
		if place, ok := citizens.Places().Lookup(code, day); ok {
			return place.String()
		}
	}
	return code
}

func (h *Handler) requestPage(v visit, step string) templates.Request {
	hidden := append(v.hidden(), templates.Field{Name: stepField, Value: step}, templates.Field{Name: nameField, Value: v.name})
	if v.checked {
		hidden = append(hidden, templates.Field{Name: checkedField, Value: "yes"})
	}
	return templates.Request{
		Step: step, Typed: v.form, Hidden: append(hidden, v.others(step)...), Channels: h.channels(),
		Restricted: h.Requests.Restricted(), HomeURL: v.address(homePath, nil),
	}
}

// channels are those by which a first half can leave.
func (h *Handler) channels() []string {
	var names []string
	for _, c := range h.Requests.Channels() {
		names = append(names, string(c))
	}
	return names
}
