package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
)

// Task is a call that the contact centre owes somebody (pin-rules §2.5).
type Task struct {
	Citizen citizens.ID
	// Enrolment is the request that waits for the call; empty for none.
	Enrolment string
	Phone     string // E.164
	Slot      Slot
	Reason    string
	// Owed says that the call is our own doing, a letter that came back for
	// instance. One call a telephone is a limit for what strangers ask for.
	Owed bool
}

// CallState is where a call stands.
type CallState string

// The states of a call. pin-rules' ATTEMPT and IDENTIFIED are what an operator
// does while it is assigned.
const (
	CallQueued   CallState = "queued"
	CallAssigned CallState = "assigned"
	CallClosed   CallState = "closed"
)

// CallOutcome is how an attempt ended.
type CallOutcome string

// The outcomes. After the last two the call is over; NoAnswer, Voicemail and
// WrongPerson use an attempt up.
const (
	NoAnswer       CallOutcome = "no-answer"
	Voicemail      CallOutcome = "voicemail"
	WrongPerson    CallOutcome = "wrong-person"
	IdentityFailed CallOutcome = "identity-failed"
	CallApproved   CallOutcome = "approve"
	CallRejected   CallOutcome = "reject"
)

// And two that nobody chooses: the attempts or the days are used up, or the
// reason for the call is gone.
const (
	callUnreachable CallOutcome = "unreachable"
	callExpired     CallOutcome = "expired"
	callCancelled   CallOutcome = "cancelled"
)

// CallOutcomes are those that an operator can give.
func CallOutcomes() []CallOutcome {
	return []CallOutcome{CallApproved, CallRejected, NoAnswer, Voicemail, WrongPerson, IdentityFailed}
}

// Callback is a call as the contact centre sees it. Who is called is masked:
// who works it off reads the person's file, with a reason, elsewhere.
type Callback struct {
	ID        string
	Citizen   citizens.ID
	Enrolment string
	Name      string // Rossi M.
	Phone     string // masked; whole for whoever has the call assigned
	Reasons   []string
	Slot      Slot
	Zone      *time.Location // by whose clock the slot is
	Window    Window         // when to call
	State     CallState
	Operator  string
	Attempts  int
	CreatedAt time.Time
	DueAt     time.Time
	HeldUntil *time.Time // the end of the assignment
}

// Refusals of what operators ask for; each sentence is fit to be shown to them.
var (
	ErrNoCall      = errors.New("there is no such call, or it is over")
	ErrNothingDue  = errors.New("nobody is to be called at this moment")
	ErrCallTaken   = errors.New("somebody else has this call")
	ErrNotYours    = errors.New("take the call first: it is not assigned to you, or no longer")
	ErrOwnIdentity = errors.New("this person has failed the identity questions and can be called again tomorrow")
	ErrArchiveAway = errors.New("the archive does not answer: try again later")
	errPhoneBusy   = errors.New("another call to this telephone is open")
)

// Queue owes somebody a call. One that is owed already gets the new reason.
func (e *Enrolments) Queue(ctx context.Context, by audit.Actor, t Task) error {
	err := e.inTx(ctx, func(ctx context.Context) error { return e.queue(ctx, by, t) })
	if errors.Is(err, errPhoneBusy) {
		return errPhoneBusy
	}
	return wrap("queue a call", err)
}

func (e *Enrolments) queue(ctx context.Context, by audit.Actor, t Task) error {
	if t.Citizen == "" || t.Phone == "" {
		return errors.New("a call needs a person and a number")
	}
	now, err := e.pins.db.Now(ctx)
	if err != nil {
		return err
	}
	open, found, err := e.store.callOf(ctx, t.Citizen)
	if err != nil {
		return err
	}
	if found {
		return e.append(ctx, by, open, t)
	}
	busy, err := e.store.phoneBusy(ctx, e.phoneKey(t.Phone))
	switch {
	case err != nil:
		return err
	case busy && !t.Owed:
		return errPhoneBusy
	}
	return e.addCall(ctx, by, t, now)
}

func (e *Enrolments) addCall(ctx context.Context, by audit.Actor, t Task, now time.Time) error {
	id, err := newID()
	if err != nil {
		return err
	}
	slot, ok := ParseSlot(string(t.Slot))
	if !ok {
		slot = AnyTime
	}
	zone := CallZone(t.Phone)
	row := callRow{
		ID: string(id), CitizenID: t.Citizen, EnrolmentID: t.Enrolment, Reasons: t.Reason, PhoneKey: e.phoneKey(t.Phone), TimeZone: zone.String(), Slot: slot,
	}
	if t.Owed {
		row.PhoneKey = e.phoneKey(row.ID) // it stands in nobody's way, and nobody in its
	}
	if row.Phone, err = e.seal.Encrypt([]byte(t.Phone), callPlace(row.ID)); err != nil {
		return fmt.Errorf("seal a number: %w", err)
	}
	row.window(e.hours.next(slot, zone, now, e.pins.italy))
	row.DueAt.Time = e.until(now)
	if err := e.store.addCall(ctx, row); err != nil {
		return err
	}
	return e.pins.audit.Record(ctx, row.event(audit.CallQueued, by, t.Reason))
}

