package enrolment

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/delivery"
)

// ContactCode is the message that carries the code by which a contact is proved.
const ContactCode delivery.MessageKey = "contact-code"

// trackingLength is that of a tracking code, of an alphabet without 0 O 1 I L,
// which people take for each other.
const (
	trackingLength = 12
	trackingBytes  = 32 // of the HMAC that it is drawn from
	plainAlphabet  = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
)

// drawCode is a code of eight digits.
func drawCode() (credentials.Code, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return credentials.Code{}, fmt.Errorf("draw a code: %w", err)
	}
	return credentials.ParseCode(fmt.Sprintf("%08d", n)), nil
}

// Submit keeps a request and sends a code to the contact that was chosen for
// the first half. It does the same for everybody: who is known, has a PIN or a
// request open is looked up only once the contact is proved. nonce names the
// form that was sent: sent twice, it is one request, and has the same tracking
// code.
//
// It joins the caller's transaction. ErrMinor, ErrChannelOff, ErrNoCallPhone
// and citizens.ErrProvisional refuse what the pages refuse before.
func (q *Requests) Submit(ctx context.Context, by audit.Actor, a Application, nonce string) (credentials.Code, error) {
	now, err := q.db.Now(ctx)
	if err == nil {
		err = q.check(a, citizens.DateOf(now))
	}
	if err != nil {
		return credentials.Code{}, err
	}
	tracking, err := q.TrackingCode(nonce)
	if err != nil {
		return credentials.Code{}, err
	}
	err = q.db.InTx(ctx, func(ctx context.Context) error { return q.keep(ctx, by, a, tracking) })
	return tracking, wrap("keep a request", err)
}

// Submitted reports whether the form of that name has been sent already.
func (q *Requests) Submitted(ctx context.Context, nonce string) (bool, error) {
	tracking, err := q.TrackingCode(nonce)
	if err != nil {
		return false, err
	}
	found, err := q.store.exists(ctx, q.trackingKeys(tracking))
	return found, wrap("look for a request", err)
}

