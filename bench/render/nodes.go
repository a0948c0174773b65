package render

import (
	"fmt"
	"strings"
)

// Group is what so many nodes on one PostgreSQL took for one scenario.
type Group struct {
	Nodes int
	Figure
	Looks, Connections, Busy, Locked, Logged int // as meter.Waits has them
	Rollbacks, Deadlocks                     int
}

// Nodes is what docs/scaling.md says of several nodes; hash is the milliseconds
// of a PIN's, which the figures are without.
func Nodes(r Run, flags string, groups []Group, hash float64) string {
	var b strings.Builder
	r.command(&b, flags)
	b.WriteString("| scenario | nodes | a second | program, ms | of one node's | database, ms | of one node's | p99, ms | waiting for a lock | for the log | rolled back | deadlocks | connections | errors |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	var first Group
	for _, g := range groups {
		if g.Scenario != first.Scenario {
			first = g
		}
		fmt.Fprintf(&b, "| %s | %d | %.0f | %s | × %s | %s | × %s | %s | %s | %s | %d | %d | %d | %d of %d |\n", g.Scenario, g.Nodes, g.Throughput,
			micro(g.Program), share(g.Program, first.Program), micro(g.Database), share(g.Database, first.Database), number(g.P99),
			percent(g.Locked, g.Busy), percent(g.Logged, g.Busy), g.Rollbacks, g.Deadlocks, g.Connections, g.Errors, g.Errors+g.Done)
	}
	fmt.Fprintf(&b, "\nThe hash of a PIN takes %s ms here, which a sign-in's time above is without. So one processor of PostgreSQL is full with this many nodes of one processor each:\n\n", number(hash))
	b.WriteString("| if they only do | program, ms | database, ms | nodes | a second |\n|---|---|---|---|---|\n")
	for _, g := range groups {
		if g.Nodes != groups[0].Nodes {
			continue
		}
		program, name := g.Program, g.Scenario
		if name == "sign-in" {
			program, name = program+hash, "sign-in, with the hash"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.0f |\n", name, micro(program), micro(g.Database), number(program/g.Database), 1000/g.Database)
	}
	b.WriteString("\n")
	return b.String()
}

// command is what was run, on what, and when.
func (r Run) command(b *strings.Builder, flags string) {
	fmt.Fprintf(b, "`make bench BENCH='%s'`, %s, commit `%s`. %s; %s. Load of the machine before: %.1f. %d rounds of %s with %d workers.\n\n",
		flags, r.Date, r.Commit, r.Machine, r.With, r.Load, r.Rounds, r.Window, r.Workers)
}

func share(part, whole float64) string {
	if whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", part/whole)
}

func percent(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}
