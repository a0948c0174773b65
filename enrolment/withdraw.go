package enrolment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/delivery"
)

// WithdrawalCode is the message that carries the code by which a request is
// taken back.
const WithdrawalCode delivery.MessageKey = "withdrawal-code"

// reply is where a request is answered: the contact that was proved. A request
// that was rejected keeps nothing else of what was typed, and this only while it
// looks as if somebody worked on it: if it could not be taken back as others
// can, whoever asked for somebody else's PIN would learn that it was rejected.
type reply struct {
	Channel  delivery.Channel `json:"channel"`
	To       string           `json:"to"`
	Language string           `json:"language"`
}

func (reply) String() string   { return "[reply]" }
func (reply) GoString() string { return "[reply]" }

// Format keeps every verb from looking inside.
func (reply) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[reply]")) }

func (a Application) reply() reply { return reply{a.Channel, a.contact().Value.Reveal(), a.Language} }

// replyPlace binds what is sealed to its row.
func replyPlace(id string) []byte { return []byte("enrolments/reply/" + id) }

// replyTo is where a request is answered that is not over, or does not look so.
func (q *Requests) replyTo(r request) (to reply, err error) {
	if r.State != rejected {
		a, err := q.open(r)
		return a.reply(), err
	}
	plain, err := q.seal.Decrypt(r.Reply, replyPlace(r.ID))
	if err != nil {
		return to, fmt.Errorf("unseal the contact of request %s: %w", r.ID, err)
	}
	defer clear(plain)
	if json.Unmarshal(plain, &to) != nil {
		return to, fmt.Errorf("the contact of request %s cannot be read", r.ID) // the cause could quote it
	}
	return to, nil
}

// keepReply adds to what a rejection writes.
func (q *Requests) keepReply(r request, set map[string]any) error {
	a, err := q.open(r)
	if err != nil {
		return err
	}
	plain, err := json.Marshal(a.reply())
	if err != nil {
		return errors.New("a contact cannot be encoded") // err could quote it
	}
	defer clear(plain)
	sealed, err := q.seal.Encrypt(plain, replyPlace(r.ID))
	if err != nil {
		return wrap("seal a contact", err)
	}
	set["reply"], set["reply_until"] = sealed, q.calls.deadline(r.Now.Time)
	return nil
}

// withdrawable reports whether a request can be taken back: its contact is
// proved, and it is not over or does not look so.
func (q *Requests) withdrawable(r request) bool {
	switch q.progress(r) {
	case ProgressProcessing, ProgressPreparing, ProgressPart1, ProgressPart2, ProgressPosted:
		return true
	case ProgressToProve, ProgressDone, ProgressClosed:
	}
	return false
}

// AskToWithdraw sends the contact that was proved a code with which the request
// can be taken back (pin-rules §2.2). A code sent before is dead from then on.
// After as many as a day allows nothing is sent, and the answer is the same.
//
// ErrUnknownRequest stands for what cannot be taken back.
func (q *Requests) AskToWithdraw(ctx context.Context, by audit.Actor, tracking credentials.Code, fc citizens.FiscalCode) error {
	r, found, err := q.store.tracked(ctx, q.trackingKeys(tracking), q.citizens.FiscalCodeKey(fc))
	if err != nil {
		return wrap("offer a withdrawal", err)
	}
	if !found || !q.withdrawable(r) {
		return ErrUnknownRequest
	}
	to, err := q.replyTo(r)
	if err != nil {
		return wrap("offer a withdrawal", err)
	}
	code, err := drawCode()
	if err != nil {
		return wrap("offer a withdrawal", err)
	}
	err = q.inTx(ctx, func(ctx context.Context) error {
		fresh, err := q.store.offer(ctx, r.ID, q.withdrawalKeys(r.ID, code)[0], q.policy.CodeLife, q.policy.PerDay)
		if err != nil || !fresh {
			return err
		}
		if err := q.answer(ctx, r, to, WithdrawalCode, delivery.Words{"Code": code.Reveal(), "Tracking": GroupCode(tracking)}); err != nil {
			return err
		}
		return q.audit.Record(ctx, r.event(audit.RequestWithdrawal, by, ""))
	})
	return wrap("offer a withdrawal", err)
}

