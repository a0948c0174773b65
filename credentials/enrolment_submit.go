package credentials

import (
	"context"
	"fmt"
	"strings"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// ContactCode is the message that carries the code by which a contact is proved.
const ContactCode delivery.MessageKey = "contact-code"

const (
	trackingLength    = 12
	contactCodeLength = 8
)

// Submit keeps a request and sends a code to the contact that was chosen for
// the first half. It does the same for everybody: who is known, has a PIN or a
// request open is looked up only once the contact is proved. nonce names the
// form that was sent: sent twice, it is one request, and has the same tracking
// code.
//
// It joins the caller's transaction. ErrMinor, ErrChannelOff, ErrNoCallPhone
// and citizens.ErrProvisional refuse what the pages refuse before.
func (e *Enrolments) Submit(ctx context.Context, by audit.Actor, a Application, nonce string) (Code, error) {
	now, err := e.pins.db.Now(ctx)
	if err == nil {
		err = e.check(a, citizens.DateOf(now))
	}
	if err != nil {
		return Code{}, err
	}
	tracking, err := e.TrackingCode(nonce)
	if err != nil {
		return Code{}, err
	}
	err = e.pins.db.InTx(ctx, func(ctx context.Context) error { return e.keep(ctx, by, a, tracking) })
	return tracking, wrap("keep a request", err)
}

// Submitted reports whether the form of that name has been sent already.
func (e *Enrolments) Submitted(ctx context.Context, nonce string) (bool, error) {
	tracking, err := e.TrackingCode(nonce)
	if err != nil {
		return false, err
	}
	found, err := e.store.exists(ctx, e.trackingKeys(tracking))
	return found, wrap("look for a request", err)
}

// TrackingCode is the code of the request that a form becomes: it follows from
// the form's name, so that it need not be kept.
func (e *Enrolments) TrackingCode(nonce string) (Code, error) {
	sum, err := e.pins.vault.pepper.ComputePrimaryPRF([]byte("enrolment/tracking/v1|"+nonce), hashLength)
	if err != nil {
		return Code{}, fmt.Errorf("make a tracking code: %w", err)
	}
	var b strings.Builder
	for _, c := range sum {
		if limit := 256 - 256%len(plainAlphabet); int(c) < limit && b.Len() < trackingLength {
			b.WriteByte(plainAlphabet[int(c)%len(plainAlphabet)])
		}
	}
	for b.Len() < trackingLength { // one digest in many billions has so few good bytes
		b.WriteByte(plainAlphabet[b.Len()])
	}
	return Code{b.String()}, nil
}

func (e *Enrolments) trackingKeys(tracking Code) [][]byte {
	return e.pins.keyed("enrolment/tracking|" + tracking.value)
}

// proofKeys bind a code to its request: eight digits are the same elsewhere
// often enough.
func (e *Enrolments) proofKeys(id string, code Code) [][]byte {
	return e.pins.keyed("enrolment/code|" + id + "|" + code.value)
}

func (e *Enrolments) keep(ctx context.Context, by audit.Actor, a Application, tracking Code) error {
	id, err := newID()
	if err != nil {
		return err
	}
	code, err := drawFrom(digits, contactCodeLength)
	if err != nil {
		return err
	}
	k := proofOf{
		tracking: e.trackingKeys(tracking)[0], fiscalCode: e.pins.citizens.FiscalCodeKey(a.FiscalCode),
		contact: e.pins.keyed("enrolment/contact|" + strings.ToLower(a.contact().Value.Reveal()))[0],
		code:    e.proofKeys(string(id), Code{code})[0],
	}
	data, err := e.close(string(id), a)
	if err != nil {
		return err
	}
	fresh, err := e.store.insert(ctx, string(id), k, data, e.policy.CodeLife)
	if err != nil || !fresh {
		return err
	}
	n, err := e.store.begun(ctx, k)
	if err != nil {
		return err
	}
	if n > e.policy.PerDay {
		return e.store.forget(ctx, string(id))
	}
	return e.sendCode(ctx, by, a, enrolmentRow{ID: string(id), State: RequestSubmitted}, Code{code}, tracking)
}

// sendCode tells the code to the contact, whoever that is: nothing that was
// typed is in the message, so that nobody's words travel in our name.
func (e *Enrolments) sendCode(ctx context.Context, by audit.Actor, a Application, r enrolmentRow, code, tracking Code) error {
	who, known, err := e.pins.citizens.Find(ctx, a.FiscalCode)
	if err != nil {
		return err
	}
	if r.CitizenID = who; !known {
		who = nobody
	}
	err = e.pins.outbox.Enqueue(ctx, delivery.Message{
		Key: ContactCode, Channel: a.Channel, Citizen: who, To: delivery.NewRecipient(a.contact().Value.Reveal()), Language: a.Language,
		Ref: r.ID, Words: delivery.Words{"Code": code.Reveal(), "Tracking": GroupCode(tracking)},
	})
	if err != nil {
		return err
	}
	return e.pins.audit.Record(ctx, r.event(audit.RequestSubmitted, by, ""))
}

// GroupCode writes a tracking code as people read and copy it: XXXX-XXXX-XXXX.
func GroupCode(c Code) string {
	var groups []string
	for rest := c.value; rest != ""; {
		n := min(4, len(rest))
		groups, rest = append(groups, rest[:n]), rest[n:]
	}
	return strings.Join(groups, "-")
}

// Prove takes the code that the contact was sent. From then on the request is
// looked at. A code that is right once more is right: somebody pressed twice.
//
// ErrCodeWrong stands for a wrong code, a request that does not exist and one
// that is over alike.
func (e *Enrolments) Prove(ctx context.Context, by audit.Actor, tracking, code Code) error {
	r, counted, err := e.store.try(ctx, e.trackingKeys(tracking), e.policy.CodeTries)
	if err != nil {
		return wrap("prove a contact", err)
	}
	right := equalAny(r.CodeKey, e.proofKeys(r.ID, code))
	if !counted || !right {
		return e.wrongProof(ctx, by, r)
	}
	switch {
	case r.State != RequestSubmitted && r.State != RequestExpired:
		return nil
	case r.State == RequestExpired || !r.DueAt.After(r.Now.Time):
		return ErrCodeWrong
	}
	err = e.pins.db.InTx(ctx, func(ctx context.Context) error {
		moved, err := e.store.move(ctx, r, RequestChecking, map[string]any{
			"next_at": e.pins.db.NowExpr(), "due_at": e.pins.db.NowPlus(e.policy.Patience),
		})
		if err != nil || !moved {
			return err
		}
		r.State = RequestChecking
		e.pins.db.AfterCommit(ctx, e.nudge)
		return e.pins.audit.Record(ctx, r.event(audit.RequestProved, by, ""))
	})
	return wrap("prove a contact", err)
}

// wrongProof records a wrong code; the last one ends the request.
func (e *Enrolments) wrongProof(ctx context.Context, by audit.Actor, r enrolmentRow) error {
	if r.ID == "" {
		return ErrCodeWrong
	}
	err := e.pins.db.InTx(ctx, func(ctx context.Context) error {
		ev := r.event(audit.RequestCodeWrong, by, "")
		ev.Outcome = audit.Refused
		if err := e.pins.audit.Record(ctx, ev); err != nil {
			return err
		}
		if r.State != RequestSubmitted || r.CodeTries < e.policy.CodeTries {
			return nil
		}
		return e.finish(ctx, by, r, RequestExpired, "wrong codes")
	})
	if err != nil {
		return wrap("count a wrong code", err)
	}
	return ErrCodeWrong
}

// finish ends a request that still stands where it was read, with its record.
func (e *Enrolments) finish(ctx context.Context, by audit.Actor, r enrolmentRow, to EnrolmentState, why string) error {
	moved, err := e.store.move(ctx, r, to, map[string]any{"reason": why})
	if err != nil || !moved {
		return err
	}
	r.State = to
	ev := r.event(audit.RequestEnded, by, why)
	if to != RequestCompleted {
		ev.Outcome = audit.Refused
	}
	return e.pins.audit.Record(ctx, ev)
}
