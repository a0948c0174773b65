package enrolment

import (
	"context"
	"errors"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/delivery"
)

// Accepted is delivery's hook, after Service.Accepted: a half is with its
// transport, and the request follows.
func (q *Requests) Accepted(ctx context.Context, m delivery.Receipt) error {
	if m.Key != delivery.PINHalf1 && m.Key != delivery.PINHalf2 {
		return nil
	}
	r, found, err := q.store.byCredential(ctx, credentials.ID(m.Ref))
	if err != nil || !found {
		return wrap("follow a half", err)
	}
	to, set := part1Sent, map[string]any{"first_half_at": q.db.NowExpr()}
	if m.Key == delivery.PINHalf2 {
		pin, err := q.fate(ctx, r.CredentialID)
		if err != nil {
			return wrap("follow a half", err)
		}
		// the PIN runs out by itself; this is for the case that nobody noticed
		to, set = part2Handed, map[string]any{"second_half_at": q.db.NowExpr(), "due_at": pin.Until.Add(time.Hour)}
	}
	return wrap("follow a half", q.advance(ctx, r, to, set))
}

// advance moves a request on and records it.
func (q *Requests) advance(ctx context.Context, r request, to state, set map[string]any) error {
	moved, err := q.store.move(ctx, r, to, set)
	if err != nil || !moved {
		return err
	}
	r.State = to
	return q.audit.Record(ctx, r.event(audit.RequestMoved, system, ""))
}

// Failed is delivery's other hook: a half will never arrive, and Service.Failed
// has discarded the PIN. Somebody has to call.
func (q *Requests) Failed(ctx context.Context, m delivery.Receipt) error {
	if m.Key != delivery.PINHalf1 && m.Key != delivery.PINHalf2 {
		return nil
	}
	return wrap("follow a half", q.lose(ctx, credentials.ID(m.Ref), whyUndelivered))
}

// Outcome is what a transport tells about a half afterwards: the letter was
// posted or came back (R21), the message did not arrive after all. Of the code
// before it, that the address is no PEC.
func (q *Requests) Outcome(ctx context.Context, o delivery.Outcome) error {
	switch {
	case o.Key == ContactCode && o.Uncertified && o.Result == delivery.PECAccepted:
		return wrap("follow a code", q.tellNoPEC(ctx, o.Ref))
	case o.Key != delivery.PINHalf1 && o.Key != delivery.PINHalf2:
		return nil
	case o.Result == delivery.LetterReturned:
		return wrap("follow a letter", q.lose(ctx, credentials.ID(o.Ref), whyReturned))
	case o.Result.Lost():
		return wrap("follow a half", q.lose(ctx, credentials.ID(o.Ref), whyUndelivered))
	case o.Result != delivery.LetterPosted:
		return nil
	}
	r, found, err := q.store.byCredential(ctx, credentials.ID(o.Ref))
	if err != nil || !found {
		return wrap("follow a letter", err)
	}
	posted := o.At
	if posted.IsZero() {
		posted = r.Now.Time
	}
	return wrap("follow a letter", q.advance(ctx, r, part2Posted, map[string]any{"posted_at": posted.UTC()}))
}

// lose ends a PIN a half of which is in the wrong hands or in none, and has the
// contact centre call. A PIN that its owner uses already is not touched; one
// that did not come of a request is only ended.
//
// Deliveries, PINs, requests, calls: everybody who writes several of them does
// so in this order.
func (q *Requests) lose(ctx context.Context, c credentials.ID, why string) error {
	if _, err := q.pins.Discard(ctx, system, c, why); err != nil {
		return err
	}
	r, found, err := q.store.byCredential(ctx, c)
	if err != nil || !found || r.State.final() {
		return err
	}
	if pin, err := q.fate(ctx, c); err != nil || pin.Stage == credentials.StageUsed {
		return err
	}
	a, err := q.open(r)
	if err != nil {
		return err
	}
	return q.toContactCentre(ctx, r, a, r.CitizenID, why)
}

// fate is what has become of one PIN.
func (q *Requests) fate(ctx context.Context, pin credentials.ID) (credentials.Fate, error) {
	list, err := q.pins.Fates(ctx, pin)
	if err != nil || len(list) == 0 {
		return credentials.Fate{}, err
	}
	return list[0], nil
}

