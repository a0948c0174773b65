package credentials

import (
	"context"
	"errors"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
)

// finishProcedure ends a request that stands at the step it was read at. It is
// false when somebody else has moved it meanwhile.
func (s *Service) finishProcedure(ctx context.Context, by audit.Actor, p procedure, to step) (bool, error) {
	ok, err := s.store.endProcedure(ctx, p, to, s.policy.Procedures.Keep)
	if err != nil || !ok {
		return ok, err
	}
	e := p.event(audit.ProcedureEnded, by, string(to))
	if to != stepCompleted {
		e.Outcome = audit.Refused
	}
	return true, s.audit.Record(ctx, e)
}

// errRace rolls a transaction back that met another one's work; the next
// attempt sees it.
var errRace = errors.New("a request has been moved by somebody else")

// dropProcedures ends what a person has open of these kinds. Parts of a new PIN
// that have not both left die with it; the PIN in use is not touched.
//
// Everybody who ends deliveries, PINs and requests together does so in this
// order, which is the order of a hand-over: nobody waits for each other.
func (s *Service) dropProcedures(ctx context.Context, by audit.Actor, who citizens.ID, to step, kinds ...procedureKind) error {
	for range 5 {
		open, err := s.store.openProcedures(ctx, who, kinds)
		if err != nil {
			return err
		}
		raced := false
		for _, p := range open {
			if err := s.dropParts(ctx, p, string(to)); err != nil {
				return err
			}
			ok, err := s.finishProcedure(ctx, by, p, to)
			if err != nil {
				return err
			}
			raced = raced || !ok
		}
		if !raced {
			return nil
		}
	}
	return errRace
}

// dropParts calls the parts of a new PIN back and discards it, unless both have
// left.
func (s *Service) dropParts(ctx context.Context, p procedure, why string) error {
	if p.State != stepSending {
		return nil
	}
	if err := s.outbox.Cancel(ctx, string(p.CredentialID)); err != nil {
		return err
	}
	list, err := s.store.discard(ctx, p.CredentialID, why)
	if err != nil || len(list) == 0 {
		return err
	}
	return s.audit.Record(ctx, event(audit.PINDiscarded, system, list[0], why))
}
