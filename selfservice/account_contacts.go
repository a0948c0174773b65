package selfservice

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/contacts"
	"ente.example/idp/credentials"
	"ente.example/idp/login"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// confirmContactPath is what the link in a mail opens, signed in or not.
const confirmContactPath = contactsPath + "/confirm"

// lately is how long the page says why nothing came of a change.
const lately = 7 * 24 * time.Hour

func (h *Handler) mountContacts(e *echo.Echo) {
	if h.Contacts == nil {
		return
	}
	e.GET(contactsPath, h.inside(h.showContacts))
	e.POST(contactsPath, h.inside(h.changeContacts))
	e.GET(confirmContactPath, h.askContactLink)
	e.POST(confirmContactPath, h.confirmContact)
}

// showContacts is the list, or the form of one step for one kind. Neither
// changes anything.
func (h *Handler) showContacts(c echo.Context, r resident) error {
	list, err := h.Contacts.List(c.Request().Context(), r.Citizen)
	if err != nil {
		return err
	}
	e, found := entryOf(list, citizens.ContactKind(c.QueryParam("kind")))
	if p, ok := h.step(r, e, c.QueryParam("step")); found && ok {
		return h.show(c, r, p)
	}
	return h.show(c, r, h.contactList(r, list, ""))
}

func entryOf(list []contacts.Entry, kind citizens.ContactKind) (contacts.Entry, bool) {
	for _, e := range list {
		if e.Kind == kind {
			return e, true
		}
	}
	return contacts.Entry{}, false
}

// step is the form of one step, where there is something for it to do.
func (h *Handler) step(r resident, e contacts.Entry, name string) (templates.AccountContacts, bool) {
	p := templates.AccountContacts{
		Action: contactsPath, Hidden: login.SessionFields(&r.Session), Step: name, Kind: string(e.Kind),
		Masked: e.Counts.Value.Masked(), Pause: h.Contacts.Pause(),
	}
	switch name {
	case templates.ContactSet:
		return p, h.Contacts.Reaches(e.Kind)
	case templates.ContactRemove:
		return p, e.Removable
	case templates.ContactProve:
		if e.Change == nil || e.Change.State != contacts.Asked || e.Change.CodeRight {
			return p, false
		}
		p.Masked, p.DueAt = e.Change.Value.Masked(), e.Change.DueAt
		return p, true
	}
	return p, false
}

func (h *Handler) contactList(r resident, list []contacts.Entry, problem templates.Problem) templates.AccountContacts {
	p := templates.AccountContacts{Action: contactsPath, Hidden: login.SessionFields(&r.Session), Problem: problem}
	count := 0
	for _, e := range list {
		if e.Counts.Verified {
			count++
		}
		p.Lines = append(p.Lines, templates.ContactLine{
			ContactRow: templates.ContactRow{Kind: string(e.Kind), Masked: e.Counts.Value.Masked(), Verified: e.Counts.Verified},
			Settable:   h.Contacts.Reaches(e.Kind), Removable: e.Removable, Change: changeRow(e.Change), Failed: failed(e.Last, r.Now),
		})
	}
	p.Few = count < 2 // R35
	return p
}

func changeRow(c *contacts.Change) *templates.ContactChange {
	if c == nil {
		return nil
	}
	return &templates.ContactChange{
		Masked: c.Value.Masked(), Proving: c.State == contacts.Asked, CodeRight: c.CodeRight, Removal: c.Removal,
		ByOperator: c.ByOperator, DueAt: c.DueAt,
	}
}

// failed says why nothing came of a change, if it was lately and its owner has
// not ended it himself.
func failed(c *contacts.Change, now time.Time) string {
	if c == nil || now.Sub(c.EndedAt) > lately {
		return ""
	}
	switch {
	case c.State == contacts.Expired:
		return string(c.Reason)
	case c.State == contacts.Contested:
		return string(contacts.Contested)
	case c.Reason == contacts.Replaced, c.Reason == contacts.SameAsOther, c.Reason == contacts.LastContact:
		return "overtaken"
	}
	return ""
}

