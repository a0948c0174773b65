package templates

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Page is one of the structs of this file. It is sealed: a page needs its
// template and its words, so it is born here.
type Page interface {
	// Name is the page's data-page and the name of its template.
	Name() string
	page()
}

// Home is the front page: what this place is, for somebody who came without a service.
type Home struct {
	Area bool // the citizen's own area is there to be linked
}

// Login asks for codice fiscale and PIN. Its form posts fiscal_code and pin; the
// button action=cancel gives the sign-in up. Outside the sign-in for a service
// it leads to the citizen's own area.
type Login struct {
	Action     string  // where the form is posted
	FiscalCode string  // as typed, or hinted by the service
	Problem    Problem // LoginRefused, LoginWaiting, LoginInvalidField, PINChangeExpired
	Fields     []FieldProblem
	Until      time.Time // with LoginWaiting: when trying again makes sense
	// Ended says that a session was open and has ended, as each does after so
	// long without activity; zero: there was none.
	Ended time.Duration
	// What the refusal says about waiting; zero values are the rule's 10 and 5 minutes.
	Threshold int
	Wait      time.Duration
	// LostURL and PINURL lead to the pages about the PIN, which then know the way
	// back. They follow from Action; what is set is not heeded.
	LostURL, PINURL string
}

// AccountChoice shows who would continue (prompt=select_account). Buttons
// choice=continue and choice=other; Hidden names the session that was shown.
type AccountChoice struct {
	Action     string
	Hidden     []Field
	Person     string
	SignedInAt time.Time
}

// PINChange shows the new PIN and has it typed back: fields new_pin and old_pin,
// buttons action=confirm, regenerate, cancel. Hidden, in both of its forms,
// names the candidate that was shown: a stale tab must not answer for it.
type PINChange struct {
	Action        string
	Hidden        []Field
	NewPIN        Secret
	ExpiresAt     time.Time
	Regenerations int     // how many more the person may ask for
	First         bool    // the PIN of 16 characters is replaced; else the periodic change,
	Voluntary     bool    // or the one that nobody has asked for
	Problem       Problem // PINChangeOldWrong, PINChangeNewMismatch, PINChangeExpired, LoginWaiting, FormInvalidField
	Fields        []FieldProblem
	Until         time.Time // with LoginWaiting
	RestartURL    string    // with PINChangeExpired: where to begin again; no PIN is shown then
}

// Consent asks whether the service may have the attributes. Field remember=yes,
// buttons answer=allow and answer=deny; Hidden names the session that was shown.
type Consent struct {
	Action     string
	Hidden     []Field
	Attributes []Attribute
	// Permissions are what the service asks to be allowed beyond reading. With
	// them nothing is remembered.
	Permissions []Permission
	Renewed     bool          // an earlier, smaller consent is being widened: new attributes are marked
	Offline     bool          // offline_access is asked: the service goes on reading while the person is away
	OfflineNew  bool          // and it was not part of the earlier consent
	OfflineFor  time.Duration // for how long; zero is the rule's 30 days
	Purpose     string        // the service's own words; may be empty
	Remember    bool          // offer to remember the answer

	Person         string // given and family name
	SignedInAt     time.Time
	Level          int // 1 to 3
	PreviousAccess *time.Time
	SignOutURL     string // "not you?"; empty: no link
}

// Attribute is one claim with the value that would be sent. Claim is the name on
// the wire; birthdate, gender, pin_kind and yes/no claims are put into words
// here, everything else is shown as it is, a line for each line of Value.
type Attribute struct {
	Claim string
	Value string
	New   bool
}

// SignOut asks before the session ends. The button is answer=sign-out; Hidden
// carries what a sign-out begun by a service must keep.
type SignOut struct {
	Action  string
	Person  string
	StayURL string // empty: no way to stay is offered
	Hidden  []Field
}

// SignedOut says it is done. The service's name and address are for the way back,
// both may be empty.
type SignedOut struct {
	ServiceName string
	ServiceURL  string
	// Frames are addresses of services that are told by being loaded out of sight.
	Frames []string
}

// InteractionLost explains a sign-in that cannot go on (too old, other browser,
// finished already), with the way back to the service when it is known.
type InteractionLost struct {
	Own         bool // it led to the citizen's own area, which can be entered anew
	ServiceName string
	ServiceURL  string
}

// Error is the page for what no other page can say. Reference lets the person and
// us find the request again.
type Error struct {
	Problem   Problem
	Reference string
	At        time.Time
	BackURL   string // empty: the browser's own Back button must do
}

// FormPost hands the answer to the service by POST (response_mode=form_post): a
// script sends it at once, a button does without one.
type FormPost struct {
	Action string // the service's redirect URI, already checked against its registration
	Fields []Field
}

// Field is one hidden field of a form.
type Field struct {
	Name, Value string
}

// Secret is text that may be shown on a page and nowhere else.
type Secret struct{ text string }

// Show marks text as to be shown to the person in front of the page.
func Show(text string) Secret { return Secret{text} }

func (Secret) String() string               { return "[secret]" }
func (Secret) GoString() string             { return "[secret]" }
func (Secret) LogValue() slog.Value         { return slog.StringValue("[secret]") }
func (Secret) MarshalJSON() ([]byte, error) { return nil, errors.New("a secret is never encoded") }

// Format keeps every verb of fmt from looking inside.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// Groups are the characters in fours, as people read and copy them.
func (s Secret) Groups() []string {
	var groups []string
	for rest := s.text; rest != ""; {
		n := min(4, len(rest))
		groups, rest = append(groups, rest[:n]), rest[n:]
	}
	return groups
}

// Names of the pages, as outsiders read them in data-page.
func (Home) Name() string            { return "home" }
func (Login) Name() string           { return "login" }
func (AccountChoice) Name() string   { return "account-choice" }
func (PINChange) Name() string       { return "pin-change" }
func (Consent) Name() string         { return "consent" }
func (SignOut) Name() string         { return "sign-out" }
func (SignedOut) Name() string       { return "signed-out" }
func (InteractionLost) Name() string { return "interaction-lost" }
func (Error) Name() string           { return "error" }
func (FormPost) Name() string        { return "form-post" }

func (Home) page()            {}
func (Login) page()           {}
func (AccountChoice) page()   {}
func (PINChange) page()       {}
func (Consent) page()         {}
func (SignOut) page()         {}
func (SignedOut) page()       {}
func (InteractionLost) page() {}
func (Error) page()           {}
func (FormPost) page()        {}

// kindsOfPages is one of each page, so that New finds a missing template at start.
func kindsOfPages() []Page {
	return []Page{
		Home{}, Login{}, AccountChoice{}, PINChange{}, Consent{},
		SignOut{}, SignedOut{}, InteractionLost{}, Error{}, FormPost{},
		PINHome{}, PINLost{},
		Recover{}, RecoverConfirm{}, Revoke{}, RevokeConfirm{}, Report{}, Neutral{}, Done{}, LinkDead{},
		Request{}, RequestConfirm{}, Track{}, Withdraw{},
		Account{}, AccountIdle{}, AccountPIN{}, AccountContacts{}, ContactConfirm{},
		Device{}, DeviceConfirm{}, DeviceDone{},
	}
}

// lines are the lines of an attribute's value, without empty ones.
func (a Attribute) lines() []string {
	return strings.FieldsFunc(a.Value, func(r rune) bool { return r == '\n' })
}
