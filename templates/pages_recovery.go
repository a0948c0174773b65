package templates

import "time"

// What may be wrong with a code, and with the contacts of a recovery.
const (
	// CodeWrong is what a wrong code, another person's and nobody's are told.
	CodeWrong Problem = "code.wrong"
	// LinkGone is what the page of a link that is no longer good says.
	LinkGone Problem = "link.dead"

	FieldFew  Problem = "few"  // at least two contacts are needed
	FieldSame Problem = "same" // as another field
)

// Recover begins a recovery: codice fiscale, at least two contacts, captcha
// (R35). Hidden carries the sign-in that was left for it.
type Recover struct {
	Hidden             []Field
	FiscalCode         string
	Mobile, Email, PEC string
	Captcha            Captcha
	Problem            Problem // FormInvalidField, CaptchaWrong
	Fields             []FieldProblem
	HomeURL, GuideURL  string
}

// RecoverConfirm takes codice fiscale and the code of 8 digits (R38). Hidden
// carries the token of the mail's link.
type RecoverConfirm struct {
	Hidden     []Field
	FiscalCode string
	Problem    Problem // FormInvalidField, CodeWrong
	Fields     []FieldProblem
	RestartURL string
	ReportURL  string
}

// Revoke begins a revocation: codice fiscale, health card, an address, captcha
// (R48).
type Revoke struct {
	Hidden     []Field
	FiscalCode string
	Number     string // of the card, as typed
	Expiry     string
	Email      string
	Captcha    Captcha
	Problem    Problem
	Fields     []FieldProblem
	HomeURL    string
}

// RevokeConfirm takes codice fiscale, the code of 10 characters and a second
// captcha (R51).
type RevokeConfirm struct {
	Hidden     []Field
	FiscalCode string
	Captcha    Captcha
	Problem    Problem // FormInvalidField, CaptchaWrong, CodeWrong
	Fields     []FieldProblem
	RestartURL string
}

// Report is "that was not me": by the link of a mail it is one button, without
// one it asks for codice fiscale and the code of the SMS.
type Report struct {
	Hidden     []Field
	ByLink     bool
	FiscalCode string
	Captcha    Captcha
	Problem    Problem // FormInvalidField, CaptchaWrong, CodeWrong
	Fields     []FieldProblem
	HomeURL    string
}

// Neutral is the answer that everybody gets, whether or not anything matched.
// About says to what: "recover", "revoke"; words are kept under that name.
type Neutral struct {
	About    string
	Until    time.Time // when what was mailed is no longer good
	Tracking Secret    // shown where there is one, as <output id="tracking-code">
	NextURL  string    // where one goes on
	AgainURL string
	GuideURL string
	HomeURL  string
}

// Done says that something is done. About as in Neutral: "recover", "revoke",
// "report".
type Done struct {
	About     string
	NextURL   string // what may come next; empty: nothing
	HomeURL   string
	SignInURL string // the sign-in that was left for this; empty: none
}

// LinkDead is what becomes of a link that was used, superseded or left lying
// too long, whichever of these it was.
type LinkDead struct {
	RestartURL string
	HomeURL    string
}

// Names of the pages, as outsiders read them in data-page.
func (Recover) Name() string        { return "pin-recover" }
func (RecoverConfirm) Name() string { return "pin-recover-confirm" }
func (Revoke) Name() string         { return "pin-revoke" }
func (RevokeConfirm) Name() string  { return "pin-revoke-confirm" }
func (Report) Name() string         { return "pin-report" }
func (Neutral) Name() string        { return "neutral" }
func (Done) Name() string           { return "done" }
func (LinkDead) Name() string       { return "link-dead" }

func (Recover) page()        {}
func (RecoverConfirm) page() {}
func (Revoke) page()         {}
func (RevokeConfirm) page()  {}
func (Report) page()         {}
func (Neutral) page()        {}
func (Done) page()           {}
func (LinkDead) page()       {}
