package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/database"
)

// Result is what a transport tells about a message that it had accepted.
type Result string

// The results. Those of PEC are the words of its receipts, those of the SMS
// gateway and of the print service the words of the contract.
const (
	PECAccepted  Result = "accettazione"
	PECRefused   Result = "non-accettazione"
	PECTaken     Result = "presa-in-carico"
	PECDelivered Result = "avvenuta-consegna"
	PECFailing   Result = "preavviso-errore-consegna"
	PECFailed    Result = "errore-consegna"
	PECVirus     Result = "rilevazione-virus"

	SMSDelivered Result = "delivered"
	SMSFailed    Result = "failed"
	SMSExpired   Result = "expired"

	LetterPosted   Result = "posted"
	LetterReturned Result = "returned"
)

// results are what each channel can tell.
func results(c Channel) []Result {
	switch c {
	case PEC:
		return []Result{PECAccepted, PECRefused, PECTaken, PECDelivered, PECFailing, PECFailed, PECVirus}
	case SMS:
		return []Result{SMSDelivered, SMSFailed, SMSExpired}
	case Post:
		return []Result{LetterPosted, LetterReturned}
	default:
		return nil // whoever takes an e-mail tells nothing afterwards
	}
}

// Arrived reports whether the message is where the person finds it.
func (r Result) Arrived() bool { return r == PECDelivered || r == SMSDelivered }

// Lost reports whether the message will never get there. A warning
// (preavviso-errore-consegna) is not the end: the transport goes on trying.
func (r Result) Lost() bool {
	switch r {
	case PECRefused, PECFailed, PECVirus, SMSFailed, SMSExpired, LetterReturned:
		return true
	default:
		return false
	}
}

// Report is what a transport said, after whoever read it has made sure that it
// was the transport.
type Report struct {
	Delivery string
	Channel  Channel
	Result   Result
	At       time.Time // when it happened; zero where the transport does not say
	// Uncertified: the address is not PEC but ordinary mail (daticert's
	// "esterno"), so nobody will ever certify that the message arrived.
	Uncertified bool
}

// Outcome is a report with what it is about, for the rules above.
type Outcome struct {
	Receipt
	Result      Result
	At          time.Time
	Uncertified bool
}

// ErrUnknownDelivery says that a report is about nothing that was ever sent by
// that channel.
var ErrUnknownDelivery = errors.New("no such delivery")

// OutcomesDeps are what Outcomes are made of. Hook runs in the transaction
// that notes the report.
type OutcomesDeps struct {
	DB     *database.DB
	Audit  *audit.Log
	Outbox *Outbox
	Hook   func(ctx context.Context, o Outcome) error
}

// Outcomes take what transports tell after the hand-over.
type Outcomes struct {
	OutcomesDeps
	store outcomes
}

// NewOutcomes makes them.
func NewOutcomes(d OutcomesDeps) (*Outcomes, error) {
	if d.DB == nil || d.Audit == nil || d.Outbox == nil || d.Hook == nil {
		return nil, errors.New("delivery: outcomes need DB, Audit, Outbox and Hook")
	}
	return &Outcomes{OutcomesDeps: d, store: outcomes{d.DB}}, nil
}

// Record notes a report with everything that follows from it, or not at all.
// It is false for what was known already: transports repeat themselves, and
// crashed readers read again. It joins the caller's transaction.
//
// Who speaks about a message has it. So one that still waits here, because the
// node died between hand-over and record, counts as accepted first, and is not
// sent again.
func (o *Outcomes) Record(ctx context.Context, r Report) (bool, error) {
	if !slices.Contains(results(r.Channel), r.Result) {
		return false, fmt.Errorf("record an outcome: %s does not say %q", r.Channel, r.Result)
	}
	fresh := false
	err := o.DB.InTx(ctx, func(ctx context.Context) error {
		d, err := o.store.about(ctx, r)
		if err != nil {
			return err
		}
		if r.Delivery = d.ID; r.At.IsZero() {
			if r.At, err = o.DB.Now(ctx); err != nil {
				return err
			}
		}
		if fresh, err = o.store.note(ctx, r); err != nil || !fresh {
			return err
		}
		if d.State == queued {
			if err := o.Outbox.conclude(ctx, d, accepted, ""); err != nil {
				return err
			}
		}
		return o.follow(ctx, d, r)
	})
	if err != nil {
		return false, fmt.Errorf("record that delivery %s is %s: %w", r.Delivery, r.Result, err)
	}
	return fresh, nil
}

func (o *Outcomes) follow(ctx context.Context, d delivery, r Report) error {
	outcome := audit.Succeeded
	if r.Result.Lost() {
		outcome = audit.Failed
	}
	if err := o.Hook(ctx, Outcome{Receipt: d.receipt(), Result: r.Result, At: r.At, Uncertified: r.Uncertified}); err != nil {
		return err
	}
	return o.Audit.Record(ctx, audit.Event{
		Type: audit.MessageReported, Outcome: outcome, Actor: audit.Actor{Kind: audit.System}, Subject: d.receipt().Citizen,
		Details: map[string]string{"channel": d.Channel, "message": d.Message, "delivery": d.ID, "state": string(r.Result)},
	})
}
