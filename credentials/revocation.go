package credentials

import (
	"context"
	"errors"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// Messages of a revocation.
const (
	RevocationCode           delivery.MessageKey = "revocation-code"
	NoticePINRevoked         delivery.MessageKey = "notice-pin-revoked"
	NoticeRevocationStarted  delivery.MessageKey = "notice-revocation-started"
	NoticeRevocationNoPIN    delivery.MessageKey = "notice-revocation-no-pin"
	NoticeRevocationGuessing delivery.MessageKey = "notice-revocation-guessing"
)

// revokePath is the page that a revocation's mail links to.
const revokePath = "/pin/revoke/confirm"

// revokedByHolder is the reason of a revocation that its owner asked for.
const revokedByHolder = "asked for with the health card"

// Revocation is what is typed to begin one: a person, the health card, and
// where the code goes. That need not be a registered address: this is the way
// of those whose registered ones are wrong (R45, R48). The card is the proof.
type Revocation struct {
	FiscalCode citizens.FiscalCode
	Card       citizens.HealthCard
	To         citizens.ContactValue
}

// RevocationLife is how long the code of a revocation is good for.
func (s *Service) RevocationLife() time.Duration { return s.policy.Procedures.RevocationLife }

// StartRevocation keeps the request. It answers the same for everybody; whether
// the card is the person's, the worker finds out.
func (s *Service) StartRevocation(ctx context.Context, by audit.Actor, r Revocation) error {
	in := typed{FiscalCode: r.FiscalCode.Reveal(), Email: r.To.Reveal(), Card: r.Card.Number.Reveal(), Expiry: r.Card.Expiry.String()}
	return wrap("begin a revocation", s.request(ctx, by, revocation, r.FiscalCode, in))
}

// RevocationOpen reports whether the link of a revocation's mail still leads
// on. Looking changes nothing.
func (s *Service) RevocationOpen(ctx context.Context, link Code) (bool, error) {
	return s.linkLive(ctx, revocation, link)
}

func (t typed) card() (citizens.HealthCard, error) {
	number, err := citizens.ParseCardNumber(t.Card)
	if err != nil {
		return citizens.HealthCard{}, err
	}
	expiry, err := citizens.ParseDate(t.Expiry)
	return citizens.HealthCard{Number: number, Expiry: expiry}, err
}

// revocationFacts are what decides about a revocation.
type revocationFacts struct {
	misses    int // cards that did not match in the last day
	known     bool
	card      bool // it is this person's card, and not expired
	has       bool // a PIN, live or on its way
	reachable bool
	starts    int // begun in the last day
}

// decide says what becomes of a request. After some wrong cards nobody looks at
// further ones, right or wrong: a card's number is not for guessing.
func (f revocationFacts) decide(p ProcedurePolicy) step {
	switch {
	case f.misses >= p.CardTries:
		return stepNotVerified
	case !f.known || !f.card:
		return stepNoMatch
	case !f.has:
		return stepNoPIN
	case !f.reachable:
		return stepUnreachable
	case f.starts >= p.Starts:
		return stepLimit
	}
	return stepMailed
}

// verifyCard looks whose card it is and goes on, or ends the request without a
// word to whoever typed it.
func (s *Service) verifyCard(ctx context.Context, p procedure) error {
	in, fc, err := s.reopen(p)
	if err != nil {
		return err
	}
	who, err := s.citizens.ByFiscalCode(ctx, fc)
	known := err == nil
	if err != nil && !errors.Is(err, citizens.ErrUnknown) {
		return err
	}
	p.CitizenID = who.ID // empty for somebody unknown
	facts, to, err := s.revocationFacts(ctx, p, who, known, in)
	if err != nil {
		return err
	}
	if next := facts.decide(s.policy.Procedures); next != stepMailed {
		return s.refuseRevocation(ctx, who, p, next)
	}
	return s.mailRevocation(ctx, who, p, to)
}

func (s *Service) revocationFacts(ctx context.Context, p procedure, who citizens.Citizen, known bool, in typed) (f revocationFacts, to way, err error) {
	if f.misses, err = s.store.missesToday(ctx, p.PersonKey); err != nil || !known {
		return f, to, err
	}
	card, err := in.card()
	if err != nil {
		return f, to, err
	}
	_, expired := card.Check(citizens.DateOf(p.Now.Time))
	f.known, f.card = true, expired == nil && who.HealthCard != nil && who.HealthCard.Matches(card)
	live, pending, err := s.store.holding(ctx, who.ID)
	if err != nil {
		return f, to, err
	}
	f.has = live || pending
	if to, f.reachable, err = s.mailbox(who, in.Email); err != nil {
		return f, to, err
	}
	f.starts, err = s.store.startsToday(ctx, revocation, who.ID)
	return f, to, err
}

// mailbox is how an address is reached that need not be on file: by certified
// mail where it is known to be one, since most of those refuse other mail.
func (s *Service) mailbox(who citizens.Citizen, address string) (way, bool, error) {
	value, err := citizens.ParseContact(citizens.Email, address)
	if err != nil {
		return way{}, false, err
	}
	w := way{delivery.Email, citizens.Contact{Value: value}}
	if certified := who.Contacts.PEC; certified.Value.Same(value) || !s.outbox.Has(delivery.Email) {
		w.channel = delivery.PEC
	}
	return w, s.outbox.Has(w.channel), nil
}

// refuseRevocation ends a request. What it means is told to the registered
// contacts only: of tries at the card once they are too many.
func (s *Service) refuseRevocation(ctx context.Context, who citizens.Citizen, p procedure, why step) error {
	if ok, err := s.finishProcedure(ctx, system, p, why); err != nil || !ok || who.ID == "" || who.DeceasedOn != nil {
		return err
	}
	key := map[step]delivery.MessageKey{stepNotVerified: NoticeRevocationGuessing, stepNoPIN: NoticeRevocationNoPIN}[why]
	if key == "" {
		return nil
	}
	return s.Notify(ctx, who, key, nil)
}

// mailRevocation sends the code; an earlier request of the same person is over
// with it.
func (s *Service) mailRevocation(ctx context.Context, who citizens.Citizen, p procedure, to way) error {
	if err := s.dropProcedures(ctx, system, who.ID, stepSuperseded, revocation); err != nil {
		return err
	}
	m, err := s.newMailing(p)
	if err != nil {
		return err
	}
	ok, err := s.store.mailed(ctx, p, m, s.policy.Procedures.RevocationLife)
	if err != nil || !ok {
		return err
	}
	err = s.send(ctx, who, RevocationCode, to, p.ID, delivery.Words{"Code": m.code.Reveal(), "Link": s.page(revokePath, m.link)})
	if err != nil {
		return err
	}
	if err := s.Notify(ctx, who, NoticeRevocationStarted, nil); err != nil {
		return err
	}
	e := p.event(audit.ProcedureMailed, system, "")
	e.Details["channel"] = string(to.channel)
	return s.audit.Record(ctx, e)
}

// ConfirmRevocation ends the PIN of whoever holds the code, live or on its way,
// and what rests on it. A new one may be asked for at once (R52).
//
// ErrCodeWrong and ErrLinkDead are expected.
func (s *Service) ConfirmRevocation(ctx context.Context, by audit.Actor, proof Proof) error {
	p, err := s.prove(ctx, by, revocation, proof)
	if err != nil {
		return wrapUnless("confirm a revocation", err, ErrCodeWrong, ErrLinkDead)
	}
	err = s.db.InTx(context.WithoutCancel(ctx), func(ctx context.Context) error { return s.revokeProved(ctx, by, p) })
	if errors.Is(err, errOver) {
		return ErrLinkDead
	}
	return wrap("confirm a revocation", err)
}

// revokeProved ends everything at once. Of two confirmations the second finds
// the request over, and undoes what it began.
func (s *Service) revokeProved(ctx context.Context, by audit.Actor, p procedure) error {
	who, err := s.citizens.ByID(ctx, p.CitizenID)
	if err != nil {
		return err
	}
	if err := s.dropProcedures(ctx, by, who.ID, stepCancelled, recovery); err != nil {
		return err
	}
	// without a PIN there is nothing left to end: somebody else has been faster
	if err := s.revoke(ctx, by, who.ID, revokedByHolder); err != nil && !errors.Is(err, ErrNoPIN) {
		return err
	}
	if err := s.audit.Record(ctx, p.event(audit.ProcedureConfirmed, by, "")); err != nil {
		return err
	}
	ok, err := s.finishProcedure(ctx, by, p, stepCompleted)
	if err != nil {
		return err
	}
	if !ok {
		return errOver
	}
	return s.Notify(ctx, who, NoticePINRevoked, nil)
}
