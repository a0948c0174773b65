package meter

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Index is a B-tree.
type Index struct {
	Name, Table string
	Bytes       int64
	Rows        float64
	Levels      int // pages from the root to a row's entry, both counted
	Entries     int // in the root
	Free        int // bytes left in the root
}

// usable is what a page of 8 KiB has for entries.
const usable = 8192 - 24 - 16

// Grown is Levels once there are so many times as many rows: the root's entries
// grow with the rows, and a page is added above it when it holds no more.
func (i Index) Grown(times int) int {
	if i.Entries == 0 {
		return i.Levels
	}
	most := float64(i.Entries) * usable / float64(max(1, usable-i.Free))
	levels := i.Levels
	for entries := float64(i.Entries * times); entries > most; entries /= most {
		levels++
	}
	return levels
}

const indexes = `SELECT i.relname, t.relname, pg_relation_size(i.oid), i.reltuples, m.level + 1, s.live_items, s.free_size
	FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid JOIN pg_am a ON a.oid = i.relam,
	bt_metap(i.relname) m, bt_page_stats(i.relname, m.root) s
	WHERE a.amname = 'btree' AND t.relnamespace = 'public'::regnamespace AND m.root > 0 ORDER BY pg_relation_size(i.oid) DESC`

// Indexes are the database's, the largest first.
func (p *Postgres) Indexes(ctx context.Context) ([]Index, error) {
	if _, err := p.conn.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS pageinspect"); err != nil {
		return nil, fmt.Errorf("look into indexes: %w", err)
	}
	rows, err := p.conn.Query(ctx, indexes)
	if err != nil {
		return nil, fmt.Errorf("look into indexes: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Index])
}

// Statement is what the server remembers of one: means of all its calls.
type Statement struct {
	Text   string
	Calls  int64
	Micros float64
	Pages  float64 // touched
	Read   float64 // of them, not in the server's memory
	WAL    float64 // bytes
}

// Forget has the server begin to remember anew.
func (p *Postgres) Forget(ctx context.Context) error {
	_, err := p.conn.Exec(ctx, "SELECT pg_stat_statements_reset()")
	return err
}

// Statements are the program's that name a table, the most frequent first.
func (p *Postgres) Statements(ctx context.Context, table string) ([]Statement, error) {
	rows, err := p.conn.Query(ctx, `SELECT regexp_replace(query, '\s+', ' ', 'g'), calls, 1000 * mean_exec_time,
		(shared_blks_hit + shared_blks_read)::float8 / calls, shared_blks_read::float8 / calls, wal_bytes::float8 / calls
		FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
		WHERE d.datname = current_database() AND s.userid <> current_user::regrole AND strpos(query, $1) > 0 ORDER BY calls DESC`, table)
	if err != nil {
		return nil, fmt.Errorf("list statements: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Statement])
}
