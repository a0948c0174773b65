package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database/databasetest"
)

// Contract §1: flags for the usual, with its defaults.
func TestClientsAddByFlags(t *testing.T) {
	terminals(t, func(s *terminal) {
		var doc map[string]any
		single(s.t, s.done("clients", "add", "--name", "Uno", "--redirect-uri", "https://uno.example/cb", "--redirect-uri", "https://uno.example/a,b"), &doc)
		for member, want := range map[string]any{
			"client_name": "Uno", "token_endpoint_auth_method": "client_secret_basic", "scope": "openid profile fiscal_code",
			"consent": "remember", "profile": "oauth2.1", "require_pkce": true, "client_secret_expires_at": 0.0, "subject_type": "pairwise",
		} {
			if doc[member] != want {
				s.t.Errorf("%s = %v, want %v", member, doc[member], want)
			}
		}
		if g := doc["grant_types"].([]any); len(g) != 1 || g[0] != "authorization_code" {
			s.t.Errorf("grant_types = %v", g)
		}
		if r := doc["redirect_uris"].([]any); len(r) != 2 || r[1] != "https://uno.example/a,b" {
			s.t.Errorf("redirect_uris = %v; want both, as they were typed", r)
		}
		id, secret := doc["client_id"].(string), doc["client_secret"].(string)
		if len(secret) < 32 || doc["client_id_issued_at"] == nil {
			s.t.Errorf("secret of %d characters, issued at %v", len(secret), doc["client_id_issued_at"])
		}
		for _, args := range [][]string{{"clients", "show", id, "--json"}, {"clients", "list", "--json"}, {"clients", "export"}, {"clients", "update", id, s.file("u.json", s.done("clients", "show", id, "--json"))}} {
			if out := s.done(args...); strings.Contains(out, secret) || !strings.Contains(out, id) {
				s.t.Errorf("idp %v shows the secret, or not the client: %s", args, out)
			}
		}
		shown := s.run("clients", "show", id)
		single(s.t, shown.out, &doc)
		if shown.code != exitDone || !strings.Contains(shown.err, "note: profile oauth2.1: ") || !strings.Contains(shown.err, "note: authenticates with client_secret_basic\n") {
			s.t.Errorf("what it may do is not said in words: %q", shown.err)
		}
		if out := s.done("clients", "list"); out != id+"\tenabled\tUno\n" {
			s.t.Errorf("clients list = %q", out)
		}
		public := s.doc("clients", "add", "--name", "App", "--public", "--redirect-uri", "https://app.example/cb", "--scope", "openid",
			"--grant-type", "authorization_code", "--grant-type", "refresh_token", "--post-logout-redirect-uri", "https://app.example/bye")
		if _, secret := public["client_secret"]; secret || public["token_endpoint_auth_method"] != "none" || public["require_pkce"] != true ||
			len(public["grant_types"].([]any)) != 2 || len(public["post_logout_redirect_uris"].([]any)) != 1 {
			s.t.Errorf("a public client = %v", public)
		}
	})
}

const document = `{"client_name": "Due", "redirect_uris": ["https://due.example/cb"], "scope": "openid email", "consent": "always",
	"profile": "oidc", "resources": ["https://api.due.example"], "may_introspect": true, "sector": "ente"}`

func TestClientsAddByDocument(t *testing.T) {
	terminals(t, func(s *terminal) {
		answers := []map[string]any{s.doc("clients", "add", s.file("due.json", document)), {}, {}}
		for i, args := range [][]string{{"clients", "add", "-"}, {"clients", "add", "-", "--json"}} {
			o := s.feed(document, args...)
			if o.code != exitDone || o.err != "" {
				s.t.Fatalf("from standard input: exit %d, %s", o.code, o.err)
			}
			single(s.t, o.out, &answers[i+1])
		}
		ids := map[any]bool{}
		for _, doc := range answers {
			ids[doc["client_id"]] = true
			for member, want := range map[string]any{
				"scope": "openid email", "consent": "always", "profile": "oidc", "may_introspect": true, "sector": "ente", "require_pkce": false,
			} {
				if doc[member] != want {
					s.t.Errorf("%s = %v, want %v", member, doc[member], want)
				}
			}
		}
		if len(ids) != 3 {
			s.t.Errorf("%d ids for three registrations", len(ids))
		}
		for want, doc := range map[string]string{
			"nonsense": `{"redirect_uris": ["https://x.example/cb"], "nonsense": 1}`, "redirect_uris": `{"client_name": "x"}`,
			"client_id": `{"client_id": "mine", "redirect_uris": ["https://x.example/cb"]}`, "scope": `{"redirect_uris": ["https://x.example/cb"], "scope": "openid sky"}`,
			"document": `{} {}`,
		} {
			s.sayNo(s.feed(doc, "clients", "add", "-"), []string{want}, "clients", "add", doc)
		}
	})
}

func TestClientsUpdate(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.SQLite(t))
	id := s.doc("clients", "add", s.file("due.json", document))["client_id"].(string)
	changed := strings.Replace(document, "Due", "Due nuovo", 1)
	for _, args := range [][]string{{"clients", "update", id}, {"clients", "update", id, "-"}} {
		o := s.feed(changed, args...)
		var doc map[string]any
		single(t, o.out, &doc)
		if _, secret := doc["client_secret"]; o.code != exitDone || doc["client_name"] != "Due nuovo" || doc["client_id"] != id || secret {
			t.Errorf("idp %v: exit %d, %v", args, o.code, doc)
		}
	}
	s.sayNo(s.feed(`{"redirect_uris": []}`, "clients", "update", id), nil)
	s.sayNo(s.feed(changed, "clients", "update", "nobody"), []string{"no such client"})
	if doc := s.doc("clients", "show", id); doc["client_name"] != "Due nuovo" {
		t.Errorf("after refused updates: %v", doc["client_name"])
	}
}

