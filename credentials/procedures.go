package credentials

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
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

// ProcedurePolicy holds the figures of pin-rules §0.2 and §2.4 for procedures.
type ProcedurePolicy struct {
	// RecoveryLife and RevocationLife are how long the code in a mail is good
	// for, Tries how many wrong ones end the request.
	RecoveryLife   time.Duration
	RevocationLife time.Duration
	Tries          int
	// Starts is how many requests of a kind one person may begin in a day.
	Starts int
	// Pause is how long a recovery whose parts have left keeps another from
	// beginning.
	Pause time.Duration
	// CardTries is how many cards that do not match are looked at in a day.
	CardTries int
	// Notices is how many notices of one kind a person gets in a day, and
	// ReportLife how long one can be answered with "that was not me".
	Notices    int
	ReportLife time.Duration
	// Keep is how long the row of a request that is over stays.
	Keep time.Duration
}

// DefaultProcedurePolicy is pin-rules §0.2.
func DefaultProcedurePolicy() ProcedurePolicy {
	const day = 24 * time.Hour
	return ProcedurePolicy{
		RecoveryLife: day, RevocationLife: day, Tries: 5, Starts: 3, Pause: 15 * time.Minute, CardTries: 3,
		Notices: 3, ReportLife: 30 * day, Keep: 90 * day,
	}
}

func (p ProcedurePolicy) valid() bool {
	return p.RecoveryLife > 0 && p.RevocationLife > 0 && p.Tries > 0 && p.Starts > 0 && p.Pause > 0 && p.CardTries > 0 &&
		p.Notices > 0 && p.ReportLife > 0 && p.Keep > 0
}

func (p ProcedurePolicy) life(k procedureKind) time.Duration {
	if k == recovery {
		return p.RecoveryLife
	}
	return p.RevocationLife
}

// Refusals of a confirmation.
var (
	// ErrCodeWrong stands for a wrong code, another person's, and no request at
	// all. It counts as a try.
	ErrCodeWrong = errors.New("codice fiscale and code do not match")
	// ErrLinkDead says that a link, or a code that was right, is not good any
	// more: used, expired, superseded, tried too often. Only somebody who holds
	// one of them gets this answer.
	ErrLinkDead = errors.New("this link is not good any more")
)

// Code is a code or a link's token as somebody typed or followed it. It does
// not print.
type Code struct{ value string }

// ParseCode takes what was typed: case, spaces and hyphens do not matter.
func ParseCode(s string) Code {
	return Code{strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "\u00a0", "", "\t", "").Replace(s))}
}

// NewLink takes the token of a link, as it is.
func NewLink(token string) Code { return Code{token} }

// Len is the number of characters.
func (c Code) Len() int { return len(c.value) }

// IsZero reports whether there is none.
func (c Code) IsZero() bool { return c.value == "" }

// Digits reports whether there is nothing else in it.
func (c Code) Digits() bool { return strings.Trim(c.value, "0123456789") == "" }

// Reveal is the text itself.
func (c Code) Reveal() string { return c.value }

func (Code) String() string       { return "[code]" }
func (Code) GoString() string     { return "[code]" }
func (Code) LogValue() slog.Value { return slog.StringValue("[code]") }

// Format keeps every verb from looking inside.
func (Code) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[code]")) }

// MarshalJSON refuses: a code is never encoded.
func (Code) MarshalJSON() ([]byte, error) { return nil, errors.New("a code is never encoded") }

// Proof is what confirms a request: the code out of the mail, and whose it is.
// Link is the token of the mail's link, where the page was opened by it.
type Proof struct {
	Link       Code
	FiscalCode citizens.FiscalCode
	Code       Code
}

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

// finishProcedure ends a request that stands at the step it was read at. It is
// false when somebody else has moved it meanwhile.
func (s *Service) finishProcedure(ctx context.Context, by audit.Actor, p procedure, to step) (bool, error) {
	ok, err := s.store.endProcedure(ctx, p, to, s.policy.Procedures.Keep)
	if err != nil || !ok {
		return ok, err
	}
	e := p.event(audit.ProcedureEnded, by, string(to))
	if to != stepCompleted {
		e.Outcome = audit.Refused
	}
	return true, s.audit.Record(ctx, e)
}

