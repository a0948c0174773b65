package enrolment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/credentials"
)

// Assign gives a call to whoever asks: the one named, or without an id the
// one that has been due longest. It is that operator's for half an hour; the
// number is shown to nobody else. A call that is named may be taken at any
// time: the person may be on the line already.
//
// ErrNoCall, ErrNothingDue, ErrCallTaken, ErrOwnIdentity.
func (c *Calls) Assign(ctx context.Context, by audit.Actor, id string) (Call, error) {
	var taken callRow
	err := c.db.InTx(ctx, func(ctx context.Context) (err error) {
		if id == "" {
			id, err = c.store.next(ctx)
			if err == nil && id == "" {
				return ErrNothingDue
			}
		}
		if err != nil {
			return err
		}
		taken, err = c.take(ctx, by, id)
		return err
	})
	for _, refusal := range []error{ErrNoCall, ErrNothingDue, ErrCallTaken, ErrOwnIdentity} {
		if errors.Is(err, refusal) {
			return Call{}, refusal
		}
	}
	if err != nil {
		return Call{}, wrap("take a call", err)
	}
	call, err := c.show(ctx, taken, true)
	return call, wrap("take a call", err)
}

// take leads the request along, which is written first, as everywhere.
func (c *Calls) take(ctx context.Context, by audit.Actor, id string) (callRow, error) {
	row, found, err := c.store.byID(ctx, id)
	switch {
	case err != nil:
		return row, err
	case !found || row.State == CallClosed:
		return row, ErrNoCall
	case row.State == CallAssigned && !row.lapsed() && row.Operator != by.ID:
		return row, ErrCallTaken
	case row.IdentityFailures >= c.policy.IdentityTries && row.NotBefore.After(row.Now.Time):
		return row, ErrOwnIdentity
	}
	if err := c.requests.lead(ctx, row.RequestID, calling); err != nil {
		return row, err
	}
	taken, ok, err := c.store.assign(ctx, row, by.ID, c.policy.CallLease)
	if err != nil {
		return row, err
	}
	if !ok {
		return row, ErrCallTaken
	}
	return taken, c.audit.Record(ctx, taken.event(audit.CallAssigned, by, ""))
}

// Close says how an attempt ended. To approve or reject is the operator's
// alone, after the questions about identity, which use the archive's data and
// never the request's. Approved, the request goes on by itself: the first half
// to the contact that was proved, the second to the archive's address.
//
// ErrNotYours, credentials.ErrNoReason, and why an approved person can get no PIN:
// *credentials.IneligibleError, credentials.ErrLive, credentials.ErrPending, credentials.ErrNoAddress, credentials.ErrNoPost.
func (c *Calls) Close(ctx context.Context, by audit.Actor, id string, how CallOutcome, note string) error {
	if !slices.Contains(CallOutcomes(), how) {
		return fmt.Errorf("no such outcome: %q", string(how))
	}
	if how == CallRejected && strings.TrimSpace(note) == "" {
		return credentials.ErrNoReason
	}
	row, err := c.yours(ctx, by, id)
	if err != nil {
		return err
	}
	if how == CallApproved && row.RequestID != "" {
		if err := c.requests.issuable(ctx, row.CitizenID); err != nil {
			return err
		}
	}
	err = c.db.InTx(ctx, func(ctx context.Context) error { return c.conclude(ctx, by, row, how, note) })
	if errors.Is(err, errRace) {
		return ErrNotYours
	}
	return wrap("close a call", err)
}

