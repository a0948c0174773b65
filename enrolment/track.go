package enrolment

import (
	"context"
	"errors"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
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
	// MayWithdraw says that the request can be taken back.
	MayWithdraw bool
}

// ErrUnknownRequest says that tracking code and codice fiscale name no request,
// whichever of them is wrong.
var ErrUnknownRequest = errors.New("no such request")

// Track tells how far a request is. ErrUnknownRequest for everything else.
func (q *Requests) Track(ctx context.Context, tracking credentials.Code, fc citizens.FiscalCode) (Tracked, error) {
	r, found, err := q.store.tracked(ctx, q.trackingKeys(tracking), q.citizens.FiscalCodeKey(fc))
	if err != nil {
		return Tracked{}, wrap("follow a request", err)
	}
	if !found {
		return Tracked{}, ErrUnknownRequest
	}
	t := Tracked{
		Progress: q.progress(r), MayWithdraw: q.withdrawable(r), RequestedAt: r.CreatedAt.Time,
		FirstHalfAt: r.FirstHalfAt.Ptr(), SecondHalfAt: r.SecondHalfAt.Ptr(), PostedAt: r.PostedAt.Ptr(),
	}
	if late, ok, err := q.late(ctx, r); err != nil {
		return Tracked{}, wrap("follow a request", err)
	} else if ok {
		t.LateAt, t.MayReissue = &late, !late.After(r.Now.Time)
	}
	return t, nil
}

func (q *Requests) progress(r request) Progress {
	switch r.State {
	case submitted:
		if r.DueAt.After(r.Now.Time) {
			return ProgressToProve
		}
		return ProgressClosed
	case checking, callQueued, calling:
		return ProgressProcessing
	case approved:
		return ProgressPreparing
	case part1Sent:
		return ProgressPart1
	case part2Handed:
		return ProgressPart2
	case part2Posted:
		return ProgressPosted
	case completed:
		return ProgressDone
	case rejected:
		if r.WithdrawnAt.IsZero() && q.calls.deadline(r.EndedAt.Time).After(r.Now.Time) {
			return ProgressProcessing
		}
	case expired, cancelled:
	}
	return ProgressClosed
}

// late is when the letter of a request should have arrived.
func (q *Requests) late(ctx context.Context, r request) (time.Time, bool, error) {
	if r.State != part2Handed && r.State != part2Posted {
		return time.Time{}, false, nil
	}
	pin, err := q.fate(ctx, r.CredentialID)
	if err != nil || pin.Stage != credentials.StageWaiting {
		return time.Time{}, false, err
	}
	who, err := q.citizens.ByID(ctx, r.CitizenID)
	if err != nil {
		return time.Time{}, false, err
	}
	sent := r.SecondHalfAt.Time
	if !r.PostedAt.IsZero() {
		sent = r.PostedAt.Time
	}
	return sent.Add(q.policy.postal(who.Residence)), true, nil
}

// NotArrived is "non mi è arrivata" (R20). No half is sent again, because
// nobody has a readable copy: both die, and two new ones are made, once by
// themselves, and after a call the next time. Pressed twice it does so once.
//
// ErrUnknownRequest stands for everything that is not a letter too late.
func (q *Requests) NotArrived(ctx context.Context, by audit.Actor, tracking credentials.Code, fc citizens.FiscalCode) error {
	r, found, err := q.store.tracked(ctx, q.trackingKeys(tracking), q.citizens.FiscalCodeKey(fc))
	if err != nil {
		return wrap("re-issue a PIN", err)
	}
	late, ok, err := q.late(ctx, r)
	if err != nil {
		return wrap("re-issue a PIN", err)
	}
	if !found || !ok || late.After(r.Now.Time) {
		return ErrUnknownRequest
	}
	err = q.inTx(ctx, func(ctx context.Context) error { return q.reissue(ctx, by, r) })
	if errors.Is(err, errRace) {
		return ErrUnknownRequest // used meanwhile, or asked for twice
	}
	return wrap("re-issue a PIN", err)
}

func (q *Requests) reissue(ctx context.Context, by audit.Actor, r request) error {
	if r.Reissues >= q.policy.Reissues {
		return q.lose(ctx, r.CredentialID, whyNotArrived)
	}
	taken, err := q.pins.Discard(ctx, by, r.CredentialID, "not arrived")
	if err != nil {
		return err
	}
	if !taken {
		return errRace
	}
	// who was approved once need not be called again, if the archive still agrees
	moved, err := q.store.move(ctx, r, checking, map[string]any{
		"next_at": q.db.NowExpr(), "due_at": q.db.NowPlus(q.policy.Patience), "checks": 0,
		"reissues": r.Reissues + 1, "credential_id": nil, "first_half_at": nil, "second_half_at": nil, "posted_at": nil,
	})
	if err != nil {
		return err
	}
	if !moved {
		return errRace
	}
	r.State = checking
	q.db.AfterCommit(ctx, q.nudge)
	return q.audit.Record(ctx, r.event(audit.RequestReissued, by, "not arrived"))
}
