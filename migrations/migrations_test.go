package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/migrations"
)

// schema is a database's tables as lines that both dialects can be told in.
func schema(t *testing.T, db *database.DB) []string {
	t.Helper()
	columns := `SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable AS line
		FROM information_schema.columns JOIN pg_tables ON tablename = table_name AND schemaname = table_schema WHERE table_schema = 'public'`
	indexes := `SELECT tablename || ' ' || indexname || CASE WHEN indexdef LIKE 'CREATE UNIQUE%' THEN ' unique' ELSE '' END
		|| CASE WHEN indexdef LIKE '% WHERE %' THEN ' partial' ELSE '' END AS line
		FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%\_pkey'`
	if db.Dialect() == database.SQLite {
		columns = `SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || CASE WHEN c."notnull" OR c.pk THEN 'NO' ELSE 'YES' END AS line
			FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'`
		indexes = `SELECT m.name || ' ' || i.name || CASE WHEN i."unique" THEN ' unique' ELSE '' END || CASE WHEN i.partial THEN ' partial' ELSE '' END AS line
			FROM sqlite_schema m JOIN pragma_index_list(m.name) i WHERE m.type = 'table' AND i.origin = 'c'`
	}
	var lines []string
	for _, q := range []string{columns, indexes} {
		var some []string
		if err := db.Read(t.Context()).Raw(q).Scan(&some).Error; err != nil {
			t.Fatal(err)
		}
		lines = append(lines, some...)
	}
	return normal(lines)
}

// normal puts PostgreSQL's types into SQLite's words and drops what belongs
// to the migration tool and to SQLite itself.
func normal(lines []string) []string {
	words := strings.NewReplacer("timestamp with time zone", "datetime", "bytea", "blob", "uuid", "text", "jsonb", "text",
		"bigint", "integer", "smallint", "integer", "character varying", "text")
	var kept []string
	for _, l := range lines {
		if strings.HasPrefix(l, "goose_") || strings.HasPrefix(l, "sqlite_") {
			continue
		}
		kept = append(kept, strings.ToLower(words.Replace(l)))
	}
	slices.Sort(kept)
	return kept
}

func open(t *testing.T, url string) *database.DB {
	t.Helper()
	return databasetest.Open(t, url, &database.Clock{})
}

// Both dialects have the same tables, columns, types, nullability and named
// indexes, so that a rule tested on one holds on the other.
func TestSchemasAreAlike(t *testing.T) {
	lite, pg := schema(t, open(t, databasetest.SQLite(t))), schema(t, open(t, databasetest.Postgres(t)))
	if len(lite) < 50 {
		t.Fatalf("only %d lines of schema were read", len(lite))
	}
	if diff := cmp.Diff(pg, lite); diff != "" {
		t.Errorf("PostgreSQL (-) and SQLite (+) differ:\n%s", diff)
	}
}

func TestSameNumbersAndNames(t *testing.T) {
	names := func(dir string) []string {
		files, err := fs.Glob(os.DirFS(dir), "*.sql")
		if err != nil || len(files) == 0 {
			t.Fatalf("no migrations in %s: %v", dir, err)
		}
		return files
	}
	if diff := cmp.Diff(names("postgres"), names("sqlite")); diff != "" {
		t.Error(diff)
	}
}

// Any number of nodes and commands may migrate at once, on an empty database.
func TestConcurrentStarts(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite":   "sqlite:" + filepath.Join(t.TempDir(), "new.db"),
		"postgres": databasetest.Empty(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const nodes = 8
			errs := make([]error, nodes)
			databasetest.Barrier(nodes, func(i int) {
				db, err := database.Open(context.Background(), url, database.Options{})
				if err != nil {
					errs[i] = err
					return
				}
				_, err = migrations.Up(context.Background(), db)
				errs[i] = errors.Join(err, db.Close())
			})
			for i, err := range errs {
				if err != nil {
					t.Errorf("node %d: %v", i, err)
				}
			}
			if err := migrations.Check(t.Context(), open(t, url)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A node of a rolling upgrade is asked whether it is ready while another migrates,
// which may take long.
func TestCheckWaitsForNoMigration(t *testing.T) {
	t.Parallel()
	db := open(t, databasetest.Empty(t))
	if _, err := migrations.Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	migrating, err := db.SQL().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = migrating.Close() }()
	if _, err := migrating.ExecContext(t.Context(), "SELECT pg_advisory_lock($1)", lock.DefaultLockID); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := migrations.Check(soon, db); err != nil {
		t.Errorf("while another migrates: %v", err)
	}
}

// What only looks leaves an empty database empty.
func TestCheckOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "new.db"), "postgres": databasetest.Empty(t)} {
		db := open(t, url)
		for range 2 {
			if err := migrations.Check(t.Context(), db); !errors.Is(err, migrations.ErrOlder) {
				t.Errorf("%s: %v, want ErrOlder", name, err)
			}
		}
		if _, err := db.SQL().ExecContext(t.Context(), "SELECT 1 FROM goose_db_version"); err == nil {
			t.Errorf("%s: a table was made", name)
		}
	}
}

