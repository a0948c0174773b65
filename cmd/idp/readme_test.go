package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/cmd/idp/demo"
)

// tested finds the blocks of README.md that are marked as run by this test.
var tested = regexp.MustCompile("(?s)<!-- tested -->\n```(sh|go)\n(.*?)\n```")

// TestREADME does what README.md says, with the program as it is built for
// people: keys, a server, people, a PIN, a service in Go, the same by hand.
func TestREADME(t *testing.T) {
	t.Parallel()
	tools(t, "bash", "curl", "openssl", "basenc")
	r := newReadme(t)
	r.run("start", "")
	r.run("people", "")
	if got := r.run("register", ""); !strings.Contains(got, `"issuer":"`+r.issuer+`"`) {
		t.Errorf("discovery answered %q, want the issuer %s", got, r.issuer)
	}
	pin := r.firstPIN()
	if got := r.sh.run("idp pins status " + newcomer); !strings.Contains(got, "state: issued") {
		t.Errorf("with both halves out, status says %q, want issued", got)
	}
	service := r.service()
	v := newVisitor(t)
	v.open("http://"+service).signIn(newcomer, pin).change(pin)
	v.on("consent").submit(nil, "answer", "allow")
	if want := "TINIT-" + newcomer; !strings.Contains(v.body, want) {
		t.Errorf("the service shows %q, want the claim %s", v.body, want)
	}
	r.byHand(v)
	// as a service manager would end it; bash hands its exit code on
	r.sh.run("kill -TERM $!\nwait $!")
}

// byHand takes the citizen who has just signed in through the curl commands.
func (r *readme) byHand(v *visitor) {
	r.t.Helper()
	address := r.run("authorize", "CLIENT_ID="+r.client.ID+" CLIENT_SECRET="+r.client.Secret+"\n")
	v.open(strings.TrimSpace(address)).on("consent").submit(nil, "answer", "allow")
	code := v.at.Query().Get("code")
	if code == "" {
		r.t.Fatalf("no code at %s", v.at)
	}
	var tokens struct {
		Access string `json:"access_token"`
		ID     string `json:"id_token"`
	}
	if err := json.Unmarshal([]byte(r.run("token", "CODE="+code+"\n")), &tokens); err != nil || tokens.ID == "" {
		r.t.Fatalf("no tokens: %v", err)
	}
	if got := r.run("userinfo", "ACCESS_TOKEN="+tokens.Access+"\n"); !strings.Contains(got, `"given_name":"Mario"`) {
		r.t.Errorf("userinfo answered %s, want Mario", got)
	}
}

// readme is the page's blocks, a terminal to type them in, and the addresses
// that stand in for the page's own, which may be taken on this machine.
type readme struct {
	t       *testing.T
	dir     string
	sh      *shell
	blocks  map[string]string
	ports   *strings.Replacer
	issuer  string
	address string // of the service
	client  struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
}

func newReadme(t *testing.T) *readme {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := tested.FindAllStringSubmatch(string(page), -1)
	names := []string{"start", "people", "register", "service", "authorize", "token", "userinfo"}
	if len(found) != len(names) {
		t.Fatalf("README.md has %d tested blocks, this test knows what to do with %d", len(found), len(names))
	}
	listen, admin, service := freePort(t), freePort(t), freePort(t)
	r := &readme{
		t: t, dir: t.TempDir(), blocks: map[string]string{},
		ports:  strings.NewReplacer("localhost:8080", "localhost:"+port(listen), "localhost:3000", "localhost:"+port(service)),
		issuer: "http://localhost:" + port(listen), address: "localhost:" + port(service),
	}
	for i, b := range found {
		r.blocks[names[i]] = r.ports.Replace(b[2])
	}
	build(t, filepath.Join(r.dir, "bin", "idp"), ".")
	policy := filepath.Join(r.dir, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"drain.delay": "1ms"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r.sh = newShell(t, r.dir, "IDP_LISTEN="+listen, "IDP_ADMIN_LISTEN="+admin, "IDP_POLICY_FILE="+policy)
	return r
}

// run types a block, after what it takes for granted, and returns what it
// printed.
func (r *readme) run(name, given string) string {
	r.t.Helper()
	return r.sh.run(given + r.blocks[name])
}

// firstPIN reads both halves from the outbox, as soon as they have left.
func (r *readme) firstPIN() string {
	r.t.Helper()
	halves := map[string]string{}
	until(r.t, "both halves are in the outbox", func(context.Context) bool {
		messages, err := demo.Read(filepath.Join(r.dir, "outbox"))
		if err != nil {
			r.t.Fatal(err)
		}
		for _, m := range messages {
			halves[m.Key] = alone.FindString(m.Body)
		}
		return halves["pin-half-1"] != "" && halves["pin-half-2"] != ""
	})
	return halves["pin-half-1"] + halves["pin-half-2"]
}

// service builds and starts the page's Go program, and returns its address.
func (r *readme) service() string {
	r.t.Helper()
	source := filepath.Join(r.dir, "main.go")
	if err := os.WriteFile(source, []byte(r.blocks["service"]), 0o600); err != nil {
		r.t.Fatal(err)
	}
	registered, err := os.ReadFile(filepath.Join(r.dir, "client.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := json.Unmarshal(registered, &r.client); err != nil || r.client.Secret == "" {
		r.t.Fatalf("idp clients add printed %q: %v", registered, err)
	}
	program := filepath.Join(r.dir, "bin", "service")
	build(r.t, program, source)
	cmd := exec.Command(program)
	cmd.Dir, cmd.Stderr = r.dir, os.Stderr
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	until(r.t, "the service listens", func(ctx context.Context) bool {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.address)
		return err == nil && c.Close() == nil
	})
	return r.address
}

// until asks again and again, and gives up after a minute.
func until(t *testing.T, what string, done func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// build compiles a program of this module's, or of files that use its modules.
func build(t *testing.T, out, what string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", out, what)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", what, err, b)
	}
}

