package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ente.example/idp/database/databasetest"
)

// Contract §1: an unknown command, flag or argument exits 2.
func TestFaultsOfUsageExit2(t *testing.T) {
	t.Parallel()
	s := bare(t)
	for _, args := range [][]string{
		{}, {"nonsense"}, {"clients"}, {"clients", "nonsense"}, {"serve", "--nonsense"}, {"--nonsense", "version"}, {"version", "extra"},
		{"pins", "issue"}, {"pins", "issue", regular, "--kind", "other"}, {"pins", "status", regular, "extra"}, {"citizens", "import"},
		{"citizens", "show"}, {"clients", "add"}, {"clients", "add", "-", "--name", "x"}, {"clients", "add", "-", "--scope", "openid"},
		{"clients", "add", "--name", "x", "--public", "--auth-method", "client_secret_basic"}, {"clients", "show"}, {"clients", "import"},
		{"keys", "revoke"}, {"keys", "rotate", "--alg", "HS256"}, {"secrets", "init"}, {"serve", "--workers=cook"}, {"serve", "--workers=delivery,,audit"},
		{"migrate"}, {"migrate", "down"}, {"audit"}, {"policy"},
	} {
		o := s.run(args...)
		if o.code != exitUsage || o.out != "" {
			t.Errorf("idp %s: exit %d, stdout %q, stderr %q; want 2 and nothing", strings.Join(args, " "), o.code, o.out, o.err)
		}
		oneLine(t, o.err, "idp: ")
	}
	if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
		t.Errorf("a fault of usage left %v behind (%v)", left, err)
	}
	if _, err := os.Stat("idp.db"); err == nil {
		t.Error("a fault of usage made a database")
	}
}

func TestHelpExits0(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"serve", "--help"}, {"clients", "add", "--help"}} {
		if o := bare(t).run(args...); o.code != exitDone || !strings.Contains(o.out, "Usage: idp") || o.err != "" {
			t.Errorf("idp %v: exit %d, stdout %q, stderr %q", args, o.code, o.out, o.err)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	s := bare(t)
	if out := s.done("version"); !strings.HasPrefix(out, "idp ") || strings.Count(out, "\n") != 1 {
		t.Errorf("idp version = %q, want one line", out)
	}
	if doc := s.doc("version"); doc["version"] == "" || !strings.HasPrefix(doc["go"].(string), "go1.") {
		t.Errorf("idp version --json = %v", doc)
	}
}

// Contract §1: key files have mode 0400, and an existing folder is refused.
func TestSecretsInit(t *testing.T) {
	t.Parallel()
	s := bare(t)
	dir := filepath.Join(s.dir, "keys")
	if doc := s.doc("secrets", "init", dir); doc["secrets_dir"] != dir {
		t.Errorf("idp secrets init --json = %v", doc)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d key files, %v", len(files), err)
	}
	before := map[string]string{}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o400 && !(mode == 0o444 && strings.HasSuffix(f.Name(), ".public.json")) {
			t.Errorf("%s has mode %o, want 400", f.Name(), mode)
		}
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		before[f.Name()] = string(b)
	}
	s.refuses([]string{"exists already"}, "secrets", "init", dir)
	s.refuses([]string{"exists already"}, "secrets", "init", s.file("plain", ""))
	s.refuses([]string{"exists already"}, "secrets", "init", t.TempDir())
	for name, want := range before {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s changed (%v)", name, err)
		}
	}
	if out := s.done("secrets", "init", filepath.Join(s.dir, "others")); !strings.Contains(out, "copy") {
		t.Errorf("idp secrets init = %q, want it to advise a copy", out)
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, "sqlite:"+filepath.Join(t.TempDir(), "new.db"))
	s.refuses([]string{"run idp migrate up"}, "clients", "list")
	s.refuses([]string{"run idp migrate up"}, "serve")
	applied := func() (n int) {
		for _, m := range s.list("migrate", "status") {
			if m["applied"] == true {
				n++
			}
		}
		return n
	}
	if n := applied(); n != 0 {
		t.Errorf("%d migrations are applied to a new file", n)
	}
	if out := s.done("migrate", "status"); !strings.Contains(out, "pending") {
		t.Errorf("idp migrate status = %q", out)
	}
	first := s.doc("migrate", "up")["applied"].([]any)
	if n := applied(); n != len(first) || n == 0 {
		t.Errorf("status says %d applied, up said %d", n, len(first))
	}
	if again, ok := s.doc("migrate", "up")["applied"].([]any); !ok || len(again) != 0 {
		t.Errorf("the second idp migrate up applied %v, want []", again)
	}
	s.done("clients", "list")
	s.refuses(nil, "migrate", "up", "--database-url", "mysql://localhost/idp")
}

// The database holds names and addresses: nobody else on the machine reads it.
func TestDatabaseFileIsPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTerminal(t, "sqlite:"+filepath.Join(dir, "new.db"))
	s.done("migrate", "up")
	n := s.serve("--workers=audit")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o, want 600", f.Name(), info.Mode().Perm())
		}
	}
	if code := n.stop(); code != exitDone {
		t.Errorf("serve ended with %d", code)
	}
}

