package credentials

import (
	"context"
	"errors"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// Accepted is delivery's hook, after Service.Accepted: a half is with its
// transport, and the request follows.
func (e *Enrolments) Accepted(ctx context.Context, m delivery.Receipt) error {
	if m.Key != delivery.PINHalf1 && m.Key != delivery.PINHalf2 {
		return nil
	}
	r, found, err := e.store.byCredential(ctx, ID(m.Ref))
	if err != nil || !found {
		return wrap("follow a half", err)
	}
	to, set := RequestPart1Sent, map[string]any{"first_half_at": e.pins.db.NowExpr()}
	if m.Key == delivery.PINHalf2 {
		c, _, err := e.pins.store.byID(ctx, r.CredentialID)
		if err != nil {
			return wrap("follow a half", err)
		}
		// the PIN runs out by itself; this is for the case that nobody noticed
		to, set = RequestPart2Handed, map[string]any{"second_half_at": e.pins.db.NowExpr(), "due_at": c.DueAt.Add(time.Hour)}
	}
	return wrap("follow a half", e.advance(ctx, r, to, set))
}

// advance moves a request on and records it.
func (e *Enrolments) advance(ctx context.Context, r enrolmentRow, to EnrolmentState, set map[string]any) error {
	moved, err := e.store.move(ctx, r, to, set)
	if err != nil || !moved {
		return err
	}
	r.State = to
	return e.pins.audit.Record(ctx, r.event(audit.RequestMoved, system, ""))
}

// Failed is delivery's other hook: a half will never arrive, and Service.Failed
// has discarded the PIN. Somebody has to call.
func (e *Enrolments) Failed(ctx context.Context, m delivery.Receipt) error {
	if m.Key != delivery.PINHalf1 && m.Key != delivery.PINHalf2 {
		return nil
	}
	return wrap("follow a half", e.lose(ctx, ID(m.Ref), whyUndelivered))
}

// Outcome is what a transport tells about a half afterwards: the letter was
// posted or came back (R21), the message did not arrive after all.
func (e *Enrolments) Outcome(ctx context.Context, o delivery.Outcome) error {
	switch {
	case o.Key != delivery.PINHalf1 && o.Key != delivery.PINHalf2:
		return nil
	case o.Result == delivery.LetterReturned:
		return wrap("follow a letter", e.lose(ctx, ID(o.Ref), whyReturned))
	case o.Result.Lost():
		return wrap("follow a half", e.lose(ctx, ID(o.Ref), whyUndelivered))
	case o.Result != delivery.LetterPosted:
		return nil
	}
	r, found, err := e.store.byCredential(ctx, ID(o.Ref))
	if err != nil || !found {
		return wrap("follow a letter", err)
	}
	posted := o.At
	if posted.IsZero() {
		posted = r.Now.Time
	}
	return wrap("follow a letter", e.advance(ctx, r, RequestPart2Posted, map[string]any{"posted_at": posted.UTC()}))
}

// lose ends a PIN a half of which is in the wrong hands or in none, and has the
// contact centre call. A PIN that its owner uses already is not touched; one
// that did not come of a request is only ended.
//
// Deliveries, PINs, requests, calls: everybody who writes several of them does
// so in this order.
func (e *Enrolments) lose(ctx context.Context, c ID, why string) error {
	if err := e.pins.outbox.Cancel(ctx, string(c)); err != nil {
		return err
	}
	list, err := e.pins.store.void(ctx, c, why)
	if err != nil {
		return err
	}
	for _, v := range list {
		if err := e.pins.store.endChangesOf(ctx, v.CitizenID); err != nil {
			return err
		}
		ev := event(audit.PINDiscarded, system, v, why)
		ev.Outcome = audit.Failed
		if err := e.pins.audit.Record(ctx, ev); err != nil {
			return err
		}
	}
	r, found, err := e.store.byCredential(ctx, c)
	if err != nil || !found || r.State.final() {
		return err
	}
	if used, err := e.used(ctx, c); err != nil || used {
		return err
	}
	a, err := e.open(r)
	if err != nil {
		return err
	}
	return e.toContactCentre(ctx, r, a, r.CitizenID, why)
}

// used reports whether a first PIN has done what it was for.
func (e *Enrolments) used(ctx context.Context, c ID) (bool, error) {
	p, found, err := e.pins.store.byID(ctx, c)
	return found && p.State == superseded, err
}

// FirstAccess is the end that a request is for: its PIN was used. From now on
// the contacts that were typed count, the proved one as such, and older ones no
// more (R52). It runs in the transaction of the change of PIN.
func (e *Enrolments) FirstAccess(ctx context.Context, _ citizens.ID, pin ID) error {
	r, found, err := e.store.byCredential(ctx, pin)
	if err != nil || !found || r.State.final() {
		return wrap("complete a request", err)
	}
	return wrap("complete a request", e.complete(ctx, r))
}

func (e *Enrolments) complete(ctx context.Context, r enrolmentRow) error {
	a, err := e.open(r)
	if err != nil {
		return err
	}
	if err := e.pins.citizens.ReplaceContacts(ctx, r.CitizenID, a.proved()); err != nil {
		return err
	}
	return e.finish(ctx, system, r, RequestCompleted, "")
}

// settle brings requests to where their PINs have gone: used, revoked, given
// up, run out. Of everybody, or of one person who cannot wait for the sweep.
func (e *Enrolments) settle(ctx context.Context, who citizens.ID) error {
	list, err := e.store.unsettled(ctx, who)
	if err != nil {
		return err
	}
	for _, s := range list {
		err := e.inTx(ctx, func(ctx context.Context) error { return e.settleOne(ctx, s) })
		if err != nil && !errors.Is(err, errPhoneBusy) {
			return err
		}
	}
	return nil
}

func (e *Enrolments) settleOne(ctx context.Context, s settling) error {
	r, found, err := e.store.byID(ctx, s.ID)
	if err != nil || !found || r.State.final() {
		return err
	}
	switch s.PIN {
	case superseded:
		if s.Why == "changed" {
			return e.complete(ctx, r)
		}
		return e.finish(ctx, system, r, RequestCancelled, s.Why)
	case discarded:
		return e.lose(ctx, r.CredentialID, whyUndelivered)
	case ExpiredUnused:
		if err := e.tellEnded(ctx, r); err != nil {
			return err
		}
		return e.finish(ctx, system, r, RequestExpired, unused)
	default:
		return e.finish(ctx, system, r, RequestCancelled, string(s.PIN))
	}
}

// Sweep does what time brings, in small batches, on any number of nodes: codes
// that nobody typed, archives that do not come back, calls that were not made,
// rows that nobody needs.
func (e *Enrolments) Sweep(ctx context.Context) error {
	if err := e.settle(ctx, ""); err != nil {
		return wrap("sweep requests", err)
	}
	for _, step := range []func(context.Context) (more bool, err error){e.sweepDue, e.sweepCalls, e.sweepRequestRows} {
		for more := true; more; {
			var err error
			if more, err = step(ctx); err != nil {
				return wrap("sweep requests", err)
			}
		}
	}
	return nil
}

// sweepDue ends requests whose contact nobody proved, and hands those to the
// contact centre for which the archive was away too long.
func (e *Enrolments) sweepDue(ctx context.Context) (more bool, err error) {
	list, err := e.store.overdue(ctx)
	if err != nil {
		return false, err
	}
	done := 0
	for _, r := range list {
		err := e.inTx(ctx, func(ctx context.Context) error { return e.giveUpChecking(ctx, r) })
		switch {
		case errors.Is(err, errPhoneBusy), errors.Is(err, errOpen):
			err = e.inTx(ctx, func(ctx context.Context) error { return e.expire(ctx, r, err.Error()) })
		case err == nil:
		default:
			return false, err
		}
		if err != nil {
			return false, err
		}
		done++
	}
	return done == batch, nil
}

func (e *Enrolments) giveUpChecking(ctx context.Context, r enrolmentRow) error {
	if r.State == RequestSubmitted {
		return e.finish(ctx, system, r, RequestExpired, "contact not proved")
	}
	a, err := e.open(r)
	if err != nil {
		return err
	}
	who, known, err := e.pins.citizens.Find(ctx, a.FiscalCode)
	if err != nil {
		return err
	}
	if !known {
		return e.finish(ctx, system, r, RequestExpired, whyUnknown)
	}
	return e.toContactCentre(ctx, r, a, who, whyArchive)
}

// expire ends a request of which nothing came, and says so to the contact that
// was proved.
func (e *Enrolments) expire(ctx context.Context, r enrolmentRow, why string) error {
	if err := e.tellEnded(ctx, r); err != nil {
		return err
	}
	return e.finish(ctx, system, r, RequestExpired, why)
}

func (e *Enrolments) sweepRequestRows(ctx context.Context) (more bool, err error) {
	n, err := e.store.purge(ctx)
	if err != nil {
		return false, err
	}
	m, err := e.store.purgeCalls(ctx)
	return n == batch || m == batch, err
}
