package main

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/secrets"
)

// Contract §2: flag, environment, file, default, in this order.
func TestOrderOfSettings(t *testing.T) {
	t.Parallel()
	s := bare(t)
	file := s.file("settings.json", `{"eligibility": "from-file", "log-level": "from-file", "pin_alphabet": "from-file"}`)
	read := func(environ []string, args ...string) settings {
		t.Helper()
		var got settings
		parse(t, &got, environ, args...)
		return got
	}
	if got := read(nil); got.Eligibility != "current" || got.Listen != "127.0.0.1:8080" || got.Issuer != "http://localhost:8080" ||
		got.AdminListen != "127.0.0.1:9090" || got.DatabaseURL != "sqlite:idp.db" || got.SecretsDir != "./secrets" ||
		got.PINAlphabet != "digits" || got.Captcha != "image" || got.Registration != "off" || got.LogLevel != "info" || got.LogFormat != "json" {
		t.Errorf("defaults = %+v", got)
	}
	environ := []string{"IDP_CONFIG=" + file, "IDP_ELIGIBILITY=from-environment", "IDP_LOG_LEVEL=from-environment"}
	for _, from := range [][]string{nil, {"--config", file}, {"--config=" + file}} {
		got := read(environ, append(from, "--log-level=from-flag")...)
		if got.LogLevel != "from-flag" || got.Eligibility != "from-environment" || got.PINAlphabet != "from-file" || got.Registration != "off" {
			t.Errorf("%v: flag, environment, file, default = %q %q %q %q", from, got.LogLevel, got.Eligibility, got.PINAlphabet, got.Registration)
		}
	}
	if got := read([]string{"IDP_CONFIG=no-such-file"}, "--config", file); got.Eligibility != "from-file" {
		t.Errorf("--config does not go before IDP_CONFIG: %q", got.Eligibility)
	}
}

// parse reads settings as the program does, through a command that only shows.
func parse(t *testing.T, into *settings, environ []string, args ...string) {
	t.Helper()
	probe := &settingsProbe{}
	if err := probe.parse(environ, append([]string{"version"}, args...)); err != nil {
		t.Fatal(err)
	}
	*into = probe.settings
}

// Every setting goes by flag, variable and file.
func TestEverySettingHasThreeWays(t *testing.T) {
	t.Parallel()
	s := bare(t)
	for name := range settingNames() {
		if name == "config" {
			continue
		}
		variable := "IDP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		file := s.file(name+".json", `{"`+name+`": "a value"}`)
		for way, o := range map[string]func(*settingsProbe) error{
			"flag":        func(p *settingsProbe) error { return p.parse(nil, []string{"version", "--" + name, "a value"}) },
			"environment": func(p *settingsProbe) error { return p.parse([]string{variable + "=a value"}, []string{"version"}) },
			"file":        func(p *settingsProbe) error { return p.parse(nil, []string{"version", "--config", file}) },
		} {
			p := &settingsProbe{}
			if err := o(p); err != nil {
				t.Errorf("%s by %s: %v", name, way, err)
			} else if got := p.value(name); got != "a value" {
				t.Errorf("%s by %s = %q", name, way, got)
			}
		}
	}
}

// Contract §2: unknown names are refused, those of Kubernetes are not ours.
func TestUnknownSettings(t *testing.T) {
	t.Parallel()
	s := bare(t)
	s.with("IDP_SERVICE_HOST", "10.0.0.1", "IDP_SERVICE_PORT", "80", "IDP_SERVICE_PORT_HTTP", "80", "IDP_PORT", "tcp://10.0.0.1:80",
		"IDP_PORT_80_TCP", "tcp://10.0.0.1:80", "IDP_PORT_80_TCP_ADDR", "10.0.0.1", "OTHER", "1", "IDPX", "1").done("version")
	for _, name := range []string{"IDP_NONSENSE", "IDP_LISTENN", "IDP_LISTEN_FILE", "IDP_", "IDP_SERVICES", "IDP_PORTS", "IDP_JSON"} {
		s.with(name, "x").refuses([]string{name}, "version")
	}
	for content, want := range map[string]string{
		`{"nonsense": 1}`: "nonsense", `{"config": "other.json"}`: "config", `[]`: "JSON object", `{`: "JSON object", `{} {}`: "JSON object",
		`{"listen": null}`: "listen", `{"listen": {"host": "x"}}`: "listen", `{"trusted-proxies": [["10.0.0.0/8"]]}`: "trusted-proxies",
	} {
		s.refuses([]string{want}, "version", "--config", s.file("settings.json", content))
	}
	s.refuses([]string{"no-such-file"}, "version", "--config", "no-such-file.json")
}

// A list in the file is what commas are elsewhere.
func TestListInTheFile(t *testing.T) {
	t.Parallel()
	s := bare(t)
	p := &settingsProbe{}
	if err := p.parse(nil, []string{"version", "--config", s.file("c.json", `{"trusted-proxies": ["10.0.0.0/8", "fd00::/8", "192.0.2.1"]}`)}); err != nil {
		t.Fatal(err)
	}
	list, err := p.settings.proxies()
	if err != nil || len(list) != 3 || list[2].String() != "192.0.2.1/32" {
		t.Errorf("proxies = %v, %v; want three networks", list, err)
	}
}

