package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// published are the ids of the keys that a node publishes.
func (n *serving) published() map[string]bool {
	n.t.Helper()
	a, err := http.Get(n.issuer + "/jwks")
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	var set struct{ Keys []struct{ Kid string } }
	if err := json.NewDecoder(a.Body).Decode(&set); err != nil {
		n.t.Fatal(err)
	}
	kids := map[string]bool{}
	for _, k := range set.Keys {
		kids[k.Kid] = true
	}
	return kids
}

// Contract §1: a rotated-in key is published within 10 s and signs after the
// JWKS's cache lifetime; a revoked one is gone.
func TestKeys(t *testing.T) {
	terminals(t, func(s *terminal) {
		if list := s.list("keys", "list"); len(list) != 0 {
			s.t.Errorf("before the first serve: %v", list)
		}
		n := s.serve("--workers=none")
		first := n.list("keys", "list")
		before := n.published()
		if len(first) == 0 || len(before) != len(first) {
			s.t.Fatalf("%d keys are listed, %d published", len(first), len(before))
		}
		rotated := n.list("keys", "rotate", "--alg", "ES256")
		if len(rotated) != 1 || rotated[0]["alg"] != "ES256" || rotated[0]["state"] != "pending" {
			s.t.Fatalf("keys rotate --alg ES256 = %v", rotated)
		}
		kid := rotated[0]["kid"].(string)
		from, err := time.Parse(time.RFC3339, rotated[0]["signs_from"].(string))
		if err != nil || time.Until(from) < 10*time.Minute {
			s.t.Errorf("the new key signs from %v (%v), want after the caches' 15 minutes", from, err)
		}
		eventually(s.t, 10*time.Second, "the new key is published", func() bool { return n.published()[kid] })
		if list := n.list("keys", "list"); len(list) != len(first)+1 {
			s.t.Errorf("%d keys after a rotation, want %d", len(list), len(first)+1)
		}
		if out := n.done("keys", "list"); strings.Count(out, "\n") != len(first)+1 || !strings.Contains(out, kid) {
			s.t.Errorf("keys list = %q", out)
		}
		if doc := n.doc("keys", "rewrap"); doc["total"] != float64(len(first)+1) {
			s.t.Errorf("keys rewrap = %v", doc)
		}
		gone := first[0]["kid"].(string)
		if doc := n.doc("keys", "revoke", gone); doc["revoked"] != gone {
			s.t.Errorf("keys revoke = %v", doc)
		}
		eventually(s.t, 10*time.Second, "the revoked key is no more", func() bool { return !n.published()[gone] })
		n.refuses(nil, "keys", "revoke", gone)
	})
}

// A key that every cache has seen signs, and the one before it retires.
func TestRotatedKeySigns(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.SQLite(t))
	n := s.with("IDP_POLICY_FILE", s.file("quick.json", `{"keys.cache": "1s", "hash.memory_kib": 64}`)).serve("--workers=none")
	kid := n.list("keys", "rotate", "--alg", "ES256")[0]["kid"]
	states := func() map[any]any {
		found := map[any]any{}
		for _, k := range n.list("keys", "list") {
			if k["alg"] == "ES256" {
				found[k["kid"]] = k["state"]
			}
		}
		return found
	}
	eventually(t, 15*time.Second, "the new key signs", func() bool { return states()[kid] == "active" })
	active := 0
	for _, state := range states() {
		if state == "active" {
			active++
		}
	}
	if active != 1 {
		t.Errorf("%d keys sign: %v", active, states())
	}
}

