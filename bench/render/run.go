// Package render shows what bench has measured: tables and plots for
// docs/performance.md. No number there is typed by hand.
package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Run is one run of bench, as it is kept in a file.
type Run struct {
	Date    string   `json:"date"`
	Commit  string   `json:"commit"`
	Machine string   `json:"machine"`
	Load    float64  `json:"load"` // average of the minute before, of other programs
	With    string   `json:"with"` // versions
	Rounds  int      `json:"rounds"`
	Workers int      `json:"workers"`
	Window  string   `json:"window"`
	Figures []Figure `json:"figures"`
	Crowd   []Crowd  `json:"crowd"`

	Signatures Signatures `json:"signatures"`
}

// Signatures are the milliseconds of processor time that one RS256 signature
// takes, made by Go and by Node; zero where none was measured.
type Signatures struct {
	Go   float64 `json:"go"`
	Node float64 `json:"node"`
}

// Figure is the median of all rounds of one scenario and one server; times are
// milliseconds, and what has PerOp's sense is of one operation.
type Figure struct {
	Scenario   string             `json:"scenario"`
	Server     string             `json:"server"`
	Done       int                `json:"done"` // in all rounds
	Errors     int                `json:"errors"`
	First      string             `json:"first_error,omitempty"`
	Throughput float64            `json:"throughput"` // a second
	P50        float64            `json:"p50"`
	P95        float64            `json:"p95"`
	P99        float64            `json:"p99"`
	Both       float64            `json:"cpu"` // the median of the sum, which is not the medians' sum
	Program    float64            `json:"cpu_program"`
	Database   float64            `json:"cpu_database"`
	Statements float64            `json:"statements"`
	Commits    float64            `json:"commits"`
	WAL        float64            `json:"wal"` // bytes
	Rows       map[string]float64 `json:"rows,omitempty"`
	Bytes      map[string]float64 `json:"bytes,omitempty"`
	Memory     float64            `json:"memory"` // MiB, the most of any round
}

// CPU is the processor time of one operation, of program and database. Of runs
// that have not kept it, it is made up of both.
func (f Figure) CPU() float64 {
	if f.Both == 0 {
		return f.Program + f.Database
	}
	return f.Both
}

// Crowd is a short load with many workers, for its errors.
type Crowd struct {
	Scenario string  `json:"scenario"`
	Server   string  `json:"server"`
	Workers  int     `json:"workers"`
	Done     int     `json:"done"`
	Errors   int     `json:"errors"`
	First    string  `json:"first_error,omitempty"`
	P99      float64 `json:"p99"`
}

// titles are the servers in the order and by the name in which they are shown.
var titles = [][2]string{
	{"idp", "idp, PostgreSQL"}, {"idp-sqlite", "idp, SQLite"}, {"peer", "oidc-provider, PostgreSQL"},
	{"peer-memory", "oidc-provider, memory"}, {"floor", "floor, PostgreSQL"},
}

// goal is what is asked of a scenario on PostgreSQL: processor time of at most
// so many times the floor's, and of one part in so many of oidc-provider's.
type goal struct {
	scenario    string
	floor, peer float64 // 0: nothing is asked
}

var goals = []goal{
	{"client_credentials", 2, 5}, {"exchange", 2, 2.5}, {"refresh", 2, 2.5}, {"introspection", 2.5, 3},
	{"userinfo", 0, 2.5}, {"discovery", 1.5, 0}, {"sign-in", 0, 2.5}, {"sso", 0, 1.7},
}

// rs256 are the scenarios with RSA, held to the goals of those with ES256 once
// the signature itself is taken off.
var rs256 = []goal{{"exchange-rs256", 2, 2.5}, {"refresh-rs256", 2, 2.5}}

func (r Run) find(scenario, server string) (Figure, bool) {
	i := slices.IndexFunc(r.Figures, func(f Figure) bool { return f.Scenario == scenario && f.Server == server })
	if i < 0 {
		return Figure{}, false
	}
	return r.Figures[i], true
}

func (r Run) scenarios() []string {
	var list []string
	for _, f := range r.Figures {
		if !slices.Contains(list, f.Scenario) {
			list = append(list, f.Scenario)
		}
	}
	return list
}

// number has three figures that count.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0.995:
		return fmt.Sprintf("%.2f", v)
	case v < 9.95:
		return fmt.Sprintf("%.2f", v)
	case v < 99.5:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// micro is for times below a millisecond.
func micro(ms float64) string {
	if ms < 1 {
		return fmt.Sprintf("%.3f", ms)
	}
	return number(ms)
}

// list is a map as words, the largest first.
func list(m map[string]float64, unit string) string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if m[a] != m[b] && m[a] > m[b] {
			return -1
		} else if m[a] != m[b] {
			return 1
		}
		return strings.Compare(a, b)
	})
	var words []string
	for _, k := range keys {
		if m[k] >= 0.05 || m[k] <= -0.05 {
			words = append(words, k+" "+number(m[k])+unit)
		}
	}
	if len(words) == 0 {
		return "–"
	}
	return strings.Join(words, ", ")
}
