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

// MustLive is Alive for a transaction that is void with the error dead where the
// person is not.
func (r *Registry) MustLive(ctx context.Context, id ID, dead error) error {
	return r.db.Writer(ctx).Must(dead, `SELECT 1 FROM citizens WHERE id = ? AND deceased_on IS NULL`, string(id))
}
