package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ente.example/idp/bench/meter"
)

// Two nodes share the load on a database that is filled with copies: the rows
// are there, people still sign in, and what they ask for is explained.
func TestNodesOnAFullDatabase(t *testing.T) {
	t.Parallel()
	if os.Getenv("IDP_TEST_POSTGRES") == "none" { // make check
		return
	}
	dir, program := t.TempDir(), filepath.Join(t.TempDir(), "idp")
	if err := build(t.Context(), program, "./cmd/idp", "-tags", "bench"); err != nil {
		t.Fatal(err)
	}
	o := options{rounds: 1, workers: 2, count: 4, window: time.Minute, scenarios: "sign-in,sso,exchange,refresh,userinfo", save: "-"}
	w := way{name: "idp", nodes: 2, pinned: true, postgres: meter.Explaining()}
	f, err := o.apart(t.Context(), dir, program, w)
	t.Cleanup(f.stop)
	if err != nil {
		t.Fatal(err)
	}
	s := f[0]
	s.settle, s.watched = 0, true
	filled(t, s)
	var out bytes.Buffer
	all, err := o.measure(t.Context(), &out, f)
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	list := groups(all, []way{w})
	if len(list) != 5 {
		t.Fatalf("%d groups, want one for each scenario: %+v", len(list), list)
	}
	for _, g := range list {
		if g.Errors > 0 || g.Done != o.count || g.Deadlocks > 0 {
			t.Errorf("%s: %+v", g.Scenario, g)
		}
	}
	explained(t, s, o)
}

// Both loads go through at their rate, beside rows that come due.
func TestSweep(t *testing.T) {
	t.Parallel()
	if os.Getenv("IDP_TEST_POSTGRES") == "none" { // make check
		return
	}
	var out bytes.Buffer
	o := options{rounds: 1, workers: 2, window: 500 * time.Millisecond, swept: 20, save: "-"}
	if err := o.sweeping(t.Context(), &out, t.TempDir()); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{"| sign-in |", "| refresh |", "0 of 10 | 0 of 10 |", "| grants | 18,"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// filled copies a ten-thousandth of what years leave.
func filled(t *testing.T, s *server) {
	t.Helper()
	rows := years().part(0.01)
	before, err := s.counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.fill(t.Context(), copies(rows)); err != nil {
		t.Fatal(err)
	}
	after, err := s.counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	more := after.Less(*before).Rows
	for table, n := range map[string]int{"citizens": 200, "contacts": 200, "credentials": 200} {
		if more[table] != int64(n) {
			t.Errorf("%d more rows in %s, want %d", more[table], table, n)
		}
	}
	more["audit_chain"] += more["audit_queue"] // what was waiting has moved meanwhile
	// here the one sign-in that leaves the models has added its own
	for table, n := range map[string]int{"sessions": 10, "grants": 50, "consents": 100, "interactions": 20, "audit_chain": 1000} {
		if more[table] < int64(n) || more[table] > int64(n)+20 {
			t.Errorf("%d more rows in %s, want %d and a few", more[table], table, n)
		}
	}
}

// explained: every statement of an exchange, and the indexes that it goes down.
func explained(t *testing.T, s *server, o options) {
	t.Helper()
	grown, list, err := o.plans(t.Context(), s, s)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, one := range list {
		if one.Scenario == "exchange" {
			found[one.Statement] = one.Times
			if one.Full < 1 || one.Tenfold < one.Full {
				t.Errorf("%+v", one)
			}
		}
	}
	written := 0.0
	for statement, times := range found {
		// the chaining, which comes round when it likes, writes no grant
		if strings.Contains(statement, "audit_queue") && strings.Contains(statement, "grants") {
			written += times
		}
	}
	if written != 1 {
		t.Errorf("an exchange asks for %v, want one event for the audit", found)
	}
	for _, g := range grown {
		if g.Levels < 2 || g.Tenfold < g.Levels || strings.HasPrefix(g.Index, "pg_") {
			t.Errorf("%+v", g)
		}
	}
	if len(grown) == 0 {
		t.Error("no index is more than a page")
	}
}
