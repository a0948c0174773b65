package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ente.example/idp/bench/driver"
	"ente.example/idp/bench/meter"
	"ente.example/idp/bench/render"
)

// tenfold is how many times the rows are thought to grow.
const tenfold = 10

// descents are how often a statement went down each index, beside the pages
// that it touched in all: means of its executions.
type descents struct {
	runs  int
	pages float64
	index map[string]float64
}

// looked is what statements did in each scenario, by what they are.
type looked map[string]map[string]*descents

// look goes through the scenarios, a few operations each and one at a time, and
// has the database explain whatever it does meanwhile.
func (s *server) look(ctx context.Context, o options, operations int, indexes []meter.Index) (looked, error) {
	all := looked{}
	if err := errors.Join(s.driver.Prepare(ctx, 1), wait(ctx, s.settle)); err != nil {
		return nil, err
	}
	for _, scenario := range driver.Scenarios() {
		if !chosen(o.scenarios, scenario.Name) || scenario.RS256 {
			continue
		}
		var r driver.Report
		list, err := s.database.Explained(ctx, func() {
			r = s.driver.Run(ctx, scenario, driver.Load{Workers: 1, Count: operations, Time: time.Minute})
			_ = wait(ctx, s.settle) // an end is seen by what comes next
		})
		if err != nil {
			return nil, err
		}
		if r.Done != operations {
			return nil, fmt.Errorf("%s: %d of %d done: %s", scenario.Name, r.Done, operations, r.First)
		}
		all[scenario.Name] = gathered(list, indexes)
	}
	return all, nil
}

// gathered brings executions of the same thing together.
func gathered(list []meter.Execution, indexes []meter.Index) map[string]*descents {
	all := map[string]*descents{}
	for _, e := range list {
		name, index := described(e, indexes)
		d := all[name]
		if d == nil {
			d = &descents{index: map[string]float64{}}
			all[name] = d
		}
		d.runs++
		d.pages += float64(e.Pages())
		for i, n := range index {
			d.index[i] += n
		}
	}
	for _, d := range all {
		d.pages /= float64(d.runs)
		for i := range d.index {
			d.index[i] /= float64(d.runs)
		}
	}
	return all
}

// described names what a statement does to which tables by which indexes, and
// counts how often it goes down each. An INSERT goes down all its table's.
func described(e meter.Execution, indexes []meter.Index) (name string, down map[string]float64) {
	verb, words := "SELECT", []string{}
	down = map[string]float64{}
	add := func(word string) {
		if word != "" && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	e.Plan.Walk(func(n meter.Node) {
		switch {
		case n.Type == "ModifyTable":
			verb = strings.ToUpper(n.Operation)
			add(n.Table)
			for _, i := range indexes {
				if i.Table == n.Table && verb == "INSERT" {
					down[i.Name]++
				}
			}
		case n.Index != "":
			down[n.Index] += n.Loops
			add(n.Index)
		default:
			add(n.Table)
		}
	})
	return verb + " " + strings.Join(words, ", "), down
}

// tall is what ten times the rows add to a statement: a page for each level
// that an index grows, each time it is gone down.
func (d descents) tall(indexes []meter.Index) float64 {
	more := 0.0
	for _, i := range indexes {
		more += d.index[i.Name] * float64(i.Grown(tenfold)-i.Levels)
	}
	return d.pages + more
}

// touched puts an empty database beside a full one, by scenario.
func touched(empty, full looked, operations int, indexes []meter.Index) (list []render.Touched) {
	for _, scenario := range driver.Scenarios() {
		for _, name := range slices.Sorted(maps.Keys(full[scenario.Name])) {
			d := full[scenario.Name][name]
			if d.pages == 0 || d.runs*2 < operations && !strings.Contains(name, "audit_queue") {
				continue // what workers look for by themselves; but the chaining is the operation's
			}
			t := render.Touched{Scenario: scenario.Name, Statement: name, Times: float64(d.runs) / float64(operations), Full: d.pages, Tenfold: d.tall(indexes)}
			if e := empty[scenario.Name][name]; e != nil {
				t.Empty = e.pages
			}
			list = append(list, t)
		}
	}
	return list
}

// plans are what docs/scaling.md says of the indexes and of what goes down them.
func (o options) plans(ctx context.Context, empty, full *server) (grown []render.Grown, list []render.Touched, err error) {
	const operations = 10
	indexes, err := full.database.Indexes(ctx)
	if err != nil {
		return nil, nil, err
	}
	before, err1 := empty.look(ctx, o, operations, indexes)
	after, err2 := full.look(ctx, o, operations, indexes)
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, err
	}
	for _, i := range indexes {
		if i.Levels > 1 {
			grown = append(grown, render.Grown{Index: i.Name, Table: i.Table, MiB: float64(i.Bytes) / (1 << 20), Rows: i.Rows, Levels: i.Levels, Tenfold: i.Grown(tenfold)})
		}
	}
	return grown, touched(before, after, operations, indexes), nil
}

// chained compares what the audit asks of an empty table and of one that years
// have filled.
func chained(ctx context.Context, empty, full *server) (list []render.Asked, err error) {
	before, err1 := empty.database.Statements(ctx, "audit_")
	after, err2 := full.database.Statements(ctx, "audit_")
	for _, b := range before {
		i := slices.IndexFunc(after, func(a meter.Statement) bool { return a.Text == b.Text })
		if i < 0 || b.Calls < 10 {
			continue
		}
		a := after[i]
		list = append(list, render.Asked{
			Statement: b.Text, Calls: [2]int64{b.Calls, a.Calls}, Micros: [2]float64{b.Micros, a.Micros},
			Pages: [2]float64{b.Pages, a.Pages}, Read: [2]float64{b.Read, a.Read}, WAL: [2]float64{b.WAL, a.WAL},
		})
	}
	return list, errors.Join(err1, err2)
}
