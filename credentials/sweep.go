package credentials

import (
	"context"
	"errors"
	"strconv"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
	"ente.example/idp/throttle"
)

// sweeping is how often Run sweeps.
const sweeping = 30 * time.Second

// Run sweeps until ctx ends. Any number of nodes may run it.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(sweeping)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "sweep PINs", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep does what time brings: first PINs that nobody used run out, people are
// told of wrong tries, PINs that
// do not get anywhere are given up, tries at strangers become audit events,
// and what nobody needs any more leaves. Every step is a conditional statement
// in small batches; two nodes at once share the work.
func (s *Service) Sweep(ctx context.Context) error {
	for _, step := range []func(context.Context) (more bool, err error){
		s.sweepUnused, s.sweepUndelivered, s.sweepAlarms, s.sweepLooks, s.sweepProcedures, s.sweepStrangers, s.sweepRows, s.sweepProcedureRows,
	} {
		for more := true; more; {
			var err error
			if more, err = step(ctx); err != nil {
				return wrap("sweep PINs", err)
			}
		}
	}
	_, err := s.throttle.Sweep(ctx)
	return wrap("sweep PINs", err)
}

// unused says of a first PIN why it ended.
const unused = "never used"

// sweepUnused expires first PINs after 60 or 120 days, and tells their owners:
// one at a time, for each takes a few statements.
func (s *Service) sweepUnused(ctx context.Context) (more bool, err error) {
	list, err := s.store.unused(ctx)
	if err != nil {
		return false, err
	}
	for _, id := range list {
		if err := s.db.InTx(ctx, func(ctx context.Context) error { return s.expire(ctx, id) }); err != nil {
			return false, err
		}
	}
	return len(list) == batch, nil
}

func (s *Service) expire(ctx context.Context, id citizens.ID) error {
	list, err := s.store.expireOf(ctx, id, unused)
	if err != nil || len(list) == 0 {
		return err
	}
	if err := s.audit.Record(ctx, events(audit.PINExpired, list, unused)...); err != nil {
		return err
	}
	who, err := s.citizens.ByID(ctx, id)
	if err != nil {
		return err
	}
	return s.Notify(ctx, who, NoticePINExpired, nil)
}

// sweepAlarms tells people of the wrong tries that have brought them to a wait
// (R30). It is not told with the try itself: that would take longer for somebody
// who has contacts than for somebody whom nobody knows (R33).
func (s *Service) sweepAlarms(ctx context.Context) (more bool, err error) {
	list, err := s.throttle.Alarms(ctx)
	if err != nil {
		return false, err
	}
	for _, a := range list {
		err := s.db.InTx(ctx, func(ctx context.Context) error { return s.answerAlarm(ctx, a) })
		if err != nil && !errors.Is(err, errRace) {
			return false, err
		}
	}
	return len(list) > 0, nil
}

func (s *Service) answerAlarm(ctx context.Context, a throttle.Alarm) error {
	who, err := s.citizens.ByID(ctx, citizens.ID(a.Key))
	if errors.Is(err, citizens.ErrUnknown) { // gone since
		who.ID, err = nobody, nil
	}
	if err != nil {
		return err
	}
	_, has, err := s.store.live(ctx, who.ID)
	if err != nil {
		return err
	}
	if has {
		if err := s.Notify(ctx, who, NoticePINLocked, delivery.Words{"When": s.when(a.At)}); err != nil {
			return err
		}
	}
	taken, err := s.throttle.Silence(ctx, a.Key)
	if err == nil && !taken {
		err = errRace // another node's, and so is its notice
	}
	return err
}

// sweepUndelivered gives up on PINs whose halves got lost without a word.
func (s *Service) sweepUndelivered(ctx context.Context) (more bool, err error) {
	list, err := s.store.overdue(ctx)
	if err != nil {
		return false, err
	}
	for _, id := range list {
		err := s.db.InTx(ctx, func(ctx context.Context) error { return s.giveUp(ctx, id, "on its way for too long") })
		if err != nil {
			return false, err
		}
	}
	return len(list) == batch, nil
}

// sweepStrangers turns the count of each past minute into one audit event.
func (s *Service) sweepStrangers(ctx context.Context) (more bool, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		list, err := s.store.takeMinutes(ctx)
		if err != nil || len(list) == 0 {
			return err
		}
		more = len(list) == batch
		events := make([]audit.Event, 0, len(list))
		for _, m := range list {
			events = append(events, audit.Event{Type: audit.SignInUnknown, Outcome: audit.Refused, Actor: audit.Actor{Kind: audit.Anonymous},
				Details: map[string]string{"minute": m.Minute.Format(time.RFC3339), "count": strconv.Itoa(m.Tries), "waits": strconv.Itoa(m.Waits)}})
		}
		return s.audit.Record(ctx, events...)
	})
	return more, err
}

func (s *Service) sweepRows(ctx context.Context) (more bool, err error) {
	n, err := s.store.purgeChanges(ctx)
	if err != nil {
		return false, err
	}
	m, err := s.store.purge(ctx)
	return n == batch || m == batch, err
}
