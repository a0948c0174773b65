package templates

import (
	"time"
)

// CaptchaWrong is the Problem of a form whose captcha was answered wrongly; its
// Fields then hold WrongCaptcha.
const CaptchaWrong Problem = "captcha.wrong"

// Captcha is the captcha of a form: the piece "captcha" shows it, where the page
// struct has a field Captcha and a field Fields. Its field is called captcha, its
// hidden field captcha_id, its button action=another. The zero value is none.
type Captcha struct {
	ID     string
	Answer string // typed already, when another field is wrong
}

// WrongCaptcha is what is said at the field of a captcha.
func WrongCaptcha() FieldProblem { return FieldProblem{Field: "captcha", Problem: fieldWrong} }

// PINHome is where everything about the PIN begins (R5). A task whose page is
// not built is not named.
type PINHome struct {
	Request, Recover, Revoke, Change, Track, Report, Area bool
	LostURL                                               string // the guide for who has lost the PIN
	SignInURL                                             string // the sign-in that was left for this page; empty: none
}

// Any tells whether there is a task to choose.
func (p PINHome) Any() bool {
	return p.Request || p.Recover || p.Revoke || p.Change || p.Track || p.Report || p.Area
}

// PINLost is one page of the guide for who has lost the PIN: a question, or the
// road that the answers lead to. The form posts answer, with the answers given
// so far in Hidden.
type PINLost struct {
	Question   string // LostUsed, LostContacts, LostCard; empty: the road
	Choices    []Choice
	Number, Of int // which question this is
	Hidden     []Field
	Fields     []FieldProblem
	BackURL    string

	Road         string // LostRecover and so on
	First        bool   // the lost PIN was never used
	HomeURL      string
	SignInURL    string // the sign-in that was left for this page; empty: none
	ForgottenURL string // the question after "I do not remember it"
	// What the road "wait" says; zero values are the rule's 10 and 5 minutes.
	Threshold int
	Wait      time.Duration
}

// The questions and the roads of PINLost; words are kept under these names.
const (
	LostUsed     = "used"
	LostContacts = "contacts"
	LostCard     = "card"

	LostRecover = "recover"
	LostRevoke  = "revoke"
	LostCall    = "call"
	LostSignIn  = "sign-in"
	LostWait    = "wait"
)

// Choice is one answer to a question, with a line that explains it or without.
type Choice struct {
	Value string
	Note  bool
}

// Problem is the only refusal of a guide: no answer was chosen.
func (p PINLost) Problem() Problem { return FormInvalidField }

func (p PINLost) settled() PINLost {
	if p.Threshold == 0 {
		p.Threshold = defaultThreshold
	}
	if p.Wait == 0 {
		p.Wait = defaultWait
	}
	return p
}

// Names of the pages, as outsiders read them in data-page.
func (PINHome) Name() string { return "pin-home" }
func (PINLost) Name() string { return "pin-lost" }

func (PINHome) page() {}
func (PINLost) page() {}
