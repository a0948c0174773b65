package database

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"
)

// pool stands between gorm and database/sql. It brings every time to UTC and
// microseconds (SQLite compares times as text) and shows statements to tests.
type pool struct {
	*sql.DB
	trace  func(string)
	reader *pool // beside one that writes, on SQLite
}

func (p pool) GetDBConn() (*sql.DB, error) { return p.DB, nil }

func (p pool) BeginTx(ctx context.Context, o *sql.TxOptions) (gorm.ConnPool, error) {
	p.see("BEGIN")
	t, err := p.DB.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return &transaction{Tx: t, trace: p.trace}, nil
}

func (p pool) see(statement string) {
	if p.trace != nil {
		p.trace(statement)
	}
}

func (p pool) ExecContext(ctx context.Context, q string, args ...any) (sql.Result, error) {
	p.see(q)
	return p.DB.ExecContext(ctx, q, utc(args)...)
}

func (p pool) QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	p.see(q)
	return p.DB.QueryContext(ctx, q, utc(args)...)
}

func (p pool) QueryRowContext(ctx context.Context, q string, args ...any) *sql.Row {
	p.see(q)
	return p.DB.QueryRowContext(ctx, q, utc(args)...)
}

type transaction struct {
	*sql.Tx
	trace func(string)
}

func (t *transaction) see(statement string) {
	if t.trace != nil {
		t.trace(statement)
	}
}

func (t *transaction) Commit() error {
	t.see("COMMIT")
	return t.Tx.Commit()
}

func (t *transaction) ExecContext(ctx context.Context, q string, args ...any) (sql.Result, error) {
	t.see(q)
	return t.Tx.ExecContext(ctx, q, utc(args)...)
}

func (t *transaction) QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	t.see(q)
	return t.Tx.QueryContext(ctx, q, utc(args)...)
}

func (t *transaction) QueryRowContext(ctx context.Context, q string, args ...any) *sql.Row {
	t.see(q)
	return t.Tx.QueryRowContext(ctx, q, utc(args)...)
}

// utc changes args in place: gorm builds them for this one call.
func utc(args []any) []any {
	for i, a := range args {
		switch v := a.(type) {
		case time.Time:
			args[i] = Truncate(v)
		case *time.Time:
			if v != nil {
				args[i] = Truncate(*v)
			}
		}
	}
	return args
}

func (p pool) query(ctx context.Context, q string, args []any, each func(Row) error) error {
	return query(ctx, p, q, args, each)
}

func (p pool) exec(ctx context.Context, q string, args []any) (int64, error) {
	return exec(ctx, p, q, args)
}

func (p pool) later(ctx context.Context, q string, args []any) error {
	_, err := exec(ctx, p, q, args)
	return err
}

func (p pool) must(ctx context.Context, missing error, q string, args []any) error {
	return must(ctx, p, missing, q, args)
}

// together has only what writes stand in line for SQLite's one writer.
func (p pool) together(ctx context.Context, queries []Query) error {
	for _, r := range queries {
		to := p
		if p.reader != nil && !r.Writes {
			to = *p.reader
		}
		if err := to.query(ctx, r.Text, r.Args, r.Each); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) together(ctx context.Context, queries []Query) error {
	return inTurn(ctx, t, queries)
}

func (t *transaction) must(ctx context.Context, missing error, q string, args []any) error {
	return must(ctx, t, missing, q, args)
}

// must waits for the row.
func must(ctx context.Context, to sender, missing error, q string, args []any) error {
	found := false
	err := to.query(ctx, q, args, func(Row) error {
		found = true
		return nil
	})
	if err == nil && !found {
		return missing
	}
	return err
}

// inTurn is together where nothing is gained by it.
func inTurn(ctx context.Context, to sender, queries []Query) error {
	for _, r := range queries {
		if err := to.query(ctx, r.Text, r.Args, r.Each); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) query(ctx context.Context, q string, args []any, each func(Row) error) error {
	return query(ctx, t, q, args, each)
}

func (t *transaction) exec(ctx context.Context, q string, args []any) (int64, error) {
	return exec(ctx, t, q, args)
}

func (t *transaction) later(ctx context.Context, q string, args []any) error {
	_, err := exec(ctx, t, q, args)
	return err
}

func query(ctx context.Context, p gorm.ConnPool, q string, args []any, each func(Row) error) error {
	rows, err := p.QueryContext(ctx, q, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func exec(ctx context.Context, p gorm.ConnPool, q string, args []any) (int64, error) {
	res, err := p.ExecContext(ctx, q, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
