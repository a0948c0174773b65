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

// Check reports ErrOlder or ErrNewer where schema and program differ.
func Check(ctx context.Context, db *database.DB) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	if err := newer(ctx, p); err != nil {
		return err
	}
	pending, err := p.HasPending(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if pending {
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
	dir, dialect := "postgres", goose.DialectPostgres
	var options []goose.ProviderOption
	if db.Dialect() == database.SQLite {
		dir, dialect = "sqlite", goose.DialectSQLite3
	} else {
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
