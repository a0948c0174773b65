package enrolment

import (
	"context"
	"errors"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
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
func (q *Requests) Run(ctx context.Context) error {
	tick := time.NewTicker(looking)
	defer tick.Stop()
	for {
		if err := q.Work(ctx); err != nil && ctx.Err() == nil {
			q.log.ErrorContext(ctx, "look at requests for a PIN", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-q.wake:
		case <-tick.C:
		}
	}
}

// Work looks at every request that waits at this moment, and returns.
func (q *Requests) Work(ctx context.Context) error {
	for {
		waits, err := q.store.waiting(ctx)
		if err != nil || !waits {
			return wrap("look for requests", err)
		}
		r, claimed, err := q.store.claim(ctx, checkLease)
		if err != nil || !claimed {
			return wrap("look for requests", err)
		}
		if err := q.look(ctx, r); err != nil {
			return wrap("look at request "+r.ID, err)
		}
	}
}

// look decides about a request and does what follows.
func (q *Requests) look(ctx context.Context, r request) error {
	a, err := q.open(r)
	if err != nil {
		return err
	}
	who, c, err := q.find(ctx, r, a)
	if err != nil {
		return err
	}
	what, why := c.decide()
	switch what {
	case ruledAgain:
		return q.retry(ctx, r)
	case ruledApprove:
		err = q.issue(ctx, r, a, who)
	case ruledCall:
		err = q.inTx(ctx, func(ctx context.Context) error { return q.toContactCentre(ctx, r, a, who.ID, why) })
	case ruledReject:
		err = q.inTx(ctx, func(ctx context.Context) error { return q.rejectRequest(ctx, r, who, why) })
	}
	switch {
	case errors.Is(err, errOpen):
		return q.inTx(ctx, func(ctx context.Context) error { return q.rejectRequest(ctx, r, who, whyOpen) })
	case errors.Is(err, credentials.ErrPending):
		return q.retry(ctx, r) // a PIN has come meanwhile: the next look sees it
	case errors.Is(err, errPhoneBusy):
		return q.retry(ctx, r)
	}
	return err
}

func (q *Requests) inTx(ctx context.Context, fn func(context.Context) error) error {
	return q.db.InTx(ctx, fn)
}

// retry looks again after a while that doubles, up to an hour.
func (q *Requests) retry(ctx context.Context, r request) error {
	pause := q.policy.Retry << min(max(r.Checks-1, 0), retryDoubles)
	return q.store.postpone(ctx, r.ID, min(pause, mostPause))
}

// find gathers what there is to know. Person, archive and PIN are asked, none
// of them in a transaction.
func (q *Requests) find(ctx context.Context, r request, a Application) (citizens.Citizen, checked, error) {
	who, err := q.citizens.ByFiscalCode(ctx, a.FiscalCode)
	if errors.Is(err, citizens.ErrUnknown) {
		return citizens.Citizen{}, checked{}, nil
	}
	if err != nil {
		return who, checked{}, err
	}
	if err := q.settle(ctx, who.ID); err != nil {
		return who, checked{}, err
	}
	now := r.Now.Time
	c := checked{
		known: true, vouched: r.Vouched, mismatch: len(a.FiscalCode.Mismatches(a.Declared)) > 0,
		minor: Minor(who.BirthDate, citizens.DateOf(now)),
	}
	_, c.excluded = q.pins.Eligibility().Excludes(who, nil, now)
	if c.live, c.pending, err = q.pins.Holding(ctx, who.ID); err != nil {
		return who, c, err
	}
	last, err := q.pins.LastLetter(ctx, who.ID)
	if err != nil {
		return who, c, err
	}
	// both halves made anew for the same request are the one letter (R20)
	c.letter = r.Reissues == 0 && !last.IsZero() && now.Before(last.Add(q.policy.LetterPause))
	c.moved = who.ResidenceChangedAt != nil && now.Before(who.ResidenceChangedAt.Add(q.policy.MovedPause))
	home, err := q.archive.Residence(ctx, who.ID)
	if err != nil {
		c.unavailable = true
		return who, c, nil
	}
	who.Residence = home // the letter goes where the archive says, and nowhere else (R14)
	c.sendable = q.pins.Postable(who)
	c.abroad = abroad(home) || abroad(a.Residence)
	c.same = citizens.SameResidence(a.Residence, home)
	return who, c, nil
}

func abroad(a citizens.Address) bool { return a.Country != "" && a.Country != "IT" }

// issue makes the PIN and queues its halves: the first to the contact that was
// proved, the second to the archive's address (R14).
func (q *Requests) issue(ctx context.Context, r request, a Application, who citizens.Citizen) error {
	pin, err := q.pins.Draft(ctx, credentials.First{
		Citizen: who, Kind: credentials.Ordinario, Channel: a.Channel, To: a.contact().Value, Language: a.Language,
	})
	var busy *credentials.BusyError
	if errors.As(err, &busy) {
		return q.retry(ctx, r)
	}
	if err != nil {
		return err
	}
	return q.inTx(ctx, func(ctx context.Context) error {
		moved, err := q.store.move(ctx, r, approved, map[string]any{
			"citizen_id": who.ID, "credential_id": pin.ID(), "due_at": pin.Until().UTC(), "reason": "",
			"first_half_at": nil, "second_half_at": nil, "posted_at": nil,
		})
		if err != nil || !moved {
			return err
		}
		if err := q.pins.Dispatch(ctx, system, pin); err != nil {
			return err
		}
		r.State, r.CitizenID, r.CredentialID = approved, who.ID, pin.ID()
		if err := q.tellMade(ctx, who, a); err != nil {
			return err
		}
		return q.audit.Record(ctx, r.event(audit.RequestApproved, system, ""))
	})
}

// toContactCentre queues the call that a request needs.
func (q *Requests) toContactCentre(ctx context.Context, r request, a Application, who citizens.ID, why string) error {
	due := q.calls.deadline(r.Now.Time)
	moved, err := q.store.move(ctx, r, callQueued, map[string]any{
		"citizen_id": who, "reason": why, "vouched": false, "due_at": due.Add(time.Hour), // the call's own end comes first
	})
	if err != nil || !moved {
		return err
	}
	owed := r.State != checking // before that, nothing had come of it
	task := Task{Citizen: who, Request: r.ID, Phone: a.Phone, Slot: a.Slot, Reason: why, Owed: owed}
	r.State, r.CitizenID = callQueued, who
	if err := q.calls.queue(ctx, system, task); err != nil {
		return err
	}
	return q.audit.Record(ctx, r.event(audit.RequestCall, system, why))
}

// rejectRequest ends a request without a word to whoever sent it; the person
// concerned hears about it at the contacts on file (R19).
func (q *Requests) rejectRequest(ctx context.Context, r request, who citizens.Citizen, why string) error {
	set := map[string]any{"reason": why}
	if who.ID != "" {
		set["citizen_id"] = who.ID
	}
	if err := q.keepReply(r, set); err != nil {
		return err
	}
	moved, err := q.store.move(ctx, r, rejected, set)
	if err != nil || !moved {
		return err
	}
	r.State, r.CitizenID = rejected, who.ID
	if who.ID != "" {
		if err := q.tellRejected(ctx, who, why); err != nil {
			return err
		}
	}
	ev := r.event(audit.RequestEnded, system, why)
	ev.Outcome = audit.Refused
	return q.audit.Record(ctx, ev)
}