// errRace rolls a transaction back that met another one's work; the next
// attempt sees it.
var errRace = errors.New("a request has been moved by somebody else")

// dropProcedures ends what a person has open of these kinds. Parts of a new PIN
// that have not both left die with it; the PIN in use is not touched.
//
// Everybody who ends deliveries, PINs and requests together does so in this
// order, which is the order of a hand-over: nobody waits for each other.
func (s *Service) dropProcedures(ctx context.Context, by audit.Actor, who citizens.ID, to step, kinds ...procedureKind) error {
	for range 5 {
		open, err := s.store.openProcedures(ctx, who, kinds)
		if err != nil {
			return err
		}
		raced := false
		for _, p := range open {
			if err := s.dropParts(ctx, p, string(to)); err != nil {
				return err
			}
			ok, err := s.finishProcedure(ctx, by, p, to)
			if err != nil {
				return err
			}
			raced = raced || !ok
		}
		if !raced {
			return nil
		}
	}
	return errRace
}

// dropParts calls the parts of a new PIN back and discards it, unless both have
// left.
func (s *Service) dropParts(ctx context.Context, p procedure, why string) error {
	if p.State != stepSending {
		return nil
	}
	if err := s.outbox.Cancel(ctx, string(p.CredentialID)); err != nil {
		return err
	}
	list, err := s.store.discard(ctx, p.CredentialID, why)
	if err != nil || len(list) == 0 {
		return err
	}
	return s.audit.Record(ctx, event(audit.PINDiscarded, system, list[0], why))
}

// prove counts a try and looks whether the code is right. Only then, or with
// the link in hand, does anybody learn that a request is over.
func (s *Service) prove(ctx context.Context, by audit.Actor, k procedureKind, proof Proof) (procedure, error) {
	who, known, err := s.citizens.Find(ctx, proof.FiscalCode)
	if err != nil {
		return procedure{}, err
	}
	if !known {
		who = nobody
	}
	p, found, err := s.store.asked(ctx, k, who, s.linkKeys(proof.Link))
	if err != nil {
		return procedure{}, err
	}
	if !proof.Link.IsZero() && (!found || !p.confirmable(s.policy.Procedures.Tries)) {
		return procedure{}, ErrLinkDead
	}
	p, reserved, err := s.store.reserveCode(ctx, p.ID, s.policy.Procedures.Tries)
	if err != nil {
		return procedure{}, err
	}
	right := reserved && p.CitizenID == who && equalAny(p.CodeKey, s.codeKeys(p, proof.Code))
	switch {
	case !reserved:
		return procedure{}, ErrCodeWrong
	case !right:
		return procedure{}, s.wrongCode(ctx, by, p)
	case !p.confirmable(s.policy.Procedures.Tries + 1): // this try is counted already
		return procedure{}, ErrLinkDead
	}
	return p, nil
}

// wrongCode records a try; the last one that is allowed ends the request (R38).
func (s *Service) wrongCode(ctx context.Context, by audit.Actor, p procedure) error {
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		e := p.event(audit.ProcedureCodeWrong, by, "")
		e.Outcome = audit.Refused
		if err := s.audit.Record(ctx, e); err != nil {
			return err
		}
		if p.State != stepMailed || p.Tries < s.policy.Procedures.Tries {
			return nil
		}
		_, err := s.finishProcedure(ctx, by, p, stepTooManyTries)
		return err
	})
	if err != nil {
		return wrap("count a wrong code", err)
	}
	return ErrCodeWrong
}

// confirmable reports whether a code could still confirm this request.
func (p procedure) confirmable(tries int) bool {
	return p.State == stepMailed && p.Tries < tries && p.DueAt.After(p.Now.Time)
}

