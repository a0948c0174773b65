package database

import (
	"context"
	"strings"
)

// most is how many rows of a transaction go into one INSERT: each number of rows
// is a statement of its own to a database that keeps what it has parsed.
const most = 16

// gathering are rows for one INSERT that a transaction has not sent yet.
type gathering struct {
	insert string
	rows   [][]any
}

// Gather adds a row to an INSERT, which insert begins and VALUES follows. In a
// transaction rows of the same INSERT go out together, after all else and before
// the COMMIT, so that nothing else in it may ask for them; its error is then the
// transaction's. Outside of one a row is written at once.
func (h Handle) Gather(insert string, row ...any) error {
	t := h.db.current(h.ctx)
	if t == nil {
		_, err := h.Do(values(insert, 1), row)
		return err
	}
	g := t.gathering(insert)
	if g.rows = append(g.rows, row); len(g.rows) < most {
		return nil
	}
	return g.send(h)
}

func (t *tx) gathering(insert string) *gathering {
	for _, g := range t.gathered {
		if g.insert == insert {
			return g
		}
	}
	g := &gathering{insert: insert}
	t.gathered = append(t.gathered, g)
	return g
}

// sendGathered writes what a transaction has gathered. The commit is next.
func (db *DB) sendGathered(ctx context.Context) error {
	for _, g := range db.current(ctx).gathered {
		if err := g.send(db.Writer(ctx)); err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) send(h Handle) error {
	if len(g.rows) == 0 {
		return nil
	}
	rows := make([]any, len(g.rows))
	for i, row := range g.rows {
		rows[i] = row
	}
	g.rows = g.rows[:0]
	return h.Later(values(g.insert, len(rows)), rows...)
}

// values has a ? for each row, which finish makes a list in parentheses.
func values(insert string, rows int) string {
	return insert + " VALUES ?" + strings.Repeat(", ?", rows-1)
}
