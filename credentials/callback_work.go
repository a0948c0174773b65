package credentials

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
)

// AssignCall gives a call to whoever asks: the one named, or without an id the
// one that has been due longest. It is that operator's for half an hour; the
// number is shown to nobody else. A call that is named may be taken at any
// time: the person may be on the line already.
//
// ErrNoCall, ErrNothingDue, ErrCallTaken, ErrOwnIdentity.
func (e *Enrolments) AssignCall(ctx context.Context, by audit.Actor, id string) (Callback, error) {
	var taken callRow
	err := e.inTx(ctx, func(ctx context.Context) (err error) {
		if id == "" {
			id, err = e.store.nextCall(ctx)
			if err == nil && id == "" {
				return ErrNothingDue
			}
		}
		if err != nil {
			return err
		}
		taken, err = e.take(ctx, by, id)
		return err
	})
	for _, refusal := range []error{ErrNoCall, ErrNothingDue, ErrCallTaken, ErrOwnIdentity} {
		if errors.Is(err, refusal) {
			return Callback{}, refusal
		}
	}
	if err != nil {
		return Callback{}, wrap("take a call", err)
	}
	c, err := e.callback(ctx, taken, true)
	return c, wrap("take a call", err)
}

// take leads the request along, which is written first, as everywhere.
func (e *Enrolments) take(ctx context.Context, by audit.Actor, id string) (callRow, error) {
	row, found, err := e.store.call(ctx, id)
	switch {
	case err != nil:
		return row, err
	case !found || row.State == CallClosed:
		return row, ErrNoCall
	case row.State == CallAssigned && !row.lapsed() && row.Operator != by.ID:
		return row, ErrCallTaken
	case row.IdentityFailures >= e.policy.IdentityTries && row.NotBefore.After(row.Now.Time):
		return row, ErrOwnIdentity
	}
	if err := e.lead(ctx, row, RequestCalling, ""); err != nil {
		return row, err
	}
	taken, ok, err := e.store.assignCall(ctx, row, by.ID, e.policy.CallLease)
	if err != nil {
		return row, err
	}
	if !ok {
		return row, ErrCallTaken
	}
	return taken, e.pins.audit.Record(ctx, taken.event(audit.CallAssigned, by, ""))
}

// lead moves the request that a call is about.
func (e *Enrolments) lead(ctx context.Context, row callRow, to EnrolmentState, why string) error {
	if row.EnrolmentID == "" {
		return nil
	}
	r, found, err := e.store.byID(ctx, row.EnrolmentID)
	if err != nil || !found || r.State == to {
		return err
	}
	if why == "" {
		why = r.Reason
	}
	return e.advance(ctx, r, to, map[string]any{"reason": why})
}

// CloseCall says how an attempt ended. To approve or reject is the operator's
// alone, after the questions about identity, which use the archive's data and
// never the request's. Approved, the request goes on by itself: the first half
// to the contact that was proved, the second to the archive's address.
//
// ErrNotYours, ErrNoReason, and why an approved person can get no PIN:
// *IneligibleError, ErrLive, ErrPending, ErrNoAddress, ErrNoPost.
func (e *Enrolments) CloseCall(ctx context.Context, by audit.Actor, id string, how CallOutcome, note string) error {
	if !slices.Contains(CallOutcomes(), how) {
		return fmt.Errorf("no such outcome: %q", string(how))
	}
	if how == CallRejected && strings.TrimSpace(note) == "" {
		return ErrNoReason
	}
	row, err := e.yours(ctx, by, id)
	if err != nil {
		return err
	}
	if how == CallApproved && row.EnrolmentID != "" {
		if err := e.issuable(ctx, row); err != nil {
			return err
		}
	}
	err = e.inTx(ctx, func(ctx context.Context) error { return e.conclude(ctx, by, row, how, note) })
	if errors.Is(err, errRace) {
		return ErrNotYours
	}
	return wrap("close a call", err)
}

func (e *Enrolments) yours(ctx context.Context, by audit.Actor, id string) (callRow, error) {
	row, found, err := e.store.call(ctx, id)
	switch {
	case err != nil:
		return row, wrap("close a call", err)
	case !found || row.State == CallClosed:
		return row, ErrNoCall
	case row.State != CallAssigned || row.lapsed() || row.Operator != by.ID:
		return row, ErrNotYours
	}
	return row, nil
}

