// Package credentials is the life of a PIN: made in two halves, handed over,
// changed at first access and again every few months, verified, suspended,
// revoked. It answers one question for everybody above it, whose PIN this is,
// and answers it so that a wrong PIN, an unknown person, a person who has to
// wait and a suspended one cannot be told apart.
//
// It owns the tables credentials, pin_changes, pin_stranger_tries,
// pin_procedures, pin_notices and installation. It stands on citizens (who), throttle (how often), delivery
// (how a half gets to its owner) and audit, and knows no page and no protocol;
// what must follow above it, the end of sessions and grants, is the function
// Deps.Ended.
package credentials

import (
	"errors"
	"fmt"
	"time"

	"ente.example/idp/citizens"
)

// ID names one PIN. It is no secret.
type ID string

// Kind is what a PIN entitles to. Services learn it as the claim pin_kind and
// decide for themselves what it opens (R12).
type Kind string

// The kinds.
const (
	Ordinario   Kind = "ordinario"
	Dispositivo Kind = "dispositivo"
)

// ParseKind reads a kind's name.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(s); k {
	case Ordinario, Dispositivo:
		return k, nil
	}
	return "", fmt.Errorf("no such kind of PIN: %q (ordinario, dispositivo)", s)
}

// State is where a PIN stands (pin-rules §2.1).
type State string

// The states that are told outside. ChangeDue, Suspended and Dismissed are
// derived when they are read: from the PIN's age, from an overlay that a
// resumption lifts, from what the registry says today.
const (
	None            State = "none"
	PendingDelivery State = "pending_delivery"
	Issued          State = "issued"
	Active          State = "active"
	ChangeDue       State = "change_due"
	Inactive        State = "inactive"
	Suspended       State = "suspended"
	Revoked         State = "revoked"
	ExpiredUnused   State = "expired_unused"
	Dismissed       State = "dismissed"
)

// Two more that a row can be in, and nobody is told: another PIN took its
// place, or it never reached its owner.
const (
	superseded State = "superseded"
	discarded  State = "discarded"
)

// form tells the posted PIN of 16 from the one in use.
type form string

const (
	initial form = "initial"
	working form = "working"
)

// origin is the procedure that a PIN comes from.
type origin string

const (
	enrolment origin = "enrolment"
	change    origin = "change"
)

// Reason says to Deps.Ended why what rests on a PIN must end.
type Reason string

// The reasons.
const (
	ReasonRevoked    Reason = "pin-revoked"
	ReasonSuspended  Reason = "pin-suspended"
	ReasonSuperseded Reason = "pin-superseded" // by a recovery; a change keeps everything
)

// ChangeReason says why a right PIN opens nothing but the change procedure.
type ChangeReason string

// The reasons for a forced change: R23 and R27.
const (
	FirstAccess ChangeReason = "first"
	TooOld      ChangeReason = "age"
)

// Verified is a right PIN. With MustChange it opens the change procedure and
// nothing else.
type Verified struct {
	Citizen    citizens.ID
	Credential ID
	Kind       Kind
	MustChange bool
	Reason     ChangeReason
	// PreviousAccess is the sign-in before this one; nil for the first.
	PreviousAccess *time.Time
}

// Status is what staff may know of somebody's PIN.
type Status struct {
	State        State
	Kind         Kind
	ChangedAt    *time.Time
	DueAt        *time.Time
	DismissalAt  *time.Time // when it ends, its owner being no longer eligible
	WaitingUntil *time.Time
}

// Refusals of a try. Which one it was beyond these is in the audit only.
var (
	// ErrRefused stands for a wrong PIN, an unknown person, a suspended,
	// revoked, excluded or not yet delivered PIN alike.
	ErrRefused = errors.New("codice fiscale or PIN refused")
	// ErrMalformed says that the input cannot be a PIN; it is no try.
	ErrMalformed = errors.New("a PIN has 8 or 16 characters, digits or A to F")
	// ErrNewMismatch says that the new PIN was copied wrongly; it is no try.
	ErrNewMismatch = errors.New("the new PIN was not copied as shown")
	// ErrOldWrong says that the old PIN was wrong; it counted.
	ErrOldWrong = errors.New("the old PIN is wrong")
	// ErrChangeExpired says that a change is over: too late, too many slips,
	// begun anew elsewhere, done or cancelled.
	ErrChangeExpired = errors.New("this change of PIN is over")
)

// WaitingError refuses a try because there have been too many wrong ones; also
// of people who do not exist (R33).
type WaitingError struct{ Until time.Time }

func (e *WaitingError) Error() string {
	return "too many wrong PINs: wait until " + e.Until.Format(time.RFC3339)
}

// BusyError says that more PINs are being verified than this node can. No try
// was counted.
type BusyError struct{ RetryAfter time.Duration }

func (e *BusyError) Error() string {
	return fmt.Sprintf("too many PINs are being verified: retry after %s", e.RetryAfter)
}

// Refusals of what staff ask for; each sentence is fit to be shown to them.
var (
	ErrNoContact    = errors.New("no contact for the first half: a mobile number, an e-mail or a PEC address is needed")
	ErrNoAddress    = errors.New("no postal address for the second half: street and locality are needed")
	ErrNoChannel    = errors.New("no channel is on for a contact of this person")
	ErrNoPost       = errors.New("the post is off: the second half cannot leave")
	ErrLive         = errors.New("there is a live PIN already: revoke it first")
	ErrPending      = errors.New("a PIN is on its way already: revoke it first")
	ErrNoPIN        = errors.New("there is no PIN that could be meant")
	ErrSuspended    = errors.New("the PIN is suspended already")
	ErrNotSuspended = errors.New("the PIN is not suspended")
	ErrNoReason     = errors.New("a reason is needed")
)

// IneligibleError says why a profile excludes a person.
type IneligibleError struct {
	Profile citizens.Eligibility
	Reason  string
}

func (e *IneligibleError) Error() string {
	return fmt.Sprintf("not eligible under IDP_ELIGIBILITY=%s: %s", e.Profile, e.Reason)
}