func TestCheckTellsOlderAndNewer(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		if err := migrations.Check(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		set := func(q string) {
			t.Helper()
			if err := db.Write(t.Context()).Exec(q).Error; err != nil {
				t.Fatal(err)
			}
		}
		set("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)")
		if err := migrations.Check(t.Context(), db); !errors.Is(err, migrations.ErrNewer) {
			t.Errorf("a newer schema: %v, want ErrNewer", err)
		}
		if _, err := migrations.Up(t.Context(), db); !errors.Is(err, migrations.ErrNewer) {
			t.Errorf("Up on a newer schema: %v, want ErrNewer", err)
		}
		set("DELETE FROM goose_db_version WHERE version_id IN (9999, (SELECT max(version_id) FROM goose_db_version WHERE version_id < 9999))")
		if err := migrations.Check(t.Context(), db); !errors.Is(err, migrations.ErrOlder) {
			t.Errorf("an older schema: %v, want ErrOlder", err)
		}
		list, err := migrations.Status(t.Context(), db)
		if err != nil || list[len(list)-1].Applied || !list[0].Applied {
			t.Errorf("Status = %v, %v", list, err)
		}
	})
}

// Deadlines are found by index, and every table that grows has one to be
// cleaned by: a column that says when a row may go.
func TestGrowingTablesExpire(t *testing.T) {
	db := open(t, databasetest.SQLite(t))
	lines := schema(t, db)
	for _, table := range []string{"grants", "interactions", "sessions", "assertion_jtis", "revoked_tokens", "pin_throttle", "pin_changes", "deliveries"} {
		found := slices.ContainsFunc(lines, func(l string) bool {
			return strings.HasPrefix(l, table+".") && (strings.Contains(l, "expires_at ") || strings.Contains(l, "purge_at "))
		})
		if !found {
			t.Errorf("%s", fmt.Sprintf("table %s has no column that says when a row may go", table))
		}
	}
}

// What was numbered before the queue came stands in the chain, what was not in
// the queue, and whoever reads sees both.
func TestAuditFindsItsPlaces(t *testing.T) {
	const event = `INSERT INTO audit_events (id, at, node_at, node, type, outcome, actor_kind, actor_id, subject, client_id, session,
		request_id, ip, port, user_agent, reason, details, seq, prev_hash, hash)
		SELECT '0190000%d-0000-7000-8000-000000000000', '2026-01-01 00:00:00+00:00', '2026-01-01 00:00:00+00:00', '', 'sign-in', 'success', '', '', 's', '', '',
			'', '', 0, '', '', '{}', %s FROM audit_head`
	for name, url := range map[goose.Dialect]string{
		goose.DialectSQLite3: "sqlite:" + filepath.Join(t.TempDir(), "old.db"), goose.DialectPostgres: databasetest.Empty(t),
	} {
		t.Run(string(name), func(t *testing.T) {
			db := open(t, url)
			old, err := goose.NewProvider(name, db.SQL(), os.DirFS(string(db.Dialect())))
			if err != nil {
				t.Fatal(err)
			}
			_, err = old.UpTo(t.Context(), 28)
			for i, chained := range []string{"1, hash, hash", "2, hash, hash", "NULL, NULL, NULL"} {
				err = errors.Join(err, db.Write(t.Context()).Exec(fmt.Sprintf(event, i, chained)).Error)
			}
			if _, failed := migrations.Up(t.Context(), db); err != nil || failed != nil {
				t.Fatal(err, failed)
			}
			for q, want := range map[string]int{"audit_chain": 2, "audit_queue": 1, "audit_events": 3, "audit_events WHERE seq = 2": 1, "audit_events WHERE seq IS NULL": 1} {
				var n int
				if err := db.Read(t.Context()).Raw("SELECT count(*) FROM " + q).Scan(&n).Error; err != nil || n != want {
					t.Errorf("%s: %d rows, %v, want %d", q, n, err, want)
				}
			}
		})
	}
}