// FirstAccess is the end that a request is for: its PIN was used. From now on
// the contacts that were typed count, the proved one as such, and older ones no
// more (R52). It runs in the transaction of the change of PIN.
func (q *Requests) FirstAccess(ctx context.Context, _ citizens.ID, pin credentials.ID) error {
	r, found, err := q.store.byCredential(ctx, pin)
	if err != nil || !found || r.State.final() {
		return wrap("complete a request", err)
	}
	return wrap("complete a request", q.complete(ctx, r))
}

func (q *Requests) complete(ctx context.Context, r request) error {
	a, err := q.open(r)
	if err != nil {
		return err
	}
	if err := q.citizens.ReplaceContacts(ctx, r.CitizenID, a.proved()); err != nil {
		return err
	}
	return q.finish(ctx, system, r, completed, "")
}

// settle brings requests to where their PINs have gone: used, revoked, given
// up, run out. Of everybody, or of one person who cannot wait for the sweep.
func (q *Requests) settle(ctx context.Context, who citizens.ID) error {
	for after := string(nobody); ; {
		page, err := q.store.handed(ctx, who, after)
		if err != nil || len(page) == 0 {
			return err
		}
		pins := make([]credentials.ID, len(page))
		for i, r := range page {
			pins[i], after = r.CredentialID, r.ID
		}
		fates, err := q.pins.Fates(ctx, pins...)
		if err != nil {
			return err
		}
		for _, f := range fates {
			if err := q.settleOne(ctx, f); err != nil {
				return err
			}
		}
	}
}

func (q *Requests) settleOne(ctx context.Context, pin credentials.Fate) error {
	if !pin.Stage.Over() {
		return nil
	}
	err := q.inTx(ctx, func(ctx context.Context) error {
		r, found, err := q.store.byCredential(ctx, pin.PIN)
		if err != nil || !found || r.State.final() {
			return err
		}
		return q.followTo(ctx, r, pin)
	})
	if errors.Is(err, errPhoneBusy) {
		return nil // the next sweep tries again
	}
	return err
}

// followTo takes a request where its PIN has gone for good.
func (q *Requests) followTo(ctx context.Context, r request, pin credentials.Fate) error {
	switch pin.Stage {
	case credentials.StageUsed:
		return q.complete(ctx, r)
	case credentials.StageLost:
		return q.lose(ctx, r.CredentialID, whyUndelivered)
	case credentials.StageUnused:
		return q.expire(ctx, r, unused)
	default:
		return q.finish(ctx, system, r, cancelled, pin.Why)
	}
}

// unused says of a request that nobody used its PIN in time.
const unused = "never used"

// Sweep does what time brings, in small batches, on any number of nodes: codes
// that nobody typed, archives that do not come back, calls that were not made,
// rows that nobody needs.
func (q *Requests) Sweep(ctx context.Context) error {
	if err := q.settle(ctx, ""); err != nil {
		return wrap("sweep requests", err)
	}
	for _, step := range []func(context.Context) (more bool, err error){q.sweepDue, q.calls.sweep, q.sweepRows, q.calls.sweepRows} {
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
func (q *Requests) sweepDue(ctx context.Context) (more bool, err error) {
	list, err := q.store.overdue(ctx)
	if err != nil {
		return false, err
	}
	done := 0
	for _, r := range list {
		err := q.inTx(ctx, func(ctx context.Context) error { return q.giveUpChecking(ctx, r) })
		switch {
		case errors.Is(err, errPhoneBusy), errors.Is(err, errOpen):
			err = q.inTx(ctx, func(ctx context.Context) error { return q.expire(ctx, r, err.Error()) })
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

func (q *Requests) giveUpChecking(ctx context.Context, r request) error {
	if r.State == submitted {
		return q.finish(ctx, system, r, expired, "contact not proved")
	}
	a, err := q.open(r)
	if err != nil {
		return err
	}
	who, known, err := q.citizens.Find(ctx, a.FiscalCode)
	if err != nil {
		return err
	}
	if !known {
		return q.finish(ctx, system, r, expired, whyUnknown)
	}
	return q.toContactCentre(ctx, r, a, who, whyArchive)
}

// expire ends a request of which nothing came, and says so to the contact that
// was proved.
func (q *Requests) expire(ctx context.Context, r request, why string) error {
	if err := q.tellEnded(ctx, r); err != nil {
		return err
	}
	return q.finish(ctx, system, r, expired, why)
}

func (q *Requests) sweepRows(ctx context.Context) (more bool, err error) {
	n, err := q.store.purge(ctx)
	if err != nil {
		return false, err
	}
	m, err := q.store.forgetReplies(ctx)
	return n == batch || m == batch, err
}
