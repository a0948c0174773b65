package selfservice

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
	"ente.example/idp/enrolment"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// form is what was typed so far, by field.
type form map[string]string

// fieldsOf are the fields of each step, in the order of the page (contract §3).
func fieldsOf(step string) []string {
	switch step {
	case templates.StepPerson:
		return []string{"fiscal_code", "given_name", "family_name", "sex", "birth_date", "birth_place"}
	case templates.StepResidence:
		return []string{"residence_street", "residence_postal_code", "residence_locality", "residence_region", "residence_country"}
	case templates.StepContacts:
		return []string{"phone", "call_slot", "mobile", "email", "pec", "first_half_channel"}
	default:
		return []string{"accept_terms"}
	}
}

// longest is more than anybody's field; the rules say less.
const longest = 300

func readForm(c echo.Context) form {
	f := form{}
	for _, step := range steps() {
		for _, name := range fieldsOf(step) {
			if text := strings.TrimSpace(web.PostValue(c, name)); text != "" && len(text) <= longest {
				f[name] = text
			}
		}
	}
	return f
}

// others are the fields of the other steps, to be carried along.
func (f form) others(step string) []templates.Field {
	var fields []templates.Field
	for _, s := range steps() {
		if s == step || s == templates.StepReview {
			continue
		}
		for _, name := range fieldsOf(s) {
			if f[name] != "" {
				fields = append(fields, templates.Field{Name: name, Value: f[name]})
			}
		}
	}
	return fields
}

// mistakes are what is wrong with a form, by step.
type mistakes map[string][]templates.FieldProblem

// first is the first step with something wrong; empty: there is none.
func (m mistakes) first() (string, []templates.FieldProblem) {
	for _, step := range steps() {
		if len(m[step]) > 0 {
			return step, m[step]
		}
	}
	return "", nil
}

// reading reads a form field by field and notes what is wrong.
type reading struct {
	form
	step  string
	wrong mistakes
}

func (r *reading) note(field string, p templates.Problem) {
	r.wrong[r.step] = append(r.wrong[r.step], templates.FieldProblem{Field: field, Problem: p})
}

// read understands the form, and says at which fields it does not (R16).
func (f form) read(channels []string) (enrolment.Application, mistakes) {
	r := reading{form: f, wrong: mistakes{}}
	a := enrolment.Application{}
	r.step = templates.StepPerson
	r.person(&a, citizens.DateOf(time.Now()))
	r.step = templates.StepResidence
	r.residence(&a)
	r.step = templates.StepContacts
	r.contacts(&a, channels)
	return a, r.wrong
}

const longestName = 100

// text takes a field as it is; required says that it must not be empty.
func (r *reading) text(field string, required bool) string {
	text := r.form[field]
	switch {
	case text == "" && required:
		r.note(field, templates.FieldMissing)
	case len([]rune(text)) > longestName:
		r.note(field, templates.FieldShape)
	}
	return text
}

func (r *reading) person(a *enrolment.Application, today citizens.Date) {
	var err error
	a.FiscalCode, err = citizens.ParseOwnFiscalCode(r.form["fiscal_code"])
	switch {
	case r.form["fiscal_code"] == "":
		r.note("fiscal_code", templates.FieldMissing)
	case errors.Is(err, citizens.ErrProvisional):
		r.note("fiscal_code", templates.FieldProvisional)
	case err != nil:
		r.note("fiscal_code", templates.FieldShape)
	}
	a.Declared.GivenName = r.text("given_name", true)
	a.Declared.FamilyName = r.text("family_name", true)
	switch sex := citizens.Sex(strings.ToUpper(r.form["sex"])); sex {
	case citizens.Male, citizens.Female:
		a.Declared.Sex = sex
	default:
		r.note("sex", templates.FieldMissing)
	}
	r.birth(a, today)
}

const oldest = 130 // years

