package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"ente.example/idp/bench/driver"
)

// -flood measures one program in one way: flags that it would not heed are refused.
func TestFloodRefusesFlags(t *testing.T) {
	t.Parallel()
	good := options{rounds: 1, workers: 1, window: time.Second}
	for name, spoil := range map[string]func(*options){
		"-servers": func(o *options) { o.servers = "floor" }, "-scenarios": func(o *options) { o.scenarios = "sso" },
		"-workers": func(o *options) { o.workers = 0 }, "-rounds": func(o *options) { o.rounds = 0 }, "-time": func(o *options) { o.window = 0 },
	} {
		o := good
		spoil(&o)
		if err := o.flood(t.Context(), &bytes.Buffer{}, t.TempDir()); err == nil || !strings.Contains(err.Error(), "-flood") {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
	if err := good.visit(t.Context(), strings.NewReader("{"), &bytes.Buffer{}); err == nil {
		t.Error("a target that cannot be read was taken")
	}
}

// What is printed says what came of those who came, and counts as an error what
// is neither right nor refused as it should be.
func TestFloodReport(t *testing.T) {
	t.Parallel()
	quiet, beside := make([]driver.Report, 3), make([]driver.Report, 3)
	for i := range quiet {
		quiet[i] = driver.Report{Done: 400, P50: time.Millisecond, P99: 2 * time.Millisecond}
		beside[i] = driver.Report{Done: 400, P50: time.Millisecond, P99: 3 * time.Millisecond}
	}
	r := flooding{
		alone: 50, most: driver.Report{Done: 400, Wall: 10 * time.Second, P50: 200 * time.Millisecond}, quiet: quiet, beside: beside,
		visits: visits{Report: driver.Report{Done: 380, Busy: 1620, Wall: 10 * time.Second, P99: time.Second}, Time: 10 * time.Second, CPU: time.Second},
	}
	var out bytes.Buffer
	r.print(&out)
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"Argon2id alone 50.0 a second", "sign-ins 40.0 a second (0.80 of that)", "in the flood 38.0 of 200.0 a second (0.95 of what could)",
		"81 % refused with 503 and Retry-After, 0 errors", "who flooded took 0.10 processors",
		"token p50 1ms, in the flood 1ms; p99 2ms, in the flood 3ms (× 1.50); 0 errors", "jwks p50", "userinfo p50",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
	if n := r.errors(); n != 0 {
		t.Errorf("%d errors, want none", n)
	}
	r.beside[1].Busy, r.visits.Errors = 1, 2 // services are never refused
	if n := r.errors(); n != 3 {
		t.Errorf("%d errors, want 3", n)
	}
}