// Contract §2: every secret may also be …_FILE.
func TestSecretFromAFile(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.SQLite(t))
	file := s.file("url", s.environ["IDP_DATABASE_URL"]+"\n")
	delete(s.environ, "IDP_DATABASE_URL")
	s.with("IDP_DATABASE_URL_FILE", file).done("clients", "list")
	s.with("IDP_DATABASE_URL_FILE", "no-such-file").refuses([]string{"IDP_DATABASE_URL_FILE"}, "clients", "list")
	s.with("IDP_DATABASE_URL_FILE", file, "IDP_DATABASE_URL", "sqlite:other.db").refuses([]string{"IDP_DATABASE_URL_FILE"}, "clients", "list")
	o := s.with("IDP_DATABASE_URL", "").run("clients", "list")
	if o.code != exitRefused || strings.Contains(o.err, "unknown setting") {
		t.Errorf("an empty IDP_DATABASE_URL: exit %d, %s", o.code, o.err)
	}
}

// A setting that serve must not start with: exit 1, one line, and nothing done.
func TestRefusedSettings(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.SQLite(t))
	public := []string{"IDP_ISSUER", "https://login.ente.example", "IDP_OUTBOX_DIR", "", "IDP_POLICY_FILE", ""}
	for _, c := range []struct {
		want  string
		pairs []string
	}{
		{"must be https", []string{"IDP_ISSUER", "http://login.ente.example"}},
		{"must be https", []string{"IDP_ISSUER", "http://localhost.ente.example"}},
		{"must be https", []string{"IDP_ISSUER", "http://10.0.0.1"}},
		{"not an https address", []string{"IDP_ISSUER", "login.ente.example"}},
		{"not an https address", []string{"IDP_ISSUER", "ftp://localhost"}},
		{"not an https address", []string{"IDP_ISSUER", ""}},
		{"without a path", []string{"IDP_ISSUER", "https://login.ente.example/idp"}},
		{"without a path", []string{"IDP_ISSUER", "https://login.ente.example/"}},
		{"without a path", []string{"IDP_ISSUER", "https://login.ente.example?x=1"}},
		{"without a path", []string{"IDP_ISSUER", "https://user@login.ente.example"}},
		{"outbox-dir", append(append([]string{}, public...), "IDP_OUTBOX_DIR", s.environ["IDP_OUTBOX_DIR"])},
		{"eligibility", []string{"IDP_ELIGIBILITY", "everybody"}},
		{"pin-alphabet", []string{"IDP_PIN_ALPHABET", "letters"}},
		{"captcha", append(append([]string{}, public...), "IDP_CAPTCHA", "none")},
		{"captcha", []string{"IDP_CAPTCHA", "puzzle"}},
		{"registration", []string{"IDP_REGISTRATION", "everybody"}},
		{"registration-profile", []string{"IDP_REGISTRATION_PROFILE", "none"}},
		{"log-level", []string{"IDP_LOG_LEVEL", "loud"}},
		{"log-level", []string{"IDP_LOG_LEVEL", "info+1"}},
		{"log-format", []string{"IDP_LOG_FORMAT", "xml"}},
		{"listen", []string{"IDP_LISTEN", "nonsense"}},
		{"listen", []string{"IDP_ADMIN_LISTEN", "9090"}},
		{"trusted-proxies", []string{"IDP_TRUSTED_PROXIES", "10.0.0.0/8,everybody"}},
		{"tls-key-file", []string{"IDP_TLS_CERT_FILE", "cert.pem"}},
		{"mtls-url", []string{"IDP_MTLS_URL", "http://mtls.ente.example", "IDP_MTLS_LISTEN", freePort(t)}},
		{"mtls-url", []string{"IDP_MTLS_URL", "https://mtls.ente.example/", "IDP_MTLS_LISTEN", freePort(t)}},
		{"somebody who asks", []string{"IDP_MTLS_URL", "https://mtls.ente.example"}},
		{"differ from the issuer", []string{"IDP_ISSUER", "https://localhost", "IDP_MTLS_URL", "https://localhost"}},
		{"tls-cert-file", []string{"IDP_MTLS_URL", "https://mtls.ente.example", "IDP_MTLS_LISTEN", freePort(t)}},
		{"mtls-listen", []string{"IDP_MTLS_LISTEN", "nonsense"}},
		{"client-cert-header", []string{"IDP_CLIENT_CERT_HEADER", "X-Client-Cert"}},
		{"trusted-proxies", []string{"IDP_CLIENT_CERT_HEADER", "rfc9440"}},
		{"client-ca-file", []string{"IDP_CLIENT_CA_FILE", "ca.pem"}},
		{"no-such-file", []string{"IDP_CLIENT_CA_FILE", "no-such-file.pem", "IDP_CLIENT_CERT_HEADER", "rfc9440", "IDP_TRUSTED_PROXIES", "10.0.0.0/8"}},
		{"audit-anchor-dir", []string{"IDP_AUDIT_ANCHOR_DIR", filepath.Join(s.environ["IDP_SECRETS_DIR"], "anchors")}},
		{"audit-anchor-dir", []string{"IDP_AUDIT_ANCHOR_DIR", s.environ["IDP_SECRETS_DIR"]}},
		{"no-such-file", []string{"IDP_INSTITUTION_FILE", "no-such-file.json"}},
		{"no-such-file", []string{"IDP_SOFTWARE_PUBLISHERS_FILE", "no-such-file.json"}},
		{"software-publishers-file", []string{"IDP_REGISTRATION", "statement"}},
		{"no-such-file", []string{"IDP_AUTHORIZATION_TYPES_FILE", "no-such-file.json"}},
		{"no-such-file", []string{"IDP_POLICY_FILE", "no-such-file.json"}},
		{"database URL", []string{"IDP_DATABASE_URL", "mysql://localhost/idp"}},
		{"certificate", []string{"IDP_TLS_CERT_FILE", "no-such-file.pem", "IDP_TLS_KEY_FILE", "no-such-file.pem"}},
	} {
		refused := s.with("IDP_LISTEN", freePort(t), "IDP_ADMIN_LISTEN", freePort(t)).with(c.pairs...)
		o := refused.run("serve")
		if o.code != exitRefused || o.out != "" {
			t.Errorf("serve with %v: exit %d, stdout %q", c.pairs, o.code, o.out)
		}
		oneLine(t, o.err, c.want)
	}
}