// TrackingCode is the code of the request that a form becomes: it follows from
// the form's name, so that it need not be kept.
func (q *Requests) TrackingCode(nonce string) (credentials.Code, error) {
	sum, err := q.index.Keys.ComputePrimaryPRF([]byte("tracking/v1|"+nonce), trackingBytes)
	if err != nil {
		return credentials.Code{}, fmt.Errorf("make a tracking code: %w", err)
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
	return credentials.ParseCode(b.String()), nil
}

func (q *Requests) trackingKeys(tracking credentials.Code) [][]byte {
	return q.index.Of("request/v1|" + tracking.Reveal())
}

// proofKeys bind a code to its request: eight digits are the same elsewhere
// often enough.
func (q *Requests) proofKeys(id string, code credentials.Code) [][]byte {
	return q.index.Of("code/v1|" + id + "|" + code.Reveal())
}

func (q *Requests) keep(ctx context.Context, by audit.Actor, a Application, tracking credentials.Code) error {
	id, err := newID()
	if err != nil {
		return err
	}
	code, err := drawCode()
	if err != nil {
		return err
	}
	k := proofOf{
		tracking: q.trackingKeys(tracking)[0], fiscalCode: q.citizens.FiscalCodeKey(a.FiscalCode),
		contact: q.index.Of("contact/v1|" + strings.ToLower(a.contact().Value.Reveal()))[0],
		code:    q.proofKeys(id, code)[0],
	}
	data, err := q.close(id, a)
	if err != nil {
		return err
	}
	if err := q.store.alone(ctx, k); err != nil {
		return err
	}
	fresh, err := q.store.insert(ctx, id, k, data, q.policy.CodeLife)
	if err != nil || !fresh {
		return err
	}
	n, err := q.store.begun(ctx, k)
	if err != nil {
		return err
	}
	if n > q.policy.PerDay {
		return q.store.forget(ctx, id)
	}
	return q.sendCode(ctx, by, a, request{ID: id, State: submitted}, code, tracking)
}

// sendCode tells the code to the contact, whoever that is: nothing that was
// typed is in the message, so that nobody's words travel in our name.
func (q *Requests) sendCode(ctx context.Context, by audit.Actor, a Application, r request, code, tracking credentials.Code) error {
	who, known, err := q.citizens.Find(ctx, a.FiscalCode)
	if err != nil {
		return err
	}
	if r.CitizenID = who; !known {
		who = nobody
	}
	err = q.outbox.Enqueue(ctx, delivery.Message{
		Key: ContactCode, Channel: a.Channel, Citizen: who, To: delivery.NewRecipient(a.contact().Value.Reveal()), Language: a.Language,
		Ref: r.ID, Words: delivery.Words{"Code": code.Reveal(), "Tracking": GroupCode(tracking)},
	})
	if err != nil {
		return err
	}
	return q.audit.Record(ctx, r.event(audit.RequestSubmitted, by, ""))
}

// GroupCode writes a tracking code as people read and copy it: XXXX-XXXX-XXXX.
func GroupCode(c credentials.Code) string {
	var groups []string
	for rest := c.Reveal(); rest != ""; {
		n := min(4, len(rest))
		groups, rest = append(groups, rest[:n]), rest[n:]
	}
	return strings.Join(groups, "-")
}

// Prove takes the code that the contact was sent. From then on the request is
// looked at. A code that is right once more is right: somebody pressed twice.
//
// credentials.ErrCodeWrong stands for a wrong code, a request that does not exist and one
// that is over alike.
func (q *Requests) Prove(ctx context.Context, by audit.Actor, tracking, code credentials.Code) error {
	r, counted, err := q.store.try(ctx, q.trackingKeys(tracking), q.policy.CodeTries)
	if err != nil {
		return wrap("prove a contact", err)
	}
	right := credentials.Match(r.CodeKey, q.proofKeys(r.ID, code))
	if !counted || !right {
		return q.wrongProof(ctx, by, r)
	}
	switch {
	case r.State != submitted && r.State != expired:
		return nil
	case r.State == expired || !r.DueAt.After(r.Now.Time):
		return credentials.ErrCodeWrong
	}
	err = q.db.InTx(ctx, func(ctx context.Context) error {
		moved, err := q.store.move(ctx, r, checking, map[string]any{
			"next_at": q.db.NowExpr(), "due_at": q.db.NowPlus(q.policy.Patience),
		})
		if err != nil || !moved {
			return err
		}
		r.State = checking
		q.db.AfterCommit(ctx, q.nudge)
		return q.audit.Record(ctx, r.event(audit.RequestProved, by, ""))
	})
	return wrap("prove a contact", err)
}

// wrongProof records a wrong code; the last one ends the request.
func (q *Requests) wrongProof(ctx context.Context, by audit.Actor, r request) error {
	if r.ID == "" {
		return credentials.ErrCodeWrong
	}
	err := q.db.InTx(ctx, func(ctx context.Context) error {
		ev := r.event(audit.RequestCodeWrong, by, "")
		ev.Outcome = audit.Refused
		if err := q.audit.Record(ctx, ev); err != nil {
			return err
		}
		if r.State != submitted || r.CodeTries < q.policy.CodeTries {
			return nil
		}
		return q.finish(ctx, by, r, expired, "wrong codes")
	})
	if err != nil {
		return wrap("count a wrong code", err)
	}
	return credentials.ErrCodeWrong
}

// finish ends a request that still stands where it was read; one that has moved
// on is somebody else's affair.
func (q *Requests) finish(ctx context.Context, by audit.Actor, r request, to state, why string) error {
	_, err := q.end(ctx, by, r, to, why)
	return err
}

// end ends a request with its record, and reports whether it still stood where
// it was read.
func (q *Requests) end(ctx context.Context, by audit.Actor, r request, to state, why string) (bool, error) {
	set := map[string]any{"reason": why}
	if to == rejected {
		if err := q.keepReply(r, set); err != nil {
			return false, err
		}
	}
	moved, err := q.store.move(ctx, r, to, set)
	if err != nil || !moved {
		return false, err
	}
	r.State = to
	ev := r.event(audit.RequestEnded, by, why)
	if to != completed {
		ev.Outcome = audit.Refused
	}
	return true, q.audit.Record(ctx, ev)
}
