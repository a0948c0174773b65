package main

import (
	"context"
	"fmt"
	"time"

	"ente.example/idp/bench/driver"
	"ente.example/idp/bench/meter"
)

// result is one measurement: one scenario, one server, one round.
type result struct {
	Scenario string `json:"scenario"`
	Server   string `json:"server"`
	Round    int    `json:"round"`
	Workers  int    `json:"workers"`
	driver.Report
	Program  time.Duration `json:"cpu_program"`
	Database time.Duration `json:"cpu_database"`
	Counts   *meter.Counts `json:"counts,omitempty"`
	Waits    meter.Waits   `json:"waits"`  // of servers that are watched
	Memory   int64         `json:"memory"` // the first node's, resident, afterwards
}

// spent is the processor time of program and database so far.
func (s *server) spent() (program, database time.Duration, err error) {
	for _, node := range s.nodes {
		one, err := meter.CPU(node.Process.Pid)
		if err != nil {
			return 0, 0, err
		}
		program += one
	}
	if s.database == nil {
		return program, 0, nil
	}
	database, err = meter.CPU(s.database.PID())
	return program, database, err
}

func (s *server) counts(ctx context.Context) (*meter.Counts, error) {
	if s.database == nil {
		return nil, nil //nolint:nilnil // there is nothing to count, and that is no fault
	}
	c, err := s.database.Counts(ctx)
	return &c, err
}

// warm puts a quarter of a load on that is not measured: while the others had
// their turns, the caches have forgotten this server, whoever's they are. What both
// build on is gathered first.
func (s *server) warm(ctx context.Context, one driver.Scenario, load driver.Load) error {
	quarter := driver.Load{Workers: load.Workers, Count: max(1, load.Count/4), Time: load.Time / 4}
	s.driver.Gather(ctx, one, driver.Load{Workers: load.Workers, Count: load.Count + quarter.Count, Time: load.Time + quarter.Time})
	s.driver.Run(ctx, one, quarter)
	return wait(ctx, s.settle)
}

// measure puts one load on one server.
func (s *server) measure(ctx context.Context, one driver.Scenario, load driver.Load) (r result, err error) {
	r = result{Scenario: one.Name, Server: s.name, Workers: load.Workers}
	before, err := s.counts(ctx)
	if err != nil {
		return r, err
	}
	program, database, err := s.spent()
	if err != nil {
		return r, err
	}
	if r.Report, r.Waits, err = s.load(ctx, one, load); err != nil {
		return r, err
	}
	if err := wait(ctx, s.settle); err != nil {
		return r, err
	}
	p, d, err := s.spent()
	if err != nil {
		return r, err
	}
	r.Program, r.Database = p-program, d-database
	if r.Memory, err = meter.Memory(s.nodes[0].Process.Pid); err != nil {
		return r, err
	}
	after, err := s.counts(ctx)
	if err != nil {
		return r, err
	}
	if after != nil {
		less := after.Less(*before)
		r.Counts = &less
	}
	if r.Done == 0 {
		return r, fmt.Errorf("%s: nothing of %s succeeds: %s", s.name, one.Name, r.First)
	}
	return r, nil
}

// load puts it on, and looks at the database's connections meanwhile where that
// is wanted.
func (s *server) load(ctx context.Context, one driver.Scenario, load driver.Load) (driver.Report, meter.Waits, error) {
	if !s.watched {
		return s.driver.Run(ctx, one, load), meter.Waits{}, nil
	}
	stop, err := s.database.Watch(ctx)
	if err != nil {
		return driver.Report{}, meter.Waits{}, err
	}
	r := s.driver.Run(ctx, one, load)
	w, err := stop()
	return r, w, err
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// perOp is the processor time of one operation.
func (r result) perOp() time.Duration {
	return (r.Program + r.Database) / time.Duration(max(1, r.Done))
}