// What a public issuer needs is taken.
func TestPublicIssuer(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.SQLite(t)).with("IDP_ISSUER", "https://login.ente.example", "IDP_OUTBOX_DIR", "", "IDP_POLICY_FILE", "")
	if n := s.serve("--workers=none"); n.stop() != exitDone {
		t.Errorf("serve: %s", n.log)
	}
	for _, issuer := range []string{"http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost"} {
		s.with("IDP_ISSUER", issuer).done("clients", "list")
	}
}

// Contract §2: missing, short or sample secrets are refused in one line that
// says what to run.
func TestRefusedSecrets(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.SQLite(t))
	s.with("IDP_SECRETS_DIR", filepath.Join(s.dir, "none")).refuses([]string{"run idp secrets init " + filepath.Join(s.dir, "none")}, "serve")
	files, err := filepath.Glob(filepath.Join(s.environ["IDP_SECRETS_DIR"], "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	key := filepath.Join(s.environ["IDP_SECRETS_DIR"], string(secrets.Refresh)+".json")
	whole, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(do func() error, words ...string) {
		t.Helper()
		if err := do(); err != nil {
			t.Fatal(err)
		}
		s.refuses(words, "serve")
		s.refuses(words, "clients", "list")
		if err := os.RemoveAll(key); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(key, whole, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	spoil(func() error { return os.Remove(key) }, filepath.Base(key), "secrets init")
	spoil(func() error { return os.Chmod(key, 0o444) }, filepath.Base(key), "chmod 0400")
	spoil(func() error { return os.Truncate(key, 0) }, filepath.Base(key), "secrets init")
	spoil(func() error { return os.Truncate(key, int64(len(whole)/2)) }, filepath.Base(key), "secrets init")
	s.done("clients", "list")
}

// Contract §2: a schema newer than the program is refused; an older one says
// what to run, and serve --migrate runs it.
func TestSchemaOlderAndNewer(t *testing.T) {
	terminals(t, func(s *terminal) {
		change := func(q string) {
			s.t.Helper()
			db, err := database.Open(s.t.Context(), s.environ["IDP_DATABASE_URL"], database.Options{})
			if err != nil {
				s.t.Fatal(err)
			}
			_, err = db.SQL().Exec(q)
			if cerr := db.Close(); err != nil || cerr != nil {
				s.t.Fatal(err, cerr)
			}
		}
		change("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)")
		for _, args := range [][]string{{"serve"}, {"serve", "--migrate"}, {"clients", "list"}, {"migrate", "up"}} {
			s.refuses([]string{"newer than this program"}, args...)
		}
		change("DELETE FROM goose_db_version WHERE version_id = 9999")
		s.done("clients", "list")
	})
	t.Run("older", func(t *testing.T) {
		t.Parallel()
		s := newTerminal(t, "sqlite:"+filepath.Join(t.TempDir(), "new.db"))
		s.refuses([]string{"run idp migrate up"}, "serve")
		if n := s.serve("--migrate", "--workers=none"); n.stop() != exitDone {
			t.Errorf("serve --migrate: %s", n.log)
		}
		s.done("clients", "list")
	})
}

// settingsProbe shows what the program reads from its sources.
type settingsProbe struct{ settings settings }

func (p *settingsProbe) parse(environ, args []string) error {
	var c commands
	if _, err := (program{out: io.Discard, err: io.Discard, environ: environ}).parse(&c, args); err != nil {
		return err
	}
	p.settings = c.Settings
	return nil
}

func (p *settingsProbe) value(name string) string {
	v := reflect.ValueOf(p.settings)
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.Tag.Get("name") == name || dashed(f.Name) == name {
			return v.Field(i).String()
		}
	}
	return ""
}