// tools skips a test that cannot be run here, or fails it where make test has
// promised that nothing is missing.
func tools(t *testing.T, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			if os.Getenv("IDP_TEST_REQUIRE") == "1" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

// shell is a terminal: what one block exports or starts, the next one has.
type shell struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
	err bytes.Buffer
}

func newShell(t *testing.T, dir string, environ ...string) *shell {
	t.Helper()
	s := &shell{t: t}
	cmd := exec.Command("bash", "-euo", "pipefail")
	cmd.Dir, cmd.Stderr = dir, &s.err
	// what the test run itself is told is no setting of the program
	own := slices.DeleteFunc(os.Environ(), func(line string) bool { return strings.HasPrefix(line, "IDP_TEST_") })
	cmd.Env = append(own, append(environ, "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that what it starts ends with it
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the terminal's errors:\n%s", s.err.String())
		}
	})
	s.in, s.out = in, bufio.NewReader(out)
	return s
}

// run types commands and returns what they printed. A command that fails ends
// the shell, and the test.
func (s *shell) run(commands string) string {
	s.t.Helper()
	s.types(commands)
	return s.prints(commands)
}

// allPrinted ends what commands print.
const allPrinted = "that was all"

// types does not wait for the commands to end.
func (s *shell) types(commands string) {
	s.t.Helper()
	if _, err := io.WriteString(s.in, commands+"\necho; echo "+allPrinted+"\n"); err != nil {
		s.t.Fatalf("type %q: %v", commands, err)
	}
}

// prints waits for the commands that were typed, and returns what they printed.
func (s *shell) prints(commands string) string {
	s.t.Helper()
	var printed strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			s.t.Fatalf("a command failed: %v\n%s\nprinted: %s", err, commands, printed.String())
		}
		if strings.TrimSpace(line) == allPrinted {
			return printed.String()
		}
		printed.WriteString(line)
	}
}

// TestOperationsPage holds docs/operations.md against the program: every
// setting, figure and metric that there is stands there.
func TestOperationsPage(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for name := range settingNames() {
		if want := "`IDP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "`"; !strings.Contains(page, want) {
			t.Errorf("docs/operations.md does not explain %s", want)
		}
	}
	for _, p := range defaultPolicy().parameters() {
		if !strings.Contains(page, "| `"+p.key+"` |") {
			t.Errorf("docs/operations.md does not explain the figure %s", p.key)
		}
	}
	for _, metric := range []string{
		"idp_http_requests_total", "idp_http_request_duration_seconds", "idp_logins_total", "idp_pin_guesses_total", "idp_locks_total",
		"idp_tokens_issued_total", "idp_grants_revoked_total", "idp_deliveries_total", "idp_outbox_oldest_seconds",
		"idp_audit_unanchored_events", "idp_keys_active", "idp_argon2_waiting",
	} {
		if !strings.Contains(page, "`"+metric) {
			t.Errorf("docs/operations.md does not explain the metric %s", metric)
		}
	}
	for _, column := range citizens.CSVColumns() {
		if !strings.Contains(page, "`"+column+"`") {
			t.Errorf("docs/operations.md does not explain the column %s", column)
		}
	}
}

// links are the relative ones of a page, without what is after a #.
var links = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

// TestLinksLeadSomewhere follows every relative link of the documentation.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/guides/*.md", "docs/decisions/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links.FindAllStringSubmatch(string(b), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, link[1])
			}
		}
	}
}
