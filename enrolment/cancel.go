package enrolment

import (
	"context"
	"errors"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
)

// Cancel ends what somebody has asked for and has not got: the contact centre
// does so before it begins anew (R18). Halves that have left die with it.
// ErrUnknownRequest says that nothing is open.
func (q *Requests) Cancel(ctx context.Context, by audit.Actor, fc citizens.FiscalCode, reason string) error {
	who, known, err := q.citizens.Find(ctx, fc)
	if err != nil {
		return wrap("cancel a request", err)
	}
	if !known {
		return citizens.ErrUnknown
	}
	return q.cancelOf(ctx, by, who, reason)
}

// contestWithin is how long taking a request back may last.
const contestWithin = 10 * time.Second

// Contest takes back what is open in the name of somebody who says that it was
// not he. It does so once the caller's transaction has been committed, in its
// own: a worker may be at the request, and is not waited for inside.
func (q *Requests) Contest(ctx context.Context, id citizens.ID) {
	q.db.AfterCommit(ctx, func() { //nolint:contextcheck // the caller's context is that of a transaction that is over
		ctx, cancel := context.WithTimeout(context.Background(), contestWithin)
		defer cancel()
		if err := q.cancelOf(ctx, system, id, "reported by the holder"); err != nil && !errors.Is(err, ErrUnknownRequest) {
			q.log.ErrorContext(ctx, "take back a request that was reported", "error", err)
		}
	})
}

func (q *Requests) cancelOf(ctx context.Context, by audit.Actor, who citizens.ID, reason string) error {
	err := q.untilSettled(func() error {
		return q.inTx(ctx, func(ctx context.Context) error {
			r, found, err := q.store.openOf(ctx, who)
			if err != nil {
				return err
			}
			if !found {
				return ErrUnknownRequest
			}
			return q.cancel(ctx, by, r, reason)
		})
	})
	if errors.Is(err, ErrUnknownRequest) {
		return ErrUnknownRequest
	}
	return wrap("cancel a request", err)
}

// mostRaces is how often an end is tried anew because the request has moved
// under it. It has fewer states than that to move through.
const mostRaces = 12

// untilSettled tries again while somebody else is faster.
func (q *Requests) untilSettled(try func() error) error {
	err := errRace
	for range mostRaces {
		if err = try(); !errors.Is(err, errRace) {
			return err
		}
	}
	return err
}

// cancel ends an open request, and its call, and tells whoever was told of it.
// errRace says that it has moved meanwhile; nothing may then be kept.
func (q *Requests) cancel(ctx context.Context, by audit.Actor, r request, reason string) error {
	a, err := q.open(r)
	if err != nil {
		return err
	}
	if r.CredentialID != "" {
		if _, err := q.pins.Discard(ctx, by, r.CredentialID, reason); err != nil {
			return err
		}
	}
	moved, err := q.end(ctx, by, r, cancelled, reason)
	if err != nil {
		return err
	}
	if !moved {
		return errRace
	}
	if err := q.calls.drop(ctx, by, r); err != nil {
		return err
	}
	if err := q.tellCancelled(ctx, r, a.reply()); err != nil || r.CredentialID == "" {
		return err
	}
	who, err := q.citizens.ByID(ctx, r.CitizenID)
	if err != nil {
		return err
	}
	return q.tellOthers(ctx, who, a, NoticeWithdrawn)
}