func (c *Calls) yours(ctx context.Context, by audit.Actor, id string) (callRow, error) {
	row, found, err := c.store.byID(ctx, id)
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

func (c *Calls) conclude(ctx context.Context, by audit.Actor, row callRow, how CallOutcome, note string) error {
	switch how {
	case CallApproved:
		if err := c.requests.vouch(ctx, by, row.RequestID); err != nil {
			return err
		}
		return c.end(ctx, by, row, how, "")
	case CallRejected:
		if err := c.requests.turnDown(ctx, by, row.RequestID); err != nil {
			return err
		}
		return c.end(ctx, by, row, how, note)
	case IdentityFailed:
		row.IdentityFailures++
		pause := time.Duration(0)
		if row.IdentityFailures >= c.policy.IdentityTries {
			pause = c.policy.IdentityPause
		}
		return c.requeue(ctx, by, row, how, pause)
	default:
		row.Attempts++
		if row.Attempts >= c.policy.CallAttempts {
			return c.unreachable(ctx, by, row, callUnreachable)
		}
		const anotherTime = 3 * time.Hour
		return c.requeue(ctx, by, row, how, anotherTime)
	}
}

// requeue puts a call back: for another time of day after an attempt in vain.
func (c *Calls) requeue(ctx context.Context, by audit.Actor, row callRow, how CallOutcome, pause time.Duration) error {
	zone, err := time.LoadLocation(row.TimeZone)
	if err != nil {
		zone = c.italy
	}
	if err := c.requests.lead(ctx, row.RequestID, callQueued); err != nil {
		return err
	}
	slot := row.Slot
	if row.Attempts > 0 {
		slot = AnyTime
	}
	row.window(c.hours.next(slot, zone, row.Now.Add(pause), c.italy))
	ok, err := c.store.requeue(ctx, row)
	if err != nil {
		return err
	}
	if !ok {
		return errRace
	}
	ev := row.event(audit.CallAttempted, by, string(how))
	ev.Outcome = audit.Refused
	ev.Details["attempts"] = fmt.Sprint(row.Attempts)
	return c.audit.Record(ctx, ev)
}

// unreachable gives a call up, and with it the request (R15).
func (c *Calls) unreachable(ctx context.Context, by audit.Actor, row callRow, how CallOutcome) error {
	if err := c.requests.unreached(ctx, row.RequestID, string(how)); err != nil {
		return err
	}
	return c.end(ctx, by, row, how, "")
}

func (c *Calls) end(ctx context.Context, by audit.Actor, row callRow, how CallOutcome, note string) error {
	ok, err := c.store.end(ctx, row, how)
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
	return c.audit.Record(ctx, ev)
}

// drop closes the call about a request that is over.
func (c *Calls) drop(ctx context.Context, by audit.Actor, r request) error {
	if r.CitizenID == "" {
		return nil // nobody has looked whose it is
	}
	row, found, err := c.store.of(ctx, r.CitizenID)
	if err != nil || !found || row.RequestID != r.ID {
		return err
	}
	return c.end(ctx, by, row, callCancelled, "")
}

// sweep takes assignments back that nobody worked off, and gives calls up
// whose days are over.
func (c *Calls) sweep(ctx context.Context) (more bool, err error) {
	list, err := c.store.stale(ctx)
	if err != nil {
		return false, err
	}
	for _, row := range list {
		err := c.db.InTx(ctx, func(ctx context.Context) error {
			if !row.DueAt.After(row.Now.Time) {
				return c.unreachable(ctx, system, row, callExpired)
			}
			return c.release(ctx, row)
		})
		if err != nil && !errors.Is(err, errRace) {
			return false, err
		}
	}
	return len(list) == batch, nil
}

// release takes a call back from whoever let it lie.
func (c *Calls) release(ctx context.Context, row callRow) error {
	if err := c.requests.lead(ctx, row.RequestID, callQueued); err != nil {
		return err
	}
	ok, err := c.store.requeue(ctx, row)
	if err != nil {
		return err
	}
	if !ok {
		return errRace
	}
	return c.audit.Record(ctx, row.event(audit.CallReleased, system, ""))
}

func (c *Calls) sweepRows(ctx context.Context) (more bool, err error) {
	n, err := c.store.purge(ctx)
	return n == batch, err
}
