package credentials

import (
	"context"
	"errors"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
)

// Progress is how far a request is, as whoever holds its tracking code may know
// (R20).
type Progress string

// How far. Rejected requests look like those that somebody has to call about,
// for as long as a call would take: who has a PIN is nobody's business.
const (
	ProgressToProve    Progress = "to-prove"
	ProgressProcessing Progress = "processing"
	ProgressPreparing  Progress = "preparing" // the halves leave
	ProgressPart1      Progress = "part-1"
	ProgressPart2      Progress = "part-2" // with the print service
	ProgressPosted     Progress = "posted"
	ProgressDone       Progress = "done"
	ProgressClosed     Progress = "closed"
)

// Tracked is a request as the status page shows it.
type Tracked struct {
	Progress     Progress
	RequestedAt  time.Time
	FirstHalfAt  *time.Time
	SecondHalfAt *time.Time
	PostedAt     *time.Time
	// LateAt is when the letter should have arrived; from then on NotArrived
	// helps, and MayReissue says so.
	LateAt     *time.Time
	MayReissue bool
}

// ErrUnknownRequest says that tracking code and codice fiscale name no request,
// whichever of them is wrong.
var ErrUnknownRequest = errors.New("no such request")

// Track tells how far a request is. ErrUnknownRequest for everything else.
func (e *Enrolments) Track(ctx context.Context, tracking Code, fc citizens.FiscalCode) (Tracked, error) {
	r, found, err := e.store.tracked(ctx, e.trackingKeys(tracking), e.pins.citizens.FiscalCodeKey(fc))
	if err != nil {
		return Tracked{}, wrap("follow a request", err)
	}
	if !found {
		return Tracked{}, ErrUnknownRequest
	}
	t := Tracked{
		Progress: e.progress(r), RequestedAt: r.CreatedAt.Time,
		FirstHalfAt: r.FirstHalfAt.Ptr(), SecondHalfAt: r.SecondHalfAt.Ptr(), PostedAt: r.PostedAt.Ptr(),
	}
	if late, ok, err := e.late(ctx, r); err != nil {
		return Tracked{}, wrap("follow a request", err)
	} else if ok {
		t.LateAt, t.MayReissue = &late, !late.After(r.Now.Time)
	}
	return t, nil
}

func (e *Enrolments) progress(r enrolmentRow) Progress {
	switch r.State {
	case RequestSubmitted:
		if r.DueAt.After(r.Now.Time) {
			return ProgressToProve
		}
		return ProgressClosed
	case RequestChecking, RequestCallQueued, RequestCalling:
		return ProgressProcessing
	case RequestApproved:
		return ProgressPreparing
	case RequestPart1Sent:
		return ProgressPart1
	case RequestPart2Handed:
		return ProgressPart2
	case RequestPart2Posted:
		return ProgressPosted
	case RequestCompleted:
		return ProgressDone
	case RequestRejected:
		if e.until(r.EndedAt.Time).After(r.Now.Time) {
			return ProgressProcessing
		}
	case RequestExpired, RequestCancelled:
	}
	return ProgressClosed
}

// late is when the letter of a request should have arrived.
func (e *Enrolments) late(ctx context.Context, r enrolmentRow) (time.Time, bool, error) {
	if r.State != RequestPart2Handed && r.State != RequestPart2Posted {
		return time.Time{}, false, nil
	}
	c, found, err := e.pins.store.byID(ctx, r.CredentialID)
	if err != nil || !found || c.State != Issued {
		return time.Time{}, false, err
	}
	who, err := e.pins.citizens.ByID(ctx, r.CitizenID)
	if err != nil {
		return time.Time{}, false, err
	}
	sent := r.SecondHalfAt.Time
	if !r.PostedAt.IsZero() {
		sent = r.PostedAt.Time
	}
	return sent.Add(e.policy.postal(who.Residence)), true, nil
}

// NotArrived is "non mi è arrivata" (R20). No half is sent again, because
// nobody has a readable copy: both die, and two new ones are made, once by
// themselves, then after a call. Pressed twice it does so once.
//
// ErrUnknownRequest stands for everything that is not a letter too late.
func (e *Enrolments) NotArrived(ctx context.Context, by audit.Actor, tracking Code, fc citizens.FiscalCode) error {
	r, found, err := e.store.tracked(ctx, e.trackingKeys(tracking), e.pins.citizens.FiscalCodeKey(fc))
	if err != nil {
		return wrap("re-issue a PIN", err)
	}
	late, ok, err := e.late(ctx, r)
	if err != nil {
		return wrap("re-issue a PIN", err)
	}
	if !found || !ok || late.After(r.Now.Time) {
		return ErrUnknownRequest
	}
	err = e.inTx(ctx, func(ctx context.Context) error { return e.reissue(ctx, by, r) })
	if errors.Is(err, errRace) {
		return ErrUnknownRequest // used meanwhile, or asked for twice
	}
	return wrap("re-issue a PIN", err)
}

func (e *Enrolments) reissue(ctx context.Context, by audit.Actor, r enrolmentRow) error {
	if r.Reissues >= e.policy.Reissues {
		return e.lose(ctx, r.CredentialID, whyNotArrived)
	}
	if err := e.pins.outbox.Cancel(ctx, string(r.CredentialID)); err != nil {
		return err
	}
	list, err := e.pins.store.void(ctx, r.CredentialID, "not arrived")
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errRace
	}
	if err := e.pins.store.endChangesOf(ctx, r.CitizenID); err != nil {
		return err
	}
	if err := e.pins.audit.Record(ctx, events(audit.PINDiscarded, list, "not arrived")...); err != nil {
		return err
	}
	// who was approved once need not be called again, if the archive still agrees
	moved, err := e.store.move(ctx, r, RequestChecking, map[string]any{
		"next_at": e.pins.db.NowExpr(), "due_at": e.pins.db.NowPlus(e.policy.Patience), "checks": 0,
		"reissues": r.Reissues + 1, "credential_id": nil, "first_half_at": nil, "second_half_at": nil, "posted_at": nil,
	})
	if err != nil {
		return err
	}
	if !moved {
		return errRace
	}
	r.State = RequestChecking
	e.pins.db.AfterCommit(ctx, e.nudge)
	return e.pins.audit.Record(ctx, r.event(audit.RequestReissued, by, "not arrived"))
}
