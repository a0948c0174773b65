package credentials

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/throttle"
)

// finish is how long a try may take once it has been counted, also when its
// browser has gone away: whoever cancels must neither look at PINs without a
// record nor get his try back.
const finish = 30 * time.Second

// verdict is what became of a try, as the audit calls it.
type verdict string

const (
	right      verdict = ""
	wrong      verdict = "wrong"
	waiting    verdict = "waiting"
	noPIN      verdict = "no PIN"
	suspended  verdict = "suspended"
	ineligible verdict = "not eligible"
	expired    verdict = "expired"
	inactive   verdict = "inactive"
	overtaken  verdict = "changed meanwhile"
	forged     verdict = "hash of another row"
)

// try is one attempt at a person's PIN and what is known about it.
type try struct {
	by      audit.Actor
	who     citizens.Citizen // as far as rules ask
	known   bool
	again   bool // by somebody who is signed in
	pin     credential
	has     bool // who has a PIN that could sign in
	guess   throttle.Guess
	verdict verdict
	renewed secret
	must    ChangeReason
	// excluded by the profile, and let in for the while that is left
	excluded bool
	// then is built on a right PIN in the transaction that records the try, if
	// its owner is still alive when that holds the PIN
	then func(ctx context.Context, v Verified) error
}

// Verify reports whose PIN this is. A wrong PIN, an unknown codice fiscale, a
// person who has no PIN, one who has to wait and one who is suspended are
// indistinguishable to the caller, in the answer and in the time it takes: each
// costs the same statements and one hash.
//
// It returns ErrRefused, *WaitingError or *BusyError for what is expected.
func (s *Service) Verify(ctx context.Context, by audit.Actor, fc citizens.FiscalCode, pin PIN) (Verified, error) {
	return s.verify(ctx, try{by: by}, fc, pin)
}

// VerifyThen is Verify for who builds on the PIN at once: then is called in the
// transaction that records the try, for a right PIN that need not be changed
// first. What it refuses or fails at undoes what it wrote, not the record, and
// is the error that VerifyThen returns. The record has taken the PIN's row, under
// the conditions of Hold, which need not be called again.
func (s *Service) VerifyThen(ctx context.Context, by audit.Actor, fc citizens.FiscalCode, pin PIN, then func(context.Context, Verified) error) (Verified, error) {
	return s.verify(ctx, try{by: by, then: then}, fc, pin)
}

// Reauthenticate asks somebody who is signed in for his PIN once more, before
// something that a session alone must not do. It is a try like any other (R32),
// refused in the same ways; one that is right changes neither the session nor
// the time of the last access. A PIN that has come of age will do: a session
// goes on (R27).
func (s *Service) Reauthenticate(ctx context.Context, by audit.Actor, id citizens.ID, pin PIN) (Verified, error) {
	who, err := s.citizens.ByID(ctx, id)
	if err != nil {
		return Verified{}, fmt.Errorf("verify a PIN: %w", err)
	}
	return s.verify(ctx, try{by: by, again: true}, who.FiscalCode, pin)
}

