// Package migrations brings a database to the schema this program was built
// for: plain SQL, once for each dialect, same numbers and names, forward only.
//
// It may be run by any number of nodes and commands at once: on PostgreSQL
// goose's session lock admits one at a time (so it needs a direct connection,
// not a transaction pooler), on SQLite a lock on the file PATH.lock does.
package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/pressly/goose/v3"
	record "github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"

	"ente.example/idp/database"
)

//go:embed postgres/*.sql sqlite/*.sql
var files embed.FS

// ErrOlder says that the schema lacks migrations that this program needs.
var ErrOlder = errors.New("the database schema is older than this program: run idp migrate up")

// ErrNewer says that a newer program has migrated the schema.
var ErrNewer = errors.New("the database schema is newer than this program knows: run a newer idp")

// Migration is one step of the schema and whether it has been taken.
type Migration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// Up applies what is missing and returns the names of what it applied. It
// waits while another process does the same.
func Up(ctx context.Context, db *database.DB) ([]string, error) {
	unlock, err := lockFile(db)
	if err != nil {
		return nil, err
	}
	defer unlock()
	p, err := provider(db)
	if err != nil {
		return nil, err
	}
	if err := newer(ctx, p); err != nil {
		return nil, err
	}
	results, err := p.Up(ctx)
	var names []string
	for _, r := range results {
		names = append(names, r.Source.Path)
	}
	if err != nil {
		return names, fmt.Errorf("migrate: %w", err)
	}
	return names, nil
}

// Status lists every migration this program knows.
func Status(ctx context.Context, db *database.DB) ([]Migration, error) {
	p, err := provider(db)
	if err != nil {
		return nil, err
	}
	all, err := p.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read migration status: %w", err)
	}
	list := make([]Migration, 0, len(all))
	for _, s := range all {
		list = append(list, Migration{s.Source.Version, s.Source.Path, s.State == goose.StateApplied})
	}
	return list, nil
}

// Check reports ErrOlder or ErrNewer where schema and program differ. It reads
// one table and writes nothing, and waits for nobody: every node asks it whenever
// somebody asks whether it is ready, also while another one migrates.
func Check(ctx context.Context, db *database.DB) error {
	dir, dialect := kind(db)
	table, err := record.NewStore(dialect, goose.DefaultTablename)
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	rows, err := table.ListMigrations(ctx, db.SQL())
	if err != nil {
		if empty(ctx, db) {
			return ErrOlder
		}
		return fmt.Errorf("read schema version: %w", err)
	}
	applied := map[int64]bool{}
	for _, r := range rows {
		applied[r.Version] = r.IsApplied
	}
	return compare(dir, applied)
}

// empty reports whether nobody has ever migrated the database.
func empty(ctx context.Context, db *database.DB) bool {
	query := "SELECT count(to_regclass('" + goose.DefaultTablename + "'))"
	if db.Dialect() == database.SQLite {
		query = "SELECT count(*) FROM sqlite_master WHERE name = '" + goose.DefaultTablename + "'"
	}
	var tables int
	err := db.SQL().QueryRowContext(ctx, query).Scan(&tables)
	return err == nil && tables == 0
}

// compare says what the migrations applied are to those that this program knows.
func compare(dir string, applied map[int64]bool) error {
	names, err := fs.Glob(files, dir+"/*.sql")
	if err != nil {
		return fmt.Errorf("list migrations: %w", err)
	}
	var last int64
	older := false
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return fmt.Errorf("list migrations: %w", err)
		}
		last, older = max(last, version), older || !applied[version]
	}
	for version := range applied {
		if version > last {
			return ErrNewer
		}
	}
	if older {
		return ErrOlder
	}
	return nil
}

func newer(ctx context.Context, p *goose.Provider) error {
	has, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	sources := p.ListSources()
	if len(sources) > 0 && has > sources[len(sources)-1].Version {
		return ErrNewer
	}
	return nil
}

func provider(db *database.DB) (*goose.Provider, error) {
	dir, dialect := kind(db)
	var options []goose.ProviderOption
	if dialect == goose.DialectPostgres {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 600))
		if err != nil {
			return nil, fmt.Errorf("prepare migration lock: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	sub, err := fs.Sub(files, dir)
	if err != nil {
		return nil, fmt.Errorf("open migrations: %w", err)
	}
	p, err := goose.NewProvider(dialect, db.SQL(), sub, options...)
	if err != nil {
		return nil, fmt.Errorf("prepare migrations: %w", err)
	}
	return p, nil
}

// kind is the folder of a database's migrations, and goose's name for it.
func kind(db *database.DB) (dir string, dialect goose.Dialect) {
	if db.Dialect() == database.SQLite {
		return "sqlite", goose.DialectSQLite3
	}
	return "postgres", goose.DialectPostgres
}

// lockFile takes the exclusive lock beside a SQLite file; goose has none of
// its own there, and two first starts at once would both create tables.
func lockFile(db *database.DB) (unlock func(), err error) {
	if db.Dialect() != database.SQLite {
		return func() {}, nil
	}
	f, err := os.OpenFile(db.Path()+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock for migration: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock for migration: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}
