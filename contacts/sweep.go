package contacts

import (
	"context"
	"errors"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// looking is how often Run looks whose time has come.
const looking = 10 * time.Second

// Run sweeps until ctx ends. Any number of nodes may run it.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(looking)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "look at changes of contacts", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep does what time brings: contacts whose pause is over begin to count, what
// nobody has proved runs out, and old rows leave. Two nodes at once share the
// work. A change that cannot be looked at now holds up no other.
func (s *Service) Sweep(ctx context.Context) error {
	for more := true; more; {
		list, err := s.store.overdue(ctx)
		if err != nil {
			return wrap("list changes of contacts", err)
		}
		var errs []error
		for _, r := range list {
			if err := s.due(ctx, r); err != nil {
				errs = append(errs, wrap("look at change "+string(r.ID), err))
			}
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		more = len(list) == batch
	}
	for more := true; more; {
		n, err := s.store.purge(ctx)
		if err != nil {
			return wrap("remove old changes of contacts", err)
		}
		more = n == batch
	}
	return nil
}

// due does what the time of one change brings, all of it or nothing.
func (s *Service) due(ctx context.Context, r row) error {
	return s.db.InTx(ctx, func(ctx context.Context) error {
		if r.State == Asked {
			_, _, err := s.end(ctx, system, r, Expired, NotProved)
			return err
		}
		if err := s.citizens.Hold(ctx, r.CitizenID); err != nil {
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
		if why := p.unfit(who, r); why != "" {
			_, err := s.drop(ctx, system, who, r, Withdrawn, why)
			return err
		}
		return s.effect(ctx, who, r, p)
	})
}

// unfit says why a change that has cooled must not come true any more: contacts
// also change by an import, and by a first access after a new request (R52),
// and what they say is newer than what was asked for.
func (p pair) unfit(who citizens.Citizen, r row) Reason {
	on := who.Contacts
	now := on.Of(r.Kind).Value
	switch {
	case who.DeceasedOn != nil:
		return Deceased
	case now.IsZero() != p.replaces.IsZero(), !now.IsZero() && !now.Same(p.replaces):
		return Replaced
	case r.Removal && !keepsOne(on, []citizens.ContactKind{r.Kind}):
		return LastContact
	case !r.Removal && twin(on, r.Kind, p.value):
		return SameAsOther
	}
	return ""
}

// effect makes a contact count, or takes one off. Those who are told are the
// contacts as they were, and the new one.
func (s *Service) effect(ctx context.Context, who citizens.Citizen, r row, p pair) error {
	_, moved, err := s.end(ctx, system, r, Effective, "")
	if err != nil || !moved {
		return err
	}
	if r.Removal {
		if err := s.citizens.RemoveContact(ctx, r.CitizenID, r.Kind); err != nil {
			return err
		}
		return s.notify(ctx, who, NoticeRemoved, delivery.Words{"Contact": p.replaces.Masked()})
	}
	fresh := citizens.Contact{Value: p.value, Verified: true}
	if err := s.citizens.SetContact(ctx, r.CitizenID, fresh); err != nil {
		return err
	}
	return s.notify(ctx, who, NoticeEffective, delivery.Words{"Contact": p.value.Masked()}, fresh)
}
