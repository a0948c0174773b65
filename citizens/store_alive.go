package citizens

import (
	"context"
	"fmt"

	"ente.example/idp/database"
)

const alive = `SELECT deceased_on IS NULL FROM citizens WHERE id = ?`

// Alive tells whether a person is in the registry and not reported dead: what
// whoever holds a PIN has to look at once more, and nothing else of the row.
func (r *Registry) Alive(ctx context.Context, id ID) (yes bool, err error) {
	if _, err = r.db.Reader(ctx).One(alive, []any{string(id)}, &yes); err != nil {
		return false, fmt.Errorf("read whether a citizen lives: %w", err)
	}
	return yes, nil
}

// AskingAlive is Alive as a statement to be sent with others: yes is true once
// it was answered so.
func (r *Registry) AskingAlive(id ID, yes *bool) database.Read {
	return database.Read{Text: alive, Args: []any{string(id)}, Each: func(row database.Row) error { return row.Scan(yes) }}
}
