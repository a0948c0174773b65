package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/sync/errgroup"

	"ente.example/idp/audit"
)

// housekeeping is how often dead and old rows are looked for.
const housekeeping = time.Minute

// Run hands messages over until ctx ends. Any number of nodes may run it; a
// channel without a sender or without a key here is left to other nodes. It
// survives a database that goes away, and returns nil at the end of ctx.
func (o *Outbox) Run(ctx context.Context) error {
	channels, err := o.served()
	if err != nil {
		return err
	}
	var g errgroup.Group
	signals := map[Channel]chan struct{}{}
	for _, c := range channels {
		signal := make(chan struct{}, 1)
		signals[c] = signal
		g.Go(func() error { o.serve(ctx, c, signal); return nil })
	}
	g.Go(func() error { o.dispatch(ctx, signals); return nil })
	g.Go(func() error { o.housekeep(ctx); return nil })
	return g.Wait()
}

// Flush hands over what is due at this moment and returns: for whoever cannot
// wait for a worker. What fails is left to the next try, as in Run.
func (o *Outbox) Flush(ctx context.Context) error {
	channels, err := o.served()
	if err != nil {
		return err
	}
	for more := true; more; {
		more = false
		for _, c := range channels {
			n, err := o.work(ctx, c)
			if err != nil {
				return fmt.Errorf("hand over by %s: %w", c, err)
			}
			more = more || n > 0
		}
	}
	return nil
}

// served lists the channels that this node has a sender and a key for.
func (o *Outbox) served() ([]Channel, error) {
	if o.opener == nil || o.words == nil || o.audit == nil || o.onAccepted == nil || o.onFailed == nil {
		return nil, errors.New("delivery: a worker needs Open, Words, Audit, Accepted and Failed")
	}
	var list []Channel
	for _, c := range Channels() {
		if _, opens := o.opener(string(c)); opens && o.Has(c) {
			list = append(list, c)
		}
	}
	return list, nil
}

// dispatch looks for work, at every nudge and every poll, and signals the
// channels that have some. A channel that is busy gets its signal afterwards.
func (o *Outbox) dispatch(ctx context.Context, signals map[Channel]chan struct{}) {
	tick := time.NewTicker(o.policy.Poll)
	defer tick.Stop()
	for {
		channels, err := o.store.due(ctx)
		o.report(ctx, "look for deliveries", err)
		for _, c := range channels {
			select {
			case signals[c] <- struct{}{}: // nil, and never ready, where not ours
			default:
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		case <-tick.C:
		}
	}
}

// serve is one channel's worker: a slow transport holds up no other.
func (o *Outbox) serve(ctx context.Context, c Channel, signal <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signal:
		}
		for ctx.Err() == nil {
			n, err := o.work(ctx, c)
			o.report(ctx, "hand over by "+string(c), err)
			if n < claims || err != nil {
				break
			}
		}
	}
}

// work claims some messages, hands them over side by side, and says how many.
func (o *Outbox) work(ctx context.Context, c Channel) (int, error) {
	list, err := o.store.claim(ctx, c)
	if err != nil {
		return 0, err
	}
	var g errgroup.Group
	for _, d := range list {
		g.Go(func() error { return o.handOver(ctx, d) })
	}
	return len(list), g.Wait()
}

// handOver tries once. The outcome is recorded even while the node shuts down:
// a letter that was accepted and not recorded would be sent again.
func (o *Outbox) handOver(ctx context.Context, d delivery) error {
	err := o.send(ctx, d)
	record, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	switch {
	case err == nil:
		return o.conclude(record, d, accepted, "")
	case ctx.Err() != nil:
		return o.store.unclaim(record, d.ID)
	case errors.Is(err, ErrRejected):
		return o.conclude(record, d, dead, "rejected")
	}
	o.log.WarnContext(ctx, "delivery failed, will be retried", "delivery", d.ID, "channel", d.Channel, "attempts", d.Attempts, "error", err)
	again, err := o.store.retry(record, d.ID, "failed", o.pause(d.Attempts))
	if err != nil {
		return fmt.Errorf("put off delivery %s: %w", d.ID, err)
	}
	if !again {
		return o.conclude(record, d, dead, "gave up")
	}
	o.observe(Channel(d.Channel), "retry")
	return nil
}

func (o *Outbox) send(ctx context.Context, d delivery) error {
	l, err := o.open(d)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.policy.SendTimeout)
	defer cancel()
	return o.senders[l.Channel].Send(ctx, l)
}

// conclude ends a delivery with everything that follows from it, or not at all.
func (o *Outbox) conclude(ctx context.Context, d delivery, state, problem string) error {
	hook, outcome, kind := o.onAccepted, audit.Succeeded, audit.MessageSent
	if state == dead {
		hook, outcome, kind = o.onFailed, audit.Failed, audit.MessageFailed
	}
	done := false
	err := o.db.InTx(ctx, func(ctx context.Context) error {
		var err error
		if done, err = o.store.end(ctx, d.ID, state, problem); err != nil || !done {
			return err
		}
		if err := hook(ctx, d.receipt()); err != nil {
			return err
		}
		return o.audit.Record(ctx, audit.Event{
			Type: kind, Outcome: outcome, Actor: audit.Actor{Kind: audit.System}, Subject: d.receipt().Citizen, Reason: problem,
			Details: map[string]string{"channel": d.Channel, "message": d.Message, "delivery": d.ID},
		})
	})
	if err != nil {
		return fmt.Errorf("record delivery %s as %s: %w", d.ID, state, err)
	}
	if done {
		o.observe(Channel(d.Channel), state)
	}
	return nil
}

func (o *Outbox) housekeep(ctx context.Context) {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		o.report(ctx, "keep the outbox", o.Sweep(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sweep buries what could not be delivered in time, even where no node serves
// the channel, and removes the rows of long ended deliveries.
func (o *Outbox) Sweep(ctx context.Context) error {
	list, err := o.store.overdue(ctx)
	if err != nil {
		return fmt.Errorf("look for overdue deliveries: %w", err)
	}
	for _, d := range list {
		if err := o.conclude(ctx, d, dead, "gave up"); err != nil {
			return err
		}
	}
	for {
		n, err := o.store.purge(ctx)
		if err != nil {
			return fmt.Errorf("remove old deliveries: %w", err)
		}
		if n < purges {
			return nil
		}
	}
}

func (o *Outbox) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		o.log.ErrorContext(ctx, "outbox: "+what, "error", err)
	}
}

// pause grows with every failure, and is blurred so that a transport that
// comes back is not met by everybody at once.
func (o *Outbox) pause(attempts int) time.Duration {
	d := o.policy.Backoff << min(max(attempts-1, 0), 20)
	if d <= 0 || d > o.policy.BackoffMax {
		d = o.policy.BackoffMax
	}
	blur, err := rand.Int(rand.Reader, big.NewInt(int64(d)+1))
	if err != nil {
		return d
	}
	return d/2 + time.Duration(blur.Int64())
}
