package templates

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
	"golang.org/x/text/unicode/norm"
)

// What may be wrong with a field of a request beyond missing and shape.
const (
	FieldProvisional Problem = "provisional" // a codice fiscale of 11 digits
	FieldMinor       Problem = "minor"       // too young: an office helps
	FieldAmbiguous   Problem = "ambiguous"   // several places have the name
	FieldLandline    Problem = "landline"    // no SMS gets there
	FieldNone        Problem = "none"        // no contact at all
)

// What a request says on top of the form.
const (
	// RequestCheckData asks once to read codice fiscale and data again (§3.7).
	RequestCheckData Problem = "request.check-data"
	// TrackUnknown is what tracking code and codice fiscale get that name no
	// request, whichever of them is wrong.
	TrackUnknown Problem = "track.unknown"
)

// The steps of a request, in their order.
const (
	StepPerson    = "person"
	StepResidence = "residence"
	StepContacts  = "contacts"
	StepReview    = "review"
)

// Request is one step of the request for a PIN (R10). Its fields are those of
// the step; Hidden carries what was typed on the others. Buttons: action=next,
// back, edit-person, edit-residence, edit-contacts, send; none goes on.
type Request struct {
	Step       string
	Hidden     []Field
	Typed      map[string]string // by field, as typed
	Restricted bool              // not everybody may ask: say who
	Channels   []string          // that a first half can leave by: sms, email, pec
	Birth      time.Time         // with StepReview
	BirthPlace string            // as people know it
	Captcha    Captcha           // with StepReview
	Problem    Problem           // FormInvalidField, CaptchaWrong, RequestCheckData
	Fields     []FieldProblem
	HomeURL    string
}

// RequestConfirm takes the code that proves the contact: fields tracking_code
// and code.
type RequestConfirm struct {
	Tracking   string
	Problem    Problem // FormInvalidField, CodeWrong
	Fields     []FieldProblem
	RestartURL string
}

// Track follows a request: fields tracking_code and fiscal_code. Found is nil
// until they name one; its buttons are action=not-arrived and action=cancel.
type Track struct {
	Tracking   string
	FiscalCode string
	Problem    Problem // FormInvalidField, TrackUnknown
	Fields     []FieldProblem
	Found      *Tracked
	ConfirmURL string
	RequestURL string
	HomeURL    string
}

// Tracked is how far a request is. State is one of to-prove, processing,
// preparing, part-1, part-2, posted, done, closed.
type Tracked struct {
	State                 string
	RequestedAt           time.Time
	First, Second, Posted *time.Time
	LateAt                *time.Time
	MayReissue            bool
	MayWithdraw           bool
}

// Withdraw asks for the code that takes a request back: fields code,
// tracking_code and fiscal_code, action=withdraw.
type Withdraw struct {
	Tracking   string
	FiscalCode string
	Problem    Problem // FormInvalidField, CodeWrong
	Fields     []FieldProblem
	TrackURL   string
	HomeURL    string
}

// Names of the pages, as outsiders read them in data-page.
func (Request) Name() string        { return "pin-request" }
func (RequestConfirm) Name() string { return "pin-request-confirm" }
func (Track) Name() string          { return "pin-track" }
func (Withdraw) Name() string       { return "pin-withdraw" }

func (Request) page()        {}
func (RequestConfirm) page() {}
func (Track) page()          {}
func (Withdraw) page()       {}

// Steps are all steps, for the line above the form.
func (Request) Steps() []string {
	return []string{StepPerson, StepResidence, StepContacts, StepReview}
}

// Number is the step's place among them, from one.
func (r Request) Number() int { return slices.Index(r.Steps(), r.Step) + 1 }

// Passed reports whether a step lies behind.
func (r Request) Passed(step string) bool { return slices.Index(r.Steps(), step)+1 < r.Number() }

// Offers reports whether a first half can leave by that channel.
func (r Request) Offers(channel string) bool { return slices.Contains(r.Channels, channel) }

// Chosen reports whether the person has chosen that channel; the first that is
// on, where he has not.
func (r Request) Chosen(channel string) bool {
	if typed := r.Typed["first_half_channel"]; typed != "" {
		return typed == channel
	}
	return len(r.Channels) > 0 && r.Channels[0] == channel
}