// changeContacts takes the buttons of the page.
func (h *Handler) changeContacts(c echo.Context, r resident) error {
	list, err := h.Contacts.List(c.Request().Context(), r.Citizen)
	if err != nil {
		return err
	}
	e, found := entryOf(list, citizens.ContactKind(web.PostValue(c, "kind")))
	if !found {
		return c.Redirect(http.StatusSeeOther, contactsPath)
	}
	action := web.PostValue(c, "action")
	if action == "withdraw" {
		return h.withdrawContact(c, r, e.Kind)
	}
	p, ok := h.step(r, e, action)
	switch {
	case !ok:
		return c.Redirect(http.StatusSeeOther, contactsPath)
	case action == templates.ContactProve:
		return h.proveContact(c, r, p)
	case action == templates.ContactSet:
		return h.setContact(c, r, p)
	}
	return h.removeContact(c, r, p)
}

// withdrawContact ends what is under way; pressed twice, there is nothing left.
func (h *Handler) withdrawContact(c echo.Context, r resident, kind citizens.ContactKind) error {
	err := h.Contacts.Withdraw(c.Request().Context(), login.Actor(c, &r.Session), r.Citizen, kind)
	if err != nil && !errors.Is(err, contacts.ErrNothing) {
		return err
	}
	return c.Redirect(http.StatusSeeOther, contactsPath)
}

// proveContact takes the code out of the message.
func (h *Handler) proveContact(c echo.Context, r resident, p templates.AccountContacts) error {
	text := web.PostValue(c, "code")
	code := credentials.ParseCode(text)
	var shape error
	if !eightDigits(code) {
		shape = errShape
	}
	if p.Fields = fieldProblem("code", text, shape); len(p.Fields) > 0 {
		return h.againContact(c, r, p)
	}
	err := h.Contacts.Prove(c.Request().Context(), login.Actor(c, &r.Session), r.Citizen, citizens.ContactKind(p.Kind), code)
	if errors.Is(err, contacts.ErrCodeWrong) {
		return h.wrongContactCode(c, r, p)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, contactsPath)
}

// wrongContactCode shows the form again as long as there is something to prove.
func (h *Handler) wrongContactCode(c echo.Context, r resident, p templates.AccountContacts) error {
	list, err := h.Contacts.List(c.Request().Context(), r.Citizen)
	if err != nil {
		return err
	}
	e, _ := entryOf(list, citizens.ContactKind(p.Kind))
	if _, open := h.step(r, e, templates.ContactProve); !open {
		return h.show(c, r, h.contactList(r, list, templates.ContactsOver))
	}
	p.Fields = []templates.FieldProblem{templates.WrongCode()}
	return h.againContact(c, r, p)
}

// againContact shows a form with what is wrong with it. No secret comes back.
func (h *Handler) againContact(c echo.Context, r resident, p templates.AccountContacts) error {
	p.Problem = templates.FormInvalidField
	return h.show(c, r, p)
}

// setContact takes the new contact and the PIN. What cannot be a contact costs
// no try.
func (h *Handler) setContact(c echo.Context, r resident, p templates.AccountContacts) error {
	p.Typed = web.PostValue(c, p.Kind)
	value, err := citizens.ParseContact(citizens.ContactKind(p.Kind), p.Typed)
	p.Fields = contactProblem(p.Kind, p.Typed, err)
	verified, again, err := h.pinAgain(c, r, p)
	if err != nil || again {
		return err
	}
	_, err = h.Contacts.Ask(c.Request().Context(), login.Actor(c, &r.Session), verified, value, web.Language(c, ""))
	switch {
	case errors.Is(err, contacts.ErrSame):
		p.Fields = []templates.FieldProblem{{Field: p.Kind, Problem: templates.FieldOnFile}}
	case errors.Is(err, contacts.ErrSameAsOther):
		p.Fields = []templates.FieldProblem{{Field: p.Kind, Problem: templates.FieldTwin}}
	case err != nil:
		return h.refusedContact(c, r, err)
	default:
		return c.Redirect(http.StatusSeeOther, contactsPath+"?"+url.Values{"step": {templates.ContactProve}, "kind": {p.Kind}}.Encode())
	}
	return h.againContact(c, r, p)
}

