package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// Issue makes a first PIN for somebody, on the institution's behalf, and
// queues its halves: the first by SMS, else e-mail, else PEC, the second by
// post, once the first is out (pin-rules §2.2). It returns when the rows are
// written.
//
// Refusals: citizens.ErrUnknown, *IneligibleError, ErrLive, ErrPending,
// ErrNoContact, ErrNoChannel, ErrNoAddress, ErrNoPost.
func (s *Service) Issue(ctx context.Context, by audit.Actor, fc citizens.FiscalCode, kind Kind) error {
	if _, err := ParseKind(string(kind)); err != nil {
		return err
	}
	who, err := s.citizens.ByFiscalCode(ctx, fc)
	if err != nil {
		return fmt.Errorf("issue a PIN: %w", err)
	}
	now, err := s.db.Now(ctx)
	if err != nil {
		return fmt.Errorf("issue a PIN: %w", err)
	}
	messages, err := s.admit(ctx, who, now)
	if err != nil {
		return err
	}
	d, err := s.draft(ctx, who, kind, messages)
	if err != nil {
		return fmt.Errorf("issue a PIN: %w", err)
	}
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		if err := s.dispatch(ctx, by, d.credential, d.messages); err != nil {
			return err
		}
		return s.Notify(ctx, who, NoticePINIssued, nil)
	})
	if err != nil && !errors.Is(err, ErrPending) {
		return fmt.Errorf("issue a PIN: %w", err)
	}
	return err
}

func (s *Service) hashNew(ctx context.Context, c *credential, pin PIN) error {
	p, err := s.hasher.enter()
	if err != nil {
		return err
	}
	defer p.leave()
	if c.ID, err = newID(); err == nil {
		c.Secret, err = s.vault.keep(ctx, p, c.label(), pin)
	}
	return err
}

// admit asks whether somebody may have a PIN and how it would reach him; the
// messages lack only their halves.
func (s *Service) admit(ctx context.Context, who citizens.Citizen, now time.Time) ([]delivery.Message, error) {
	if reason, excluded := s.eligibility.Excludes(who, nil, now); excluded {
		return nil, &IneligibleError{Profile: s.eligibility, Reason: reason}
	}
	live, pending, err := s.store.holding(ctx, who.ID)
	switch {
	case err != nil:
		return nil, fmt.Errorf("issue a PIN: %w", err)
	case live:
		return nil, ErrLive
	case pending:
		return nil, ErrPending
	}
	first, err := s.firstHalf(who)
	if err != nil {
		return nil, err
	}
	second, err := s.secondHalf(who)
	if err != nil {
		return nil, err
	}
	return []delivery.Message{first, second}, nil
}

// firstHalf goes by the first contact, in this order, whose channel is on.
func (s *Service) firstHalf(who citizens.Citizen) (delivery.Message, error) {
	if who.Contacts.IsZero() {
		return delivery.Message{}, ErrNoContact
	}
	for _, way := range []struct {
		contact citizens.Contact
		channel delivery.Channel
	}{{who.Contacts.Mobile, delivery.SMS}, {who.Contacts.Email, delivery.Email}, {who.Contacts.PEC, delivery.PEC}} {
		if !way.contact.IsZero() && s.outbox.Has(way.channel) {
			return message(who, delivery.PINHalf1, way.channel, way.contact.Value.Reveal()), nil
		}
	}
	return delivery.Message{}, ErrNoChannel
}

// secondHalf goes to the address of the archive, never to another, and waits
// for the first to be out, so that no half is printed in vain.
func (s *Service) secondHalf(who citizens.Citizen) (delivery.Message, error) {
	home := who.Residence
	if home.Street == "" || home.Locality == "" {
		return delivery.Message{}, ErrNoAddress
	}
	if !s.outbox.Has(delivery.Post) {
		return delivery.Message{}, ErrNoPost
	}
	m := message(who, delivery.PINHalf2, delivery.Post, home.Postal())
	m.Held = true
	return m, nil
}

// language of what is sent: nothing on file says another one.
const language = "it"

func message(who citizens.Citizen, key delivery.MessageKey, by delivery.Channel, to string) delivery.Message {
	name := strings.TrimSpace(who.GivenName + " " + who.FamilyName)
	return delivery.Message{
		Key: key, Channel: by, Citizen: who.ID, To: delivery.NewRecipient(to), Name: name, Language: language,
		Words: delivery.Words{"Name": name},
	}
}

// dispatch writes everything about a new PIN at once: if one row is there, all
// are.
func (s *Service) dispatch(ctx context.Context, by audit.Actor, c credential, messages []delivery.Message) error {
	expired, err := s.store.expireOf(ctx, c.CitizenID, unused)
	if err == nil {
		err = s.audit.Record(ctx, events(audit.PINExpired, expired, unused)...)
	}
	if err == nil {
		err = s.store.insert(ctx, c)
	}
	if err != nil {
		return err
	}
	for i := range messages {
		messages[i].Ref = string(c.ID)
	}
	if err := s.outbox.Enqueue(ctx, messages...); err != nil {
		return err
	}
	return s.audit.Record(ctx, audit.Event{
		Type: audit.PINIssued, Outcome: audit.Succeeded, Actor: by, Subject: c.CitizenID,
		Details: map[string]string{"credential": string(c.ID), "kind": string(c.Kind), "channel": string(messages[0].Channel)},
	})
}
