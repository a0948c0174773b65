package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"ente.example/idp/database/databasetest"
)

// Where Debian puts Apache; its folder is on root's path only.
const (
	apacheProgram = "/usr/sbin/apache2"
	apacheModule  = "/usr/lib/apache2/modules/mod_auth_openidc.so"
)

// TestGuideModAuthOpenIDC does what docs/guides/mod_auth_openidc.md says, with
// a real Apache in front of an application that knows nothing of OpenID Connect.
func TestGuideModAuthOpenIDC(t *testing.T) {
	t.Parallel()
	tools(t, "bash", "jq", "openssl", apacheProgram)
	present(t, apacheModule)
	n := newTerminal(t, databasetest.SQLite(t)).serve()
	pins := n.activePINs(1)
	for name, block := range guideBlocks(t, "mod_auth_openidc.md", "secret", "key") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hers := *n.terminal
			hers.t = t
			a := newApache(t, &serving{terminal: &hers, issuer: n.issuer}, block)
			for cf, pin := range pins {
				a.protects(cf, pin)
				a.signsOut()
				a.hearsOfSignOut(cf, pin)
			}
		})
	}
}

// apache is a site with an area for people who are signed in, and the citizen
// who visits it.
type apache struct {
	t       *testing.T
	v       *visitor
	issuer  string
	address string // with a / at its end
}

// frame is what a distribution's own configuration says around the guide's
// part. Started by root, the server gives its rights up; by somebody else, it
// has none and ignores the two lines.
var frame = template.Must(template.New("").Parse(`
ServerRoot /usr/lib/apache2
DefaultRuntimeDir {{.Dir}}
PidFile {{.Dir}}/apache2.pid
ErrorLog {{.Dir}}/error.log
User www-data
Group www-data
Listen {{.Listen}}
ServerName 127.0.0.1
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 16
{{range .Modules}}LoadModule {{.}}_module modules/mod_{{.}}.so
{{end}}
<VirtualHost *>
{{.Site}}
</VirtualHost>
`))

