package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database/databasetest"
)

// guides is where the examples for services are.
func guides(t *testing.T, elements ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"..", "..", "docs", "guides"}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// guideBlocks are the blocks of a guide that are marked as run by a test.
func guideBlocks(t *testing.T, page string, names ...string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(guides(t, page))
	if err != nil {
		t.Fatal(err)
	}
	found := tested.FindAllStringSubmatch(string(text), -1)
	if len(found) != len(names) {
		t.Fatalf("%s has %d tested blocks, this test knows what to do with %d", page, len(found), len(names))
	}
	blocks := map[string]string{}
	for i, b := range found {
		blocks[names[i]] = b[2]
	}
	return blocks
}

// shell is a terminal in that folder, in which idp is installed.
func (n *serving) shell(dir string) *shell {
	n.t.Helper()
	self, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		n.t.Fatal(err)
	}
	script := "#!/bin/sh\nexport " + asProgram + "=1\nexec '" + self + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "bin", "idp"), []byte(script), 0o700); err != nil {
		n.t.Fatal(err)
	}
	return newShell(n.t, dir, n.variables()...)
}

// theirSite is where the examples' services live; nothing answers there.
const theirSite = "https://servizio.example/"

// developer follows docs/guides/openid-client.md in a folder of her own.
type developer struct {
	*terminal
	issuer    string
	folder    string
	v         *visitor
	cf        string
	pin       string
	variables []string
}

// TestGuideOpenIDClient does what docs/guides/openid-client.md says, with Node
// and the library itself.
func TestGuideOpenIDClient(t *testing.T) {
	t.Parallel()
	installed(t, "openid-client")
	n := newTerminal(t, databasetest.SQLite(t)).with("IDP_REGISTRATION", "open").serve()
	pins := n.activePINs(1)
	for name, follow := range map[string]func(*developer){
		"secret": func(d *developer) {
			d.keep("client.json", d.done("clients", "add", guides(d.t, "openid-client", "login.json")))
			d.signsInAndOut()
		},
		"citizen says no": func(d *developer) {
			d.keep("client.json", d.done("clients", "add", guides(d.t, "openid-client", "login.json")))
			s := d.start("login.mjs")
			s.say(d.visit(s.address(), "deny"))
			if s.lines.Scan() || s.cmd.Wait() == nil || !strings.Contains(s.said.String(), "error: 'access_denied'") {
				d.t.Errorf("the example goes on, or says something else: %s %s", s.lines.Text(), s.said)
			}
		},
		"fapi2": func(d *developer) {
			d.keep("client.json", d.feed(d.prints("key.mjs"), "clients", "add", "-").out)
			d.signsInStrictly()
		},
		"sealed": func(d *developer) {
			d.keep("client.json", d.feed(d.prints("key.mjs"), "clients", "add", "-").out)
			s := d.start("sealed.mjs")
			s.say(d.visit(s.address(), "allow"))
			if who := s.reads(); who["acr"] != levelPIN || who["given_name"] == nil || who["parts"] != 5.0 {
				d.t.Errorf("the service knows %v, want level and name, after an encrypted request", who)
			}
			s.ends()
		},
		"registers itself": func(d *developer) {
			d.registers("oauth2.1")
			d.signsInAndOut()
		},
		"registers itself, invited": func(d *developer) {
			token, _ := d.doc("clients", "invite", "--profile", "oidc")["initial_access_token"].(string)
			d.variables = append(d.variables, "REGISTRATION_TOKEN="+token)
			d.registers("oidc")
			d.signsInAndOut()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hers := *n.terminal
			hers.t = t
			d := &developer{terminal: &hers, issuer: n.issuer, folder: t.TempDir(), v: newVisitor(t)}
			for cf, pin := range pins {
				d.cf, d.pin = cf, pin
			}
			follow(d)
		})
	}
}

// installed gives up where the examples cannot run, as tools does: make test
// installs what they import.
func installed(t *testing.T, library string) {
	t.Helper()
	tools(t, "node")
	present(t, filepath.Join("..", "..", "node_modules", library, "package.json"))
}

