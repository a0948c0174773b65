package enrolment

import (
	"context"
	"errors"

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
	err = q.db.InTx(ctx, func(ctx context.Context) error {
		r, found, err := q.store.openOf(ctx, who)
		if err != nil {
			return err
		}
		if !found {
			return ErrUnknownRequest
		}
		return q.cancel(ctx, by, r, reason)
	})
	if errors.Is(err, ErrUnknownRequest) || errors.Is(err, errRace) {
		return ErrUnknownRequest
	}
	return wrap("cancel a request", err)
}

func (q *Requests) cancel(ctx context.Context, by audit.Actor, r request, reason string) error {
	if r.CredentialID != "" {
		if _, err := q.pins.Discard(ctx, by, r.CredentialID, reason); err != nil {
			return err
		}
	}
	if err := q.finish(ctx, by, r, cancelled, reason); err != nil {
		return err
	}
	return q.calls.drop(ctx, by, r)
}
