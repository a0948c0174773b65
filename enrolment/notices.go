package enrolment

import (
	"context"

	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// Messages about a request for a PIN. All but the last three go to the contacts
// on file, because whoever sent the request may be somebody else (R19).
const (
	NoticeMade      delivery.MessageKey = "notice-request-made"
	NoticeOpen      delivery.MessageKey = "notice-request-open"
	NoticeHasPIN    delivery.MessageKey = "notice-request-has-pin"
	NoticeExcluded  delivery.MessageKey = "notice-request-excluded"
	NoticeMinor     delivery.MessageKey = "notice-request-minor"
	NoticeWithdrawn delivery.MessageKey = "notice-request-withdrawn"
	// NoticeEnded tells the contact that was proved that nothing came of
	// the request.
	NoticeEnded delivery.MessageKey = "notice-request-ended"
	// NoticeCancelled tells the same contact that the request was taken back.
	NoticeCancelled delivery.MessageKey = "notice-request-cancelled"
	// NoticeNoPEC tells an address that was given for a PEC that it is none.
	NoticeNoPEC delivery.MessageKey = "notice-no-pec"
)

// tellMade tells somebody that a PIN was asked for in his name, if there is a
// contact on file that is not the one the request has proved.
func (q *Requests) tellMade(ctx context.Context, who citizens.Citizen, a Application) error {
	return q.tellOthers(ctx, who, a, NoticeMade)
}

func (q *Requests) tellOthers(ctx context.Context, who citizens.Citizen, a Application, key delivery.MessageKey) error {
	for _, kind := range citizens.ContactKinds() {
		c := who.Contacts.Of(kind)
		if !c.IsZero() && !c.Value.Same(a.contact().Value) {
			return q.pins.Warn(ctx, who, key, nil)
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
	return q.answer(ctx, r, a.reply(), NoticeEnded, q.since(r))
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
	to := a.reply()
	if q.outbox.Has(delivery.Email) {
		to.Channel = delivery.Email
	}
	return q.answer(ctx, r, to, NoticeNoPEC, nil)
}

// tellCancelled says that a request was taken back, in the same words whatever
// had become of it.
func (q *Requests) tellCancelled(ctx context.Context, r request, to reply) error {
	return q.answer(ctx, r, to, NoticeCancelled, q.since(r))
}

func (q *Requests) since(r request) delivery.Words {
	return delivery.Words{"Since": r.CreatedAt.In(q.italy).Format("02/01/2006")}
}
