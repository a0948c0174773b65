package templates

import "time"

// What the page of the contacts refuses, besides form.invalid-field, code.wrong
// and login.waiting.
const (
	ContactsTooMany Problem = "contacts.too-many" // in a day
	ContactsLast    Problem = "contacts.last"     // the last proved contact stays
	ContactsOver    Problem = "contacts.over"     // the code is good no more

	FieldEmpty     Problem = "empty"
	FieldOnFile    Problem = "on-file"    // it counts already
	FieldTwin      Problem = "twin"       // it counts, or is to count, as another kind
	FieldNotMobile Problem = "not-mobile" // a landline
)

// WrongPIN and WrongCode are what is said at the field of a wrong one.
func WrongPIN() FieldProblem { return FieldProblem{Field: "pin", Problem: fieldWrong} }

// WrongCode is what is said at the field of a wrong code.
func WrongCode() FieldProblem { return FieldProblem{Field: "code", Problem: fieldWrong} }

// The steps of AccountContacts beyond the list.
const (
	ContactSet    = "set"
	ContactRemove = "remove"
	ContactProve  = "prove"
)

// AccountContacts are the citizen's contacts (R36). Without a Step it is the
// list; its buttons are action=withdraw, each with the hidden field kind. With
// one it is the form of one kind: fields mobile, email or pec, and pin; pin
// alone; code. The button's action is the Step.
type AccountContacts struct {
	Action  string
	Hidden  []Field
	Lines   []ContactLine
	Few     bool // fewer than two count: the PIN could not be recovered
	Problem Problem

	Step   string
	Kind   string
	Masked string // the contact that is there, or that is to be proved
	Typed  string
	DueAt  time.Time // of the code
	Fields []FieldProblem
	Until  time.Time // with LoginWaiting: when trying again makes sense
	Pause  time.Duration
}

// ContactLine is one kind of contact: what counts, and what is under way.
type ContactLine struct {
	ContactRow
	Settable  bool // messages can leave by this kind
	Removable bool
	Change    *ContactChange
	Failed    string // why nothing came of the last change: not-proved, attempts-exceeded, undelivered, not-pec, overtaken, contested
}

// ContactChange is what is under way for one kind.
type ContactChange struct {
	Masked     string
	Proving    bool // else it waits until DueAt
	CodeRight  bool // and the receipt of a PEC is awaited
	Removal    bool
	ByOperator bool
	DueAt      time.Time
}

// ContactConfirm is what the link of a mail opens: one button. Hidden carries
// the token.
type ContactConfirm struct {
	Hidden []Field
	Masked string
}

// Names of the pages, as outsiders read them in data-page.
func (AccountContacts) Name() string { return "account-contacts" }
func (ContactConfirm) Name() string  { return "account-contacts-confirm" }

func (AccountContacts) page() {}
func (ContactConfirm) page()  {}
