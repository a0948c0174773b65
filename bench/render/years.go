package render

import (
	"fmt"
	"strings"
)

// Years is what docs/scaling.md says of a database that holds years, beside an
// empty one.
type Years struct {
	Rows     string // how many, in words
	Ratios   []Ratio
	Indexes  []Grown
	Touched  []Touched
	Asked    []Asked
	PerEvent float64 // bytes of an event, its indexes included
}

// Ratio is how many times the empty database's the full one's figures are.
type Ratio struct {
	Scenario               string
	P99, CPU, Latency, WAL float64
}

// Grown is an index as it is, and its levels with ten times the rows.
type Grown struct {
	Index, Table    string
	MiB, Rows       float64
	Levels, Tenfold int
}

// Touched is one statement of a scenario: how often one operation sends it, and
// how many pages it touches.
type Touched struct {
	Scenario, Statement  string
	Times                float64
	Empty, Full, Tenfold float64 // Empty is 0 where the statement went another way there
}

// Asked is what one statement took on the empty database and on the full one;
// of each call.
type Asked struct {
	Statement                string
	Calls                    [2]int64
	Micros, Pages, Read, WAL [2]float64
}

// Filled is the page's text.
func Filled(r Run, flags string, y Years) string {
	var b strings.Builder
	r.command(&b, flags)
	fmt.Fprintf(&b, "The full database holds %s; an event is %.0f bytes there, indexes included. It took this much of the empty one's:\n\n", y.Rows, y.PerEvent)
	b.WriteString("| scenario | processor time | median | 99th percentile | log |\n|---|---|---|---|---|\n")
	for _, s := range y.Ratios {
		fmt.Fprintf(&b, "| %s | × %.2f | × %.2f | × %.2f | × %.2f |\n", s.Scenario, s.CPU, s.Latency, s.P99, s.WAL)
	}
	b.WriteString("\n### The audit's statements\n\nOn the empty table → on the full one; of each call.\n\n" +
		"| statement | calls | µs | pages touched | of them read in | log, bytes |\n|---|---|---|---|---|---|\n")
	for _, s := range y.Asked {
		fmt.Fprintf(&b, "| `%s` | %d → %d | %.0f → %.0f | %s → %s | %s → %s | %.0f → %.0f |\n", short(s.Statement), s.Calls[0], s.Calls[1], s.Micros[0], s.Micros[1],
			number(s.Pages[0]), number(s.Pages[1]), number(s.Read[0]), number(s.Read[1]), s.WAL[0], s.WAL[1])
	}
	b.WriteString("\n### Ten times as many rows\n\nLevels are the pages from an index's root to a row's entry; a level is added when the root has no room for ten times its entries.\n\n" +
		"| index | rows | MiB | levels | with ten times the rows |\n|---|---|---|---|---|\n")
	for _, i := range y.Indexes {
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %d | %d |\n", i.Index, i.Rows, i.MiB, i.Levels, i.Tenfold)
	}
	b.WriteString("\nWhat one operation sends, and the pages (8 KiB) that each statement touches, as `EXPLAIN (ANALYZE, BUFFERS)` counts them:\n\n" +
		"| scenario | statement: tables and indexes | times | pages, empty | full | with ten times the rows |\n|---|---|---|---|---|---|\n")
	sum := Touched{}
	for i, t := range y.Touched {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", t.Scenario, t.Statement, number(t.Times), number(t.Empty), number(t.Full), number(t.Tenfold))
		sum.Empty, sum.Full, sum.Tenfold = sum.Empty+t.Times*t.Empty, sum.Full+t.Times*t.Full, sum.Tenfold+t.Times*t.Tenfold
		if i+1 == len(y.Touched) || y.Touched[i+1].Scenario != t.Scenario {
			fmt.Fprintf(&b, "| **%s** | **one operation** | | **%s** | **%s** | **%s** |\n", t.Scenario, number(sum.Empty), number(sum.Full), number(sum.Tenfold))
			sum = Touched{}
		}
	}
	b.WriteString("\n")
	return b.String()
}

// short is a statement's beginning, fit for a table.
func short(q string) string {
	q = strings.ReplaceAll(q, "|", "¦")
	if runes := []rune(q); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return q
}