// newApache registers the site by the guide's commands and starts it with the
// guide's configuration.
func newApache(t *testing.T, n *serving, commands string) *apache {
	t.Helper()
	dir, listen := t.TempDir(), freePort(t)
	a := &apache{t: t, v: newVisitor(t), issuer: n.issuer, address: "http://" + listen + "/"}
	a.v.http.Transport = &http.Transport{DisableKeepAlives: true} // the module's page about an error is followed by Apache's
	application := httptest.NewServer(http.HandlerFunc(shows))
	t.Cleanup(application.Close)
	here := strings.NewReplacer(
		"https://servizio.example/", a.address, `https://servizio\.example/`, a.address,
		"http://localhost:8080", n.issuer, "http://127.0.0.1:3000", application.URL, "/etc/apache2/idp", filepath.Join(dir, "idp"),
	)
	for _, name := range []string{"service.json", "key.json", "site.conf"} {
		text, err := os.ReadFile(guides(t, "mod_auth_openidc", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(here.Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n.shell(dir).run(here.Replace(commands))
	a.start(dir, listen)
	return a
}

// shows is the application: it answers with the headers that it got.
func shows(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(r.Header)
}

// start runs Apache until the test ends.
func (a *apache) start(dir, listen string) {
	a.t.Helper()
	cmd := exec.Command(apacheProgram, "-f", a.configure(dir, listen), "-DFOREGROUND")
	said, ended := &logBuffer{}, make(chan error, 1)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	go func() { ended <- cmd.Wait() }()
	a.t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err == nil {
			<-ended
		}
		if log, _ := os.ReadFile(filepath.Join(dir, "error.log")); a.t.Failed() {
			a.t.Logf("Apache said: %s\n%s", said, log)
		}
	})
	eventually(a.t, 20*time.Second, "Apache listens", func() bool {
		select {
		case err := <-ended:
			ended <- err
			a.t.Fatalf("Apache ended: %v", err)
		default:
		}
		c, err := net.Dial("tcp", listen)
		return err == nil && c.Close() == nil
	})
}

func (a *apache) configure(dir, listen string) (path string) {
	a.t.Helper()
	site, err := os.ReadFile(filepath.Join(dir, "site.conf"))
	if err != nil {
		a.t.Fatal(err)
	}
	var config bytes.Buffer
	err = frame.Execute(&config, map[string]any{
		"Dir": dir, "Listen": listen, "Site": string(site),
		"Modules": []string{"mpm_event", "authn_core", "authz_core", "authz_user", "headers", "proxy", "proxy_http", "auth_openidc"},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	path = filepath.Join(dir, "apache2.conf")
	if err := os.WriteFile(path, config.Bytes(), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// protects: nobody gets into the area without a sign-in of this provider's, and
// who did, the application is told by Apache alone.
func (a *apache) protects(cf, pin string) {
	a.t.Helper()
	a.v.open(a.address + "area/")
	if at := a.v.at.String(); !strings.HasPrefix(at, a.issuer) {
		a.t.Fatalf("the area sends to %s, want %s", at, a.issuer)
	}
	a.refusesOthers(cf, pin)
	a.v.open(a.address+"area/").on("consent").submit(nil, "answer", "allow")
	told := a.told()
	for name, want := range map[string]string{
		"OIDC_CLAIM_given_name": "Mario", "OIDC_CLAIM_acr": levelPIN, "Fiscal-Code": "TINIT-" + cf, "OIDC_CLAIM_iss": a.issuer,
	} {
		if got := told.Get(name); got != want {
			a.t.Errorf("the application is told that %s is %q, want %q", name, got, want)
		}
	}
	if told.Get("OIDC_CLAIM_sub") == "" || told.Get("OIDC_access_token") != "" {
		a.t.Errorf("the application is told %v, want sub and no token", told)
	}
}

// refusesOthers brings back an answer that another issuer seems to have given
// (RFC 9207).
func (a *apache) refusesOthers(cf, pin string) {
	a.t.Helper()
	var back *url.URL
	a.v.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/oidc" {
			back = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}
	a.v.signIn(cf, pin).on("consent").submit(nil, "answer", "allow")
	a.v.http.CheckRedirect = nil
	if back == nil {
		a.t.Fatalf("the sign-in ends at %s", a.v.at)
	}
	q := back.Query()
	q.Set("iss", "https://other.example")
	back.RawQuery = q.Encode()
	if a.v.open(back.String()); a.v.at.Path != "/oidc" {
		a.t.Errorf("Apache takes an answer of another issuer, and goes on to %s", a.v.at)
	}
}

// told is what the application is told of who asks, while the browser says to
// be somebody else.
func (a *apache) told() http.Header {
	a.t.Helper()
	r, err := http.NewRequest(http.MethodGet, a.address+"area/", nil)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, name := range []string{"OIDC_CLAIM_sub", "OIDC-CLAIM-sub", "Fiscal-Code"} {
		r.Header[name] = []string{"somebody else"}
	}
	if a.v.take(a.v.http.Do(r)); strings.Contains(a.v.body, "somebody else") {
		a.t.Errorf("the application believes the browser: %s", a.v.body)
	}
	var told http.Header
	single(a.t, a.v.body, &told)
	return told
}

// signsOut leaves by the site's own link.
func (a *apache) signsOut() {
	a.t.Helper()
	a.v.open(a.address + "oidc?logout=" + url.QueryEscape(a.address))
	if a.v.at.String() != a.address {
		a.t.Errorf("the sign-out ends at %s, want %s", a.v.at, a.address)
	}
	if a.v.open(a.address + "oidc?logout=https://other.example/"); a.v.at.Path != "/oidc" {
		a.t.Errorf("the sign-out leads to others' sites: %s", a.v.at)
	}
	a.v.open(a.address + "area/").on("login")
}

// hearsOfSignOut leaves at the provider, and Apache finds out.
func (a *apache) hearsOfSignOut(cf, pin string) {
	a.t.Helper()
	a.v.signIn(cf, pin).on("consent").submit(nil, "answer", "allow")
	a.told()
	a.v.open(a.issuer + "/sign-out").on("sign-out").submit(nil)
	eventually(a.t, 20*time.Second, "Apache's session has ended", func() bool {
		return a.v.open(a.address+"area/").name() == "login"
	})
}
