// Package databasetest gives tests a migrated database of their own on both
// dialects, moves its clock, and counts what is sent to it.
package databasetest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/migrations"
)

// node is what a test may reach behind a DB it was given.
type node struct {
	clock   *database.Clock
	counter *Counter
}

var nodes sync.Map // *database.DB → node

// Each runs fn once on SQLite and once on PostgreSQL, in parallel, each time
// on a fresh, migrated database. Without PostgreSQL's server it says so and
// skips that half; under IDP_TEST_REQUIRE=1 it fails instead.
func Each(t *testing.T, fn func(t *testing.T, db *database.DB)) {
	t.Helper()
	each(t, func(t *testing.T, url string) {
		fn(t, Open(t, url, &database.Clock{}))
	})
}

// Two is Each with two nodes: two DBs on one database, one clock for both.
func Two(t *testing.T, fn func(t *testing.T, a, b *database.DB)) {
	t.Helper()
	each(t, func(t *testing.T, url string) {
		clock := &database.Clock{}
		fn(t, Open(t, url, clock), Open(t, url, clock))
	})
}

func each(t *testing.T, fn func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		fn(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		fn(t, Postgres(t))
	})
}

// Open opens one more node on a URL of SQLite or Postgres.
func Open(t testing.TB, url string, clock *database.Clock) *database.DB {
	t.Helper()
	c := &Counter{}
	db, err := database.Open(context.Background(), url, database.Options{Clock: clock, Trace: c.see, Trip: c.trip})
	if err != nil {
		t.Fatal(err)
	}
	nodes.Store(db, node{clock, c})
	t.Cleanup(func() {
		nodes.Delete(db)
		_ = db.Close()
	})
	return db
}

// Shift moves the database's clock forward, for every node that shares it.
func Shift(t testing.TB, db *database.DB, d time.Duration) {
	t.Helper()
	of(t, db).clock.Shift(d)
}

// Count resets and returns the counter of what db sends.
func Count(t testing.TB, db *database.DB) *Counter {
	t.Helper()
	c := of(t, db).counter
	c.Reset()
	return c
}

func of(t testing.TB, db *database.DB) node {
	t.Helper()
	n, ok := nodes.Load(db)
	if !ok {
		t.Fatal("this database was not opened by databasetest")
	}
	return n.(node)
}

// Counter records the statements of one node.
type Counter struct {
	mu         sync.Mutex
	statements []string
	commits    int
	trips      int
	begun      int
	before     func(statement string)
}

// Before has fn called ahead of every statement, BEGIN and COMMIT among them,
// by whoever sends it: for what must come exactly there.
func (c *Counter) Before(fn func(statement string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before = fn
}

func (c *Counter) see(q string) {
	c.mu.Lock()
	fn := c.before
	c.mu.Unlock()
	if fn != nil {
		fn(q)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch q {
	case "BEGIN":
		c.begun++
	case "COMMIT":
		c.commits++
	default:
		c.statements = append(c.statements, q)
	}
}

func (c *Counter) trip() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips++
}

// Trips is how often PostgreSQL was waited for since the last Reset, the
// preparing of statements aside; 0 on SQLite.
func (c *Counter) Trips() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trips
}

// Reset forgets what was counted.
func (c *Counter) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statements, c.commits, c.begun, c.trips = nil, 0, 0, 0
}

// Statements are what was sent since the last Reset, BEGIN and COMMIT aside.
func (c *Counter) Statements() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.statements...)
}

// Writes are the statements that change something.
func (c *Counter) Writes() []string {
	var w []string
	for _, q := range c.Statements() {
		if !strings.HasPrefix(strings.ToUpper(strings.TrimSpace(q)), "SELECT") {
			w = append(w, q)
		}
	}
	return w
}

// Commits counts committed transactions; statements that commit on their own
// are not among them.
func (c *Counter) Commits() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commits
}

// Barrier runs fn n times at once: every goroutine waits until all are ready.
func Barrier(n int, fn func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			ready.Done()
			<-start
			fn(i)
		}()
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// SQLite returns the URL of a fresh, migrated SQLite file.
func SQLite(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.db")
	template, err := sqliteTemplate()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, template, 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

// sqliteTemplate is a migrated file, made once a process.
var sqliteTemplate = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "idp-sqlite-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "template.db")
	if err := migrate("sqlite:" + path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func migrate(url string) error {
	ctx := context.Background()
	db, err := database.Open(ctx, url, database.Options{})
	if err != nil {
		return err
	}
	_, err = migrations.Up(ctx, db)
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	return err
}
