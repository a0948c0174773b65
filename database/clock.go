package database

import (
	"context"
	"database/sql/driver"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"gorm.io/gorm/clause"
)

// Clock shifts what the database takes for now. Only databasetest makes one:
// deadlines are tested by moving the clock, never by waiting.
type Clock struct{ shift atomic.Int64 }

// Shift moves the clock forward by d from where it stands.
func (c *Clock) Shift(d time.Duration) { c.shift.Add(int64(d)) }

func (c *Clock) offset() time.Duration { return time.Duration(c.shift.Load()) }

// Now asks the database what time it is: UTC, in microseconds. On PostgreSQL
// that is a statement; hot paths select NowExpr beside what they read.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	if db.dialect == SQLite {
		return db.local(), nil
	}
	var now Time
	if err := db.Read(ctx).Raw("SELECT ? AS now", db.NowExpr()).Row().Scan(&now); err != nil {
		return time.Time{}, fmt.Errorf("read the database's clock: %w", err)
	}
	return now.Time, nil
}

// NowExpr is the database's clock as SQL: the one place that every 'now' of
// every statement comes from. Processes that share a SQLite file share its
// machine's clock, so there it is a bound value.
func (db *DB) NowExpr() clause.Expr { return db.NowPlus(0) }

// NowPlus is the database's clock moved by d, as SQL. On PostgreSQL that is when
// the statement began: of a clock that goes on meanwhile no index can be asked
// what is due, and every row would be read.
func (db *DB) NowPlus(d time.Duration) clause.Expr {
	if db.dialect == SQLite {
		return clause.Expr{SQL: "?", Vars: []any{db.local().Add(d).Truncate(time.Microsecond)}}
	}
	if d += db.clock.offset(); d == 0 {
		return clause.Expr{SQL: "statement_timestamp()"}
	}
	return clause.Expr{SQL: fmt.Sprintf("(statement_timestamp() + interval '%d microseconds')", d.Microseconds())}
}

func (db *DB) local() time.Time { return Truncate(time.Now().Add(db.clock.offset())) }

// Truncate brings a time to what both databases keep: UTC, microseconds.
func Truncate(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Time is a time.Time that also scans from an expression or a RETURNING
// column, which the SQLite driver hands over as text.
type Time struct{ time.Time }

// Scan implements sql.Scanner. NULL is the zero time.
func (t *Time) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		t.Time = time.Time{}
	case time.Time:
		t.Time = v.UTC()
	case string:
		return t.parse(v)
	case []byte:
		return t.parse(string(v))
	default:
		return fmt.Errorf("scan a time: unexpected %T", src)
	}
	return nil
}

// ScanTimestamptz implements pgtype.TimestamptzScanner: Scan without a detour by
// way of database/sql's values.
func (t *Time) ScanTimestamptz(v pgtype.Timestamptz) error {
	if v.InfinityModifier != pgtype.Finite {
		return fmt.Errorf("scan a time: unexpected %s", v.InfinityModifier)
	}
	t.Time = v.Time
	if v.Valid {
		t.Time = v.Time.UTC()
	}
	return nil
}

func (t *Time) parse(s string) error {
	p, err := time.Parse("2006-01-02 15:04:05.999999999-07:00", s)
	if err != nil {
		return fmt.Errorf("scan a time: %w", err)
	}
	t.Time = p.UTC()
	return nil
}

// Value implements driver.Valuer. The zero time is NULL.
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return nil, nil
	}
	return Truncate(t.Time), nil
}

// Ptr is nil for the zero time.
func (t Time) Ptr() *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t.Time
}
