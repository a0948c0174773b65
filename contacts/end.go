package contacts

import (
	"context"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/delivery"
)

// Withdraw ends the change of a kind that is under way, whoever has asked for
// it. ErrNothing says that there is none.
func (s *Service) Withdraw(ctx context.Context, by audit.Actor, id citizens.ID, kind citizens.ContactKind) error {
	done := false
	err := s.db.InTx(ctx, func(ctx context.Context) (err error) {
		done, err = s.endAll(ctx, by, id, Withdrawn, ByCitizen, func(r row) bool { return r.Kind == kind })
		return err
	})
	if err != nil {
		return wrap("withdraw a change of contact", err)
	}
	if !done {
		return ErrNothing
	}
	return nil
}

// Contest is credentials' hook for "that was not me": everything under way is
// contested, whoever has asked for it. What counts already stays: the PIN is
// suspended, so that no recovery goes by it, and the contact centre puts the
// contacts right. Putting the old one back by itself would give whoever holds a
// lost telephone a way to take its owner's place.
func (s *Service) Contest(ctx context.Context, id citizens.ID) error {
	if err := s.pins.HoldAll(ctx, id); err != nil {
		return err
	}
	_, err := s.endAll(ctx, audit.Actor{Kind: audit.Citizen, ID: string(id)}, id, Contested, "", func(row) bool { return true })
	return wrap("contest changes of contacts", err)
}

// Ended is credentials' hook for a PIN that is revoked, suspended or replaced by
// a recovery: what was asked for with it is withdrawn. Of the dead, everything.
func (s *Service) Ended(ctx context.Context, id citizens.ID, why credentials.Reason) error {
	reason, which := PINEnded, func(r row) bool { return r.AskedBy == byCitizen }
	if why == credentials.ReasonDeceased {
		reason, which = Deceased, func(row) bool { return true }
	}
	_, err := s.endAll(ctx, system, id, Withdrawn, reason, which)
	return wrap("withdraw changes of contacts", err)
}

// endAll ends what a person has under way, in the caller's transaction, and
// reports whether there was any.
func (s *Service) endAll(ctx context.Context, by audit.Actor, id citizens.ID, to State, why Reason, which func(row) bool) (bool, error) {
	list, err := s.store.open(ctx, id)
	if err != nil || len(list) == 0 {
		return false, err
	}
	who, err := s.citizens.ByID(ctx, id)
	if err != nil {
		return false, err
	}
	done := false
	for _, r := range list {
		if !which(r) {
			continue
		}
		moved, err := s.drop(ctx, by, who, r, to, why)
		if err != nil {
			return false, err
		}
		done = done || moved
	}
	return done, nil
}

// drop ends one change, and tells those who had heard of it: the contacts on
// file, and the new one if it was proved.
func (s *Service) drop(ctx context.Context, by audit.Actor, who citizens.Citizen, r row, to State, why Reason) (bool, error) {
	p, err := s.open(r)
	if err != nil {
		return false, err
	}
	r, moved, err := s.end(ctx, by, r, to, why)
	cooled := r.Removal || !r.ProvedAt.IsZero()
	if err != nil || !moved || !cooled || who.DeceasedOn != nil {
		return moved, err
	}
	key := NoticeWithdrawn
	if to == Contested {
		key = NoticeContested
	}
	if r.Removal {
		return true, s.notify(ctx, who, key, delivery.Words{"Contact": p.replaces.Masked()})
	}
	return true, s.notify(ctx, who, key, delivery.Words{"Contact": p.value.Masked()}, citizens.Contact{Value: p.value, Verified: true})
}