func (s *Service) linkLive(ctx context.Context, k procedureKind, link Code) (bool, error) {
	p, found, err := s.store.asked(ctx, k, nobody, s.linkKeys(link))
	if err != nil {
		return false, wrap("open a link", err)
	}
	return found && p.confirmable(s.policy.Procedures.Tries), nil
}

// mailing is a link and a code, new, and what is kept of them.
type mailing struct {
	link, code       Code
	linkKey, codeKey []byte
}

const (
	linkLength           = 43 // 256 bits in base64, as a mail carries them
	recoveryCodeLength   = 8
	revocationCodeLength = 10

	digits = "0123456789"
	// without 0 O 1 I L, which people take for each other
	plainAlphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
	urlAlphabet   = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

func (s *Service) newMailing(p procedure) (m mailing, err error) {
	set, length := digits, recoveryCodeLength
	if p.Kind == revocation {
		set, length = plainAlphabet, revocationCodeLength
	}
	if m.link.value, err = drawFrom(urlAlphabet, linkLength); err != nil {
		return m, err
	}
	if m.code.value, err = drawFrom(set, length); err != nil {
		return m, err
	}
	m.linkKey, m.codeKey = s.linkKeys(m.link)[0], s.codeKeys(p, m.code)[0]
	return m, nil
}

// linkKeys are the keyed HMACs of a link's token, under the key in use first:
// those of older keys find what was sent before a rotation.
func (s *Service) linkKeys(link Code) [][]byte {
	if link.IsZero() {
		return nil
	}
	return s.keyed("link/v1|" + link.value)
}

// codeKeys bind a code to its request: eight digits are the same for somebody
// else often enough.
func (s *Service) codeKeys(p procedure, code Code) [][]byte {
	return s.keyed("code/v1|" + p.ID + "|" + code.value)
}

func (s *Service) keyed(text string) [][]byte {
	set := s.vault.pepper
	keys := make([][]byte, 0, len(set.PRFs))
	for id, key := range set.PRFs {
		sum, err := key.ComputePRF([]byte("procedure/"+text), hashLength)
		if err != nil {
			continue // a key that cannot be used matches nothing
		}
		if keys = append(keys, sum); id == set.PrimaryID {
			keys[0], keys[len(keys)-1] = keys[len(keys)-1], keys[0]
		}
	}
	return keys
}

func equalAny(kept []byte, keys [][]byte) bool {
	found := 0
	for _, k := range keys {
		found |= subtle.ConstantTimeCompare(kept, k)
	}
	return found == 1 && len(kept) > 0
}

// page is an address of ours, with a link's token.
func (s *Service) page(path string, link Code) string {
	return s.site + path + "?t=" + link.Reveal()
}

// send queues a message to one contact.
func (s *Service) send(ctx context.Context, who citizens.Citizen, key delivery.MessageKey, w way, ref string, words delivery.Words) error {
	m := message(who, key, w.channel, w.to.Value.Reveal())
	m.Ref = ref
	for name, value := range words {
		m.Words[name] = value
	}
	return s.outbox.Enqueue(ctx, m)
}

// way is a contact and the channel that reaches it.
type way struct {
	channel delivery.Channel
	to      citizens.Contact
}

// channelOf is what reaches a contact of a kind.
func channelOf(kind citizens.ContactKind) delivery.Channel {
	switch kind {
	case citizens.Mobile:
		return delivery.SMS
	case citizens.PEC:
		return delivery.PEC
	case citizens.Email:
	}
	return delivery.Email
}

// ways are a person's contacts whose channels are on.
func (s *Service) ways(who citizens.Citizen) map[citizens.ContactKind]way {
	all := map[citizens.ContactKind]way{}
	for _, kind := range citizens.ContactKinds() {
		channel := channelOf(kind)
		if c := who.Contacts.Of(kind); !c.IsZero() && s.outbox.Has(channel) {
			all[kind] = way{channel, c}
		}
	}
	return all
}
