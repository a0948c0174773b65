// Bench measures this provider side by side with what people would use
// instead, and with a floor that does nothing but the unavoidable. It starts
// everything itself, on this machine, and writes docs/performance.md.
//
//	make bench
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"ente.example/idp/bench/driver"
	"ente.example/idp/bench/meter"
)

// scope is what services ask for; each server knows it.
const scope = "openid profile email offline_access"

// options are the command line.
type options struct {
	rounds, workers, count int
	window                 time.Duration
	servers, scenarios     string
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often everything is measured; medians are shown")
	flag.IntVar(&o.workers, "workers", 16, "how many do it at once")
	flag.IntVar(&o.count, "count", 20000, "the most operations of one measurement")
	flag.DurationVar(&o.window, "time", 2*time.Second, "the longest that one measurement lasts")
	flag.StringVar(&o.servers, "servers", "", "only those, with commas")
	flag.StringVar(&o.scenarios, "scenarios", "", "only those, with commas, and what they build on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := o.run(ctx, os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func chosen(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}

// run starts the servers, measures round by round, and writes what was found.
func (o options) run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	f, err := o.start(ctx, dir)
	defer f.stop() //nolint:contextcheck // servers end whatever has happened to the context
	if err != nil {
		return err
	}
	_, err = o.measure(ctx, out, f)
	return err
}

// fleet is every server that is measured.
type fleet []*server

func (f fleet) stop() {
	for _, s := range f {
		s.stop()
	}
}

// start builds and starts what was chosen.
func (o options) start(ctx context.Context, dir string) (f fleet, err error) {
	program := filepath.Join(dir, "bin", "idp")
	if err := build(ctx, program, "./cmd/idp", "-tags", "bench"); err != nil {
		return nil, err
	}
	people := crowd(o.workers)
	for _, name := range []string{"idp", "idp-sqlite"} {
		if !chosen(o.servers, name) {
			continue
		}
		home := filepath.Join(dir, name)
		if err := os.Mkdir(home, 0o700); err != nil {
			return f, err
		}
		var database *meter.Postgres
		if name == "idp" {
			if database, err = meter.StartPostgres(ctx); err != nil {
				return f, err
			}
		}
		s, err := startOurs(ctx, name, program, home, database, people)
		f = append(f, s)
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

func build(ctx context.Context, out, what string, flags ...string) error {
	args := append(append([]string{"build", "-o", out}, flags...), what)
	if b, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w: %s", what, err, b)
	}
	return nil
}

// measure goes round by round through the scenarios, and through the servers
// within each, so that what the machine does besides hits all of them alike.
func (o options) measure(ctx context.Context, out io.Writer, f fleet) ([]result, error) {
	var all []result
	for round := range o.rounds {
		for _, s := range f {
			if err := s.driver.Prepare(ctx, o.workers); err != nil {
				return all, fmt.Errorf("%s: %w", s.name, err)
			}
		}
		for _, scenario := range driver.Scenarios() {
			if !chosen(o.scenarios, scenario.Name) {
				continue
			}
			for i := range f {
				s := f[(i+round)%len(f)]
				r, err := s.measure(ctx, scenario, driver.Load{Workers: o.workers, Count: o.count, Time: o.window})
				if err != nil {
					return all, err
				}
				r.Round = round
				all = append(all, r)
				_, _ = fmt.Fprintf(out, "%d %-18s %-12s %6d done %3d errors  %7.3f ms CPU  p50 %s %s\n", round+1, r.Scenario, r.Server,
					r.Done, r.Errors, float64(r.perOp().Microseconds())/1000, r.P50.Round(10*time.Microsecond), r.First)
			}
		}
	}
	return all, nil
}
