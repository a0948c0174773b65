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
	Memory   int64         `json:"memory"` // the program's, resident, afterwards
}

// spent is the processor time of program and database so far.
func (s *server) spent() (program, database time.Duration, err error) {
	if program, err = meter.CPU(s.cmd.Process.Pid); err != nil || s.database == nil {
		return program, 0, err
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
	r.Report = s.driver.Run(ctx, one, load)
	if err := wait(ctx, s.settle); err != nil {
		return r, err
	}
	p, d, err := s.spent()
	if err != nil {
		return r, err
	}
	r.Program, r.Database = p-program, d-database
	if r.Memory, err = meter.Memory(s.cmd.Process.Pid); err != nil {
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
