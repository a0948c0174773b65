package citizens

import (
	"context"
	"fmt"

	"ente.example/idp/database"
)

// Alive tells whether a person is in the registry and not reported dead: what
// whoever holds a PIN has to look at once more, and nothing else of the row.
func (r *Registry) Alive(ctx context.Context, id ID) (alive bool, err error) {
	q := Living(id)
	if alive, err = r.db.Reader(ctx).One(q.Text, q.Args, new(int)); err != nil {
		return false, fmt.Errorf("read whether a citizen lives: %w", err)
	}
	return alive, nil
}

// Living is a row if a person is in the registry and not reported dead, for a
// statement of whoever may write only about such a person.
func Living(id ID) database.Subquery {
	return database.Subquery{Text: `SELECT 1 FROM citizens WHERE id = ? AND deceased_on IS NULL`, Args: []any{string(id)}}
}
