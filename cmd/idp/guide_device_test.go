package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ente.example/idp/database/databasetest"
)

// TestGuideDevice does what docs/guides/device.md says, with curl and with Go,
// while a citizen answers in a browser elsewhere.
func TestGuideDevice(t *testing.T) {
	t.Parallel()
	tools(t, "bash", "curl", "jq")
	s := newTerminal(t, databasetest.SQLite(t))
	n := s.with("IDP_POLICY_FILE", s.file("devices.json", strings.Replace(testPolicy, "{", `{"device.interval": "1s", `, 1))).serve()
	pins := n.activePINs(1)
	dir := t.TempDir()
	blocks := guideBlocks(t, "device.md", "register", "ask", "poll", "go")
	sh := n.shell(dir)
	sh.run(blocks["register"])
	id := strings.TrimSpace(sh.run(`echo "$CLIENT_ID"`))
	v := newVisitor(t)
	for cf, pin := range pins {
		shown := sh.run(blocks["ask"])
		sh.types(blocks["poll"])
		v.enters(n.issuer, shown).signIn(cf, pin).on("consent").submit(nil, "answer", "allow").on("device-done")
		knows(t, sh.prints(blocks["poll"]))
	}
	d := newDevice(t, dir, blocks["go"])
	knows(t, d.runs(n.issuer, id, func(shown string) {
		v.enters(n.issuer, shown).on("consent").submit(nil, "answer", "allow").on("device-done")
	}))
	if got := d.runs(n.issuer, id, func(shown string) { v.types(n.issuer, shown).submit(nil, "action", "deny").on("device-done") }); !strings.Contains(got, "access_denied") {
		t.Errorf("after a no the program says %q", got)
	}
}

// knows fails unless claims about the citizen were printed.
func knows(t *testing.T, printed string) {
	t.Helper()
	var claims map[string]any
	if single(t, printed, &claims); claims["given_name"] != "Mario" || claims["sub"] == nil {
		t.Errorf("the device knows %v, want name and sub", claims)
	}
}

var shownCode = regexp.MustCompile(`^Open (\S+) and type ([A-Z]{4}-[A-Z]{4})$`)

// types enters at the page what a device shows.
func (v *visitor) types(issuer, shown string) *visitor {
	v.t.Helper()
	found := shownCode.FindStringSubmatch(strings.TrimSpace(shown))
	if found == nil || found[1] != issuer+"/device" {
		v.t.Fatalf("the device shows %q", shown)
	}
	return v.open(found[1]).on("device").submit(map[string]string{"user_code": found[2]}).on("device-confirm")
}

// enters also says that the device is her own.
func (v *visitor) enters(issuer, shown string) *visitor {
	v.t.Helper()
	return v.types(issuer, shown).submit(nil, "action", "continue")
}

// deviceProgram is the guide's program.
type deviceProgram struct {
	t    *testing.T
	path string
}

func newDevice(t *testing.T, dir, source string) deviceProgram {
	t.Helper()
	file := filepath.Join(dir, "main.go")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	d := deviceProgram{t, filepath.Join(dir, "bin", "device")}
	build(t, d.path, file)
	return d
}

// runs starts the program, has somebody answer what it shows, and returns what
// it says then, on either output.
func (d deviceProgram) runs(issuer, id string, answer func(shown string)) string {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), d.path, issuer, id)
	out, err := cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	said := &logBuffer{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		d.t.Fatalf("the program shows nothing: %v %s", cmd.Wait(), said)
	}
	answer(lines.Text())
	lines.Scan()
	last := lines.Text()
	if err := cmd.Wait(); (err == nil) != (said.String() == "") {
		d.t.Errorf("the program ends with %v and says %s", err, said)
	}
	return last + said.String()
}