// append adds a reason to a call that is owed already, and what waits for it.
func (e *Enrolments) append(ctx context.Context, by audit.Actor, open callRow, t Task) error {
	reasons := open.Reasons
	if !strings.Contains("\n"+reasons+"\n", "\n"+t.Reason+"\n") {
		reasons += "\n" + t.Reason
	}
	enrolment := open.EnrolmentID
	if t.Enrolment != "" {
		enrolment = t.Enrolment
	}
	if err := e.store.appendCall(ctx, open.ID, reasons, enrolment); err != nil {
		return err
	}
	return e.pins.audit.Record(ctx, open.event(audit.CallQueued, by, t.Reason))
}

func (e *Enrolments) phoneKey(phone string) []byte { return e.pins.keyed("callback/phone|" + phone)[0] }

// callPlace binds a sealed number to its row.
func callPlace(id string) []byte { return []byte("callbacks/phone/" + id) }

// Calls lists the calls that are owed: those that are due first.
func (e *Enrolments) Calls(ctx context.Context) ([]Callback, error) {
	rows, err := e.store.openCalls(ctx)
	if err != nil {
		return nil, wrap("list calls", err)
	}
	list := make([]Callback, 0, len(rows))
	for _, row := range rows {
		c, err := e.callback(ctx, row, false)
		if err != nil {
			return nil, wrap("list calls", err)
		}
		list = append(list, c)
	}
	return list, nil
}

// callback shows a row, masked unless the number is to be dialled.
func (e *Enrolments) callback(ctx context.Context, row callRow, reveal bool) (Callback, error) {
	who, err := e.pins.citizens.ByID(ctx, row.CitizenID)
	if err != nil {
		return Callback{}, err
	}
	phone, err := e.seal.Decrypt(row.Phone, callPlace(row.ID))
	if err != nil {
		return Callback{}, fmt.Errorf("unseal the number of call %s: %w", row.ID, err)
	}
	zone, err := time.LoadLocation(row.TimeZone)
	if err != nil {
		zone = e.pins.italy
	}
	c := Callback{
		ID: row.ID, Citizen: row.CitizenID, Enrolment: row.EnrolmentID, Name: maskedName(who), Phone: maskNumber(string(phone)),
		Reasons: strings.Split(row.Reasons, "\n"), Slot: row.Slot, Zone: zone, Window: Window{row.NotBefore.Time, row.NotAfter.Time},
		State: row.State, Operator: row.Operator, Attempts: row.Attempts, CreatedAt: row.CreatedAt.Time, DueAt: row.DueAt.Time,
		HeldUntil: row.AssignedTill.Ptr(),
	}
	if reveal {
		c.Phone = string(phone)
	}
	if row.lapsed() { // before the sweep gets to it
		c.State, c.Operator, c.HeldUntil = CallQueued, "", nil
	}
	return c, nil
}

// maskedName is how people in the queue are told apart: Rossi M.
func maskedName(who citizens.Citizen) string {
	if given := []rune(who.GivenName); len(given) > 0 {
		return who.FamilyName + " " + string(given[0]) + "."
	}
	return who.FamilyName
}

// maskNumber leaves the last two digits.
func maskNumber(e164 string) string {
	if len(e164) < 6 {
		return "***"
	}
	return e164[:3] + " *** ** " + e164[len(e164)-2:]
}

func (row *callRow) window(w Window) {
	row.NotBefore.Time, row.NotAfter.Time = w.From.UTC(), w.Until.UTC()
}

// lapsed reports that whoever took the call has let it lie.
func (row callRow) lapsed() bool {
	return row.State == CallAssigned && !row.AssignedTill.After(row.Now.Time)
}

func (row callRow) event(t audit.Type, by audit.Actor, why string) audit.Event {
	ev := audit.Event{Type: t, Outcome: audit.Succeeded, Actor: by, Subject: row.CitizenID, Reason: why, Details: map[string]string{"call": row.ID}}
	if row.EnrolmentID != "" {
		ev.Details["request"] = row.EnrolmentID
	}
	return ev
}
