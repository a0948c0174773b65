package enrolment

import (
	"context"
	"errors"
	"fmt"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
)

// What a call comes to for the request that it is about. Calls asks for each of
// these in its own transaction; a call about no request, whose id is empty, asks
// for nothing.

// lead takes a request to the state of its call: calling, or queued again.
func (q *Requests) lead(ctx context.Context, id string, to state) error {
	r, found, err := q.about(ctx, id)
	if err != nil || !found || r.State == to {
		return err
	}
	return q.advance(ctx, r, to, map[string]any{"reason": r.Reason})
}

func (q *Requests) about(ctx context.Context, id string) (request, bool, error) {
	if id == "" {
		return request{}, false, nil
	}
	return q.store.byID(ctx, id)
}

// vouch has a request looked at again whose applicant has been identified.
func (q *Requests) vouch(ctx context.Context, by audit.Actor, id string) error {
	if id == "" {
		return nil
	}
	r, found, err := q.store.byID(ctx, id)
	if err != nil || !found {
		return errors.Join(err, errRace)
	}
	moved, err := q.store.move(ctx, r, checking, map[string]any{
		"vouched": true, "checks": 0, "next_at": q.db.NowExpr(), "due_at": q.db.NowPlus(q.policy.Patience), "reason": "",
	})
	if err != nil || !moved {
		return errors.Join(err, errRace)
	}
	r.State = checking
	q.db.AfterCommit(ctx, q.nudge)
	return q.audit.Record(ctx, r.event(audit.RequestVouched, by, ""))
}

// turnDown ends a request that an operator has rejected.
func (q *Requests) turnDown(ctx context.Context, by audit.Actor, id string) error {
	r, found, err := q.about(ctx, id)
	if err != nil || !found || r.State.final() {
		return err
	}
	return q.finish(ctx, by, r, rejected, "rejected by the contact centre")
}

// unreached ends a request whose applicant nobody could speak to, with a word to
// the contact that was proved (R15).
func (q *Requests) unreached(ctx context.Context, id, why string) error {
	r, found, err := q.about(ctx, id)
	if err != nil || !found || r.State != callQueued && r.State != calling {
		return err
	}
	return q.expire(ctx, r, why)
}

// issuable tells an operator at once what would make the approval vain.
func (q *Requests) issuable(ctx context.Context, id citizens.ID) error {
	who, err := q.citizens.ByID(ctx, id)
	if err != nil {
		return wrap("approve a request", err)
	}
	if err := q.settle(ctx, who.ID); err != nil {
		return wrap("approve a request", err)
	}
	now, err := q.db.Now(ctx)
	if err != nil {
		return wrap("approve a request", err)
	}
	profile := q.pins.Eligibility()
	if reason, excluded := profile.Excludes(who, nil, now); excluded {
		return &credentials.IneligibleError{Profile: profile, Reason: reason}
	}
	live, pending, err := q.pins.Holding(ctx, who.ID)
	switch {
	case err != nil:
		return wrap("approve a request", err)
	case live:
		return credentials.ErrLive
	case pending:
		return credentials.ErrPending
	}
	if who.Residence, err = q.archive.Residence(ctx, who.ID); err != nil {
		return fmt.Errorf("%w (%w)", ErrArchiveAway, err)
	}
	return q.pins.Postable(who)
}