func (q *Requests) withdrawalKeys(id string, code credentials.Code) [][]byte {
	return q.index.Of("withdraw/v1|" + id + "|" + code.Reveal())
}

// answer queues a message to the contact that was proved, if its channel is on.
func (q *Requests) answer(ctx context.Context, r request, to reply, key delivery.MessageKey, words delivery.Words) error {
	if !q.outbox.Has(to.Channel) {
		return nil
	}
	who := r.CitizenID
	if who == "" {
		who = nobody
	}
	return q.outbox.Enqueue(ctx, delivery.Message{
		Key: key, Channel: to.Channel, Citizen: who, To: delivery.NewRecipient(to.To), Language: to.Language, Ref: r.ID, Words: words,
	})
}

// Withdraw takes a request back with the code that its contact was sent. Halves
// that have left die with it. A code that is right once more is right: somebody
// pressed twice.
//
// credentials.ErrCodeWrong stands for a wrong code, one too old or tried too
// often, and a request that does not exist or has been used alike.
func (q *Requests) Withdraw(ctx context.Context, by audit.Actor, tracking credentials.Code, fc citizens.FiscalCode, code credentials.Code) error {
	r, counted, err := q.store.tryWithdrawal(ctx, q.trackingKeys(tracking), q.citizens.FiscalCodeKey(fc), q.policy.CodeTries)
	if err != nil {
		return wrap("withdraw a request", err)
	}
	if !counted {
		return credentials.ErrCodeWrong
	}
	if !credentials.Match(r.WithdrawKey, q.withdrawalKeys(r.ID, code)) {
		return q.wrongWithdrawal(ctx, by, r)
	}
	err = q.untilSettled(func() error { return q.withdraw(ctx, by, r.ID) })
	if errors.Is(err, ErrUnknownRequest) {
		return credentials.ErrCodeWrong
	}
	return wrap("withdraw a request", err)
}

func (q *Requests) wrongWithdrawal(ctx context.Context, by audit.Actor, r request) error {
	ev := r.event(audit.RequestCodeWrong, by, "withdrawal")
	ev.Outcome = audit.Refused
	if err := q.inTx(ctx, func(ctx context.Context) error { return q.audit.Record(ctx, ev) }); err != nil {
		return wrap("count a wrong code", err)
	}
	return credentials.ErrCodeWrong
}

// withdrawn says of a request who ended it.
const withdrawn = "withdrawn with the code"

func (q *Requests) withdraw(ctx context.Context, by audit.Actor, id string) error {
	return q.inTx(ctx, func(ctx context.Context) error {
		r, found, err := q.store.byID(ctx, id)
		switch {
		case err != nil:
			return err
		case found && (r.State == cancelled || r.State == rejected && !r.WithdrawnAt.IsZero()):
			return nil
		case !found || !q.withdrawable(r):
			return ErrUnknownRequest
		case r.State == rejected:
			return q.conceal(ctx, by, r)
		}
		return q.cancel(ctx, by, r, withdrawn)
	})
}

// conceal lets a rejected request look taken back, to everybody and by the same
// message.
func (q *Requests) conceal(ctx context.Context, by audit.Actor, r request) error {
	to, err := q.replyTo(r)
	if err != nil {
		return err
	}
	done, err := q.store.conceal(ctx, r.ID)
	if err != nil {
		return err
	}
	if !done {
		return errRace
	}
	if err := q.tellCancelled(ctx, r, to); err != nil {
		return err
	}
	ev := r.event(audit.RequestEnded, by, withdrawn)
	ev.Outcome = audit.Refused
	return q.audit.Record(ctx, ev)
}
