package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// Whatever a sign-in, a token and the workers beside them ask the database for
// is found by an index: no table is read from end to end, however large it grows.
func TestPlans(t *testing.T) {
	each(t, func(h *house) {
		h.open(func(d *clients.Document) { d.GrantTypes = append(d.GrantTypes, "client_credentials") }).people()
		first := h.firstPIN(newcomer)
		queues, counter := h.partialIndexes(), databasetest.Count(h.t, h.db)
		h.life(first)
		for _, sweep := range h.sweepers() {
			if err := sweep(h.t.Context()); err != nil {
				h.t.Fatal(err)
			}
		}
		plans := explainer(sqlitePlan)
		if h.db.Dialect() == database.Postgres {
			plans = postgresPlan
		}
		for _, q := range statements(counter.Statements()) {
			scans, err := plans(h.t.Context(), h.db, q)
			if err != nil {
				h.t.Fatalf("%s\n%v", q, err)
			}
			scans = slices.DeleteFunc(scans, func(what string) bool {
				return slices.Contains(small, what) || slices.Contains(queued, what) || queues[what] && !living(what, q) ||
					strings.HasSuffix(what, "-ROW VALUES CLAUSE") // what an INSERT brings
			})
			if len(scans) > 0 {
				h.t.Errorf("reads all of %s:\n%s", strings.Join(scans, ", "), q)
			}
		}
	})
}

// small are tables of a few rows, which are read whole on purpose.
var small = []string{"provider_keys", "installation", "audit_head"}

// queued are read along the key that says what has waited longest: all that
// stands in a queue of its own, a batch at a time.
var queued = []string{"audit_queue_pkey", "sqlite_autoindex_audit_queue_1"}

// partialIndexes hold what waits for something, a queue at most: those may be
// read from end to end.
func (h *house) partialIndexes() map[string]bool {
	h.t.Helper()
	q := `SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'`
	if h.db.Dialect() == database.Postgres {
		q = `SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indpred IS NOT NULL`
	}
	var names []string
	if err := h.db.Read(h.t.Context()).Raw(q).Scan(&names).Error; err != nil {
		h.t.Fatal(err)
	}
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set
}

// living reports whether a partial index holds whatever has not ended, which is
// no queue. In a database that nobody has analyzed yet, new or restored, it looks
// like one to PostgreSQL, and better than the key that finds the row. What a
// change of PIN ends is looked for by no key, and here any index is as good.
func living(index, q string) bool {
	return !strings.Contains(q, "COALESCE(change_id") && slices.Contains([]string{
		"sessions_citizen", "sessions_one_per_browser", "sessions_due", "credentials_one_live", "credentials_look",
		"interactions_browser", "interactions_sealed",
	}, index)
}

// life is a day with the provider: first access, tokens, single sign-on, an
// API, wrong tries, and the end of it all.
func (h *house) life(first string) {
	h.t.Helper()
	v := newVisitor(h.t)
	v.open(h.service+"/login").signIn(newcomer, first)
	working := v.change(first)
	v.on("consent").submit(map[string]string{"remember": "yes"}, "answer", "allow").on("service-signed-in")
	v.submit(nil).on("service-signed-in") // refreshes
	v.press("/call").on("service-signed-in")
	v.open(h.service + "/login").on("service-signed-in")
	v.press("/logout").on("service-home")
	v.open(h.service+"/login").signIn(newcomer, "00000000").on("login")
	v.signIn("NNNNNN80A01H501X", "00000000").on("login")
	v.signIn(newcomer, working).on("service-signed-in")
	h.ask(&party{issuer: h.settings.Issuer, id: h.client.ID, secret: h.secret, nodes: http.DefaultTransport})
}

