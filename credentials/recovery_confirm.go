package credentials

import (
	"context"
	"errors"
	"fmt"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// ConfirmRecovery makes a new first PIN for whoever holds the code, and queues
// its parts. The PIN in use stays good until both have left.
//
// ErrCodeWrong, ErrLinkDead and *BusyError are expected; with the last nothing
// was counted.
func (s *Service) ConfirmRecovery(ctx context.Context, by audit.Actor, proof Proof) error {
	place, err := s.hasher.enter()
	if err != nil {
		return err
	}
	defer place.leave()
	p, err := s.prove(ctx, by, recovery, proof)
	if err != nil {
		return wrapUnless("confirm a recovery", err, ErrCodeWrong, ErrLinkDead)
	}
	// a code that was right is not wasted because a browser went away
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finish)
	defer cancel()
	return wrapUnless("confirm a recovery", s.recover(ctx, place, by, p), ErrLinkDead)
}

// recover looks at everything once more: a day may have passed.
func (s *Service) recover(ctx context.Context, place *place, by audit.Actor, p procedure) error {
	in, _, err := s.reopen(p)
	if err != nil {
		return err
	}
	who, err := s.citizens.ByID(ctx, p.CitizenID)
	if err != nil {
		return err
	}
	facts, route, err := s.recoveryFacts(ctx, who, in, p.Now.Time)
	if err != nil {
		return err
	}
	facts.open, facts.starts = nil, 0 // it is this one
	if to := facts.decide(s.policy.Procedures, p.Now.Time); to != stepMailed {
		err := s.db.InTx(ctx, func(ctx context.Context) error { return s.refuseRecovery(ctx, who, p, to) })
		if err == nil {
			err = ErrLinkDead
		}
		return err
	}
	c, pin, err := s.newFirst(ctx, place, who, facts.pin, p)
	if err != nil {
		return err
	}
	err = s.db.InTx(ctx, func(ctx context.Context) error { return s.sendParts(ctx, by, who, p, c, pin, route) })
	if errors.Is(err, errOver) || errors.Is(err, ErrPending) {
		return ErrLinkDead
	}
	return err
}

// newFirst is a PIN of 16 in the old one's place: of its kind, and as old as it
// where a profile asks since when somebody has had a PIN.
func (s *Service) newFirst(ctx context.Context, place *place, who citizens.Citizen, old credential, p procedure) (c credential, pin PIN, err error) {
	pin, err = generate(s.policy.Alphabet, initialLength, who, citizens.DateOf(p.Now.Time))
	if err != nil {
		return c, pin, err
	}
	c = credential{CitizenID: who.ID, Kind: old.Kind, Form: initial, Origin: recovered, State: PendingDelivery, IssuedAt: old.IssuedAt,
		DismissalAt: old.DismissalAt}
	c.DueAt.Time = p.Now.Add(s.policy.Patience)
	if c.ID, err = newID(); err == nil {
		c.Secret, err = s.vault.keep(ctx, place, c.label(), pin)
	}
	return c, pin, err
}

// sendParts writes everything about the new PIN at once. Of two confirmations,
// the second finds the first one's rows.
func (s *Service) sendParts(ctx context.Context, by audit.Actor, who citizens.Citizen, p procedure, c credential, pin PIN, route recoveryPlan) error {
	if err := s.store.insert(ctx, c); err != nil {
		return err
	}
	ok, err := s.store.parts(ctx, p, c.ID, s.policy.Patience)
	if err != nil {
		return err
	}
	if !ok {
		return errOver
	}
	first, second := pin.halves()
	for _, part := range []struct {
		key  delivery.MessageKey
		way  way
		text string
	}{{delivery.PINHalf1, route.half1, first}, {delivery.PINHalf2, route.half2, second}} {
		words := delivery.Words{"Half": part.text, "Variant": string(recovery), "Days": s.validDays(c.Origin, who)}
		if err := s.send(ctx, who, part.key, part.way, string(c.ID), words); err != nil {
			return err
		}
	}
	if err := s.Notify(ctx, who, NoticeRecoveryConfirmed, nil); err != nil {
		return err
	}
	p.CredentialID = c.ID
	return s.audit.Record(ctx, p.event(audit.ProcedureConfirmed, by, ""), audit.Event{
		Type: audit.PINIssued, Outcome: audit.Succeeded, Actor: by, Subject: who.ID,
		Details: map[string]string{"credential": string(c.ID), "kind": string(c.Kind), "channel": string(route.half1.channel)},
	})
}

// wrapUnless says what was being done, except about what a caller expects.
func wrapUnless(what string, err error, expected ...error) error {
	for _, e := range expected {
		if errors.Is(err, e) {
			return e
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
