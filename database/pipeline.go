package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/gorm"
)

// pipelined is the pool for PostgreSQL. gorm goes through database/sql as on
// SQLite; a Handle's statements go to pgx itself, and what need not be waited
// for goes out together with what must.
type pipelined struct{ pool }

func (p pipelined) BeginTx(ctx context.Context, _ *sql.TxOptions) (gorm.ConnPool, error) {
	conn, err := p.DB.Conn(ctx)
	if err != nil {
		return nil, err
	}
	t := &pipeline{ctx: ctx, conn: conn, trace: p.trace}
	t.keep("BEGIN", nil)
	return t, nil
}

func (p pipelined) query(ctx context.Context, q string, args []any, each func(Row) error) error {
	_, err := p.send(ctx, q, args, each)
	return err
}

func (p pipelined) exec(ctx context.Context, q string, args []any) (int64, error) {
	return p.send(ctx, q, args, nil)
}

func (p pipelined) later(ctx context.Context, q string, args []any) error {
	_, err := p.send(ctx, q, args, nil)
	return err
}

func (p pipelined) must(ctx context.Context, missing error, q string, args []any) error {
	return must(ctx, p, missing, q, args)
}

func (p pipelined) together(ctx context.Context, queries []Query) error {
	for _, r := range queries {
		p.see(r.Text)
	}
	return p.attempt(ctx, func(c *pgx.Conn) error {
		var batch pgx.Batch // of this connection: it notes there what has been prepared
		for _, r := range queries {
			batch.Queue(r.Text, r.Args...)
		}
		results := c.SendBatch(ctx, &batch)
		return end(results, each(results, queries))
	})
}

// each hands the rows of queries over, one query after the other.
func each(results pgx.BatchResults, queries []Query) error {
	for _, r := range queries {
		rows, err := results.Query()
		if _, err := drain(rows, err, r.Each); err != nil {
			return err
		}
	}
	return nil
}

func (p pipelined) send(ctx context.Context, q string, args []any, each func(Row) error) (n int64, err error) {
	p.see(q)
	err = p.attempt(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, q, args...)
		n, err = drain(rows, err, each)
		return err
	})
	return n, err
}

// attempt takes another connection where the one it had turns out to be dead
// before anything was sent.
func (p pipelined) attempt(ctx context.Context, fn func(*pgx.Conn) error) (err error) {
	const attempts = 3
	for range attempts {
		var conn *sql.Conn
		if conn, err = p.DB.Conn(ctx); err != nil {
			return err
		}
		err = raw(conn, fn)
		_ = conn.Close() // gives it back; a broken one is not taken again
		if !pgconn.SafeToRetry(err) {
			break
		}
	}
	return err
}

// pipeline is a transaction on PostgreSQL. Statements kept back, BEGIN first
// among them, go out with the next one that is waited for, in one round trip.
type pipeline struct {
	ctx   context.Context
	conn  *sql.Conn
	trace func(string)
	kept  outgoing
	sent  bool // something has gone out, and so there is something to end
}

func (t *pipeline) see(q string) {
	if t.trace != nil {
		t.trace(q)
	}
}

// outgoing are statements of one round trip, and for each the error that a row
// is missing, nil where none needs to be there.
type outgoing struct {
	pgx.Batch
	missing []error
}

func (o *outgoing) add(missing error, q string, args []any) {
	o.Queue(q, args...)
	o.missing = append(o.missing, missing)
}

func (t *pipeline) keep(q string, args []any) {
	t.see(q)
	t.kept.add(nil, q, args)
}

func (t *pipeline) later(_ context.Context, q string, args []any) error {
	t.keep(q, args)
	return nil
}

// must has the server itself fail where there is no row: what stands behind the
// statement, the COMMIT too, is on its way already.
func (t *pipeline) must(_ context.Context, missing error, q string, args []any) error {
	t.see(q)
	t.kept.add(missing, "WITH found AS ("+q+") SELECT 1 / count(*) FROM found", args)
	return nil
}

// noRow is how the server says that must has found none: division_by_zero.
const noRow = "22012"

func (t *pipeline) query(ctx context.Context, q string, args []any, each func(Row) error) error {
	t.see(q)
	_, err := t.send(ctx, q, args, each)
	return err
}

func (t *pipeline) exec(ctx context.Context, q string, args []any) (int64, error) {
	t.see(q)
	return t.send(ctx, q, args, nil)
}

// together sends what was kept back, and queries behind it.
func (t *pipeline) together(ctx context.Context, queries []Query) error {
	for _, r := range queries {
		t.see(r.Text)
	}
	first := t.take()
	return raw(t.conn, func(c *pgx.Conn) error {
		for _, r := range queries {
			first.Queue(r.Text, r.Args...)
		}
		results := c.SendBatch(ctx, &first.Batch)
		err := skip(results, first.missing)
		if err == nil {
			err = each(results, queries)
		}
		return end(results, err)
	})
}

