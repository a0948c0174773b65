package credentials

import (
	"context"
	"errors"
	"slices"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// Messages of a recovery.
const (
	RecoveryCode            delivery.MessageKey = "recovery-code"
	NoticeRecoveryStarted   delivery.MessageKey = "notice-recovery-started"
	NoticeRecoveryConfirmed delivery.MessageKey = "notice-recovery-confirmed"
	NoticeRecoveryCancelled delivery.MessageKey = "notice-recovery-cancelled"
	NoticeRecoveryFailed    delivery.MessageKey = "notice-recovery-failed"
	NoticeRecoveryLost      delivery.MessageKey = "notice-recovery-lost"
	NoticeRecoveryFirstPIN  delivery.MessageKey = "notice-recovery-first-pin"
	NoticeRecoveryNoPIN     delivery.MessageKey = "notice-recovery-no-pin"
	NoticeRecoveryExcluded  delivery.MessageKey = "notice-recovery-excluded"
	NoticeRecoverySuspended delivery.MessageKey = "notice-recovery-suspended"
)

// recoverPath is the page that a recovery's mail links to.
const recoverPath = "/pin/recover/confirm"

// recovered is the origin of a PIN that a recovery has made.
const recovered origin = "recovery"

// Recovery is what is typed to begin one: a person, and contacts of different
// kinds, all of which must be the registered ones (R35, R36).
type Recovery struct {
	FiscalCode citizens.FiscalCode
	Contacts   []citizens.ContactValue
}

// ErrTwoContacts says that a recovery needs two contacts of different kinds
// that are not the same address. It says nothing about anybody.
var ErrTwoContacts = errors.New("two different contacts of different kinds are needed")

// distinct counts the contacts that differ in kind and in value (R11).
func (r Recovery) distinct() int {
	var seen []citizens.ContactValue
	for _, c := range r.Contacts {
		if !slices.ContainsFunc(seen, func(o citizens.ContactValue) bool { return o.Same(c) || o.Kind() == c.Kind() }) {
			seen = append(seen, c)
		}
	}
	return len(seen)
}

// Enough reports whether these are the contacts that a recovery needs.
func (r Recovery) Enough() bool { return r.distinct() >= 2 }

// RecoveryLife is how long the code of a recovery is good for.
func (s *Service) RecoveryLife() time.Duration { return s.policy.Procedures.RecoveryLife }

// StartRecovery keeps the request. It answers the same for everybody; who it is
// and whether anything matches, the worker finds out.
func (s *Service) StartRecovery(ctx context.Context, by audit.Actor, r Recovery) error {
	if !r.Enough() {
		return ErrTwoContacts
	}
	in := typed{FiscalCode: r.FiscalCode.Reveal()}
	for _, c := range r.Contacts {
		switch c.Kind() {
		case citizens.Mobile:
			in.Mobile = c.Reveal()
		case citizens.Email:
			in.Email = c.Reveal()
		case citizens.PEC:
			in.PEC = c.Reveal()
		}
	}
	return wrap("begin a recovery", s.request(ctx, by, recovery, r.FiscalCode, in))
}

// RecoveryOpen reports whether the link of a recovery's mail still leads on.
// Looking changes nothing.
func (s *Service) RecoveryOpen(ctx context.Context, link Code) (bool, error) {
	return s.linkLive(ctx, recovery, link)
}

// contacts are those that were typed.
func (t typed) contacts() map[citizens.ContactKind]string {
	all := map[citizens.ContactKind]string{}
	for kind, value := range map[citizens.ContactKind]string{citizens.Mobile: t.Mobile, citizens.Email: t.Email, citizens.PEC: t.PEC} {
		if value != "" {
			all[kind] = value
		}
	}
	return all
}

// matches compares what was typed with the contacts that count today: all of
// it must be right, and none of it unproved (R36).
func (t typed) matches(on citizens.Contacts) bool {
	all := t.contacts()
	for kind, value := range all {
		c, err := citizens.ParseContact(kind, value)
		registered := on.Of(kind)
		if err != nil || !registered.Verified || !registered.Value.Same(c) {
			return false
		}
	}
	return len(all) >= 2
}

// recoveryPlan is where the mail and the parts go (pin-rules §2.6): never both
// parts to one place.
type recoveryPlan struct{ mail, half1, half2 way }

// plan lays out a recovery over the contacts that were typed, certified mail
// before ordinary mail. It is false when the channels that are on do not
// suffice.
func plan(in typed, ways map[citizens.ContactKind]way) (p recoveryPlan, ok bool) {
	usable := map[citizens.ContactKind]way{}
	for kind := range in.contacts() {
		if w, on := ways[kind]; on {
			usable[kind] = w
		}
	}
	mobile, hasMobile := usable[citizens.Mobile]
	email, hasEmail := usable[citizens.Email]
	pec, hasPEC := usable[citizens.PEC]
	if p.mail = email; hasPEC {
		p.mail = pec
	}
	switch {
	case hasMobile && (hasEmail || hasPEC):
		p.half1, p.half2 = mobile, p.mail
	case hasEmail && hasPEC:
		p.half1, p.half2 = email, pec
	default:
		return recoveryPlan{}, false
	}
	return p, true
}

// recoveryFacts are what decides about a recovery.
type recoveryFacts struct {
	matches   bool // person and contacts
	dead      bool
	eligible  bool
	reachable bool
	has       bool // a PIN to recover
	pin       credential
	open      *procedure // the person's recovery that is under way
	starts    int        // begun in the last day
}

// decide says what becomes of a request. Whoever does not know the contacts
// learns nothing, so that comes first.
func (f recoveryFacts) decide(p ProcedurePolicy, now time.Time) step {
	switch {
	case !f.matches || f.dead:
		return stepNoMatch
	case f.has && !f.pin.SuspendedAt.IsZero():
		return stepSuspended
	case !f.has:
		return stepNoPIN
	case !f.eligible:
		return stepIneligible
	case f.pin.State == Issued && f.pin.Origin == enrolment:
		return stepFirstPIN // R43: revoke it, ask for another
	case !f.reachable:
		return stepUnreachable
	case f.open != nil && f.open.fresh(p, now):
		return stepRecent
	case f.starts >= p.Starts:
		return stepLimit
	}
	return stepMailed
}

// fresh reports whether the parts of a recovery have left, or are leaving, so
// lately that they may still be on their way to their owner (R46).
func (p procedure) fresh(policy ProcedurePolicy, now time.Time) bool {
	since := p.ConfirmedAt.Time
	if p.PartsSentAt.After(since) {
		since = p.PartsSentAt.Time
	}
	return p.State != stepMailed && since.Add(policy.Pause).After(now)
}

// matchRecovery looks whose data were typed and goes on, or ends the request
// without a word to whoever typed them.
func (s *Service) matchRecovery(ctx context.Context, p procedure) error {
	in, fc, err := s.reopen(p)
	if err != nil {
		return err
	}
	who, err := s.citizens.ByFiscalCode(ctx, fc)
	if errors.Is(err, citizens.ErrUnknown) {
		_, err = s.finishProcedure(ctx, system, p, stepNoMatch)
		return err
	}
	if err != nil {
		return err
	}
	p.CitizenID = who.ID
	facts, route, err := s.recoveryFacts(ctx, who, in, p.Now.Time)
	if err != nil {
		return err
	}
	to := facts.decide(s.policy.Procedures, p.Now.Time)
	if to != stepMailed {
		return s.refuseRecovery(ctx, who, p, to)
	}
	return s.mailRecovery(ctx, who, p, route)
}

func (s *Service) recoveryFacts(ctx context.Context, who citizens.Citizen, in typed, now time.Time) (f recoveryFacts, route recoveryPlan, err error) {
	f.matches, f.dead = in.matches(who.Contacts), who.DeceasedOn != nil
	route, f.reachable = plan(in, s.ways(who))
	if f.pin, f.has, err = s.store.owned(ctx, who.ID); err != nil {
		return f, route, err
	}
	_, excluded := s.eligibility.Excludes(who, f.pin.IssuedAt.Ptr(), now)
	f.eligible = !excluded
	open, err := s.store.openProcedures(ctx, who.ID, []procedureKind{recovery})
	if err != nil {
		return f, route, err
	}
	if len(open) > 0 {
		f.open = &open[0]
	}
	f.starts, err = s.store.startsToday(ctx, recovery, who.ID)
	return f, route, err
}

// refuseRecovery ends a request. Its reason goes to the registered contacts,
// which whoever typed them has proved to know, and nowhere else (R43).
func (s *Service) refuseRecovery(ctx context.Context, who citizens.Citizen, p procedure, why step) error {
	if ok, err := s.finishProcedure(ctx, system, p, why); err != nil || !ok {
		return err
	}
	key := map[step]delivery.MessageKey{
		stepFirstPIN: NoticeRecoveryFirstPIN, stepNoPIN: NoticeRecoveryNoPIN,
		stepIneligible: NoticeRecoveryExcluded, stepSuspended: NoticeRecoverySuspended,
	}[why]
	if key == "" {
		return nil
	}
	return s.Notify(ctx, who, key, nil)
}

// mailRecovery sends the code. An earlier request of the same person is over
// with it, and so are parts of a PIN that have not both left.
func (s *Service) mailRecovery(ctx context.Context, who citizens.Citizen, p procedure, route recoveryPlan) error {
	if err := s.dropProcedures(ctx, system, who.ID, stepSuperseded, recovery); err != nil {
		return err
	}
	m, err := s.newMailing(p)
	if err != nil {
		return err
	}
	ok, err := s.store.mailed(ctx, p, m, s.policy.Procedures.RecoveryLife)
	if err != nil || !ok {
		return err
	}
	err = s.send(ctx, who, RecoveryCode, route.mail, p.ID,
		delivery.Words{"Code": m.code.Reveal(), "Link": s.page(recoverPath, m.link)})
	if err != nil {
		return err
	}
	if err := s.Notify(ctx, who, NoticeRecoveryStarted, nil); err != nil {
		return err
	}
	e := p.event(audit.ProcedureMailed, system, "")
	e.Details["channel"] = string(route.mail.channel)
	return s.audit.Record(ctx, e)
}