// Two first starts at once: one migrates, the other waits, both end well.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, "sqlite:"+filepath.Join(t.TempDir(), "new.db"))
	outcomes := make([]outcome, 4)
	databasetest.Barrier(len(outcomes), func(i int) { outcomes[i] = s.run("migrate", "up", "--json") })
	for _, o := range outcomes {
		if o.code != exitDone {
			t.Errorf("exit %d: %s", o.code, o.err)
		}
	}
	s.done("clients", "list")
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.SQLite(t))
	s.with("IDP_ADMIN_LISTEN", freePort(t)).refuses([]string{"no idp serve answers"}, "healthcheck")
	s.with("IDP_ADMIN_LISTEN", "nonsense").refuses(nil, "healthcheck")
	n := s.serve("--workers=none")
	if out := n.done("healthcheck"); out != "ready\n" {
		t.Errorf("idp healthcheck = %q, want ready", out)
	}
	if doc := n.doc("healthcheck"); doc["status"] != "ready" {
		t.Errorf("idp healthcheck --json = %v", doc)
	}
	everywhere := n.with("IDP_ADMIN_LISTEN", "0.0.0.0:"+port(n.environ["IDP_ADMIN_LISTEN"]))
	everywhere.done("healthcheck")
}

// Commands work while serve runs on the same SQLite file; a second serve does
// not.
func TestCommandsBesideServe(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.SQLite(t))
	n := s.serve()
	n.done("citizens", "import", s.file("people.csv", string(samplePeople)))
	n.done("pins", "issue", newcomer, "--eligibility", "open")
	n.done("clients", "add", "--name", "Uno", "--redirect-uri", "https://uno.example/cb")
	for _, args := range [][]string{{"clients", "list"}, {"keys", "list"}, {"audit", "verify"}, {"migrate", "up"}, {"migrate", "status"}} {
		n.done(args...)
	}
	other := n.with("IDP_LISTEN", freePort(t), "IDP_ADMIN_LISTEN", freePort(t))
	o := other.run("serve")
	other.sayNo(o, []string{"another idp serve runs on"}, "serve")
	if code := n.stop(); code != exitDone {
		t.Errorf("serve ended with %d: %s", code, n.log)
	}
	if again := s.serve(); again.stop() != exitDone {
		t.Error("the file stays locked after serve ended")
	}
}

// Contract §1: with --json, every command prints one document.
func TestEveryCommandAnswersInJSON(t *testing.T) {
	terminals(t, func(s *terminal) {
		s = s.with("IDP_ELIGIBILITY", "open")
		var any any
		s.decode(&any, "citizens", "import", s.file("people.csv", string(samplePeople)))
		id := s.doc("clients", "add", "--name", "Uno", "--redirect-uri", "https://uno.example/cb")["client_id"].(string)
		n := s.serve("--workers=none")
		kid := n.list("keys", "list")[0]["kid"].(string)
		export := s.file("clients.json", s.done("clients", "export"))
		for _, line := range []string{
			"version", "healthcheck", "migrate status", "migrate up", "policy show", "clients list", "clients export", "clients import " + export,
			"clients show " + id, "clients rotate-secret " + id, "clients disable " + id, "clients enable " + id,
			"citizens show " + regular, "citizens show --reveal " + regular, "pins issue " + regular, "pins status " + regular,
			"pins suspend " + regular, "pins resume " + regular, "pins revoke " + regular,
			"keys list", "keys rotate", "keys rewrap", "keys revoke " + kid, "audit anchor", "audit verify", "audit export",
		} {
			n.decode(&any, strings.Fields(line)...)
			if any == nil {
				s.t.Errorf("idp %s --json = null", line)
			}
		}
	})
}

// Contract §1: an exit 1 is one line on standard error and nothing else.
func TestRefusalsAreOneLine(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.SQLite(t))
	nobody := "MLLSNT82P65Z404U"
	for _, args := range [][]string{
		{"clients", "show", "nobody"}, {"clients", "disable", "nobody"}, {"clients", "enable", "nobody"}, {"clients", "rotate-secret", "nobody"},
		{"clients", "add", "no-such-file.json"}, {"clients", "import", "no-such-file.json"}, {"citizens", "import", "no-such-file.csv"},
		{"clients", "add", "--name", "x"}, {"clients", "add", "--redirect-uri", "http://x.example/#f"},
		{"citizens", "show", nobody}, {"citizens", "show", "nonsense"}, {"pins", "issue", "nonsense"},
		{"pins", "issue", nobody}, {"pins", "status", nobody}, {"pins", "suspend", nobody}, {"pins", "resume", nobody}, {"pins", "revoke", nobody},
		{"keys", "revoke", "nobody"}, {"policy", "show", "--policy-file", "no-such-file.json"},
	} {
		for _, asked := range [][]string{args, append(slices.Clone(args), "--json")} {
			s.refuses([]string{"idp: "}, asked...)
		}
		if o := s.run(args...); strings.Contains(o.err, nobody) {
			t.Errorf("idp %v repeats the codice fiscale: %s", args, o.err)
		}
	}
	s.sayNo(s.feed("{", "clients", "add", "-"), nil)
	s.sayNo(s.feed(`{"nonsense": 1}`, "clients", "add", "-"), []string{"nonsense"})
	s.sayNo(s.feed("a,b\n", "citizens", "import", "-"), nil)
	s.sayNo(s.feed("", "citizens", "import", "-"), nil)
}
