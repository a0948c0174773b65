// Package database opens the product's one database, PostgreSQL or SQLite,
// and hides what differs between them: how transactions are begun, where
// reads and writes go, and whose clock says what time it is.
//
// It owns no table and imports nothing of ours. gorm is known here and in the
// store*.go files of the packages that own tables, nowhere else.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Dialect names the database that a DB speaks to.
type Dialect string

// The two dialects. PostgreSQL is for any number of nodes, SQLite for one.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// Options are what only tests set; the zero value is production.
type Options struct {
	// Clock moves the database's clock; nil leaves it alone.
	Clock *Clock
	// Trace sees every statement, BEGIN and COMMIT included, before it runs.
	Trace func(statement string)
	// Trip is called for each round trip to PostgreSQL, but those that prepare a
	// statement on a connection.
	Trip func()
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	dialect Dialect
	path    string // of the SQLite file
	clock   *Clock
	write   *gorm.DB
	read    *gorm.DB
	pools   []*sql.DB
}

// Open opens postgres://… or sqlite:PATH. It does not connect to PostgreSQL
// yet: a database that is down shows at the first statement, so that a node
// may start before its database does.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	if o.Clock == nil {
		o.Clock = &Clock{}
	}
	switch {
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		return openPostgres(url, o)
	case strings.HasPrefix(url, "sqlite:"):
		return openSQLite(ctx, strings.TrimPrefix(url, "sqlite:"), o)
	default:
		return nil, errors.New("database URL must begin with postgres: or sqlite: and an address")
	}
}

// Close closes every connection.
func (db *DB) Close() error {
	var errs []error
	for _, p := range db.pools {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// Dialect says which database this is.
func (db *DB) Dialect() Dialect { return db.dialect }

// Path is the SQLite file's path, empty for PostgreSQL.
func (db *DB) Path() string { return db.path }

// SQL is the pool that writes, for the migrations.
func (db *DB) SQL() *sql.DB { return db.pools[0] }

// Ping asks the database for a sign of life.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	return db.Read(ctx).Raw("SELECT 1").Scan(&one).Error
}

type txKey struct{}

// tx is an open transaction and what waits for its commit.
type tx struct {
	db       *DB
	gorm     *gorm.DB
	gathered []*gathering
	onDone   []func()
}

// InTx runs fn in a transaction and commits when it returns nil. Inside
// another transaction of the same DB it joins that one, so that services may
// call services. A refusal is a result and no error: an error rolls back.
//
// Nothing slow belongs inside: no network, no password hash (see Inside).
func (db *DB) InTx(ctx context.Context, fn func(ctx context.Context) error) error {
	if t := db.current(ctx); t != nil {
		return fn(ctx)
	}
	t := &tx{db: db}
	err := db.write.WithContext(ctx).Transaction(func(g *gorm.DB) error {
		t.gorm = g
		ctx := context.WithValue(ctx, txKey{}, t)
		if err := fn(ctx); err != nil {
			return err
		}
		return db.sendGathered(ctx)
	})
	if err != nil {
		return err
	}
	for _, f := range t.onDone {
		f()
	}
	return nil
}

// AfterCommit runs fn once the transaction of ctx has committed, or at once
// where there is none. A rollback forgets it.
func (db *DB) AfterCommit(ctx context.Context, fn func()) {
	if t := db.current(ctx); t != nil {
		t.onDone = append(t.onDone, fn)
		return
	}
	fn()
}

// Inside reports whether ctx carries an open transaction. What is slow asks
// it in order to refuse.
func Inside(ctx context.Context) bool {
	_, ok := ctx.Value(txKey{}).(*tx)
	return ok
}

// Read is the handle for reading: the transaction of ctx, else the read pool.
func (db *DB) Read(ctx context.Context) *gorm.DB {
	if t := db.current(ctx); t != nil {
		return t.gorm.WithContext(ctx)
	}
	return db.read.WithContext(ctx)
}

// Write is the handle for writing: the transaction of ctx, else one commit a
// statement.
func (db *DB) Write(ctx context.Context) *gorm.DB {
	if t := db.current(ctx); t != nil {
		return t.gorm.WithContext(ctx)
	}
	return db.write.WithContext(ctx)
}

func (db *DB) current(ctx context.Context) *tx {
	if t, ok := ctx.Value(txKey{}).(*tx); ok && t.db == db {
		return t
	}
	return nil
}

// open wraps a connection pool for gorm: no logger, since it prints values,
// and no implicit transaction around single statements.
func open(d gorm.Dialector) (*gorm.DB, error) {
	g, err := gorm.Open(d, &gorm.Config{
		Logger:                 logger.Discard,
		SkipDefaultTransaction: true,
		TranslateError:         true,
		DisableAutomaticPing:   true,
	})
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return g, nil
}
