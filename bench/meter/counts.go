package meter

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Counts are what a database has done and holds.
type Counts struct {
	Statements int64            `json:"statements"` // BEGIN, COMMIT and the like aside
	Commits    int64            `json:"commits"`    // transactions that wrote: each takes a number
	Rollbacks  int64            `json:"rollbacks"`  // transactions that came to nothing
	Deadlocks  int64            `json:"deadlocks"`
	WAL        int64            `json:"wal"`   // bytes
	Rows       map[string]int64 `json:"rows"`  // by table
	Bytes      map[string]int64 `json:"bytes"` // by table, indexes included
}

// Less is what came between before and c.
func (c Counts) Less(before Counts) Counts {
	return Counts{
		Statements: c.Statements - before.Statements, Commits: c.Commits - before.Commits, WAL: c.WAL - before.WAL,
		Rollbacks: c.Rollbacks - before.Rollbacks, Deadlocks: c.Deadlocks - before.Deadlocks,
		Rows: less(c.Rows, before.Rows), Bytes: less(c.Bytes, before.Bytes),
	}
}

func less(now, before map[string]int64) map[string]int64 {
	d := map[string]int64{}
	for name, n := range now {
		if n != before[name] {
			d[name] = n - before[name]
		}
	}
	return d
}

// counted leaves out what this package asks, which has a role of its own.
const counted = `SELECT
	(SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
		WHERE d.datname = current_database() AND s.userid <> current_user::regrole
		AND query !~* '^\s*(begin|commit|rollback|start transaction|deallocate|discard|;|-- ping)'),
	pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
	(SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()),
	(SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()),
	pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint`

// tables are counted row by row while that is quick; of large ones the server's
// own sums are taken, which are a second late.
const tables = `SELECT s.relname, pg_total_relation_size(relid)::bigint, CASE WHEN c.reltuples > 50000 THEN n_tup_ins - n_tup_del ELSE -1 END
	FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid`

// Counts are the database's so far.
func (p *Postgres) Counts(ctx context.Context) (Counts, error) {
	c := Counts{Rows: map[string]int64{}, Bytes: map[string]int64{}}
	if err := p.conn.QueryRow(ctx, counted).Scan(&c.Statements, &c.Commits, &c.Rollbacks, &c.Deadlocks, &c.WAL); err != nil {
		return c, fmt.Errorf("count statements: %w", err)
	}
	rows, err := p.conn.Query(ctx, tables)
	if err != nil {
		return c, fmt.Errorf("list tables: %w", err)
	}
	var name string
	var size, n int64
	if _, err = pgx.ForEachRow(rows, []any{&name, &size, &n}, func() error { c.Bytes[name], c.Rows[name] = size, n; return nil }); err != nil {
		return c, fmt.Errorf("list tables: %w", err)
	}
	for name, n := range c.Rows {
		if n >= 0 {
			continue
		}
		if err := p.conn.QueryRow(ctx, "SELECT count(*) FROM "+pgx.Identifier{name}.Sanitize()).Scan(&n); err != nil {
			return c, fmt.Errorf("count %s: %w", name, err)
		}
		c.Rows[name] = n
	}
	return c, nil
}

// Costliest are the statements that have taken the server's most time, each
// with its share, calls and microseconds a call.
func (p *Postgres) Costliest(ctx context.Context) ([]string, error) {
	rows, err := p.conn.Query(ctx, `SELECT format('%s %% %s calls %s us  %s',
		round((100 * total_exec_time / sum(total_exec_time) OVER ())::numeric, 1), calls, round((1000 * mean_exec_time)::numeric), regexp_replace(left(query, 200), '\s+', ' ', 'g'))
		FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
		WHERE d.datname = current_database() AND s.userid <> current_user::regrole ORDER BY total_exec_time DESC LIMIT 40`)
	if err != nil {
		return nil, fmt.Errorf("list statements: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Log tells how often the server's write-ahead log was written and synced, and
// how many transactions have written to it: some share a sync. The server's own
// sums are up to ten seconds late.
func (p *Postgres) Log(ctx context.Context) (text string, err error) {
	err = p.conn.QueryRow(ctx, `SELECT format('log: %s syncs, %s writes, %s bytes for %s transactions', wal_sync, wal_write, wal_bytes, pg_snapshot_xmax(pg_current_snapshot()))
		FROM pg_stat_wal`).Scan(&text)
	if err != nil {
		return "", fmt.Errorf("read pg_stat_wal: %w", err)
	}
	return text, nil
}