// issuable tells the operator at once what would make the approval vain.
func (e *Enrolments) issuable(ctx context.Context, row callRow) error {
	who, err := e.pins.citizens.ByID(ctx, row.CitizenID)
	if err != nil {
		return wrap("approve a request", err)
	}
	if err := e.settle(ctx, who.ID); err != nil {
		return wrap("approve a request", err)
	}
	if reason, excluded := e.pins.eligibility.Excludes(who, nil, row.Now.Time); excluded {
		return &IneligibleError{Profile: e.pins.eligibility, Reason: reason}
	}
	live, pending, err := e.pins.store.holding(ctx, who.ID)
	switch {
	case err != nil:
		return wrap("approve a request", err)
	case live:
		return ErrLive
	case pending:
		return ErrPending
	}
	if who.Residence, err = e.archive.Residence(ctx, who.ID); err != nil {
		return fmt.Errorf("%w (%w)", ErrArchiveAway, err)
	}
	_, err = e.pins.secondHalf(who)
	return err
}

func (e *Enrolments) conclude(ctx context.Context, by audit.Actor, row callRow, how CallOutcome, note string) error {
	switch how {
	case CallApproved:
		return e.approveCall(ctx, by, row)
	case CallRejected:
		return e.rejectCall(ctx, by, row, note)
	case IdentityFailed:
		row.IdentityFailures++
		pause := time.Duration(0)
		if row.IdentityFailures >= e.policy.IdentityTries {
			pause = e.policy.IdentityPause
		}
		return e.requeue(ctx, by, row, how, pause)
	default:
		row.Attempts++
		if row.Attempts >= e.policy.CallAttempts {
			return e.unreachable(ctx, by, row, callUnreachable)
		}
		const anotherTime = 3 * time.Hour
		return e.requeue(ctx, by, row, how, anotherTime)
	}
}

func (e *Enrolments) approveCall(ctx context.Context, by audit.Actor, row callRow) error {
	if row.EnrolmentID != "" {
		r, found, err := e.store.byID(ctx, row.EnrolmentID)
		if err != nil || !found {
			return errors.Join(err, errRace)
		}
		moved, err := e.store.move(ctx, r, RequestChecking, map[string]any{
			"vouched": true, "checks": 0, "next_at": e.pins.db.NowExpr(), "due_at": e.pins.db.NowPlus(e.policy.Patience), "reason": "",
		})
		if err != nil || !moved {
			return errors.Join(err, errRace)
		}
		r.State = RequestChecking
		e.pins.db.AfterCommit(ctx, e.nudge)
		if err := e.pins.audit.Record(ctx, r.event(audit.RequestVouched, by, "")); err != nil {
			return err
		}
	}
	return e.endCall(ctx, by, row, CallApproved, "")
}

func (e *Enrolments) rejectCall(ctx context.Context, by audit.Actor, row callRow, note string) error {
	if row.EnrolmentID != "" {
		r, found, err := e.store.byID(ctx, row.EnrolmentID)
		if err != nil {
			return err
		}
		if found && !r.State.final() {
			if err := e.finish(ctx, by, r, RequestRejected, "rejected by the contact centre"); err != nil {
				return err
			}
		}
	}
	return e.endCall(ctx, by, row, CallRejected, note)
}

// requeue puts a call back: for another time of day after an attempt in vain.
func (e *Enrolments) requeue(ctx context.Context, by audit.Actor, row callRow, how CallOutcome, pause time.Duration) error {
	zone, err := time.LoadLocation(row.TimeZone)
	if err != nil {
		zone = e.pins.italy
	}
	if err := e.lead(ctx, row, RequestCallQueued, ""); err != nil {
		return err
	}
	slot := row.Slot
	if row.Attempts > 0 {
		slot = AnyTime
	}
	row.window(e.hours.next(slot, zone, row.Now.Add(pause), e.pins.italy))
	ok, err := e.store.requeueCall(ctx, row)
	if err != nil {
		return err
	}
	if !ok {
		return errRace
	}
	ev := row.event(audit.CallAttempted, by, string(how))
	ev.Outcome = audit.Refused
	ev.Details["attempts"] = fmt.Sprint(row.Attempts)
	return e.pins.audit.Record(ctx, ev)
}

