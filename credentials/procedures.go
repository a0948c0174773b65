package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
)

// A procedure is what somebody asks for who has no PIN at hand: a recovery
// (R34–R46) or a revocation (R47–R53). Whoever asks learns nothing: the answer
// is the same for everybody, and comes before anybody has looked whose data
// they were. A worker looks, and writes to the contacts that are on file.
type procedureKind string

const (
	recovery   procedureKind = "recovery"
	revocation procedureKind = "revocation"
)

// step is where a procedure stands (pin-rules §2.3, §2.4).
type step string

// The steps of a procedure that is not over.
const (
	stepReceived step = "received"
	stepMailed   step = "mail_sent"
	stepSending  step = "parts_sending"
	stepSent     step = "parts_sent"
)

// The steps in which a procedure is over.
const (
	stepCompleted    step = "completed"
	stepNoMatch      step = "no_match"
	stepNotVerified  step = "not_verified" // too many cards did not match before
	stepFirstPIN     step = "refused_first_pin"
	stepNoPIN        step = "refused_no_pin"
	stepIneligible   step = "refused_ineligible"
	stepSuspended    step = "refused_suspended"
	stepLimit        step = "refused_limit"  // too many in a day
	stepRecent       step = "refused_recent" // the parts of the one before are just out
	stepUnreachable  step = "undeliverable"
	stepExpired      step = "expired"
	stepSuperseded   step = "superseded"
	stepTooManyTries step = "attempts_exceeded"
	stepUndelivered  step = "delivery_failed"
	stepContested    step = "contested"
	stepCancelled    step = "cancelled"
)

// typed is the form of a request, at rest only while sealed.
type typed struct {
	FiscalCode string `json:"fiscal_code"`
	Mobile     string `json:"mobile,omitempty"`
	Email      string `json:"email,omitempty"`
	PEC        string `json:"pec,omitempty"`
	Card       string `json:"card,omitempty"`
	Expiry     string `json:"expiry,omitempty"`
}

func (typed) String() string       { return "[typed]" }
func (typed) GoString() string     { return "[typed]" }
func (typed) LogValue() slog.Value { return slog.StringValue("[typed]") }

// request keeps what was typed. It costs the same statements for everybody:
// whose data they are is looked up by the worker.
func (s *Service) request(ctx context.Context, by audit.Actor, k procedureKind, fc citizens.FiscalCode, in typed) error {
	id, err := newID()
	if err != nil {
		return err
	}
	p := procedure{ID: string(id), Kind: k}
	plain, err := json.Marshal(in)
	if err != nil {
		return errors.New("what was typed cannot be encoded") // err could quote it
	}
	defer clear(plain)
	if p.Input, err = s.candidates.Encrypt(plain, p.context()); err != nil {
		return fmt.Errorf("seal a request: %w", err)
	}
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		if err := s.store.receive(ctx, p, s.citizens.FiscalCodeKey(fc), s.policy.Procedures.life(k)); err != nil {
			return err
		}
		s.db.AfterCommit(ctx, s.nudge)
		return s.audit.Record(ctx, p.event(audit.ProcedureReceived, by, ""))
	})
	return wrap("keep a request", err)
}

func (s *Service) reopen(p procedure) (in typed, fc citizens.FiscalCode, err error) {
	plain, err := s.candidates.Decrypt(p.Input, p.context())
	if err != nil {
		return in, fc, fmt.Errorf("unseal a request: %w", err)
	}
	defer clear(plain)
	if json.Unmarshal(plain, &in) != nil {
		return in, fc, errors.New("a sealed request cannot be read") // the cause could quote it
	}
	fc, err = citizens.ParseFiscalCode(in.FiscalCode)
	return in, fc, err
}

// context binds what is sealed to its row.
func (p procedure) context() []byte { return []byte("procedure/v1|" + string(p.Kind) + "|" + p.ID) }

func (p procedure) event(t audit.Type, by audit.Actor, why string) audit.Event {
	e := audit.Event{Type: t, Outcome: audit.Succeeded, Actor: by, Subject: p.CitizenID, Reason: why,
		Details: map[string]string{"procedure": string(p.Kind), "request": p.ID}}
	if p.CredentialID != "" {
		e.Details["credential"] = string(p.CredentialID)
	}
	return e
}
