package meter

import (
	"context"
	"fmt"
)

// Table is what a table holds.
type Table struct {
	Rows  int64
	Dead  int64 // that vacuum will take back; the server's estimate
	Bytes int64 // with indexes
}

// Tables are those named.
func (p *Postgres) Tables(ctx context.Context, names ...string) (map[string]Table, error) {
	all := map[string]Table{}
	for _, name := range names {
		var t Table
		err := p.conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM `+name+`), n_dead_tup, pg_total_relation_size(relid)
			FROM pg_stat_user_tables WHERE relname = $1`, name).Scan(&t.Rows, &t.Dead, &t.Bytes)
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", name, err)
		}
		all[name] = t
	}
	return all, nil
}
