package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ente.example/idp/bench/driver"
)

// TestMain runs the tests where the module begins, as make does.
func TestMain(m *testing.M) {
	if err := os.Chdir(".."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// The instrument works: every scenario goes through on both databases, and
// what is measured is there.
func TestMeasure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := options{rounds: 1, workers: 2, count: 6, window: time.Minute, servers: "idp,idp-sqlite,floor"}
	if os.Getenv("IDP_TEST_POSTGRES") == "none" { // make check
		o.servers = "idp-sqlite"
	}
	f, err := o.start(t.Context(), dir)
	t.Cleanup(f.stop)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range f {
		s.settle = 0
	}
	var out bytes.Buffer
	all, err := o.measure(t.Context(), &out, f)
	want := 0
	for _, s := range f {
		want += 8
		if s.database != nil {
			want += 2 // with RSA
		}
	}
	if want > 8 {
		want += 2 // and that signature alone
	}
	if err != nil || len(all) != want {
		t.Fatalf("%d measurements, want %d: %v\n%s", len(all), want, err, &out)
	}
	for _, r := range all {
		if r.Scenario == alone {
			if r.Program < 100*time.Microsecond {
				t.Errorf("an RSA signature of %s takes %s", r.Server, r.Program)
			}
			continue
		}
		if r.Errors > 0 || r.Done != o.count || r.P99 < r.P50 || r.P50 <= 0 || r.Memory < 1<<20 {
			t.Errorf("%s of %s: %+v", r.Scenario, r.Server, r)
		}
		if r.Server == "idp" && r.Scenario == "sign-in" && (r.Counts.Commits == 0 || r.Counts.Statements == 0 || r.Counts.Rows["grants"] != int64(o.count)) {
			t.Errorf("counts of %d sign-ins: %+v", o.count, r.Counts)
		}
	}
	publicRefused(t, filepath.Join(dir, "bin", "idp"))
}

// publicRefused: a build that keeps PINs without Argon2id serves nobody but
// this machine, and says what it is.
func publicRefused(t *testing.T, program string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, "serve")
	c.Env = []string{"IDP_ISSUER=https://accesso.ente.example"}
	if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "tag bench") {
		t.Errorf("serve for the public: %v %s", err, out)
	}
	c = exec.CommandContext(t.Context(), program, "version")
	c.Env = []string{} // the tests' own variables are none of the program's
	out, err := c.Output()
	if err != nil || !strings.Contains(string(out), "tags=bench") {
		t.Errorf("version = %q %v, want the tag", out, err)
	}
}

// Codes made up for people are right: one that is published as an example.
func TestCheckCharacter(t *testing.T) {
	t.Parallel()
	if got := checkCharacter("RSSMRA80A01H501"); got != "U" {
		t.Errorf("check character %s, want U", got)
	}
	seen := map[string]bool{}
	for _, p := range crowd(1000) {
		seen[p.Code] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different people, want 1000", len(seen))
	}
}

// What is shown of program and database together is the median of their sum: a
// round that was dear for one and cheap for the other is no cheap round.
func TestMedianOfTheSum(t *testing.T) {
	t.Parallel()
	var rounds []result
	for _, ms := range [][2]time.Duration{{1, 9}, {2, 1}, {9, 1}} {
		rounds = append(rounds, result{Program: ms[0] * time.Millisecond, Database: ms[1] * time.Millisecond, Report: driver.Report{Done: 1, Wall: time.Second}})
	}
	if f := figure(rounds); f.CPU() != 10 || f.Program != 2 || f.Database != 1 {
		t.Errorf("%v of %v and %v, want 10 of 2 and 1", f.CPU(), f.Program, f.Database)
	}
}
