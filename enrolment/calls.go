package enrolment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
)

// Task is a call that the contact centre owes somebody (pin-rules §2.5).
type Task struct {
	Citizen citizens.ID
	// Request is the request that waits for the call; empty for none.
	Request string
	Phone   string // E.164
	Slot    Slot
	Reason  string
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

// Calls is the contact centre's queue of calls (pin-rules §2.5). It is safe for
// concurrent use on any number of nodes.
type Calls struct {
	db       *database.DB
	citizens *citizens.Registry
	audit    *audit.Log
	seal     tink.AEAD
	index    credentials.Digests
	hours    Hours
	policy   Policy
	italy    *time.Location
	store    callStore
	requests *Requests // what most calls are about
}

// Call is a call as the contact centre sees it. Who is called is masked:
// who works it off reads the person's file, with a reason, elsewhere.
type Call struct {
	ID        string
	Citizen   citizens.ID
	Request   string
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
func (c *Calls) Queue(ctx context.Context, by audit.Actor, t Task) error {
	err := c.db.InTx(ctx, func(ctx context.Context) error { return c.queue(ctx, by, t) })
	if errors.Is(err, errPhoneBusy) {
		return errPhoneBusy
	}
	return wrap("queue a call", err)
}

func (c *Calls) queue(ctx context.Context, by audit.Actor, t Task) error {
	if t.Citizen == "" || t.Phone == "" {
		return errors.New("a call needs a person and a number")
	}
	now, err := c.db.Now(ctx)
	if err != nil {
		return err
	}
	open, found, err := c.store.of(ctx, t.Citizen)
	if err != nil {
		return err
	}
	if found {
		return c.addReason(ctx, by, open, t)
	}
	busy, err := c.store.phoneBusy(ctx, c.phoneKey(t.Phone))
	switch {
	case err != nil:
		return err
	case busy && !t.Owed:
		return errPhoneBusy
	}
	return c.add(ctx, by, t, now)
}

func (c *Calls) add(ctx context.Context, by audit.Actor, t Task, now time.Time) error {
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
		ID: id, CitizenID: t.Citizen, RequestID: t.Request, Reasons: t.Reason, PhoneKey: c.phoneKey(t.Phone), TimeZone: zone.String(), Slot: slot,
	}
	if t.Owed {
		row.PhoneKey = c.phoneKey(row.ID) // it stands in nobody's way, and nobody in its
	}
	if row.Phone, err = c.seal.Encrypt([]byte(t.Phone), callPlace(row.ID)); err != nil {
		return fmt.Errorf("seal a number: %w", err)
	}
	row.window(c.hours.next(slot, zone, now, c.italy))
	row.DueAt.Time = c.deadline(now)
	if err := c.store.add(ctx, row); err != nil {
		return err
	}
	return c.audit.Record(ctx, row.event(audit.CallQueued, by, t.Reason))
}

// addReason adds a reason to a call that is owed already, and what waits for it.
func (c *Calls) addReason(ctx context.Context, by audit.Actor, open callRow, t Task) error {
	reasons := open.Reasons
	if !strings.Contains("\n"+reasons+"\n", "\n"+t.Reason+"\n") {
		reasons += "\n" + t.Reason
	}
	request := open.RequestID
	if t.Request != "" {
		request = t.Request
	}
	if err := c.store.append(ctx, open.ID, reasons, request); err != nil {
		return err
	}
	return c.audit.Record(ctx, open.event(audit.CallQueued, by, t.Reason))
}

// deadline is when a call asked for at a moment will have been made or given up.
func (c *Calls) deadline(since time.Time) time.Time {
	return c.hours.workingDays(c.policy.CallDays, since, c.italy)
}

func (c *Calls) phoneKey(phone string) []byte { return c.index.Of("phone/v1|" + phone)[0] }

// callPlace binds a sealed number to its row.
func callPlace(id string) []byte { return []byte("callbacks/phone/" + id) }

// List tells which calls are owed: those that are due first.
func (c *Calls) List(ctx context.Context) ([]Call, error) {
	rows, err := c.store.open(ctx)
	if err != nil {
		return nil, wrap("list calls", err)
	}
	list := make([]Call, 0, len(rows))
	for _, row := range rows {
		call, err := c.show(ctx, row, false)
		if err != nil {
			return nil, wrap("list calls", err)
		}
		list = append(list, call)
	}
	return list, nil
}

// show makes a Call of a row, masked unless the number is to be dialled.
func (c *Calls) show(ctx context.Context, row callRow, reveal bool) (Call, error) {
	who, err := c.citizens.ByID(ctx, row.CitizenID)
	if err != nil {
		return Call{}, err
	}
	phone, err := c.seal.Decrypt(row.Phone, callPlace(row.ID))
	if err != nil {
		return Call{}, fmt.Errorf("unseal the number of call %s: %w", row.ID, err)
	}
	zone, err := time.LoadLocation(row.TimeZone)
	if err != nil {
		zone = c.italy
	}
	call := Call{
		ID: row.ID, Citizen: row.CitizenID, Request: row.RequestID, Name: maskedName(who), Phone: maskNumber(string(phone)),
		Reasons: strings.Split(row.Reasons, "\n"), Slot: row.Slot, Zone: zone, Window: Window{row.NotBefore.Time, row.NotAfter.Time},
		State: row.State, Operator: row.Operator, Attempts: row.Attempts, CreatedAt: row.CreatedAt.Time, DueAt: row.DueAt.Time,
		HeldUntil: row.AssignedTill.Ptr(),
	}
	if reveal {
		call.Phone = string(phone)
	}
	if row.lapsed() { // before the sweep gets to it
		call.State, call.Operator, call.HeldUntil = CallQueued, "", nil
	}
	return call, nil
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
	if row.RequestID != "" {
		ev.Details["request"] = row.RequestID
	}
	return ev
}
