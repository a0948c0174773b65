package credentials

import (
	"context"
	"errors"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// looking is how often Run looks for requests that other nodes have written;
// lease how long a request is one node's: longer than any look at it.
const (
	looking      = 2 * time.Second
	checkLease   = 2 * time.Minute
	mostPause    = time.Hour
	retryDoubles = 6
)

// Run looks at requests until ctx ends. Any number of nodes may run it.
func (e *Enrolments) Run(ctx context.Context) error {
	tick := time.NewTicker(looking)
	defer tick.Stop()
	for {
		if err := e.Work(ctx); err != nil && ctx.Err() == nil {
			e.log.ErrorContext(ctx, "look at requests for a PIN", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.wake:
		case <-tick.C:
		}
	}
}

// Work looks at every request that waits at this moment, and returns.
func (e *Enrolments) Work(ctx context.Context) error {
	for {
		waits, err := e.store.waiting(ctx)
		if err != nil || !waits {
			return wrap("look for requests", err)
		}
		r, claimed, err := e.store.claim(ctx, checkLease)
		if err != nil || !claimed {
			return wrap("look for requests", err)
		}
		if err := e.look(ctx, r); err != nil {
			return wrap("look at request "+r.ID, err)
		}
	}
}

// look decides about a request and does what follows.
func (e *Enrolments) look(ctx context.Context, r enrolmentRow) error {
	a, err := e.open(r)
	if err != nil {
		return err
	}
	who, c, err := e.find(ctx, r, a)
	if err != nil {
		return err
	}
	what, why := c.decide()
	switch what {
	case ruledAgain:
		return e.retry(ctx, r)
	case ruledApprove:
		err = e.issue(ctx, r, a, who)
	case ruledCall:
		err = e.inTx(ctx, func(ctx context.Context) error { return e.toContactCentre(ctx, r, a, who.ID, why) })
	case ruledReject:
		err = e.inTx(ctx, func(ctx context.Context) error { return e.rejectRequest(ctx, r, who, why) })
	}
	switch {
	case errors.Is(err, errOpen):
		return e.inTx(ctx, func(ctx context.Context) error { return e.rejectRequest(ctx, r, who, whyOpen) })
	case errors.Is(err, ErrPending):
		return e.retry(ctx, r) // a PIN has come meanwhile: the next look sees it
	case errors.Is(err, errPhoneBusy):
		return e.retry(ctx, r)
	}
	return err
}

func (e *Enrolments) inTx(ctx context.Context, fn func(context.Context) error) error {
	return e.pins.db.InTx(ctx, fn)
}

// retry looks again after a while that doubles, up to an hour.
func (e *Enrolments) retry(ctx context.Context, r enrolmentRow) error {
	pause := e.policy.Retry << min(max(r.Checks-1, 0), retryDoubles)
	return e.store.postpone(ctx, r.ID, min(pause, mostPause))
}

// find gathers what there is to know. Person, archive and PIN are asked, none
// of them in a transaction.
func (e *Enrolments) find(ctx context.Context, r enrolmentRow, a Application) (citizens.Citizen, checked, error) {
	who, err := e.pins.citizens.ByFiscalCode(ctx, a.FiscalCode)
	if errors.Is(err, citizens.ErrUnknown) {
		return citizens.Citizen{}, checked{}, nil
	}
	if err != nil {
		return who, checked{}, err
	}
	if err := e.settle(ctx, who.ID); err != nil {
		return who, checked{}, err
	}
	now := r.Now.Time
	c := checked{
		known: true, vouched: r.Vouched, mismatch: len(a.FiscalCode.Mismatches(a.Declared)) > 0,
		minor: Minor(who.BirthDate, citizens.DateOf(now)),
	}
	_, c.excluded = e.pins.eligibility.Excludes(who, nil, now)
	if c.live, c.pending, err = e.pins.store.holding(ctx, who.ID); err != nil {
		return who, c, err
	}
	home, err := e.archive.Residence(ctx, who.ID)
	if err != nil {
		c.unavailable = true
		return who, c, nil
	}
	who.Residence = home // the letter goes where the archive says, and nowhere else (R14)
	_, c.sendable = e.pins.secondHalf(who)
	c.abroad = abroad(home) || abroad(a.Residence)
	c.same = citizens.SameResidence(a.Residence, home)
	return who, c, nil
}

func abroad(a citizens.Address) bool { return a.Country != "" && a.Country != "IT" }

// issue makes the PIN and queues its halves: the first to the contact that was
// proved, the second to the archive's address (R14).
func (e *Enrolments) issue(ctx context.Context, r enrolmentRow, a Application, who citizens.Citizen) error {
	first := message(who, delivery.PINHalf1, a.Channel, a.contact().Value.Reveal())
	second, err := e.pins.secondHalf(who)
	if err != nil {
		return err
	}
	first.Language, second.Language = a.Language, a.Language
	pin, err := generate(e.pins.policy.Alphabet, initialLength, who, citizens.DateOf(r.Now.Time))
	if err != nil {
		return err
	}
	c := credential{CitizenID: who.ID, Kind: Ordinario, Form: initial, Origin: enrolment, State: PendingDelivery}
	c.DueAt.Time = r.Now.Add(e.pins.policy.Patience)
	if err := e.pins.hashNew(ctx, &c, pin); err != nil {
		var busy *BusyError
		if errors.As(err, &busy) {
			return e.retry(ctx, r)
		}
		return err
	}
	first.Words["Half"], second.Words["Half"] = pin.halves()
	return e.inTx(ctx, func(ctx context.Context) error {
		moved, err := e.store.move(ctx, r, RequestApproved, map[string]any{
			"citizen_id": who.ID, "credential_id": c.ID, "due_at": e.pins.db.NowPlus(e.pins.policy.Patience), "reason": "",
			"first_half_at": nil, "second_half_at": nil, "posted_at": nil,
		})
		if err != nil || !moved {
			return err
		}
		if err := e.pins.dispatch(ctx, system, c, []delivery.Message{first, second}); err != nil {
			return err
		}
		r.State, r.CitizenID, r.CredentialID = RequestApproved, who.ID, c.ID
		if err := e.tellMade(ctx, who, a); err != nil {
			return err
		}
		return e.pins.audit.Record(ctx, r.event(audit.RequestApproved, system, ""))
	})
}

// toContactCentre queues the call that a request needs.
func (e *Enrolments) toContactCentre(ctx context.Context, r enrolmentRow, a Application, who citizens.ID, why string) error {
	due := e.hours.workingDays(e.policy.CallDays, r.Now.Time, e.pins.italy)
	moved, err := e.store.move(ctx, r, RequestCallQueued, map[string]any{
		"citizen_id": who, "reason": why, "vouched": false, "due_at": due.Add(time.Hour), // the call's own end comes first
	})
	if err != nil || !moved {
		return err
	}
	owed := r.State != RequestChecking // before that, nothing had come of it
	task := Task{Citizen: who, Enrolment: r.ID, Phone: a.Phone, Slot: a.Slot, Reason: why, Owed: owed}
	r.State, r.CitizenID = RequestCallQueued, who
	if err := e.queue(ctx, system, task); err != nil {
		return err
	}
	return e.pins.audit.Record(ctx, r.event(audit.RequestCall, system, why))
}

// rejectRequest ends a request without a word to whoever sent it; the person
// concerned hears about it at the contacts on file (R19).
func (e *Enrolments) rejectRequest(ctx context.Context, r enrolmentRow, who citizens.Citizen, why string) error {
	set := map[string]any{"reason": why}
	if who.ID != "" {
		set["citizen_id"] = who.ID
	}
	moved, err := e.store.move(ctx, r, RequestRejected, set)
	if err != nil || !moved {
		return err
	}
	r.State, r.CitizenID = RequestRejected, who.ID
	if who.ID != "" {
		if err := e.tellRejected(ctx, who, why); err != nil {
			return err
		}
	}
	ev := r.event(audit.RequestEnded, system, why)
	ev.Outcome = audit.Refused
	return e.pins.audit.Record(ctx, ev)
}