// Contract §1: audit verify, export, anchor.
func TestAudit(t *testing.T) {
	terminals(t, func(s *terminal) {
		if doc := s.doc("audit", "verify"); doc["ok"] != true || doc["events"] != 0.0 {
			s.t.Errorf("of nothing: %v", doc)
		}
		if list := s.list("audit", "export"); len(list) != 0 {
			s.t.Errorf("export of nothing = %v", list)
		}
		s.done("citizens", "import", s.file("people.csv", string(samplePeople)))
		for range 4 {
			s.done("citizens", "show", regular)
		}
		if doc := s.doc("audit", "verify"); doc["ok"] != true || doc["unchained"].(float64) < 5 {
			s.t.Errorf("before they are chained: %v; events not chained yet are not broken", doc)
		}
		if out := s.done("audit", "anchor"); !strings.HasPrefix(out, "Signed event ") {
			s.t.Errorf("audit anchor = %q", out)
		}
		if doc := s.doc("audit", "anchor"); doc["checkpoint"] != nil {
			s.t.Errorf("a second audit anchor = %v", doc)
		}
		if _, err := os.Stat(filepath.Join(s.dir, "audit-anchors", "checkpoints.jsonl")); err != nil {
			s.t.Errorf("no checkpoints beside the secrets: %v", err)
		}
		if doc := s.doc("audit", "verify"); doc["ok"] != true || doc["unchained"] != 0.0 || doc["checkpoints"] != 1.0 {
			s.t.Errorf("anchored: %v", doc)
		}
		s.checkExport()
		s.tamper(3)
		o := s.run("audit", "verify")
		if o.code != exitRefused || !strings.Contains(o.out, "broken at event 3: altered") {
			s.t.Errorf("broken: exit %d, stdout %q", o.code, o.out)
		}
		oneLine(s.t, o.err, "broken at event 3: altered")
		o = s.run("audit", "verify", "--json")
		var doc map[string]any
		single(s.t, o.out, &doc)
		oneLine(s.t, o.err)
		if f, _ := doc["finding"].(map[string]any); o.code != exitRefused || doc["ok"] != false || f["seq"] != 3.0 || f["kind"] != "altered" {
			s.t.Errorf("broken, as JSON: exit %d, %v", o.code, doc)
		}
	})
}

func (s *terminal) checkExport() {
	s.t.Helper()
	lines := strings.Split(strings.TrimSpace(s.done("audit", "export")), "\n")
	for i, line := range lines {
		var e map[string]any
		single(s.t, line, &e)
		if e["seq"] != float64(i+1) || e["event"] == nil || e["hash"] == "" {
			s.t.Errorf("line %d = %s", i+1, line)
		}
	}
	if list := s.list("audit", "export"); len(list) != len(lines) || len(lines) < 5 {
		s.t.Errorf("%d members as JSON, %d lines", len(list), len(lines))
	}
	s.done("audit", "anchor")
	if n := len(s.events("audit.exported")); n != 3 {
		s.t.Errorf("%d exports are recorded, want 3", n)
	}
}

// tamper changes an event as who owns the database could.
func (s *terminal) tamper(seq int) {
	s.t.Helper()
	db, err := database.Open(s.t.Context(), s.environ["IDP_DATABASE_URL"], database.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	guard := "ALTER TABLE audit_chain DISABLE TRIGGER ALL"
	if db.Dialect() == database.SQLite {
		guard = "DROP TRIGGER audit_chain_update"
	}
	for _, q := range []string{guard, "UPDATE audit_chain SET reason = 'another' WHERE seq = " + string(rune('0'+seq))} {
		if _, err := db.SQL().Exec(q); err != nil {
			s.t.Fatal(err)
		}
	}
}

// serve chains within 5 s and anchors when it ends.
func TestServeChainsAndAnchors(t *testing.T) {
	terminals(t, func(s *terminal) {
		n := s.serve("--workers=audit")
		n.done("clients", "list")
		n.done("clients", "add", "--name", "Uno", "--redirect-uri", "https://uno.example/cb")
		eventually(s.t, 5*time.Second, "every event is chained", func() bool { return n.doc("audit", "verify")["unchained"] == 0.0 })
		if code := n.stop(); code != exitDone {
			s.t.Errorf("serve ended with %d: %s", code, n.log)
		}
		doc := n.doc("audit", "verify")
		if doc["ok"] != true || doc["unchained"] != 0.0 || doc["checkpoints"].(float64) < 1 {
			s.t.Errorf("after SIGTERM: %v, want all chained and anchored", doc)
		}
		if len(s.events("serve.started")) != 1 || len(s.events("serve.stopped")) != 1 {
			s.t.Error("the start or the end of serve is not recorded")
		}
	})
}

// Two nodes chain one log: each event once, in one chain.
func TestTwoNodesChainOneLog(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.Postgres(t)).with("IDP_ELIGIBILITY", "open")
	s.done("citizens", "import", s.file("people.csv", string(samplePeople)))
	a, b := s.serve("--workers=audit"), s.serve("--workers=audit")
	databasetest.Barrier(8, func(int) { _ = s.run("citizens", "show", regular) })
	eventually(t, 10*time.Second, "every event is chained", func() bool { return s.doc("audit", "verify")["unchained"] == 0.0 })
	if a.stop() != exitDone || b.stop() != exitDone {
		t.Errorf("a node did not end well: %s%s", a.log, b.log)
	}
	if doc := s.doc("audit", "verify"); doc["ok"] != true || doc["checkpoints"].(float64) < 1 {
		t.Errorf("after both ended: %v", doc)
	}
}