// knows reports whether the node takes the client's secret.
func (n *serving) knows(id, secret string) bool {
	n.t.Helper()
	r, err := http.NewRequest(http.MethodPost, n.issuer+"/introspect", strings.NewReader("token=nothing"))
	if err != nil {
		n.t.Fatal(err)
	}
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	_ = a.Body.Close()
	if a.StatusCode != http.StatusOK && a.StatusCode != http.StatusUnauthorized {
		n.t.Fatalf("introspect: %s", a.Status)
	}
	return a.StatusCode == http.StatusOK
}

// Contract §1: an added client is usable at once, a disabled one refused and a
// rotated secret taken within 10 s, the old one for the overlap.
func TestClientsAtARunningServe(t *testing.T) {
	terminals(t, func(s *terminal) {
		n := s.serve("--workers=none")
		doc := n.doc("clients", "add", s.file("due.json", document))
		id, secret := doc["client_id"].(string), doc["client_secret"].(string)
		if !n.knows(id, secret) {
			s.t.Error("a client added is not usable at once")
		}
		if n.knows(id, secret+"x") || n.knows("nobody", secret) {
			s.t.Error("a wrong secret or client passes")
		}
		next := n.doc("clients", "rotate-secret", id)["client_secret"].(string)
		eventually(s.t, 10*time.Second, "the new secret is taken", func() bool { return n.knows(id, next) })
		if next == secret || !n.knows(id, secret) {
			s.t.Error("the old secret does not stay valid beside a new one")
		}
		if doc := n.doc("clients", "disable", id); doc["disabled"] != true {
			s.t.Errorf("clients disable = %v", doc)
		}
		n.done("clients", "disable", id)
		if out := n.done("clients", "list"); !strings.Contains(out, "\tdisabled\t") {
			s.t.Errorf("clients list = %q", out)
		}
		eventually(s.t, 10*time.Second, "the disabled client is refused", func() bool { return !n.knows(id, next) })
		n.done("clients", "enable", id)
		eventually(s.t, 10*time.Second, "the enabled client is admitted", func() bool { return n.knows(id, next) })

		short := n.with("IDP_POLICY_FILE", s.file("short.json", `{"clients.secret_overlap": "1s", "hash.memory_kib": 64}`))
		last := short.doc("clients", "rotate-secret", id)["client_secret"].(string)
		eventually(s.t, 12*time.Second, "a secret ends after its overlap", func() bool { return n.knows(id, last) && !n.knows(id, next) })
	})
}

// Contract §1: ids and secrets survive a move; secrets leave as digests alone.
func TestClientsMove(t *testing.T) {
	t.Parallel()
	from, to := newTerminal(t, databasetest.SQLite(t)), newTerminal(t, databasetest.Postgres(t))
	doc := from.doc("clients", "add", from.file("due.json", document))
	id, secret := doc["client_id"].(string), doc["client_secret"].(string)
	next := from.doc("clients", "rotate-secret", id)["client_secret"].(string)
	from.done("clients", "disable", from.doc("clients", "add", "--name", "Tre", "--redirect-uri", "https://tre.example/cb")["client_id"].(string))

	export := from.done("clients", "export")
	if strings.Contains(export, secret) || strings.Contains(export, next) || !strings.Contains(export, "client_secret_digest") {
		t.Errorf("export: %s", export)
	}
	checkOverlap(t, export, id)
	for _, want := range []string{"2 added, 0 updated, 0 unchanged", "0 added, 0 updated, 2 unchanged"} {
		if out := to.done("clients", "import", from.file("clients.json", export)); !strings.HasPrefix(out, want) {
			t.Errorf("clients import = %q, want %q", out, want)
		}
	}
	if o := to.feed(export, "clients", "import", "-", "--json"); o.code != exitDone || !strings.Contains(o.out, `"unchanged": 2`) {
		t.Errorf("from standard input: exit %d, %s%s", o.code, o.out, o.err)
	}
	if again := to.done("clients", "export"); again != export {
		t.Errorf("the export changed on its way:\n%s\n%s", export, again)
	}
	n := to.serve("--workers=none")
	if !n.knows(id, secret) || !n.knows(id, next) {
		t.Error("a secret did not survive the move")
	}
	broken := strings.Replace(export, "https://tre.example/cb", "not an address", 1)
	to.sayNo(to.feed(broken, "clients", "import", "-"), nil)
	to.sayNo(to.feed("{}", "clients", "import", "-"), nil)
}

// checkOverlap holds the rotated secret's end against the 24 h of the contract.
func checkOverlap(t *testing.T, export, id string) {
	t.Helper()
	var docs []struct {
		ClientID string `json:"client_id"`
		Previous []struct {
			EndsAt time.Time `json:"ends_at"`
		} `json:"client_secret_previous"`
	}
	if err := json.Unmarshal([]byte(export), &docs); err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if d.ClientID != id {
			continue
		}
		if len(d.Previous) != 1 {
			t.Fatalf("%d previous secrets, want 1", len(d.Previous))
		}
		if left := time.Until(d.Previous[0].EndsAt); left < 24*time.Hour-time.Minute || left > 24*time.Hour+time.Minute {
			t.Errorf("the old secret is valid for %s more, want 24 h", left)
		}
		return
	}
	t.Errorf("no client %s in the export", id)
}