func (r *reading) birth(a *enrolment.Application, today citizens.Date) {
	born, err := citizens.ParseDate(r.form["birth_date"])
	switch {
	case r.form["birth_date"] == "":
		r.note("birth_date", templates.FieldMissing)
	case err != nil, born.After(today), born.Age(today) > oldest:
		r.note("birth_date", templates.FieldShape)
	case enrolment.Minor(born, today):
		r.note("birth_date", templates.FieldMinor)
	default:
		a.Declared.BirthDate = born
	}
	place, err := citizens.Places().Resolve(r.form["birth_place"], a.Declared.BirthDate)
	var several *citizens.AmbiguousPlaceError
	switch {
	case r.form["birth_place"] == "":
		r.note("birth_place", templates.FieldMissing)
	case errors.As(err, &several):
		r.ambiguous(a, several)
	case err != nil:
		r.note("birth_place", templates.FieldShape)
	default:
		a.Declared.BirthPlace = place.Code
	}
}

// ambiguous lets the codice fiscale choose among places of one name: asking
// would teach nothing.
func (r *reading) ambiguous(a *enrolment.Application, several *citizens.AmbiguousPlaceError) {
	for _, p := range several.Places {
		if !a.FiscalCode.IsZero() && p.Code == a.FiscalCode.Place() {
			a.Declared.BirthPlace = p.Code
			return
		}
	}
	r.note("birth_place", templates.FieldAmbiguous)
}

var italianCAP = regexp.MustCompile(`^[0-9]{5}$`)

func (r *reading) residence(a *enrolment.Application) {
	a.Residence = citizens.Address{Street: r.text("residence_street", true), Locality: r.text("residence_locality", true)}
	country, err := citizens.ParseCountry(r.form["residence_country"])
	switch {
	case r.form["residence_country"] == "":
		r.note("residence_country", templates.FieldMissing)
	case err != nil:
		r.note("residence_country", templates.FieldShape)
	}
	a.Residence.Country = country
	code := r.form["residence_postal_code"]
	switch {
	case country == "IT" && code == "":
		r.note("residence_postal_code", templates.FieldMissing)
	case country == "IT" && !italianCAP.MatchString(code), len(code) > 20:
		r.note("residence_postal_code", templates.FieldShape)
	}
	a.Residence.PostalCode = code
	a.Residence.Region = r.text("residence_region", false)
}

func (r *reading) contacts(a *enrolment.Application, channels []string) {
	var err error
	a.Phone, err = citizens.ParsePhone(r.form["phone"])
	switch {
	case r.form["phone"] == "":
		r.note("phone", templates.FieldMissing)
	case err != nil:
		r.note("phone", templates.FieldShape)
	}
	slot, ok := enrolment.ParseSlot(r.form["call_slot"])
	if !ok {
		r.note("call_slot", templates.FieldShape)
	}
	a.Slot = slot
	a.Contacts.Mobile = r.contact(citizens.Mobile)
	a.Contacts.Email = r.contact(citizens.Email)
	a.Contacts.PEC = r.contact(citizens.PEC)
	if r.form["mobile"] == "" && r.form["email"] == "" && r.form["pec"] == "" {
		r.note("mobile", templates.FieldNone)
		return
	}
	if a.Contacts.Email.Value.Same(a.Contacts.PEC.Value) {
		r.note("pec", templates.FieldSame)
	}
	r.channel(a, channels)
}

func (r *reading) contact(kind citizens.ContactKind) citizens.Contact {
	text := r.form[string(kind)]
	if text == "" {
		return citizens.Contact{}
	}
	value, err := citizens.ParseContact(kind, text)
	switch {
	case errors.Is(err, citizens.ErrNotMobile):
		r.note(string(kind), templates.FieldLandline)
	case err != nil:
		r.note(string(kind), templates.FieldShape)
	}
	return citizens.Contact{Value: value}
}

// channel is where the first half goes: to a contact that was typed.
func (r *reading) channel(a *enrolment.Application, channels []string) {
	chosen := r.form["first_half_channel"]
	field := map[string]string{"sms": "mobile", "email": "email", "pec": "pec"}[chosen]
	switch {
	case !slices.Contains(channels, chosen):
		r.note("first_half_channel", templates.FieldMissing)
	case r.form[field] == "":
		r.note(field, templates.FieldMissing)
	}
	a.Channel = delivery.Channel(chosen)
}