// unreachable gives a call up, and with it the request, with a word to the
// contact that was proved (R15).
func (e *Enrolments) unreachable(ctx context.Context, by audit.Actor, row callRow, how CallOutcome) error {
	if row.EnrolmentID != "" {
		r, found, err := e.store.byID(ctx, row.EnrolmentID)
		if err != nil {
			return err
		}
		if found && (r.State == RequestCallQueued || r.State == RequestCalling) {
			if err := e.expire(ctx, r, string(how)); err != nil {
				return err
			}
		}
	}
	return e.endCall(ctx, by, row, how, "")
}

func (e *Enrolments) endCall(ctx context.Context, by audit.Actor, row callRow, how CallOutcome, note string) error {
	ok, err := e.store.endCall(ctx, row, how)
	if err != nil {
		return err
	}
	if !ok {
		return errRace
	}
	ev := row.event(audit.CallClosed, by, strings.TrimSpace(string(how)+" "+note))
	if how != CallApproved {
		ev.Outcome = audit.Refused
	}
	return e.pins.audit.Record(ctx, ev)
}

// cancelCallOf closes the call about a request that is over.
func (e *Enrolments) cancelCallOf(ctx context.Context, by audit.Actor, r enrolmentRow) error {
	row, found, err := e.store.callOf(ctx, r.CitizenID)
	if err != nil || !found || row.EnrolmentID != r.ID {
		return err
	}
	return e.endCall(ctx, by, row, callCancelled, "")
}

// Cancel ends what somebody has asked for and has not got: the contact centre
// does so before it begins anew (R18). Halves that have left die with it.
// ErrUnknownRequest says that nothing is open.
func (e *Enrolments) Cancel(ctx context.Context, by audit.Actor, fc citizens.FiscalCode, reason string) error {
	who, known, err := e.pins.citizens.Find(ctx, fc)
	if err != nil {
		return wrap("cancel a request", err)
	}
	if !known {
		return citizens.ErrUnknown
	}
	err = e.inTx(ctx, func(ctx context.Context) error {
		r, found, err := e.store.openOf(ctx, who)
		if err != nil {
			return err
		}
		if !found {
			return ErrUnknownRequest
		}
		return e.cancel(ctx, by, r, reason)
	})
	if errors.Is(err, ErrUnknownRequest) || errors.Is(err, errRace) {
		return ErrUnknownRequest
	}
	return wrap("cancel a request", err)
}

func (e *Enrolments) cancel(ctx context.Context, by audit.Actor, r enrolmentRow, reason string) error {
	if r.CredentialID != "" {
		if err := e.pins.outbox.Cancel(ctx, string(r.CredentialID)); err != nil {
			return err
		}
		list, err := e.pins.store.void(ctx, r.CredentialID, reason)
		if err != nil {
			return err
		}
		if err := e.pins.audit.Record(ctx, events(audit.PINDiscarded, list, reason)...); len(list) > 0 && err != nil {
			return err
		}
	}
	if err := e.finish(ctx, by, r, RequestCancelled, reason); err != nil {
		return err
	}
	return e.cancelCallOf(ctx, by, r)
}

// sweepCalls takes assignments back that nobody worked off, and gives calls up
// whose days are over.
func (e *Enrolments) sweepCalls(ctx context.Context) (more bool, err error) {
	list, err := e.store.staleCalls(ctx)
	if err != nil {
		return false, err
	}
	for _, row := range list {
		err := e.inTx(ctx, func(ctx context.Context) error {
			if !row.DueAt.After(row.Now.Time) {
				return e.unreachable(ctx, system, row, callExpired)
			}
			return e.release(ctx, row)
		})
		if err != nil && !errors.Is(err, errRace) {
			return false, err
		}
	}
	return len(list) == batch, nil
}

// release takes a call back from whoever let it lie.
func (e *Enrolments) release(ctx context.Context, row callRow) error {
	if err := e.lead(ctx, row, RequestCallQueued, ""); err != nil {
		return err
	}
	ok, err := e.store.requeueCall(ctx, row)
	if err != nil {
		return err
	}
	if !ok {
		return errRace
	}
	return e.pins.audit.Record(ctx, row.event(audit.CallReleased, system, ""))
}