// send sends what was kept back, and q behind it.
func (t *pipeline) send(ctx context.Context, q string, args []any, each func(Row) error) (n int64, err error) {
	first := t.take()
	err = raw(t.conn, func(c *pgx.Conn) error {
		if first.Len() == 0 {
			rows, err := c.Query(ctx, q, args...)
			n, err = drain(rows, err, each)
			return err
		}
		first.Queue(q, args...)
		results := c.SendBatch(ctx, &first.Batch)
		if err = skip(results, first.missing); err == nil {
			rows, failed := results.Query()
			n, err = drain(rows, failed, each)
		}
		return end(results, err)
	})
	return n, err
}

// take is what was kept back, which goes out now.
func (t *pipeline) take() outgoing {
	first := t.kept
	t.kept, t.sent = outgoing{}, true
	return first
}

// flush sends what was kept back, for a statement that goes another way.
func (t *pipeline) flush(ctx context.Context) error {
	if t.kept.Len() == 0 {
		return nil
	}
	first := t.take()
	return raw(t.conn, func(c *pgx.Conn) error {
		results := c.SendBatch(ctx, &first.Batch)
		return end(results, skip(results, first.missing))
	})
}

// skip reads the results of statements that nobody waits for, and tells which of
// them has missed its row.
func skip(results pgx.BatchResults, missing []error) error {
	for _, m := range missing {
		_, err := results.Exec()
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && m != nil && pg.Code == noRow {
			return m
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// end reads what is left of results. The first error is the one that tells why:
// whatever stands behind it fails for its sake.
func end(results pgx.BatchResults, first error) error {
	if err := results.Close(); first == nil {
		return err
	}
	return first
}

// drain hands rows over and says how many the statement has touched.
func drain(rows pgx.Rows, err error, each func(Row) error) (int64, error) {
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for each != nil && rows.Next() {
		if err := each(rows); err != nil {
			return 0, err
		}
	}
	rows.Close()
	return rows.CommandTag().RowsAffected(), rows.Err()
}

func raw(conn *sql.Conn, fn func(*pgx.Conn) error) error {
	return conn.Raw(func(c any) error { return fn(c.(*stdlib.Conn).Conn()) })
}

// Commit implements gorm.TxCommitter. A transaction that sent nothing has
// nothing to end; after an error gorm rolls back.
func (t *pipeline) Commit() error {
	t.see("COMMIT")
	if err := t.ctx.Err(); err != nil {
		return err
	}
	if t.sent || t.kept.Len() > 1 {
		if err := t.commit(); err != nil {
			return err
		}
	}
	return t.conn.Close()
}

// commit knows the one answer that means it: a transaction in which something
// has failed answers ROLLBACK, and no error.
func (t *pipeline) commit() error {
	first := t.take()
	first.Queue("COMMIT")
	return raw(t.conn, func(c *pgx.Conn) error {
		results := c.SendBatch(t.ctx, &first.Batch)
		err := skip(results, first.missing)
		if err == nil {
			var tag pgconn.CommandTag
			if tag, err = results.Exec(); err == nil && tag.String() != "COMMIT" {
				err = pgx.ErrTxCommitRollback
			}
		}
		return end(results, err)
	})
}

// Rollback implements gorm.TxCommitter. The connection is left fit for the
// next: a pool throws away what is not. So it is not cancelled with the request.
func (t *pipeline) Rollback() error {
	defer func() { _ = t.conn.Close() }()
	if !t.sent {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), 5*time.Second)
	defer cancel()
	return raw(t.conn, func(c *pgx.Conn) error {
		if c.IsClosed() || c.PgConn().TxStatus() == 'I' {
			return nil
		}
		if _, err := c.Exec(ctx, "ROLLBACK"); err != nil {
			return fmt.Errorf("roll back: %w", err)
		}
		return nil
	})
}

// PrepareContext, ExecContext, QueryContext and QueryRowContext implement
// gorm.ConnPool.
func (t *pipeline) PrepareContext(ctx context.Context, q string) (*sql.Stmt, error) {
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	return t.conn.PrepareContext(ctx, q)
}

func (t *pipeline) ExecContext(ctx context.Context, q string, args ...any) (sql.Result, error) {
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	t.see(q)
	return t.conn.ExecContext(ctx, q, utc(args)...)
}

func (t *pipeline) QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	t.see(q)
	return t.conn.QueryContext(ctx, q, utc(args)...)
}

func (t *pipeline) QueryRowContext(ctx context.Context, q string, args ...any) *sql.Row {
	if err := t.flush(ctx); err != nil {
		gone, cancel := context.WithCancelCause(ctx)
		cancel(err) // a row cannot be told of an error in another way
		return t.conn.QueryRowContext(gone, q)
	}
	t.see(q)
	return t.conn.QueryRowContext(ctx, q, utc(args)...)
}
