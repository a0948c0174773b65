package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"

	driver "gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// openSQLite opens one connection for writing and a pool for reading: with a
// shared pool writers starve, because SQLite's busy handler is not fair.
func openSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	if err := private(path); err != nil {
		return nil, err
	}
	w, err := sqlitePool(path, "_txlock=immediate", 1)
	if err != nil {
		return nil, err
	}
	// the first connection creates the file and turns it to WAL, which
	// readers cannot do for themselves
	if err := w.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open SQLite file %s: %w", path, err), w.Close())
	}
	r, err := sqlitePool(path, "_pragma=query_only(1)", max(4, runtime.NumCPU()))
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	db := &DB{dialect: SQLite, path: path, clock: o.Clock, pools: []*sql.DB{w, r}}
	if db.write, err = open(dialector(pool{w, o.Trace, &pool{DB: r, trace: o.Trace}})); err == nil {
		db.read, err = open(dialector(pool{DB: r, trace: o.Trace}))
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// private makes the file, where it does not exist, for its owner alone: names
// and addresses stand in it. SQLite gives its other files the same mode.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open SQLite file: %w", err)
	}
	return f.Close()
}

func sqlitePool(path, mode string, conns int) (*sql.DB, error) {
	const pragmas = "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=foreign_keys(1)&_pragma=secure_delete(1)&_time_format=sqlite"
	p, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+pragmas+"&"+mode)
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	p.SetMaxOpenConns(conns)
	p.SetMaxIdleConns(conns)
	return p, nil
}

// sqliteDialector is gorm's, over the pure Go driver and with its errors.
type sqliteDialector struct{ *driver.Dialector }

func dialector(p gorm.ConnPool) gorm.Dialector {
	return sqliteDialector{&driver.Dialector{DriverName: "sqlite", Conn: p}}
}

// Translate maps the driver's constraint errors to gorm's, as the PostgreSQL
// dialector does.
func (sqliteDialector) Translate(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return gorm.ErrDuplicatedKey
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return gorm.ErrForeignKeyViolated
	case sqlite3.SQLITE_CONSTRAINT_CHECK:
		return gorm.ErrCheckConstraintViolated
	default:
		return err
	}
}