// ask sends what needs no browser: a token of the service's own, looked at and
// revoked, and codes that do not exist.
func (h *house) ask(p *party) {
	h.t.Helper()
	var own tokens
	err := errors.Join(
		p.post("/token", url.Values{"grant_type": {"client_credentials"}}, &own),
		p.post("/introspect", url.Values{"token": {own.Access}}, nil),
		p.post("/revoke", url.Values{"token": {own.Access}}, nil),
	)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := p.redeem(&page{code: "none", verifier: strings.Repeat("v", 43)}); !refused(err, "invalid_grant") {
		h.t.Errorf("a code that never was: %v", err)
	}
	if _, err := p.refresh("none"); !refused(err, "invalid_grant") {
		h.t.Errorf("a refresh token that never was: %v", err)
	}
}

// explainer names the tables that a statement reads from end to end.
type explainer func(ctx context.Context, db *database.DB, q string) (tables []string, err error)

// postgresPlan forbids sequential scans where there is any other way, so that
// the few rows of a test are planned as millions would be.
func postgresPlan(ctx context.Context, db *database.DB, q string) (tables []string, err error) {
	var raw string
	enough := errors.New("looked at")
	err = db.InTx(ctx, func(ctx context.Context) error {
		tx := db.Write(ctx)
		for _, set := range []string{
			"SET LOCAL enable_seqscan = off", "SET LOCAL plan_cache_mode = force_generic_plan", "PREPARE looked_at AS " + q,
		} {
			if err := tx.Exec(set).Error; err != nil {
				return err
			}
		}
		var n int
		if err := tx.Raw("SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'looked_at'").Scan(&n).Error; err != nil {
			return err
		}
		execute := "EXECUTE looked_at"
		if n > 0 {
			execute += "(" + strings.TrimSuffix(strings.Repeat("NULL,", n), ",") + ")"
		}
		if err := tx.Raw("EXPLAIN (FORMAT JSON) " + execute).Scan(&raw).Error; err != nil {
			return err
		}
		return errors.Join(enough, tx.Exec("DEALLOCATE looked_at").Error)
	})
	if !errors.Is(err, enough) {
		return nil, err
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal([]byte(raw), &plans); err != nil {
		return nil, err
	}
	for _, p := range plans {
		tables = p.Plan.scans(tables)
	}
	return tables, nil
}

// node is one of PostgreSQL's plans.
type node struct {
	Type  string `json:"Node Type"`
	Table string `json:"Relation Name"`
	Index string `json:"Index Name"`
	Cond  string `json:"Index Cond"`
	Plans []node
}

// scans adds the tables that are read whole, be it along an index.
func (n node) scans(list []string) []string {
	switch {
	case n.Type == "Seq Scan":
		list = append(list, n.Table)
	case n.Index != "" && n.Cond == "":
		list = append(list, n.Index)
	}
	for _, p := range n.Plans {
		list = p.scans(list)
	}
	return list
}

func sqlitePlan(ctx context.Context, db *database.DB, q string) (tables []string, err error) {
	var steps []struct{ Detail string }
	if err := db.Write(ctx).Raw("EXPLAIN QUERY PLAN " + strings.ReplaceAll(q, "?", "NULL")).Scan(&steps).Error; err != nil {
		return nil, err
	}
	for _, s := range steps {
		read, whole := strings.CutPrefix(s.Detail, "SCAN ")
		table, index, indexed := strings.Cut(strings.Replace(read, "COVERING ", "", 1), " USING INDEX ")
		switch {
		case !whole || own(q, table): // found by a condition, or the statement's own
		case indexed:
			tables = append(tables, index)
		default:
			tables = append(tables, table)
		}
	}
	return tables, nil
}

// own reports whether what is read whole is of the statement's making, and no
// table: a subquery's name, or the rows of a parameter.
func own(q, table string) bool {
	return strings.Contains(q, "WITH "+table) || strings.Contains(q, ") AS "+table) ||
		strings.Contains(table, "CONSTANT ROW") || strings.Contains(table, "VIRTUAL TABLE")
}

// statements are each once, without what only sets a connection up.
func statements(list []string) []string {
	list = slices.DeleteFunc(slices.Clone(list), func(q string) bool {
		verb, _, _ := strings.Cut(strings.TrimSpace(q), " ")
		return !slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}, strings.ToUpper(verb))
	})
	slices.Sort(list)
	return slices.Compact(list)
}