func present(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("IDP_TEST_REQUIRE") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func (d *developer) keep(name, content string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.folder, name), []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// registers is register.mjs; the profile tells who was let in by what.
func (d *developer) registers(profile string) {
	d.t.Helper()
	line := d.prints("register.mjs")
	var doc map[string]any
	if single(d.t, line, &doc); doc["profile"] != profile || doc["registration_access_token"] == nil {
		d.t.Errorf("registered under the profile %v, want %s and a token to change it", doc["profile"], profile)
	}
	d.keep("client.json", line)
}

// signsInAndOut is login.mjs.
func (d *developer) signsInAndOut() {
	d.t.Helper()
	s := d.start("login.mjs")
	first := s.address()
	s.say(d.visit(first, "allow"))
	if who := s.reads(); who["acr"] != levelPIN || who["given_name"] == nil || who["sub"] == nil {
		d.t.Errorf("the service knows %v, want level, name and sub", who)
	}
	if again := s.reads(); again["given_name"] == nil {
		d.t.Errorf("after the refresh the service knows %v, want the name", again)
	}
	s.say(d.visit(s.address(), ""))
	if got := s.reads(); got["left"] != true {
		d.t.Errorf("the sign-out answered %v, want the state that was sent", got)
	}
	s.ends()
	d.v.open(first).on("login") // nobody is signed in any more
}

// signsInStrictly is fapi.mjs.
func (d *developer) signsInStrictly() {
	d.t.Helper()
	s := d.start("fapi.mjs")
	to := s.address()
	if q := query(d.t, to); !q.Has("request_uri") || q.Has("scope") {
		d.t.Errorf("the browser carries the request itself: %s", to)
	}
	back := d.visit(to, "allow")
	if q := query(d.t, back); q.Get("response") == "" || q.Has("code") {
		d.t.Error("the answer is not signed")
	}
	s.say(back)
	if who := s.reads(); who["acr"] != levelPIN || who["given_name"] == nil || who["type"] != "dpop" {
		d.t.Errorf("the service knows %v, want level, name and bound tokens", who)
	}
	if again := s.reads(); again["given_name"] == nil {
		d.t.Errorf("after the refresh the service knows %v, want the name", again)
	}
	s.ends()
}

// visit is the citizen's browser, from an address to the service's, with her
// answer where she must sign in and consent.
func (d *developer) visit(address, answer string) (back string) {
	d.t.Helper()
	d.v.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), theirSite) {
			back = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	d.v.open(address)
	if answer != "" {
		d.v.signIn(d.cf, d.pin).on("consent").submit(nil, "answer", answer)
	}
	if back == "" {
		d.t.Fatalf("the browser stays on %q at %s, %s", d.v.name(), d.v.at, d.v.problem())
	}
	return back
}

// prints runs an example that asks nothing.
func (d *developer) prints(name string) string {
	d.t.Helper()
	s := d.start(name)
	line := s.line()
	s.ends()
	return line
}

// script is an example that runs, with the test at its terminal.
type script struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.Writer
	lines *bufio.Scanner
	said  *logBuffer
}

// start runs an example against the provider.
func (d *developer) start(name string) *script {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	d.t.Cleanup(cancel)
	s := &script{t: d.t, cmd: exec.CommandContext(ctx, "node", guides(d.t, "openid-client", name), d.issuer), said: &logBuffer{}}
	s.cmd.Dir, s.cmd.Stderr, s.cmd.Env = d.folder, s.said, append(os.Environ(), d.variables...)
	in, err := s.cmd.StdinPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	s.in, s.lines = in, bufio.NewScanner(out)
	if err := s.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	return s
}

func (s *script) line() string {
	s.t.Helper()
	if !s.lines.Scan() {
		s.t.Fatalf("the example says nothing more: %v, %v\n%s", s.lines.Err(), s.cmd.Wait(), s.said)
	}
	return s.lines.Text()
}

// address is where the example sends the browser.
func (s *script) address() string {
	s.t.Helper()
	line := s.line()
	if !strings.HasPrefix(line, "http://localhost:") {
		s.t.Fatalf("the example says %q, want an address of the provider", line)
	}
	return line
}

func (s *script) reads() (doc map[string]any) {
	s.t.Helper()
	single(s.t, s.line(), &doc)
	return doc
}

func (s *script) say(line string) {
	s.t.Helper()
	if _, err := io.WriteString(s.in, line+"\n"); err != nil {
		s.t.Fatal(err)
	}
}

// ends fails unless the example has nothing more to say and was content.
func (s *script) ends() {
	s.t.Helper()
	if s.lines.Scan() {
		s.t.Errorf("the example goes on: %s", s.lines.Text())
	}
	if err := s.cmd.Wait(); err != nil || s.said.String() != "" {
		s.t.Errorf("the example ended with %v: %s", err, s.said)
	}
}

func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}
