package render

import (
	"strings"
	"testing"
)

// Each number of nodes is compared with the first, and a sign-in's hash counts
// for how many of them fill a processor of PostgreSQL.
func TestNodes(t *testing.T) {
	t.Parallel()
	got := Nodes(Run{}, "-nodes 1,2", []Group{
		{Nodes: 1, Figure: Figure{Scenario: "sign-in", Program: 8, Database: 5, Done: 10}, Busy: 100, Locked: 3},
		{Nodes: 2, Figure: Figure{Scenario: "sign-in", Program: 9, Database: 5.5, Done: 20}, Busy: 200, Logged: 20},
	}, 42)
	for _, want := range []string{
		"make bench BENCH='-nodes 1,2'",
		"| sign-in | 1 | 0 | 8.00 | × 1.00 | 5.00 | × 1.00 | 0 | 3.0 % | 0.0 % |",
		"| sign-in | 2 | 0 | 9.00 | × 1.12 | 5.50 | × 1.10 | 0 | 0.0 % | 10.0 % |",
		"| sign-in, with the hash | 50.0 | 5.00 | 10.0 | 200 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// Pages are summed up for one operation of each scenario.
func TestYears(t *testing.T) {
	t.Parallel()
	got := Filled(Run{}, "-full 100", Years{Rows: "2 citizens", Touched: []Touched{
		{Scenario: "sso", Statement: "INSERT grants", Times: 2, Empty: 1, Full: 3, Tenfold: 4},
		{Scenario: "sso", Statement: "SELECT sessions", Times: 1, Empty: 1, Full: 2, Tenfold: 2},
		{Scenario: "refresh", Statement: "SELECT grants", Times: 1, Empty: 5, Full: 6, Tenfold: 7},
	}})
	for _, want := range []string{
		"| **sso** | **one operation** | | **3.00** | **8.00** | **10.0** |",
		"| **refresh** | **one operation** | | **5.00** | **6.00** | **7.00** |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