func contactProblem(kind, text string, err error) []templates.FieldProblem {
	problem := templates.FieldShape
	switch {
	case err == nil:
		return nil
	case strings.TrimSpace(text) == "":
		problem = templates.FieldEmpty
	case errors.Is(err, citizens.ErrNotMobile):
		problem = templates.FieldNotMobile
	}
	return []templates.FieldProblem{{Field: kind, Problem: problem}}
}

func (h *Handler) removeContact(c echo.Context, r resident, p templates.AccountContacts) error {
	verified, again, err := h.pinAgain(c, r, p)
	if err != nil || again {
		return err
	}
	_, err = h.Contacts.Remove(c.Request().Context(), login.Actor(c, &r.Session), verified, citizens.ContactKind(p.Kind))
	if err != nil {
		return h.refusedContact(c, r, err)
	}
	return c.Redirect(http.StatusSeeOther, contactsPath)
}

// pinAgain asks for the PIN once more (R32): a session alone changes no contact.
// It has answered when again is true.
func (h *Handler) pinAgain(c echo.Context, r resident, p templates.AccountContacts) (v credentials.Verified, again bool, err error) {
	text := web.PostValue(c, "pin")
	pin, err := credentials.ParsePIN(text)
	if p.Fields = append(p.Fields, fieldProblem("pin", text, err)...); len(p.Fields) > 0 {
		return v, true, h.againContact(c, r, p)
	}
	v, err = h.Credentials.Reauthenticate(c.Request().Context(), login.Actor(c, &r.Session), r.Citizen, pin)
	var waiting *credentials.WaitingError
	switch {
	case errors.As(err, &waiting):
		p.Problem, p.Until = templates.LoginWaiting, waiting.Until
		return v, true, h.show(c, r, p)
	case errors.Is(err, credentials.ErrRefused):
		p.Fields = []templates.FieldProblem{templates.WrongPIN()}
		return v, true, h.againContact(c, r, p)
	case err != nil:
		return v, true, login.Busy(err)
	}
	return v, false, nil
}

// refusedContact is what became of a change that looked well: the PIN ended
// meanwhile, it is too many for a day, the other contact is gone.
func (h *Handler) refusedContact(c echo.Context, r resident, err error) error {
	var problem templates.Problem
	switch {
	case errors.Is(err, credentials.ErrRefused):
		return h.signIn(c, login.Own{Page: contactsPath}, login.Wants{ForceLogin: true})
	case errors.Is(err, contacts.ErrTooMany):
		problem = templates.ContactsTooMany
	case errors.Is(err, contacts.ErrLast):
		problem = templates.ContactsLast
	case errors.Is(err, contacts.ErrNone), errors.Is(err, contacts.ErrChannelOff):
	default:
		return err
	}
	list, err := h.Contacts.List(c.Request().Context(), r.Citizen)
	if err != nil {
		return err
	}
	return h.show(c, r, h.contactList(r, list, problem))
}

// askContactLink is what the link in a mail opens: one button. Opening it
// changes nothing; programs that look through mail open links, too.
func (h *Handler) askContactLink(c echo.Context) error {
	token := c.QueryParam(linkField)
	change, err := h.Contacts.Linked(c.Request().Context(), credentials.NewLink(token))
	if errors.Is(err, contacts.ErrLinkDead) {
		return linkDead(c, contactsPath)
	}
	if err != nil {
		return err
	}
	return web.Render(c, http.StatusOK, templates.ContactConfirm{Hidden: linkFields(token), Masked: change.Value.Masked()})
}

// confirmContact takes the button. Who holds the mailbox has proved it, signed
// in or not.
func (h *Handler) confirmContact(c echo.Context) error {
	err := h.Contacts.ProveByLink(c.Request().Context(), login.Actor(c, nil), credentials.NewLink(web.PostValue(c, linkField)))
	if errors.Is(err, contacts.ErrLinkDead) || errors.Is(err, contacts.ErrCodeWrong) {
		return linkDead(c, contactsPath)
	}
	if err != nil {
		return err
	}
	return web.Render(c, http.StatusOK, templates.Done{About: "contact", NextURL: contactsPath, HomeURL: homePath})
}
