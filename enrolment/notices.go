package enrolment

import (
	"context"

	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// Messages about a request for a PIN. All but the last go to the contacts on
// file, because whoever sent the request may be somebody else (R19).
const (
	NoticeMade     delivery.MessageKey = "notice-request-made"
	NoticeOpen     delivery.MessageKey = "notice-request-open"
	NoticeHasPIN   delivery.MessageKey = "notice-request-has-pin"
	NoticeExcluded delivery.MessageKey = "notice-request-excluded"
	NoticeMinor    delivery.MessageKey = "notice-request-minor"
	// NoticeEnded tells the contact that was proved that nothing came of
	// the request.
	NoticeEnded delivery.MessageKey = "notice-request-ended"
	// NoticeNoPEC tells an address that was given for a PEC that it is none.
	NoticeNoPEC delivery.MessageKey = "notice-no-pec"
)

// tellMade tells somebody that a PIN was asked for in his name, if there is a
// contact on file that is not the one the request has proved.
func (q *Requests) tellMade(ctx context.Context, who citizens.Citizen, a Application) error {
	for _, kind := range citizens.ContactKinds() {
		c := who.Contacts.Of(kind)
		if !c.IsZero() && !c.Value.Same(a.contact().Value) {
			return q.pins.Notify(ctx, who, NoticeMade, nil)
		}
	}
	return nil
}

// tellRejected explains to the person concerned why nothing comes of a request.
func (q *Requests) tellRejected(ctx context.Context, who citizens.Citizen, why string) error {
	switch why {
	case whyHasPIN, whyPending:
		return q.pins.Notify(ctx, who, NoticeHasPIN, nil)
	case whyMinor:
		return q.pins.Notify(ctx, who, NoticeMinor, nil)
	case whyExcluded:
		if who.DeceasedOn != nil {
			return nil
		}
		return q.pins.Notify(ctx, who, NoticeExcluded, nil)
	case whyOpen:
		open, found, err := q.store.openOf(ctx, who.ID)
		if err != nil || !found {
			return err
		}
		since := open.CreatedAt.In(q.italy).Format("02/01/2006 15:04")
		return q.pins.Notify(ctx, who, NoticeOpen, delivery.Words{"Since": since})
	}
	return nil
}

// tellEnded tells the contact that was proved that a request has run out.
func (q *Requests) tellEnded(ctx context.Context, r request) error {
	a, err := q.open(r)
	if err != nil {
		return err
	}
	return q.tell(ctx, r, a, NoticeEnded, a.Channel, delivery.Words{"Since": r.CreatedAt.In(q.italy).Format("02/01/2006")})
}

// tellNoPEC tells somebody that the address he gave for a PEC is ordinary mail:
// messages reach it, and nobody certifies that they do (pin-rules §4.11).
func (q *Requests) tellNoPEC(ctx context.Context, id string) error {
	r, found, err := q.store.byID(ctx, id)
	if err != nil || !found || r.State.final() {
		return err
	}
	a, err := q.open(r)
	if err != nil {
		return err
	}
	by := delivery.Email
	if !q.outbox.Has(by) {
		by = a.Channel
	}
	return q.tell(ctx, r, a, NoticeNoPEC, by, nil)
}

// tell writes to the contact of a request, whoever that is.
func (q *Requests) tell(ctx context.Context, r request, a Application, key delivery.MessageKey, by delivery.Channel, words delivery.Words) error {
	if !q.outbox.Has(by) {
		return nil
	}
	who := r.CitizenID
	if who == "" {
		who = nobody
	}
	return q.outbox.Enqueue(ctx, delivery.Message{
		Key: key, Channel: by, Citizen: who, To: delivery.NewRecipient(a.contact().Value.Reveal()), Language: a.Language, Ref: r.ID, Words: words,
	})
}
