package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"ente.example/idp/bench/driver"
	"ente.example/idp/bench/meter"
	"ente.example/idp/bench/render"
)

// shortLives has sessions end while the load lasts.
const shortLives = `{"session.idle": "20s", "session.absolute": "20s"}`

// without are all workers but the janitor.
const without = "delivery,receipts,procedures,logout,audit"

// swept are the tables from which the janitor takes most.
var swept = []string{"sessions", "grants", "interactions"} //nolint:gochecknoglobals // a list, never changed

// sweeping puts a steady load on the program with its janitor and without, in
// turns, while as many rows come due as are made. Who is not measured is stopped, so that
// its janitor does not work meanwhile; what has come due since waits for it.
func (o options) sweeping(ctx context.Context, out io.Writer, dir string) error {
	program := filepath.Join(dir, "program")
	if err := build(ctx, program, "./cmd/idp", "-tags", "bench"); err != nil {
		return err
	}
	f, err := o.apart(ctx, dir, program, way{name: "with", policy: shortLives}, way{name: "without", policy: shortLives, flags: []string{"--workers", without}})
	defer f.stop() //nolint:contextcheck // servers end whatever has happened to the context
	if err != nil {
		return err
	}
	about := o.describe(ctx, load())
	if err := o.expire(ctx, f); err != nil {
		return err
	}
	y := render.Swept{Rate: o.swept}
	if err := y.Add(f[0].tables(ctx)); err != nil {
		return err
	}
	var all []result
	for round := range o.rounds {
		for i := range f {
			list, err := o.steady(ctx, f, (i+round)%len(f))
			if err != nil {
				return err
			}
			all = append(all, list...)
			_, _ = fmt.Fprintf(out, "%d %-8s sign-in p99 %s, refresh p99 %s\n", round+1, list[0].Server, list[0].P99, list[1].P99)
		}
		if err := y.Add(f[0].tables(ctx)); err != nil {
			return err
		}
	}
	if y.Left, err = f[1].tables(ctx); err != nil {
		return err
	}
	y.Loads = compared(all)
	if y.Janitor, err = f[0].janitors(ctx); err != nil {
		return err
	}
	return o.publish(out, "sweep", render.Sweeping(about, fmt.Sprintf("-sweep %d -time %s -rounds %d", o.swept, o.window, o.rounds), y))
}

// expire prepares both: tokens to refresh, and rows that come due at half of the
// rate, since each is measured half of the time.
func (o options) expire(ctx context.Context, f fleet) error {
	steps := driver.Scenarios()
	for _, s := range f {
		if err := s.driver.Prepare(ctx, o.workers); err != nil {
			return err
		}
		few := driver.Load{Workers: o.workers, Count: o.workers, Time: time.Minute}
		s.driver.Run(ctx, one(steps, "sso"), few)
		s.driver.Run(ctx, one(steps, "exchange"), few)
		total := o.window * time.Duration(2*o.rounds)
		if err := errors.Join(seed(ctx, s.database, expiring(float64(o.swept)/2, total)), s.database.Forget(ctx), s.signal(syscall.SIGSTOP)); err != nil {
			return err
		}
	}
	return nil
}

// steady measures sign-ins and, at the same time, four times as many refreshes.
func (o options) steady(ctx context.Context, f fleet, which int) (list []result, err error) {
	s := f[which]
	if err := s.signal(syscall.SIGCONT); err != nil {
		return nil, err
	}
	program, database, err := s.spent()
	if err != nil {
		return nil, err
	}
	steps, rate := driver.Scenarios(), float64(o.swept)
	list = []result{{Scenario: "sign-in", Server: s.name}, {Scenario: "refresh", Server: s.name}}
	var wg sync.WaitGroup
	for i, many := range []float64{rate, 4 * rate} {
		wg.Go(func() {
			list[i].Report = s.driver.Run(ctx, one(steps, list[i].Scenario), driver.Load{Workers: o.workers, Count: 1 << 30, Time: o.window, Rate: many})
		})
	}
	wg.Wait()
	p, d, err := s.spent()
	for i := range list {
		list[i].Program, list[i].Database = p-program, d-database // of both loads together
		if list[i].Done == 0 {
			err = errors.Join(err, fmt.Errorf("%s: nothing of %s succeeds: %s", s.name, list[i].Scenario, list[i].First))
		}
	}
	return list, errors.Join(err, s.signal(syscall.SIGSTOP))
}

// signal stops every node of a server where it is, or has it go on.
func (s *server) signal(what syscall.Signal) (err error) {
	for _, node := range s.nodes {
		err = errors.Join(err, node.Process.Signal(what))
	}
	return err
}

func (s *server) tables(ctx context.Context) (map[string]meter.Table, error) {
	return s.database.Tables(ctx, swept...)
}

// compared has the medians of both.
func compared(all []result) (list []render.Steady) {
	for _, scenario := range []string{"sign-in", "refresh"} {
		s := render.Steady{Scenario: scenario}
		for i, name := range []string{"without", "with"} {
			rounds := of(all, scenario, name)
			s.P50[i], s.P99[i] = middle(rounds, p50)/float64(time.Millisecond), middle(rounds, p99)/float64(time.Millisecond)
			s.CPU[i] = middle(rounds, func(r result) float64 { return float64(r.Program+r.Database) / float64(r.Wall) })
			for _, r := range rounds {
				s.Done[i], s.Errors[i] = s.Done[i]+r.Done, s.Errors[i]+r.Errors
			}
		}
		list = append(list, s)
	}
	return list
}

// janitors are its statements on those tables: all that take a batch.
func (s *server) janitors(ctx context.Context) (list []meter.Statement, err error) {
	for _, table := range swept {
		all, err := s.database.Statements(ctx, table)
		if err != nil {
			return nil, err
		}
		for _, one := range all {
			if strings.Contains(one.Text, "expires_at <= ") && strings.Contains(one.Text, " LIMIT ") {
				list = append(list, one)
			}
		}
	}
	return list, nil
}
