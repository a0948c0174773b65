package credentials

import (
	"context"
	"fmt"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
)

// Hold says once more that a verified PIN still opens something, in the
// transaction that builds on it: between the verification and that transaction
// it may have been suspended or revoked, or its owner reported dead, which ends
// all that is there by then and cannot end what comes after. Holding the row
// orders the two: an end that arrives later waits, and finds what was built; one
// that arrived before is waited for, however long its import takes, and found.
//
// ErrRefused says that it came too late, in the same word as every refusal.
func (s *Service) Hold(ctx context.Context, v Verified) error {
	ok, err := s.store.hold(ctx, v.Credential)
	if err != nil {
		return fmt.Errorf("hold a PIN: %w", err)
	}
	if !ok {
		return ErrRefused
	}
	alive, err := s.citizens.Alive(ctx, v.Citizen)
	if err != nil {
		return fmt.Errorf("hold a PIN: %w", err)
	}
	if !alive {
		return ErrRefused
	}
	return nil
}

// HoldAll holds every PIN of a person until the caller's transaction is over,
// for a room above that writes its own rows about it: whoever asked for
// something with the PIN has written his before, or finds what this one writes.
func (s *Service) HoldAll(ctx context.Context, id citizens.ID) error {
	if err := s.store.holdOf(ctx, id); err != nil {
		return fmt.Errorf("hold the PINs of a person: %w", err)
	}
	return nil
}

// Bereave ends what rests on the PIN of somebody who has been reported dead, in
// the transaction that writes so. The PIN itself stays, for a report that turns
// out wrong; eligibility lets it open nothing.
func (s *Service) Bereave(ctx context.Context, id citizens.ID) error {
	err := s.dropProcedures(ctx, system, id, stepCancelled, recovery, revocation)
	if err == nil {
		err = s.store.holdOf(ctx, id)
	}
	if err == nil {
		err = s.end(ctx, id, ReasonDeceased)
	}
	if err != nil {
		return fmt.Errorf("end what a dead person's PIN had opened: %w", err)
	}
	return nil
}

// ReasonDeceased says that the owner of a PIN was reported dead.
const ReasonDeceased Reason = "deceased"

// hold changes nothing, and so writes no new version of the row. On SQLite the
// one writer holds everything.
func (s store) hold(ctx context.Context, id ID) (bool, error) {
	var one int
	return s.db.Writer(ctx).One(`SELECT 1 FROM credentials WHERE id = ? AND suspended_at IS NULL AND state = 'active'`+s.lock(),
		[]any{string(id)}, &one)
}

func (s store) holdOf(ctx context.Context, id citizens.ID) error {
	return s.db.Writer(ctx).All(`SELECT 1 FROM credentials WHERE citizen_id = ? AND ended_at IS NULL`+s.lock(),
		[]any{string(id)}, func(database.Row) error { return nil })
}

func (s store) lock() string {
	if s.db.Dialect() == database.Postgres {
		return " FOR NO KEY UPDATE"
	}
	return ""
}
