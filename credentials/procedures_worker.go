package credentials

import (
	"context"
	"errors"
	"time"

	"ente.example/idp/audit"
)

// polling is how often a node looks for requests that other nodes have taken.
const polling = time.Second

// nudge wakes this node's worker: a request that was just kept need not wait
// for the next poll.
func (s *Service) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // one is waiting already
	}
}

// RunProcedures looks at requests until ctx ends. Any number of nodes may run
// it; whoever comes first has a request to itself.
func (s *Service) RunProcedures(ctx context.Context) error {
	tick := time.NewTicker(polling)
	defer tick.Stop()
	for {
		if err := s.WorkProcedures(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "look at requests", "error", err)
		}
		// nobody should wait for the broom to hear that somebody tries his PIN
		if _, err := s.sweepAlarms(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "tell of wrong tries", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-tick.C:
		}
	}
}

// WorkProcedures looks at what waits at this moment. A request that cannot be
// looked at now, because something it needs is away, stays for the next time
// and holds up no other.
func (s *Service) WorkProcedures(ctx context.Context) error {
	list, err := s.store.received(ctx)
	if err != nil {
		return wrap("list requests", err)
	}
	var errs []error
	for _, id := range list {
		if ctx.Err() != nil {
			break
		}
		errs = append(errs, wrap("look at request "+id, s.workProcedure(ctx, id)))
	}
	return errors.Join(errs...)
}

// workProcedure does everything about one request, or nothing: nobody leases
// it, because nothing here leaves the database.
func (s *Service) workProcedure(ctx context.Context, id string) error {
	return s.db.InTx(ctx, func(ctx context.Context) error {
		p, taken, err := s.store.take(ctx, id)
		if err != nil || !taken {
			return err
		}
		if p.Kind == recovery {
			return s.matchRecovery(ctx, p)
		}
		return s.verifyCard(ctx, p)
	})
}

// sweepProcedures ends what nobody has gone on with in time. One at a time:
// a request and the parts of its PIN end together.
func (s *Service) sweepProcedures(ctx context.Context) (more bool, err error) {
	list, err := s.store.overdueProcedures(ctx)
	if err != nil {
		return false, err
	}
	for _, p := range list {
		to := stepExpired
		if p.State == stepSending {
			to = stepUndelivered
		}
		err := s.db.InTx(ctx, func(ctx context.Context) error {
			if err := s.dropParts(ctx, p, "on its way for too long"); err != nil {
				return err
			}
			_, err := s.finishProcedure(ctx, audit.Actor{Kind: audit.System}, p, to)
			return err
		})
		if err != nil {
			return false, err
		}
	}
	return len(list) == batch, nil
}

func (s *Service) sweepProcedureRows(ctx context.Context) (more bool, err error) {
	n, err := s.store.purgeProcedures(ctx)
	if err != nil {
		return false, err
	}
	m, err := s.store.purgeNotices(ctx)
	return n == batch || m == batch, err
}
