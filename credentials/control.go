package credentials

import (
	"context"
	"errors"
	"strings"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
)

// Suspend bars somebody's PIN until Resume; what rests on it ends. The PIN
// itself, its age and its wait stay as they are.
func (s *Service) Suspend(ctx context.Context, by audit.Actor, fc citizens.FiscalCode, reason string) error {
	return s.control(ctx, fc, reason, "suspend a PIN", func(ctx context.Context, who citizens.Citizen) error {
		if err := s.dropProcedures(ctx, by, who.ID, stepCancelled, recovery); err != nil {
			return err
		}
		n, err := s.store.suspend(ctx, who.ID, reason)
		if err == nil && n == 0 {
			err = s.refusal(ctx, who.ID, ErrSuspended)
		}
		if err != nil {
			return err
		}
		if err := s.end(ctx, who.ID, ReasonSuspended); err != nil {
			return err
		}
		if err := s.audit.Record(ctx, controlled(audit.PINSuspended, by, who.ID, reason)); err != nil {
			return err
		}
		return s.Notify(ctx, who, NoticePINSuspended, nil)
	})
}

// Resume lifts a suspension.
func (s *Service) Resume(ctx context.Context, by audit.Actor, fc citizens.FiscalCode, reason string) error {
	return s.control(ctx, fc, reason, "resume a PIN", func(ctx context.Context, who citizens.Citizen) error {
		n, err := s.store.resume(ctx, who.ID)
		if err == nil && n == 0 {
			err = s.refusal(ctx, who.ID, ErrNotSuspended)
		}
		if err != nil {
			return err
		}
		if err := s.audit.Record(ctx, controlled(audit.PINResumed, by, who.ID, reason)); err != nil {
			return err
		}
		return s.Notify(ctx, who, NoticePINResumed, nil)
	})
}

// Revoke ends somebody's PIN for good, live or on its way, and what rests on
// it; a new one may be asked for at once (R52).
func (s *Service) Revoke(ctx context.Context, by audit.Actor, fc citizens.FiscalCode, reason string) error {
	return s.control(ctx, fc, reason, "revoke a PIN", func(ctx context.Context, who citizens.Citizen) error {
		if err := s.dropProcedures(ctx, by, who.ID, stepCancelled, recovery, revocation); err != nil {
			return err
		}
		if err := s.revoke(ctx, by, who.ID, reason); err != nil {
			return err
		}
		return s.Notify(ctx, who, NoticePINRevoked, nil)
	})
}

// revoke ends every PIN of a person, in the caller's transaction.
func (s *Service) revoke(ctx context.Context, by audit.Actor, who citizens.ID, reason string) error {
	list, err := s.store.revoke(ctx, who, reason)
	if err == nil && len(list) == 0 {
		err = ErrNoPIN
	}
	if err != nil {
		return err
	}
	events := make([]audit.Event, 0, len(list))
	for _, c := range list {
		if err := s.outbox.Cancel(ctx, string(c.ID)); err != nil {
			return err
		}
		events = append(events, event(audit.PINRevoked, by, c, reason))
	}
	if err := s.end(ctx, who, ReasonRevoked); err != nil {
		return err
	}
	return s.audit.Record(ctx, events...)
}

func (s *Service) control(ctx context.Context, fc citizens.FiscalCode, reason, what string, do func(context.Context, citizens.Citizen) error) error {
	if strings.TrimSpace(reason) == "" {
		return ErrNoReason
	}
	who, err := s.citizens.ByFiscalCode(ctx, fc)
	if err != nil {
		return wrap(what, err)
	}
	err = s.db.InTx(ctx, func(ctx context.Context) error { return do(ctx, who) })
	for _, refusal := range []error{ErrNoPIN, ErrSuspended, ErrNotSuspended} {
		if errors.Is(err, refusal) {
			return refusal
		}
	}
	return wrap(what, err)
}

// refusal tells somebody without any PIN from one whose PIN is not as wanted.
func (s *Service) refusal(ctx context.Context, who citizens.ID, otherwise error) error {
	live, pending, err := s.store.holding(ctx, who)
	if err == nil && !live && !pending {
		err = ErrNoPIN
	}
	if err == nil {
		err = otherwise
	}
	return err
}

func controlled(t audit.Type, by audit.Actor, who citizens.ID, why string) audit.Event {
	return audit.Event{Type: t, Outcome: audit.Succeeded, Actor: by, Subject: who, Reason: why}
}
