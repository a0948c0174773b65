package citizens

import (
	"context"
	"fmt"
)

// Alive tells whether a person is in the registry and not reported dead: what
// whoever holds a PIN has to look at once more, and nothing else of the row.
func (r *Registry) Alive(ctx context.Context, id ID) (alive bool, err error) {
	if _, err = r.db.Reader(ctx).One(`SELECT deceased_on IS NULL FROM citizens WHERE id = ?`, []any{string(id)}, &alive); err != nil {
		return false, fmt.Errorf("read whether a citizen lives: %w", err)
	}
	return alive, nil
}
