package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// What docs/performance.md promises a whole sign-in asks of the database and
// leaves there, counted: authorize, form, consent, code, tokens, userinfo.
func TestWholeSignInCounts(t *testing.T) {
	for name, row := range map[string]struct {
		consent    clients.ConsentPolicy
		statements int
		trips      int
	}{"with the consent page": {clients.ConsentAlways, 22, 12}, "without": {clients.ConsentTrusted, 19, 10}} {
		t.Run(name, func(t *testing.T) {
			each(t, func(h *house) {
				h.open(func(d *clients.Document) { d.Consent = row.consent }).people()
				pin := h.activePIN(regular)
				h = h.rest()
				h.signInOnce(pin, row.consent == clients.ConsentAlways) // what is remembered for seconds is remembered now
				rows, bytes := h.kept()
				counted := h.count()
				h.signInOnce(pin, row.consent == clients.ConsentAlways)
				statements, commits, trips := counted()
				if trips > row.trips {
					h.t.Errorf("%d round trips, want %d at most", trips, row.trips)
				}
				if len(commits) > 5 {
					h.t.Errorf("%d commits, want 5 at most: %q", len(commits), commits)
				}
				if len(statements) > row.statements {
					h.t.Errorf("%d statements, want %d at most: %q", len(statements), row.statements, statements)
				}
				h.left(rows, bytes)
			})
		})
	}
}

// rest ends the node and starts another in its place without workers, so that
// nobody writes but the one who is counted.
func (h *house) rest() *house {
	h.t.Helper()
	if err := h.stop(); err != nil {
		h.t.Fatal(err)
	}
	v, err := wire(h.t.Context(), h.settings, options{logger: discard(), open: func(context.Context, string) (*database.DB, error) {
		return databasetest.Open(h.t, h.settings.DatabaseURL, &database.Clock{}), nil
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	quiet := &house{services: v, t: h.t, admin: h.admin, service: h.service, client: h.client, secret: h.secret}
	quiet.serveWith(nil)
	return quiet
}

// count begins to count; what it returns are the statements since, and the
// commits, by what they wrote first. A statement on its own is one. trips are
// those to PostgreSQL.
func (h *house) count() func() (statements, commits []string, trips int) {
	var mu sync.Mutex
	var all, list []string
	inside, wrote := false, ""
	c := databasetest.Count(h.t, h.db)
	c.Before(func(q string) {
		mu.Lock()
		defer mu.Unlock()
		verb := strings.ToUpper(strings.TrimSpace(q))
		if q != "BEGIN" && q != "COMMIT" {
			all = append(all, q)
		}
		switch {
		case q == "BEGIN":
			inside, wrote = true, ""
		case q == "COMMIT":
			list, inside = append(list, wrote), false
		case strings.HasPrefix(verb, "SELECT"):
		case inside && wrote == "":
			wrote = q
		case !inside:
			list = append(list, q)
		}
	})
	return func() (statements, commits []string, trips int) {
		c.Before(nil)
		return all, list, c.Trips()
	}
}

// kept are the rows of every table, and on PostgreSQL their bytes without
// indexes.
func (h *house) kept() (rows, bytes map[string]int) {
	h.t.Helper()
	names, size := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'", "0"
	if h.db.Dialect() == database.Postgres {
		names, size = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", "coalesce(sum(pg_column_size(t.*)), 0)"
	}
	var tables []string
	db := h.db.Read(h.t.Context())
	if err := db.Raw(names).Scan(&tables).Error; err != nil {
		h.t.Fatal(err)
	}
	rows, bytes = map[string]int{}, map[string]int{}
	for _, name := range tables {
		var one struct{ N, Size int }
		if err := db.Raw("SELECT count(*) AS n, " + size + " AS size FROM " + name + " t").Scan(&one).Error; err != nil {
			h.t.Fatal(err)
		}
		rows[name], bytes[name] = one.N, one.Size
	}
	return rows, bytes
}

// left checks what has been added to what there was: little, and, beside the
// audit, only what has an end.
func (h *house) left(rows, bytes map[string]int) {
	h.t.Helper()
	now, size := h.kept()
	added, sum, total := map[string]int{}, 0, 0
	for name, n := range now {
		if n != rows[name] {
			added[name] = n - rows[name]
		}
		if !strings.HasPrefix(name, "audit_") {
			sum += n - rows[name]
			total += size[name] - bytes[name]
		}
	}
	if added["audit_queue"]+added["audit_chain"] > 5 || sum > 4 || total > 2048 {
		h.t.Errorf("a sign-in leaves %v, beside the audit %d rows of %d bytes; want 5 events, and 4 rows of 2048 bytes", added, sum, total)
	}
	for _, name := range slices.Sorted(maps.Keys(added)) {
		if strings.HasPrefix(name, "audit_") {
			continue
		}
		if _, err := h.column(name, "expires_at"); err != nil {
			h.t.Errorf("%s has rows of a sign-in and no end for them: %v", name, err)
		}
	}
}

func (h *house) column(table, name string) (n int, err error) {
	err = h.db.Read(h.t.Context()).Raw("SELECT count(" + name + ") FROM " + table).Scan(&n).Error
	return n, err
}

// signInOnce is a whole sign-in in a new browser.
func (h *house) signInOnce(pin string, consent bool) {
	h.t.Helper()
	verifier, code := oauth2.GenerateVerifier(), ""
	v := newVisitor(h.t)
	v.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if code = r.URL.Query().Get("code"); code != "" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	v.open(h.settings.Issuer+"/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {h.client.ID}, "redirect_uri": {h.service + "/callback"}, "nonce": {"n"}, "state": {"s"},
		"scope": {"openid profile email offline_access"}, "code_challenge_method": {"S256"}, "code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)},
	}.Encode()).signIn(regular, pin)
	if consent {
		v.on("consent").submit(nil, "answer", "allow")
	}
	if code == "" {
		h.t.Fatalf("no code at %s:\n%s", v.at, v.text(v.page))
	}
	h.claims(h.tokens(code, verifier))
}

func (h *house) tokens(code, verifier string) (access string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.settings.Issuer+"/token", strings.NewReader(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {h.service + "/callback"}, "code_verifier": {verifier},
	}.Encode()))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(h.client.ID, h.secret)
	access, _ = h.answered(r)["access_token"].(string)
	return access
}

func (h *house) claims(access string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.settings.Issuer+"/userinfo", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	if got := h.answered(r); got["sub"] == nil || got["given_name"] == nil {
		h.t.Errorf("userinfo = %v", got)
	}
}

func (h *house) answered(r *http.Request) (doc map[string]any) {
	h.t.Helper()
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	if err := json.NewDecoder(a.Body).Decode(&doc); err != nil || a.StatusCode != http.StatusOK {
		h.t.Fatalf("%s: %d %v %v", r.URL.Path, a.StatusCode, doc, err)
	}
	return doc
}
