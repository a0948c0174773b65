package templates

import "time"

// Account is the citizen's own area as one comes in. What the registry does not
// know is not shown.
type Account struct {
	GivenName      string
	PreviousAccess *time.Time // nil: this is the first
	Kind           string     // of the PIN: ordinario, dispositivo; empty: there is none
	ChangedAt      *time.Time // when the PIN was changed last
	DueAt          *time.Time // when it has to be changed next
	PINURL         string     // where it can be changed; empty: nowhere
	Contacts       []ContactRow
	ContactsURL    string // where they can be changed; empty: nowhere
	ReportURL      string // for "that was not me"; empty: nowhere
}

// ContactRow is one kind of contact, with the person's own or without.
type ContactRow struct {
	Kind     string // mobile, email, pec
	Masked   string // empty: the person has none
	Verified bool
}

// AccountIdle warns that the session is about to end (R55). Buttons
// action=continue or, where nothing puts the end off any more, action=again.
type AccountIdle struct {
	Action string
	Hidden []Field
	Idle   time.Duration // how long nothing has been done
	EndsAt time.Time
	Final  bool // the session ends then in any case: only a new sign-in goes on
}

// AccountPIN is the voluntary change of a PIN (R26). With Start it explains and
// has one button, action=start; else it is as PINChange.
type AccountPIN struct {
	PINChange
	Start bool
}

// Names of the pages, as outsiders read them in data-page.
func (Account) Name() string     { return "account" }
func (AccountIdle) Name() string { return "account-idle" }
func (AccountPIN) Name() string  { return "account-pin" }

func (Account) page()     {}
func (AccountIdle) page() {}
func (AccountPIN) page()  {}