func (s *Service) verify(ctx context.Context, t try, fc citizens.FiscalCode, pin PIN) (Verified, error) {
	if pin.IsZero() {
		return Verified{}, ErrMalformed
	}
	p, err := s.hasher.enter()
	if err != nil {
		return Verified{}, err
	}
	defer p.leave()
	if err = s.look(ctx, fc, &t); err != nil {
		return Verified{}, fmt.Errorf("verify a PIN: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finish)
	defer cancel()
	if err := s.judge(ctx, p, &t, pin); err != nil {
		return Verified{}, fmt.Errorf("verify a PIN: %w", err)
	}
	return s.conclude(ctx, t)
}

// conclude records the try, with what is built on it, and without where that
// was prevented. A PIN that was overtaken has built nothing, and is none.
func (s *Service) conclude(ctx context.Context, t try) (Verified, error) {
	var prevented error
	if t.builds() {
		if prevented = s.build(ctx, t); prevented == nil {
			return s.answer(t)
		}
		if database.IsUnavailable(prevented) {
			return Verified{}, fmt.Errorf("record a try: %w", prevented)
		}
		t.then = nil
		if errors.Is(prevented, errOvertaken) {
			t.verdict, prevented = overtaken, nil
		}
	}
	if err := s.db.InTx(ctx, func(ctx context.Context) error { return s.record(ctx, &t) }); err != nil {
		return Verified{}, fmt.Errorf("record a try: %w", errors.Join(err, prevented))
	}
	if prevented != nil {
		return Verified{}, prevented
	}
	return s.answer(t)
}

// errOvertaken says that a right PIN opens nothing any more, where something was
// to be built on it.
var errOvertaken = errors.New("the PIN has changed meanwhile")

// builds reports whether something is built on the try.
func (t try) builds() bool { return t.then != nil && t.verdict == right && t.must == "" }

// build records the try and has something built on it, all or nothing; what was
// recorded may turn out void as late as with the commit.
func (s *Service) build(ctx context.Context, t try) error {
	return s.db.InTx(ctx, func(ctx context.Context) error {
		if err := s.record(ctx, &t); err != nil {
			return err
		}
		return t.then(ctx, t.verified())
	})
}

// verified is what a right PIN opens.
func (t try) verified() Verified {
	return Verified{
		Citizen: t.who.ID, Credential: t.pin.ID, Kind: t.pin.kind(), MustChange: t.must != "", Reason: t.must,
		PreviousAccess: t.pin.LastAccessAt.Ptr(),
	}
}

// look reads who this is and the PIN to try, and counts the try, in one go and
// the same for everybody: it is counted when anybody comes to look at what was
// read (security §5.3).
func (s *Service) look(ctx context.Context, fc citizens.FiscalCode, t *try) error {
	id, person, who := s.citizens.AskingRules(fc)
	pin, trying := s.store.trying(id)
	counted, counting, err := s.throttle.Counting(ctx, id, s.citizens.FiscalCodeKey(fc))
	if err != nil {
		return err
	}
	if err := s.db.Writer(ctx).Together(who, trying, counting); err != nil {
		return err
	}
	t.pin, t.has = pin.credential, pin.found
	var key []byte
	t.who, err = person.Citizen()
	if t.known = err == nil; t.known {
		key = []byte(t.who.ID)
	} else {
		t.who = citizens.Citizen{ID: nobody}
	}
	if t.has && t.pin.CitizenID != t.who.ID { // the code has become another person's in between
		return throttle.ErrElsewhere
	}
	t.guess, err = counted.Guess(key)
	return err
}

// judge hashes once, whatever there is to compare with, and with no
// transaction open.
func (s *Service) judge(ctx context.Context, p *place, t *try, pin PIN) error {
	if t.guess.Refused() || !t.has {
		if t.verdict = noPIN; t.guess.Refused() {
			t.verdict = waiting // R31a: refused unseen
		}
		return s.vault.burn(ctx, p, pin)
	}
	ok, err := s.vault.matches(ctx, p, t.pin.label(), t.pin.Secret, pin)
	switch {
	case errors.Is(err, errForged):
		s.log.ErrorContext(ctx, "somebody has written into the database", "credential", t.pin.ID, "error", err)
		t.verdict = forged
	case err != nil:
		return err
	case !ok:
		t.verdict = wrong
	default:
		if t.verdict = s.admits(t); t.verdict == right {
			return s.renew(ctx, p, t, pin)
		}
	}
	return nil
}

// admits asks whether a right PIN opens anything.
func (s *Service) admits(t *try) verdict {
	now := t.pin.Now.Time
	if !t.pin.SuspendedAt.IsZero() {
		return suspended
	}
	_, t.excluded = s.eligibility.Excludes(t.who, t.pin.IssuedAt.Ptr(), now)
	if t.excluded && t.pin.shutOut(t.who, s.eligibility) {
		return ineligible
	}
	if t.pin.State == Dismissed { // and eligible again
		t.pin.State = t.pin.before()
	}
	switch s.policy.state(t.pin, t.who, s.italy, now) {
	case ExpiredUnused:
		return expired
	case Inactive:
		return inactive
	case Issued:
		if t.again { // a first PIN opens nobody's session, and nothing in one
			return noPIN
		}
		t.must = FirstAccess
	case ChangeDue:
		t.must = TooOld
	default: // in use, and of no age
	}
	return right
}

// renew brings a secret to the installation's cost and the newest pepper,
// which only the moment of a right PIN allows.
func (s *Service) renew(ctx context.Context, p *place, t *try, pin PIN) error {
	t.renewed = t.pin.Secret
	stale, err := s.vault.stale(ctx, t.pin.Secret)
	if err != nil || !stale {
		return err
	}
	t.renewed, err = s.vault.keep(ctx, p, t.pin.label(), pin)
	return err
}

// record writes what became of a try, in one transaction: for a stranger into
// the count of the minute, for everybody else into the audit.
func (s *Service) record(ctx context.Context, t *try) error {
	if !t.known {
		waits := 0
		if t.verdict == waiting {
			waits = 1
		}
		return s.store.stranger(ctx, t.guess.At, waits)
	}
	if t.verdict == right {
		if err := s.reconsider(ctx, *t); err != nil {
			return err
		}
		if err := s.access(ctx, t); err != nil {
			return err
		}
	}
	return s.audit.Record(ctx, s.events(*t)...)
}

// access takes the PIN's row and forgives the wrong tries. Whatever is built on
// that is void if the PIN opens nothing any more, or its owner has been reported
// dead by the time that the row is held; nobody waits to hear that it is not. A
// statement that waits for the row sees the rest as it was before: who lives is
// for the next one to ask.
func (s *Service) access(ctx context.Context, t *try) error {
	if t.builds() {
		if err := s.store.mustAccess(ctx, t.pin, t.renewed); err != nil {
			return err
		}
		return s.throttle.MustForgive(ctx, []byte(t.who.ID), citizens.Living(t.who.ID), ErrRefused)
	}
	ok, err := s.store.access(ctx, t.pin, t.renewed, t.must == "" && !t.again)
	if err != nil {
		return err
	}
	if !ok {
		t.verdict = overtaken
		return nil
	}
	return s.throttle.Forgive(ctx, []byte(t.who.ID))
}

// reconsider is what a sign-in shows about a recovery, which it overtakes, and
// about a dismissal: that it is due, or that there is no reason for it any more.
// The person is written to, and read whole for that.
func (s *Service) reconsider(ctx context.Context, t try) error {
	announced := !t.pin.DismissalAt.IsZero()
	if !t.pin.Recovering && t.excluded == announced {
		return nil
	}
	who, err := s.citizens.ByID(ctx, t.who.ID)
	if err == nil && t.pin.Recovering {
		err = s.overtakeRecovery(ctx, t.by, who)
	}
	switch {
	case err != nil || t.excluded == announced:
		return err
	case t.excluded:
		return s.announceDismissal(ctx, t.pin, who)
	default:
		return s.readmit(ctx, t.by, t.pin, who)
	}
}

// events are the try, and the wait it has started.
func (s *Service) events(t try) []audit.Event {
	e := audit.Event{Type: audit.SignIn, Outcome: audit.Succeeded, Actor: t.by, Subject: t.who.ID, Reason: string(t.verdict),
		Details: map[string]string{}}
	if t.again {
		e.Details["purpose"] = "reauthentication"
	}
	if t.has {
		e.Details["credential"] = string(t.pin.ID)
	}
	if t.verdict == right {
		return []audit.Event{e}
	}
	e.Outcome = audit.Refused
	e.Details["fails"] = strconv.Itoa(t.guess.Fails)
	if t.guess.Until.IsZero() || t.verdict == waiting {
		return []audit.Event{e}
	}
	return []audit.Event{e, {Type: audit.PINLocked, Outcome: audit.Succeeded, Actor: audit.Actor{Kind: audit.System}, Subject: t.who.ID,
		Details: map[string]string{"fails": e.Details["fails"], "until": t.guess.Until.Format(time.RFC3339)}}}
}

// answer is the same for everybody who is not let in: a wait, where one runs
// or has just begun (decision 10), else a plain refusal.
func (s *Service) answer(t try) (Verified, error) {
	switch t.verdict {
	case right:
		s.observe("right", false)
		return t.verified(), nil
	case waiting:
		s.observe("waiting", false)
	default:
		s.observe("wrong", !t.guess.Until.IsZero())
	}
	if !t.guess.Until.IsZero() {
		return Verified{}, &WaitingError{Until: t.guess.Until}
	}
	return Verified{}, ErrRefused
}
