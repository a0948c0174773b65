package contacts

import (
	"context"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
)

// Prove takes the code that a contact of this person was sent. Then the contact
// cools; a PEC address waits for the provider's receipt as well, if that is not
// there yet. A code that is right once more is right: somebody pressed twice.
//
// ErrCodeWrong stands for a wrong code, a change that is over and none at all;
// the last wrong one that is allowed ends the change.
func (s *Service) Prove(ctx context.Context, by audit.Actor, who citizens.ID, kind citizens.ContactKind, code credentials.Code) error {
	r, counted, err := s.store.try(ctx, who, kind, s.policy.Tries)
	if err != nil {
		return wrap("prove a contact", err)
	}
	if !counted {
		return ErrCodeWrong
	}
	if !credentials.Match(r.CodeKey, s.codeKeys(r.ID, code)) {
		return s.wrong(ctx, by, r)
	}
	return s.proved(ctx, by, r)
}

// ProveByLink takes the link of the mail instead; whoever opens it need not be
// signed in. ErrLinkDead says that it is not good any more.
func (s *Service) ProveByLink(ctx context.Context, by audit.Actor, link credentials.Code) error {
	r, err := s.linked(ctx, link)
	if err != nil {
		return err
	}
	return s.proved(ctx, by, r)
}

// Linked is the change that a mail's link is for. Looking changes nothing.
func (s *Service) Linked(ctx context.Context, link credentials.Code) (Change, error) {
	r, err := s.linked(ctx, link)
	if err != nil {
		return Change{}, err
	}
	p, err := s.open(r)
	return r.change(p), wrap("open a mail's link", err)
}

func (s *Service) linked(ctx context.Context, link credentials.Code) (row, error) {
	r, found, err := s.store.byLink(ctx, s.linkKeys(link))
	if err == nil && !found {
		err = ErrLinkDead
	}
	if err != nil {
		return row{}, wrap("open a mail's link", err)
	}
	return r, nil
}

// wrong records a wrong code; the last one ends the change. What is proved
// already does not end by it.
func (s *Service) wrong(ctx context.Context, by audit.Actor, r row) error {
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		e := r.event(audit.ContactCodeWrong, by)
		e.Outcome = audit.Refused
		if err := s.audit.Record(ctx, e); err != nil {
			return err
		}
		if r.State != Asked || r.Tries < s.policy.Tries {
			return nil
		}
		_, _, err := s.end(ctx, by, r, Expired, TooManyTries)
		return err
	})
	if err != nil {
		return wrap("count a wrong code", err)
	}
	return ErrCodeWrong
}

// proved notes that somebody has the code of a change. The statement and the
// one that notes the receipt lock the row, so that of the two the later one sees
// the other.
func (s *Service) proved(ctx context.Context, by audit.Actor, r row) error {
	if r.State == Cooling {
		return nil
	}
	over := false
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		now, ok, err := s.store.codeRight(ctx, r.ID)
		if err != nil {
			return err
		}
		if !ok {
			over, err = s.gone(ctx, r.ID)
			return err
		}
		if now.Kind == citizens.PEC && s.receipts && now.ReceiptAt.IsZero() {
			return nil
		}
		return s.cool(ctx, by, now)
	})
	if err == nil && over {
		return ErrCodeWrong
	}
	return wrap("prove a contact", err)
}

// gone reports whether a change that could not be moved is over; one that is
// cooling was proved by somebody who was quicker, with the same code.
func (s *Service) gone(ctx context.Context, id ID) (bool, error) {
	r, found, err := s.store.byID(ctx, id)
	return !found || r.State != Cooling && r.State != Effective, err
}

// cool begins the pause, and tells the contacts on file and the new one.
func (s *Service) cool(ctx context.Context, by audit.Actor, r row) error {
	r, moved, err := s.store.cool(ctx, r, s.policy.cooling(r.AskedBy))
	if err != nil || !moved {
		return err
	}
	who, err := s.citizens.ByID(ctx, r.CitizenID)
	if err != nil {
		return err
	}
	p, err := s.open(r)
	if err != nil {
		return err
	}
	if err := s.notify(ctx, who, NoticeProved, s.words(r, p.value), citizens.Contact{Value: p.value, Verified: true}); err != nil {
		return err
	}
	return s.audit.Record(ctx, r.event(audit.ContactProved, by))
}
