package credentials

import (
	"context"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// Messages about a request for a PIN. All but the last go to the contacts on
// file, because whoever sent the request may be somebody else (R19).
const (
	NoticeRequestMade     delivery.MessageKey = "notice-request-made"
	NoticeRequestOpen     delivery.MessageKey = "notice-request-open"
	NoticeRequestHasPIN   delivery.MessageKey = "notice-request-has-pin"
	NoticeRequestExcluded delivery.MessageKey = "notice-request-excluded"
	NoticeRequestMinor    delivery.MessageKey = "notice-request-minor"
	// RequestEndedNotice tells the contact that was proved that nothing came of
	// the request.
	RequestEndedNotice delivery.MessageKey = "notice-request-ended"
)

// tellMade tells somebody that a PIN was asked for in his name, if there is a
// contact on file that is not the one the request has proved.
func (e *Enrolments) tellMade(ctx context.Context, who citizens.Citizen, a Application) error {
	for _, kind := range citizens.ContactKinds() {
		c := who.Contacts.Of(kind)
		if !c.IsZero() && !c.Value.Same(a.contact().Value) {
			return e.pins.notify(ctx, who, NoticeRequestMade, nil)
		}
	}
	return nil
}

// tellRejected explains to the person concerned why nothing comes of a request.
func (e *Enrolments) tellRejected(ctx context.Context, who citizens.Citizen, why string) error {
	switch why {
	case whyHasPIN, whyPending:
		return e.pins.notify(ctx, who, NoticeRequestHasPIN, nil)
	case whyMinor:
		return e.pins.notify(ctx, who, NoticeRequestMinor, nil)
	case whyExcluded:
		if who.DeceasedOn != nil {
			return nil
		}
		return e.pins.notify(ctx, who, NoticeRequestExcluded, nil)
	case whyOpen:
		open, found, err := e.store.openOf(ctx, who.ID)
		if err != nil || !found {
			return err
		}
		since := open.CreatedAt.In(e.pins.italy).Format("02/01/2006 15:04")
		return e.pins.notify(ctx, who, NoticeRequestOpen, delivery.Words{"Since": since})
	}
	return nil
}

// tellEnded tells the contact that was proved that a request has run out.
func (e *Enrolments) tellEnded(ctx context.Context, r enrolmentRow) error {
	a, err := e.open(r)
	if err != nil {
		return err
	}
	if !e.pins.outbox.Has(a.Channel) {
		return nil
	}
	who := r.CitizenID
	if who == "" {
		who = nobody
	}
	return e.pins.outbox.Enqueue(ctx, delivery.Message{
		Key: RequestEndedNotice, Channel: a.Channel, Citizen: who, To: delivery.NewRecipient(a.contact().Value.Reveal()),
		Language: a.Language, Ref: r.ID, Words: delivery.Words{"Since": r.CreatedAt.In(e.pins.italy).Format("02/01/2006")},
	})
}

// until is when something rejected looks over: as long as a call would take.
func (e *Enrolments) until(since time.Time) time.Time {
	return e.hours.workingDays(e.policy.CallDays, since, e.pins.italy)
}