// Input is one field of text, as the piece "request-input" shows it.
type Input struct {
	Field        string
	Value        string
	Problem      Problem
	Type         string // text, tel, email
	Width        string // class
	Autocomplete string
	Optional     bool
	Hint         string // key of the hint; empty: none
}

// Input describes a field of the form.
func (r Request) Input(name string) Input {
	in := inputs()[name]
	in.Field, in.Value, in.Problem = name, r.Typed[name], problemOf(r.Fields, name)
	return in
}

// Input describes a field of the form; codes come back empty.
func (r RequestConfirm) Input(name string) Input {
	in := inputs()[name]
	in.Field, in.Problem = name, problemOf(r.Fields, name)
	if name == "tracking_code" {
		in.Value = r.Tracking
	}
	return in
}

// Input describes a field of the form; the code comes back empty.
func (w Withdraw) Input(name string) Input {
	in := inputs()[name]
	in.Field, in.Problem = name, problemOf(w.Fields, name)
	return in
}

// Input describes a field of the form.
func (t Track) Input(name string) Input {
	in := inputs()[name]
	in.Field, in.Problem, in.Value = name, problemOf(t.Fields, name), t.Tracking
	if name == "fiscal_code" {
		in.Value = t.FiscalCode
	}
	return in
}

func problemOf(list []FieldProblem, field string) Problem {
	for _, p := range list {
		if p.Field == field {
			return p.Problem
		}
	}
	return ""
}

// inputs are the fields of text that requests have.
func inputs() map[string]Input {
	return map[string]Input{
		"fiscal_code":           {Type: "text", Width: "idp-w-cf", Autocomplete: "username"},
		"given_name":            {Type: "text", Autocomplete: "given-name"},
		"family_name":           {Type: "text", Autocomplete: "family-name", Hint: "request.hint.family_name"},
		"birth_date":            {Type: "text", Width: "idp-w-code", Autocomplete: "bday", Hint: "request.hint.birth_date"},
		"birth_place":           {Type: "text", Autocomplete: "off", Hint: "request.hint.birth_place"},
		"residence_street":      {Type: "text", Autocomplete: "street-address", Hint: "request.hint.residence_street"},
		"residence_postal_code": {Type: "text", Width: "idp-w-code", Autocomplete: "postal-code"},
		"residence_locality":    {Type: "text", Autocomplete: "address-level2"},
		"residence_region":      {Type: "text", Autocomplete: "address-level1", Optional: true},
		"phone":                 {Type: "tel", Width: "idp-w-phone", Autocomplete: "tel", Hint: "request.hint.phone"},
		"mobile":                {Type: "tel", Width: "idp-w-phone", Autocomplete: "tel", Hint: "request.hint.mobile"},
		"email":                 {Type: "email", Autocomplete: "email"},
		"pec":                   {Type: "email", Autocomplete: "off", Optional: true, Hint: "request.hint.pec"},
		"tracking_code":         {Type: "text", Width: "idp-w-cf", Autocomplete: "off", Hint: "request.hint.tracking_code"},
		"code":                  {Type: "text", Width: "idp-w-code", Autocomplete: "one-time-code", Hint: "request.hint.code"},
	}
}

// Country is one that people choose from a list.
type Country struct{ Code, Name string }

// countries are those that people may live in, in the order of their names.
func (w *words) countries() []Country {
	tag := language.Make(w.language)
	names := display.Regions(tag)
	var list []Country
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			region, err := language.ParseRegion(string(a) + string(b))
			if err != nil || !region.IsCountry() || region.Canonicalize() != region || withdrawn(region.String()) {
				continue
			}
			if name := names.Name(region); name != "" {
				list = append(list, Country{region.String(), name})
			}
		}
	}
	slices.SortFunc(list, func(x, y Country) int { return cmp.Compare(plain(x.Name), plain(y.Name)) })
	return list
}

// plain is a name without accents, in small letters: the order of Italian and
// English lists, Åland among those with A.
func plain(name string) string {
	bare := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(strings.ToLower(name)))
	return strings.NewReplacer("æ", "ae", "ø", "o").Replace(bare)
}

// withdrawn are codes that libraries know and ISO 3166 no longer has, or never
// had for a place where people live.
func withdrawn(code string) bool {
	return slices.Contains([]string{"AC", "AN", "CP", "CS", "DG", "EA", "EU", "EZ", "IC", "TA", "UN", "QO", "ZZ", "XA", "XB", "CQ"}, code)
}
