package credentials

import (
	"context"
	"fmt"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// Accepted is delivery's hook: a transport has taken a message. When both
// halves of a PIN are out, the PIN begins to be valid (R22). It runs in the
// transaction that records the hand-over; other messages pass it by.
func (s *Service) Accepted(ctx context.Context, r delivery.Receipt) error {
	column := map[delivery.MessageKey]string{delivery.PINHalf1: "first_half_at", delivery.PINHalf2: "second_half_at"}[r.Key]
	if column == "" {
		return nil
	}
	c, news, err := s.store.half(ctx, ID(r.Ref), column)
	if err != nil || !news {
		return wrap("record a half", err)
	}
	if c.FirstHalfAt.IsZero() || c.SecondHalfAt.IsZero() {
		return s.outbox.Release(ctx, r.Ref)
	}
	return wrap("issue a PIN", s.begin(ctx, c))
}

// begin issues a PIN both of whose halves are out. It takes the place of a
// live one, if the person had one to recover.
func (s *Service) begin(ctx context.Context, c credential) error {
	who, err := s.citizens.ByID(ctx, c.CitizenID)
	if err != nil {
		return err
	}
	replaced, err := s.store.replace(ctx, c.CitizenID)
	if err != nil {
		return err
	}
	if len(replaced) > 0 {
		if err := s.end(ctx, c.CitizenID, ReasonSuperseded); err != nil {
			return err
		}
	}
	if _, err := s.store.issue(ctx, c.ID, s.policy.validity(c.Origin, who.Residence)); err != nil {
		return err
	}
	if c.Origin == recovered {
		if err := s.handOverRecovered(ctx, c); err != nil {
			return err
		}
	}
	return s.audit.Record(ctx, event(audit.PINDelivered, system, ended{ID: c.ID, CitizenID: c.CitizenID}, ""))
}

// Failed is delivery's other hook: a message will never arrive. Half a PIN is
// none, so the other half is called back and the PIN discarded.
func (s *Service) Failed(ctx context.Context, r delivery.Receipt) error {
	switch r.Key {
	case delivery.PINHalf1, delivery.PINHalf2:
		return wrap("discard a PIN", s.giveUp(ctx, ID(r.Ref), "a half could not be delivered"))
	case RecoveryCode, RevocationCode:
		return wrap("end a request", s.loseCode(ctx, r.Ref))
	default:
		return nil
	}
}

func (s *Service) giveUp(ctx context.Context, id ID, why string) error {
	list, err := s.store.discard(ctx, id, why)
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := s.outbox.Cancel(ctx, string(c.ID)); err != nil {
			return err
		}
		e := event(audit.PINDiscarded, system, c, why)
		e.Outcome = audit.Failed
		if err := s.audit.Record(ctx, e); err != nil {
			return err
		}
		if err := s.loseRecovered(ctx, c.ID); err != nil {
			return err
		}
	}
	return nil
}

// end is everything that must end with a live PIN.
func (s *Service) end(ctx context.Context, id citizens.ID, why Reason) error {
	if err := s.store.endChangesOf(ctx, id); err != nil {
		return err
	}
	return s.ended(ctx, id, why)
}

var system = audit.Actor{Kind: audit.System}

func event(t audit.Type, by audit.Actor, c ended, why string) audit.Event {
	return audit.Event{Type: t, Outcome: audit.Succeeded, Actor: by, Subject: c.CitizenID, Reason: why,
		Details: map[string]string{"credential": string(c.ID)}}
}

func events(t audit.Type, list []ended, why string) []audit.Event {
	all := make([]audit.Event, 0, len(list))
	for _, c := range list {
		all = append(all, event(t, system, c, why))
	}
	return all
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
