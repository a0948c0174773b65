package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"ente.example/idp/bench/driver"
	"ente.example/idp/bench/meter"
	"ente.example/idp/bench/render"
)

// Where what was measured is kept, and shown.
const (
	lastRun   = "bench/results/last.json"
	beforeRun = "bench/results/before.json"
	shownPage = "docs/performance.md"
	images    = "docs/images"
	scaling   = "docs/scaling.md"
	beginning = "<!-- measured -->\n"
	end       = "<!-- end of what was measured -->\n"
)

// summary brings many rounds to their medians.
func summary(all []result) []render.Figure {
	var list []render.Figure
	for _, scenario := range driver.Scenarios() {
		for _, name := range names(all) {
			var rounds []result
			for _, r := range all {
				if r.Scenario == scenario.Name && r.Server == name {
					rounds = append(rounds, r)
				}
			}
			if len(rounds) > 0 {
				list = append(list, figure(rounds))
			}
		}
	}
	return list
}

func names(all []result) []string {
	var list []string
	for _, r := range all {
		if !slices.Contains(list, r.Server) {
			list = append(list, r.Server)
		}
	}
	slices.Sort(list)
	return list
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func figure(rounds []result) render.Figure {
	median := func(of func(result) float64) float64 {
		var values []float64
		for _, r := range rounds {
			values = append(values, of(r))
		}
		slices.Sort(values)
		return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
	}
	perOp := func(of func(result) float64) float64 {
		return median(func(r result) float64 { return of(r) / float64(r.Done) })
	}
	f := render.Figure{
		Scenario: rounds[0].Scenario, Server: rounds[0].Server,
		Throughput: median(func(r result) float64 { return float64(r.Done) / r.Wall.Seconds() }),
		P50:        median(func(r result) float64 { return milliseconds(r.P50) }),
		P95:        median(func(r result) float64 { return milliseconds(r.P95) }),
		P99:        median(func(r result) float64 { return milliseconds(r.P99) }),
		Both:       perOp(func(r result) float64 { return milliseconds(r.Program + r.Database) }),
		Program:    perOp(func(r result) float64 { return milliseconds(r.Program) }),
		Database:   perOp(func(r result) float64 { return milliseconds(r.Database) }),
	}
	for _, r := range rounds {
		f.Done, f.Errors, f.Memory = f.Done+r.Done, f.Errors+r.Errors, max(f.Memory, float64(r.Memory)/(1<<20))
		if f.First == "" {
			f.First = r.First
		}
	}
	if rounds[0].Counts == nil {
		return f
	}
	f.Statements = perOp(func(r result) float64 { return float64(r.Counts.Statements) })
	f.Commits = perOp(func(r result) float64 { return float64(r.Counts.Commits) })
	f.WAL = perOp(func(r result) float64 { return float64(r.Counts.WAL) })
	f.Rows = perTable(rounds, func(c *meter.Counts) map[string]int64 { return c.Rows })
	f.Bytes = perTable(rounds, func(c *meter.Counts) map[string]int64 { return c.Bytes })
	return f
}

// perTable is the mean of all rounds: tables grow by steps.
func perTable(rounds []result, of func(*meter.Counts) map[string]int64) map[string]float64 {
	sum, done := map[string]float64{}, 0.0
	for _, r := range rounds {
		done += float64(r.Done)
		for table, n := range of(r.Counts) {
			sum[table] += float64(n)
		}
	}
	for table := range sum {
		sum[table] /= done
	}
	return sum
}

// describe is what the reader must know about the run.
func (o options) describe(ctx context.Context, load float64) render.Run {
	said := func(name string, args ...string) string {
		b, err := exec.CommandContext(ctx, name, args...).Output()
		if err != nil {
			return "?"
		}
		return strings.TrimSpace(string(b))
	}
	peer := struct {
		Version string `json:"version"`
	}{"?"}
	if b, err := os.ReadFile("bench/peer/node_modules/oidc-provider/package.json"); err == nil {
		_ = json.Unmarshal(b, &peer) // the version stays unknown
	}
	return render.Run{
		Date: time.Now().UTC().Format(time.DateOnly), Commit: said("git", "rev-parse", "--short", "HEAD"), Load: load,
		Machine: fmt.Sprintf("%s, %d processors, Linux %s", processor(), runtime.NumCPU(), said("uname", "-r")),
		With:    fmt.Sprintf("%s, Node %s, oidc-provider %s, %s", runtime.Version(), said("node", "--version"), peer.Version, meter.Version(ctx)),
		Rounds:  o.rounds, Workers: o.workers, Window: o.window.String(),
	}
}

// processor is the model's name.
func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// load is how busy the machine was in the minute before.
func load() (average float64) {
	b, _ := os.ReadFile("/proc/loadavg")
	_, _ = fmt.Sscan(string(b), &average)
	return average
}

func keep(file string, r render.Run) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

func kept(file string) (*render.Run, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // there is none, and that is no fault
	}
	if err != nil {
		return nil, err
	}
	var r render.Run
	return &r, json.Unmarshal(b, &r)
}

// show writes the last run into the page, and its plots.
func show() error {
	last, err := kept(lastRun)
	if err != nil || last == nil {
		return errors.Join(errors.New("there is no run to show"), err)
	}
	before, err := kept(beforeRun)
	if err != nil {
		return err
	}
	for name, image := range render.Plots(*last) {
		if err := os.WriteFile(filepath.Join(images, name), []byte(image), 0o644); err != nil {
			return err
		}
	}
	return between(shownPage, beginning, end, render.Markdown(*last, before))
}

// publish shows one of the tables about growing, and writes it into its place
// in the page, unless nothing is to be kept.
func (o options) publish(out io.Writer, name, text string) error {
	if _, err := io.WriteString(out, "\n"+text); err != nil || o.save == "-" {
		return err
	}
	return between(scaling, "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n", text)
}

// between replaces what stands between two marks of a page.
func between(file, beginning, end, text string) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(page), beginning)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for what was measured", file)
	}
	return os.WriteFile(file, []byte(head+beginning+"\n"+text+end+tail), 0o644)
}
