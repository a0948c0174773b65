package meter

import (
	"bufio"
	"strings"
	"testing"
)

// Only what the program's role was made wait for is read, over as many lines as
// the server takes.
func TestExecutions(t *testing.T) {
	t.Parallel()
	log := `meter LOG:  duration: 1.000 ms  plan:
	{
	  "Query Text": "SELECT 1",
	  "Plan": {"Node Type": "Result"}
	}
 LOG:  checkpoint starting
postgres LOG:  duration: 0.034 ms  plan:
	{
	  "Query Text": "UPDATE grants\nSET x",
	  "Plan": {"Node Type": "ModifyTable", "Operation": "Update", "Relation Name": "grants", "Shared Hit Blocks": 4, "Shared Read Blocks": 1,
	    "Plans": [{"Node Type": "Index Scan", "Index Name": "grants_pkey", "Actual Loops": 2}]}
	}
`
	list, err := executions(bufio.NewScanner(strings.NewReader(log)))
	if err != nil || len(list) != 1 || list[0].Pages() != 5 || list[0].Text != "UPDATE grants\nSET x" {
		t.Fatalf("executions = %+v %v, want one of five pages", list, err)
	}
	loops := 0.0
	list[0].Plan.Walk(func(n Node) { loops += n.Loops })
	if loops != 2 {
		t.Errorf("%v loops, want 2", loops)
	}
}

// A root with room stays; a full one gets a level above, as does a single page.
func TestGrown(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		i    Index
		want int
	}{
		{"room for ten times", Index{Levels: 3, Entries: 20, Free: usable - 20*20}, 3},
		{"half full", Index{Levels: 3, Entries: 200, Free: usable / 2}, 4},
		{"a single page", Index{Levels: 1, Entries: 10}, 2},
		{"empty", Index{Levels: 1}, 1},
	} {
		if got := row.i.Grown(10); got != row.want {
			t.Errorf("%s: %d levels, want %d", row.name, got, row.want)
		}
	}
}
