// Bench measures this provider side by side with what people would use
// instead, and with a floor that does nothing but the unavoidable. It starts
// everything itself, on this machine, and writes docs/performance.md.
//
//	make bench
package main

import (
	"context"
	"errors"
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
	"ente.example/idp/bench/render"
)

// scope is what services ask for; each server knows it.
const scope = "openid profile email offline_access"

// redirect is the services' address; browsers are not let through to it.
const redirect = "http://127.0.0.1:9/callback"

// options are the command line.
type options struct {
	rounds, workers, count int
	window                 time.Duration
	servers, scenarios     string
	save, profile          string
	crowd                  int
	render                 bool
	percent                float64
	flooded                bool
	nodes                  string
	swept                  int
	visits                 float64
	postgres               string
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often everything is measured; medians are shown")
	flag.IntVar(&o.workers, "workers", 16, "how many do it at once")
	flag.IntVar(&o.count, "count", 20000, "the most operations of one measurement")
	flag.DurationVar(&o.window, "time", 1500*time.Millisecond, "the longest that one measurement lasts")
	flag.StringVar(&o.servers, "servers", "", "only those, with commas")
	flag.StringVar(&o.scenarios, "scenarios", "", "only those, with commas, and what they build on")
	flag.StringVar(&o.save, "save", lastRun, "where the medians are kept; - for nowhere")
	flag.StringVar(&o.profile, "profile", "", "a folder for what took the time: this program's profiles, one for each scenario, and every database's statements")
	flag.IntVar(&o.crowd, "crowd", 64, "how many workers at the end, for errors; 0 for none")
	flag.BoolVar(&o.render, "render", false, "only write the page anew, from what is kept")
	flag.Float64Var(&o.percent, "full", 0, "instead, compare an empty database with so many hundredths of one that holds years")
	flag.BoolVar(&o.flooded, "flood", false, "instead, answer services while more people sign in than can be hashed for")
	flag.StringVar(&o.nodes, "nodes", "", "instead, compare so many nodes of one processor on one PostgreSQL: numbers with commas")
	flag.IntVar(&o.swept, "sweep", 0, "instead, compare with the janitor and without while so many sign-ins a second leave rows that expire; -time is a turn's, 30s at least")
	flag.StringVar(&o.postgres, "postgres", "", "settings (name=value) of every PostgreSQL beside the usual, with commas; what is measured is not kept then")
	flag.Float64Var(&o.visits, "visits", 0, "what -flood starts: so many sign-ins a second, at the target on standard input, for -time")
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

// settings are those of every PostgreSQL beside the usual.
func (o options) settings() []string {
	return strings.FieldsFunc(o.postgres, func(r rune) bool { return r == ',' })
}

// run starts the servers, measures round by round, and writes what was found.
func (o options) run(ctx context.Context, out io.Writer) error {
	switch {
	case o.render:
		return show()
	case o.visits > 0:
		return o.visit(ctx, os.Stdin, out)
	}
	about := o.describe(ctx, load())
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	switch {
	case o.percent > 0:
		return o.full(ctx, out, dir)
	case o.flooded:
		return o.flood(ctx, out, dir)
	case o.swept > 0:
		return o.sweeping(ctx, out, dir)
	case o.nodes != "":
		return o.several(ctx, out, dir)
	}
	f, err := o.start(ctx, dir)
	defer f.stop() //nolint:contextcheck // servers end whatever has happened to the context
	if err != nil {
		return err
	}
	all, err := o.measure(ctx, out, f)
	if err != nil {
		return err
	}
	if err := f.statements(ctx, o.profile); err != nil {
		return err
	}
	about.Figures, about.Signatures = summary(all), signatures(all)
	if about.Crowd, err = o.crowded(ctx, out, f); err != nil || o.save == "-" || o.postgres != "" {
		return err
	}
	if err := keep(o.save, about); err != nil || o.save != lastRun {
		return err
	}
	return show()
}

// crowded goes once through all scenarios of this program with many workers.
func (o options) crowded(ctx context.Context, out io.Writer, f fleet) (list []render.Crowd, err error) {
	for _, s := range f {
		if o.crowd == 0 || !strings.HasPrefix(s.name, "idp") {
			continue
		}
		if err := s.driver.Prepare(ctx, o.crowd); err != nil {
			return list, fmt.Errorf("%s: %w", s.name, err)
		}
		load := driver.Load{Workers: o.crowd, Count: o.count, Time: o.window}
		for _, scenario := range driver.Scenarios() {
			if scenario.RS256 && s.database == nil {
				continue // as in measure
			}
			s.driver.Gather(ctx, scenario, load)
			r := s.driver.Run(ctx, scenario, load)
			list = append(list, render.Crowd{
				Scenario: scenario.Name, Server: s.name, Workers: o.crowd, Done: r.Done, Errors: r.Errors, First: r.First, P99: milliseconds(r.P99),
			})
			_, _ = fmt.Fprintf(out, "%d workers: %-18s %-12s %6d done %3d errors  %s\n", o.crowd, scenario.Name, s.name, r.Done, r.Errors, r.First)
		}
	}
	return list, nil
}

// fleet is every server that is measured.
type fleet []*server

func (f fleet) stop() {
	for _, s := range f {
		s.stop()
	}
}

// kind is a server that can be measured: its name, whether it is on PostgreSQL,
// and how it is started.
type kind struct {
	name     string
	postgres bool
	start    func(ctx context.Context, dir string, database *meter.Postgres, people []citizen) (*server, error)
}

// kinds are all there are; programs lie in bin.
func kinds(bin string) []kind {
	idp := func(name string) func(context.Context, string, *meter.Postgres, []citizen) (*server, error) {
		return func(ctx context.Context, dir string, database *meter.Postgres, people []citizen) (*server, error) {
			return startOurs(ctx, way{name: name}, filepath.Join(bin, "idp"), dir, database, people)
		}
	}
	other := func(name, program string, args ...string) func(context.Context, string, *meter.Postgres, []citizen) (*server, error) {
		return func(ctx context.Context, dir string, database *meter.Postgres, people []citizen) (*server, error) {
			return startOther(ctx, name, dir, database, people, program, args...)
		}
	}
	peer, _ := filepath.Abs(filepath.Join("bench", "peer", "server.mjs"))
	return []kind{
		{"idp", true, idp("idp")},
		{"idp-sqlite", false, idp("idp-sqlite")},
		{"peer", true, other("peer", "node", peer)},
		{"peer-memory", false, other("peer-memory", "node", peer)},
		{"floor", true, other("floor", filepath.Join(bin, "floor"))},
	}
}

// start builds and starts what was chosen.
func (o options) start(ctx context.Context, dir string) (f fleet, err error) {
	bin := filepath.Join(dir, "bin")
	if err := build(ctx, filepath.Join(bin, "idp"), "./cmd/idp", "-tags", "bench"); err != nil {
		return nil, err
	}
	if err := build(ctx, filepath.Join(bin, "floor"), "./bench/floor"); err != nil {
		return nil, err
	}
	people := crowd(max(o.workers, o.crowd))
	for _, k := range kinds(bin) {
		if !chosen(o.servers, k.name) {
			continue
		}
		home := filepath.Join(dir, k.name)
		if err := os.Mkdir(home, 0o700); err != nil {
			return f, err
		}
		var database *meter.Postgres
		if k.postgres {
			if database, err = meter.StartPostgres(ctx, o.settings()...); err != nil {
				return f, err
			}
		}
		s, err := k.start(ctx, home, database, people)
		f = append(f, s)
		if err != nil {
			return f, errors.Join(err, s.said())
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

// turn is a server's turn at a scenario.
func (o options) turn(ctx context.Context, s *server, scenario driver.Scenario) (result, error) {
	load := driver.Load{Workers: o.workers, Count: o.count, Time: o.window}
	if err := s.warm(ctx, scenario, load); err != nil {
		return result{}, err
	}
	profiled := s.profile(ctx, o.profile, scenario.Name, o.window)
	r, err := s.measure(ctx, scenario, load)
	return r, errors.Join(err, profiled())
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
			if scenario.RS256 {
				signed, err := f.signature(ctx)
				if err != nil {
					return all, err
				}
				all = append(all, signed...)
			}
			for i := range f {
				s := f[(i+round)%len(f)]
				if scenario.RS256 && s.database == nil {
					continue // what RSA costs does not hang on the storage
				}
				r, err := o.turn(ctx, s, scenario)
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
