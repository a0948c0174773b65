// Package contacts is how the contacts of a person change: somebody asks for a
// new one, proves that it is his, and after a while in which the old one could
// still object it counts (R36, R42, pin-rules §2.5).
//
// It owns the table contact_changes. The contacts that count are citizens'; a
// change reaches them on its last step, and from nowhere else. It stands on
// credentials (a change is asked for with a PIN), citizens, delivery and audit,
// and knows no page and no protocol. Nothing below knows it: what must become
// of a change when a PIN ends, when its owner says "that was not me", or when a
// transport reports, is called by whoever wires it.
package contacts

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// ID names a change. It is no secret.
type ID string

// State is where a change stands.
type State string

// The states. What pin-rules calls NEW_VERIFIED is the step from Asked to
// Cooling, in which nothing rests. A removal has nothing to prove and begins in
// Cooling.
const (
	Asked     State = "asked"     // to be proved
	Cooling   State = "cooling"   // proved; the old contact may still object
	Effective State = "effective" // it counts
	Contested State = "contested" // "that was not me"
	Withdrawn State = "withdrawn"
	Expired   State = "expired" // not proved
)

// States lists them all.
func States() []State {
	return []State{Asked, Cooling, Effective, Contested, Withdrawn, Expired}
}

// transitions are the arrows of pin-rules §2.5: what a state may become.
func transitions(s State) []State {
	switch s {
	case Asked:
		return []State{Cooling, Contested, Withdrawn, Expired}
	case Cooling:
		return []State{Effective, Contested, Withdrawn}
	case Effective, Contested, Withdrawn, Expired:
	}
	return nil
}

// from are the states that may become another one.
func from(to State) []State {
	var list []State
	for _, s := range States() {
		if slices.Contains(transitions(s), to) {
			list = append(list, s)
		}
	}
	return list
}

// Over reports whether nothing comes after.
func (s State) Over() bool { return len(transitions(s)) == 0 }

// Reason says why nothing came of a change.
type Reason string

// The reasons: of an expiry the first four, of a withdrawal the others.
const (
	NotProved    Reason = "not-proved"
	TooManyTries Reason = "attempts-exceeded"
	Undelivered  Reason = "undelivered" // the code did not arrive
	NotPEC       Reason = "not-pec"     // the address is no certified mail ("esterno")

	ByCitizen   Reason = "by-citizen"
	Superseded  Reason = "superseded"    // by a newer change of the same kind
	PINEnded    Reason = "pin-ended"     // what it was asked for with is revoked, suspended or replaced
	Deceased    Reason = "deceased"      //
	Replaced    Reason = "replaced"      // the contact it was to replace is another one by now
	SameAsOther Reason = "same-as-other" // it is on file as another kind by now (R11)
	LastContact Reason = "last-contact"  // the others are gone meanwhile
)

// Who asks for a change: it says how long the old contact may object.
type author string

const (
	byCitizen  author = "citizen"
	byOperator author = "operator"
)

// Policy holds the figures of pin-rules §0.2 and §5.9.
type Policy struct {
	// CoolingCitizen is how long after its proof a contact begins to count that
	// its owner has asked for with his PIN, CoolingOperator one that an operator
	// has.
	CoolingCitizen, CoolingOperator time.Duration
	// SMSCode and MailCode are how long a code is good for, Tries how many
	// wrong ones end the change.
	SMSCode, MailCode time.Duration
	Tries             int
	// PerDay is how many changes one person may ask for in a day, PerTarget how
	// many codes one number or address is sent.
	PerDay, PerTarget int
	// Keep is how long the row of a change that is over stays, without contacts.
	Keep time.Duration
}

// DefaultPolicy is pin-rules §0.2, §4.5 and §5.9.
func DefaultPolicy() Policy {
	const day = 24 * time.Hour
	return Policy{
		CoolingCitizen: 3 * day, CoolingOperator: 7 * day, SMSCode: 30 * time.Minute, MailCode: day, Tries: 5,
		PerDay: 6, PerTarget: 3, Keep: 90 * day,
	}
}

func (p Policy) valid() bool {
	return p.CoolingCitizen > 0 && p.CoolingOperator > 0 && p.SMSCode > 0 && p.MailCode > 0 && p.Tries > 0 &&
		p.PerDay > 0 && p.PerTarget > 0 && p.Keep > 0
}

// cooling is how long a change waits that somebody has asked for.
func (p Policy) cooling(by author) time.Duration {
	if by == byOperator {
		return p.CoolingOperator
	}
	return p.CoolingCitizen
}

// codeLife is how long the code of a contact is good for.
func (p Policy) codeLife(kind citizens.ContactKind) time.Duration {
	if kind == citizens.Mobile {
		return p.SMSCode
	}
	return p.MailCode
}

// Refusals of a change. None says anything about anybody else.
var (
	ErrSame        = errors.New("this contact is on file already")
	ErrSameAsOther = errors.New("this address is on file already as a contact of another kind (R11)")
	ErrNone        = errors.New("there is no such contact to remove")
	ErrLast        = errors.New("the last proved contact stays: add another one first")
	ErrNoneOnFile  = errors.New("an operator can set a contact only beside one that is on file (R42)")
	ErrChannelOff  = errors.New("no message can leave by this kind of contact")
	ErrTooMany     = errors.New("too many changes in a day")
	ErrDeceased    = errors.New("the person has died")
	ErrNothing     = errors.New("no change of this kind is under way")
	// ErrCodeWrong stands for a wrong code, one that is over and no change at all.
	ErrCodeWrong = errors.New("the code is wrong")
	// ErrLinkDead says that a link is not good any more.
	ErrLinkDead = errors.New("this link is not good any more")
)

// Change is one change of a contact, as its owner may see it.
type Change struct {
	ID      ID
	Citizen citizens.ID
	Kind    citizens.ContactKind
	Removal bool
	State   State
	Reason  Reason
	// Value is the new contact; zero for a removal and for what is over.
	Value citizens.ContactValue
	// ByOperator: the contact centre has asked for it.
	ByOperator bool
	// CodeRight: the code was right, and the PEC provider's receipt is awaited.
	CodeRight bool
	AskedAt   time.Time
	// DueAt is when a change runs out that is to be proved, and when one counts
	// that is cooling.
	DueAt time.Time
	// EndedAt is when it was over; zero before.
	EndedAt time.Time
}

// Messages about contacts. The code goes to the contact to be proved, all others
// to the contacts on file and to the new one, once that is proved.
const (
	ContactCode     delivery.MessageKey = "contact-code"
	NoticeProved    delivery.MessageKey = "notice-contact-proved"
	NoticeEffective delivery.MessageKey = "notice-contact-effective"
	NoticeRemoval   delivery.MessageKey = "notice-contact-removal"
	NoticeRemoved   delivery.MessageKey = "notice-contact-removed"
	NoticeWithdrawn delivery.MessageKey = "notice-contact-withdrawn"
	NoticeContested delivery.MessageKey = "notice-contact-contested"
	NoticeNotPEC    delivery.MessageKey = "notice-contact-not-pec"
)

// channelOf is the transport that reaches a kind of contact.
func channelOf(kind citizens.ContactKind) delivery.Channel {
	switch kind {
	case citizens.Mobile:
		return delivery.SMS
	case citizens.Email:
		return delivery.Email
	case citizens.PEC:
		return delivery.PEC
	}
	return ""
}

// system is who acts when time or a transport does.
var system = audit.Actor{Kind: audit.System} //nolint:gochecknoglobals // a value, never changed

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
