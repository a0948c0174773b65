package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database/databasetest"
	"ente.example/idp/secrets"
)

// terminal is a terminal on the machine where idp is installed: it runs the whole
// program, from its arguments to its exit code.
type terminal struct {
	t       *testing.T
	dir     string
	environ map[string]string
}

// outcome is what a run leaves on the terminal.
type outcome struct {
	code     int
	out, err string
}

// terminals runs fn with an installation on SQLite and one on PostgreSQL.
func terminals(t *testing.T, fn func(s *terminal)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		fn(newTerminal(t, databasetest.SQLite(t)))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		fn(newTerminal(t, databasetest.Postgres(t)))
	})
}

// newTerminal installs: keys, a migrated database, and cheap PIN hashes.
func newTerminal(t *testing.T, url string) *terminal {
	t.Helper()
	s := &terminal{t: t, dir: t.TempDir()}
	s.environ = map[string]string{
		"IDP_DATABASE_URL": url, "IDP_SECRETS_DIR": filepath.Join(s.dir, "secrets"), "IDP_OUTBOX_DIR": filepath.Join(s.dir, "outbox"),
		"IDP_POLICY_FILE": s.file("policy.json", testPolicy),
	}
	if err := secrets.Init(s.environ["IDP_SECRETS_DIR"]); err != nil {
		t.Fatal(err)
	}
	return s
}

// bare is a terminal with nothing installed.
func bare(t *testing.T) *terminal {
	t.Helper()
	return &terminal{t: t, dir: t.TempDir(), environ: map[string]string{}}
}

// with is the same terminal with other variables.
func (s *terminal) with(pairs ...string) *terminal {
	other := &terminal{t: s.t, dir: s.dir, environ: maps.Clone(s.environ)}
	for i := 0; i < len(pairs); i += 2 {
		other.environ[pairs[i]] = pairs[i+1]
	}
	return other
}

func (s *terminal) file(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *terminal) variables() []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(s.environ)) {
		list = append(list, k+"="+s.environ[k])
	}
	return list
}

func (s *terminal) run(args ...string) outcome { return s.feed("", args...) }

// feed is run with something on standard input.
func (s *terminal) feed(input string, args ...string) outcome {
	var out, err bytes.Buffer
	p := program{in: strings.NewReader(input), out: &out, err: &err, environ: s.variables()}
	code := p.run(s.t.Context(), args)
	return outcome{code, out.String(), err.String()}
}

// done runs a command that must succeed, and says nothing on standard error.
func (s *terminal) done(args ...string) string {
	s.t.Helper()
	o := s.run(args...)
	if o.code != exitDone || o.err != "" {
		s.t.Fatalf("idp %s: exit %d, stderr %q; want 0 and nothing", strings.Join(args, " "), o.code, o.err)
	}
	return o.out
}

// doc runs a command with --json and reads its one document.
func (s *terminal) doc(args ...string) map[string]any {
	s.t.Helper()
	var doc map[string]any
	s.decode(&doc, args...)
	return doc
}

func (s *terminal) list(args ...string) []map[string]any {
	s.t.Helper()
	var list []map[string]any
	s.decode(&list, args...)
	return list
}

func (s *terminal) decode(into any, args ...string) {
	s.t.Helper()
	single(s.t, s.done(append(args, "--json")...), into)
}

// single reads text that must be one JSON document and nothing else.
func single(t *testing.T, text string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(into); err != nil {
		t.Fatalf("not a JSON document: %v\n%s", err, text)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("more than one JSON document:\n%s", text)
	}
}

// refuses runs a command that must exit 1 with nothing on standard output and
// one line on standard error that has all of the words.
func (s *terminal) refuses(words []string, args ...string) {
	s.t.Helper()
	s.sayNo(s.run(args...), words, args...)
}

func (s *terminal) sayNo(o outcome, words []string, args ...string) {
	s.t.Helper()
	if o.code != exitRefused || o.out != "" {
		s.t.Errorf("idp %s: exit %d, stdout %q; want 1 and nothing (stderr %q)", strings.Join(args, " "), o.code, o.out, o.err)
	}
	oneLine(s.t, o.err, words...)
}

// oneLine fails unless text is exactly one line that has every word.
func oneLine(t *testing.T, text string, words ...string) {
	t.Helper()
	if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
		t.Errorf("stderr = %q, want exactly one line", text)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("stderr = %q, want %q in it", text, w)
		}
	}
}

// serving is an idp serve that runs in this process.
type serving struct {
	*terminal
	issuer string
	admin  string // address of its administration
	log    *logBuffer
	stop   func() int // ends it as SIGTERM does, and returns its exit code
}

// serve starts idp serve on free ports and waits until it serves.
func (s *terminal) serve(args ...string) *serving {
	s.t.Helper()
	listen, admin := freePort(s.t), freePort(s.t)
	n := &serving{admin: "http://" + admin, log: &logBuffer{}, issuer: "http://localhost:" + port(listen)}
	n.terminal = s.with("IDP_LISTEN", listen, "IDP_ADMIN_LISTEN", admin, "IDP_ISSUER", n.issuer)
	if fixed, ok := s.environ["IDP_ISSUER"]; ok {
		n.issuer, n.environ["IDP_ISSUER"] = fixed, fixed
	}
	ctx, cancel := context.WithCancel(context.Background())
	code, ended := 0, make(chan struct{})
	go func() {
		defer close(ended)
		p := program{in: strings.NewReader(""), out: n.log, err: n.log, environ: n.variables()}
		code = p.run(ctx, append([]string{"serve"}, args...))
	}()
	n.stop = func() int {
		cancel()
		<-ended
		return code
	}
	s.t.Cleanup(func() { n.stop() })
	eventually(s.t, 20*time.Second, "idp serve serves", func() bool {
		select {
		case <-ended:
			s.t.Fatalf("idp serve ended with %d: %s", code, n.log)
		default:
		}
		return strings.Contains(n.log.String(), `"msg":"serving"`)
	})
	return n
}

// eventually polls until ok, or fails when that takes too long.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// completed adds the check character to the first 15 of a codice fiscale.
func completed(t testing.TB, fifteen string) string {
	t.Helper()
	for c := 'A'; c <= 'Z'; c++ {
		if _, err := parseCF(fifteen + string(c)); err == nil {
			return fifteen + string(c)
		}
	}
	t.Fatalf("%s begins no codice fiscale", fifteen)
	return ""
}
