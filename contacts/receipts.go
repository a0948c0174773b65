package contacts

import (
	"context"

	"github.com/google/uuid"

	"ente.example/idp/delivery"
)

// Outcome is delivery's hook for what transports tell afterwards. A PEC address
// is proved by its provider's receipt besides the code; one that the receipt
// calls "esterno" is no PEC, whatever its owner types.
//
// It comes with the delivery's row held, and takes no person's: the order is the
// one of Service, with deliveries before everything.
func (s *Service) Outcome(ctx context.Context, o delivery.Outcome) error {
	if o.Key != ContactCode || uuid.Validate(o.Ref) != nil {
		return nil
	}
	var err error
	switch {
	case o.Channel == delivery.PEC && o.Uncertified:
		err = s.fail(ctx, ID(o.Ref), NotPEC)
	case o.Result.Lost():
		err = s.fail(ctx, ID(o.Ref), Undelivered)
	case o.Result == delivery.PECDelivered:
		err = s.receipt(ctx, ID(o.Ref))
	}
	return wrap("follow a contact's code", err)
}

// Failed is delivery's hook for what no transport would take.
func (s *Service) Failed(ctx context.Context, m delivery.Receipt) error {
	if m.Key != ContactCode || uuid.Validate(m.Ref) != nil {
		return nil
	}
	return wrap("follow a contact's code", s.fail(ctx, ID(m.Ref), Undelivered))
}

// receipt notes that the provider has put the message into the box.
func (s *Service) receipt(ctx context.Context, id ID) error {
	r, ok, err := s.store.receipt(ctx, id)
	if err != nil || !ok || r.CodeAt.IsZero() {
		return err
	}
	return s.cool(ctx, system, r)
}

// fail ends a change that cannot be proved. That an address is no PEC the person
// learns at the contacts on file; that nothing arrived, on the page.
func (s *Service) fail(ctx context.Context, id ID, why Reason) error {
	r, found, err := s.store.byID(ctx, id)
	if err != nil || !found || r.State != Asked {
		return err // another room's code has the same key, or it is over
	}
	p, err := s.open(r)
	if err != nil {
		return err
	}
	_, moved, err := s.end(ctx, system, r, Expired, why)
	if err != nil || !moved || why != NotPEC {
		return err
	}
	who, err := s.citizens.ByID(ctx, r.CitizenID)
	if err != nil {
		return err
	}
	return s.notify(ctx, who, NoticeNotPEC, delivery.Words{"Contact": p.value.Masked()})
}
