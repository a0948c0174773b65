package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ente.example/idp/bench/driver"
	"ente.example/idp/bench/meter"
	"ente.example/idp/bench/render"
)

// apart starts this program in several ways, each on a PostgreSQL of its own.
func (o options) apart(ctx context.Context, dir, program string, ways ...way) (f fleet, err error) {
	for _, w := range ways {
		home := filepath.Join(dir, w.name)
		if err := os.Mkdir(home, 0o700); err != nil {
			return f, err
		}
		database, err := meter.StartPostgres(ctx, w.postgres...)
		if err != nil {
			return f, err
		}
		s, err := startOurs(ctx, w, program, home, database, crowd(o.workers))
		f = append(f, s)
		if err != nil {
			return f, errors.Join(err, s.said())
		}
	}
	return f, nil
}

// full compares a database that holds years with an empty one.
func (o options) full(ctx context.Context, out io.Writer, dir string) error {
	if o.scenarios == "" {
		o.scenarios = "sign-in,sso,exchange,refresh,introspection,userinfo"
	}
	program := filepath.Join(dir, "program")
	if err := build(ctx, program, "./cmd/idp", "-tags", "bench"); err != nil {
		return err
	}
	settings := meter.Explaining()
	f, err := o.apart(ctx, dir, program, way{name: "idp", postgres: settings}, way{name: "idp-full", postgres: settings})
	defer f.stop() //nolint:contextcheck // servers end whatever has happened to the context
	if err != nil {
		return err
	}
	about, rows, start := o.describe(ctx, load()), years().part(o.percent), time.Now()
	if err := f[1].fill(ctx, copies(rows)); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "%s in %s\n", rows, time.Since(start).Round(time.Second))
	for _, s := range f {
		if err := s.database.Forget(ctx); err != nil {
			return err
		}
	}
	held, err := f[1].counts(ctx)
	if err != nil {
		return err
	}
	all, err := o.measure(ctx, out, f)
	if err != nil {
		return err
	}
	y := render.Years{Rows: rows.String(), Ratios: ratios(all), PerEvent: float64(held.Bytes["audit_chain"]) / float64(held.Rows["audit_chain"])}
	if y.Asked, err = chained(ctx, f[0], f[1]); err != nil {
		return err
	}
	if y.Indexes, y.Touched, err = o.plans(ctx, f[0], f[1]); err != nil {
		return err
	}
	return o.publish(out, "years", render.Filled(about, fmt.Sprintf("-full %g", o.percent), y))
}

// ratios put what the full database took over what the empty one did.
func ratios(all []result) (list []render.Ratio) {
	for _, scenario := range driver.Scenarios() {
		empty, full := of(all, scenario.Name, "idp"), of(all, scenario.Name, "idp-full")
		if len(empty) == 0 {
			continue
		}
		ratio := func(what func(result) float64) float64 { return middle(full, what) / max(1, middle(empty, what)) }
		list = append(list, render.Ratio{Scenario: scenario.Name, P99: ratio(p99), CPU: ratio(cpu), Latency: ratio(p50), WAL: ratio(wal)})
	}
	return list
}

func of(all []result, scenario, server string) []result {
	return slices.DeleteFunc(slices.Clone(all), func(r result) bool { return r.Scenario != scenario || r.Server != server })
}

func p99(r result) float64 { return float64(r.P99) }
func p50(r result) float64 { return float64(r.P50) }
func cpu(r result) float64 { return float64(r.perOp()) }
func wal(r result) float64 { return float64(r.Counts.WAL) / float64(r.Done) }

// middle is the median of what one of several rounds has shown.
func middle(list []result, what func(result) float64) float64 {
	values := make([]float64, len(list))
	for i, r := range list {
		values[i] = what(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func one(list []driver.Scenario, name string) driver.Scenario {
	return list[slices.IndexFunc(list, func(s driver.Scenario) bool { return s.Name == name })]
}
