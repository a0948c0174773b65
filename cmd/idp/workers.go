package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"ente.example/idp/database"
)

// workerNames are those that --workers may list, in the order they are shown.
var workerNames = []string{"delivery", "receipts", "procedures", "logout", "audit", "janitor"} //nolint:gochecknoglobals // a list, never changed

// sweepEvery is how often the janitor looks for what has expired.
const sweepEvery = 20 * time.Second

func chooseWorkers(list string) ([]string, error) {
	switch list {
	case "all", "":
		return workerNames, nil
	case "none":
		return nil, nil
	}
	names := strings.Split(list, ",")
	for _, n := range names {
		if !slices.Contains(workerNames, n) {
			return nil, usageError{fmt.Sprintf("there is no worker %q; there are: %s", n, strings.Join(workerNames, ", "))}
		}
	}
	return names, nil
}

// startWorkers runs the workers named, and those that every node needs: what
// follows keys and clients into this node's memory.
func (v *services) startWorkers(ctx context.Context, names []string) *errgroup.Group {
	var g errgroup.Group
	start := func(name string, run func(ctx context.Context) error) {
		g.Go(func() error {
			err := run(ctx)
			if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("worker %s: %w", name, err)
			}
			return nil
		})
	}
	start("keys", v.signing.Run)
	start("clients", v.clients.Run)
	for name, run := range map[string]func(context.Context) error{
		"delivery": v.outbox.Run,
		"receipts": v.readReceipts,
		"procedures": func(ctx context.Context) error {
			var all errgroup.Group
			all.Go(func() error { return v.pins.RunProcedures(ctx) })
			all.Go(func() error { return v.requests.Run(ctx) })
			all.Go(func() error { return v.contacts.Run(ctx) })
			return all.Wait()
		},
		"logout":  v.provider.RunLogouts,
		"audit":   func(ctx context.Context) error { return v.audit.Run(ctx, v.report) },
		"janitor": v.sweep,
	} {
		if slices.Contains(names, name) {
			start(name, run)
		}
	}
	return &g
}

// readReceipts follows the PEC mailbox, where there is one.
func (v *services) readReceipts(ctx context.Context) error {
	if v.receipts == nil {
		<-ctx.Done()
		return nil
	}
	return v.receipts.Run(ctx)
}

// report logs a worker's trouble; the worker tries again by itself.
func (v *services) report(err error) {
	if database.IsUnavailable(err) {
		v.logger.Warn("the database is away", "error", err)
		return
	}
	v.logger.Error("a worker has trouble", "error", err)
}

// sweep removes what has expired, in small batches, every so often. All of it
// may run on several nodes at once.
func (v *services) sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		for _, one := range v.sweepers() {
			if err := one(ctx); err != nil && ctx.Err() == nil {
				v.report(err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sweepers are the rooms' own brooms.
func (v *services) sweepers() []func(context.Context) error {
	counted := func(sweep func(context.Context) (int, error)) func(context.Context) error {
		return func(ctx context.Context) error {
			for {
				if n, err := sweep(ctx); n == 0 || err != nil {
					return err
				}
			}
		}
	}
	return []func(context.Context) error{
		v.pins.Sweep, v.requests.Sweep, v.outbox.Sweep, counted(v.captchas.Sweep), counted(v.interactions.Sweep), counted(v.sessions.Sweep),
		counted(v.clients.Sweep), counted(v.provider.Sweep),
	}
}
