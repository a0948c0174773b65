package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ente.example/idp/bench/meter"
)

// Swept is what docs/scaling.md says of the janitor: with it and without.
type Swept struct {
	Rate    int // sign-ins a second
	Loads   []Steady
	Tables  []map[string]meter.Table // at first and after each round, with the janitor
	Left    map[string]meter.Table   // in the end, without
	Janitor []meter.Statement
}

// Add notes what the tables hold now.
func (s *Swept) Add(now map[string]meter.Table, err error) error {
	s.Tables = append(s.Tables, now)
	return err
}

// Steady is a load without the janitor and with it.
type Steady struct {
	Scenario     string
	P50, P99     [2]float64 // milliseconds
	CPU          [2]float64 // processors that program and database kept busy, with all loads
	Done, Errors [2]int
}

// Sweeping is the page's text.
func Sweeping(r Run, flags string, s Swept) string {
	var b strings.Builder
	r.command(&b, flags)
	fmt.Fprintf(&b, "%d sign-ins and %d refreshes a second; sessions end after twenty seconds, and as many old sessions, grants and interactions come due as are made. Latency counts from when an operation was due to begin.\n\n", s.Rate, 4*s.Rate)
	b.WriteString("| | median without janitor, ms | with | 99th percentile without, ms | with | | processors busy without | with | errors without | with |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range s.Loads {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | × %s | %s | %s | %d of %d | %d of %d |\n", l.Scenario, number(l.P50[0]), number(l.P50[1]), number(l.P99[0]), number(l.P99[1]),
			share(l.P99[1], l.P99[0]), number(l.CPU[0]), number(l.CPU[1]), l.Errors[0], l.Done[0]+l.Errors[0], l.Errors[1], l.Done[1]+l.Errors[1])
	}
	b.WriteString("\nRows in each table, and dead ones that vacuum will take back: at first, after each round, and in the end where no janitor runs.\n\n")
	s.rows(&b)
	b.WriteString("\n| the janitor's statement | calls | ms of each | pages touched | log, bytes |\n|---|---|---|---|---|\n")
	for _, d := range s.Janitor {
		fmt.Fprintf(&b, "| `%s` | %d | %s | %.0f | %.0f |\n", short(d.Text), d.Calls, number(d.Micros/1000), d.Pages, d.WAL)
	}
	b.WriteString("\n")
	return b.String()
}

func (s Swept) rows(b *strings.Builder) {
	if len(s.Tables) == 0 {
		return
	}
	b.WriteString("| table | at first |" + strings.Repeat(" then |", len(s.Tables)-1) + " without janitor |\n|---|" + strings.Repeat("---|", len(s.Tables)+1) + "\n")
	for _, name := range slices.Sorted(maps.Keys(s.Tables[0])) {
		fmt.Fprintf(b, "| %s |", name)
		for _, t := range append(slices.Clone(s.Tables), s.Left) {
			fmt.Fprintf(b, " %d, %d dead |", t[name].Rows, t[name].Dead)
		}
		b.WriteString("\n")
	}
}
