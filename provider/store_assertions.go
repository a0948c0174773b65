package provider

import (
	"context"
	"fmt"
	"time"

	"ente.example/idp/database"
)

// firstSeen notes a client's assertion, and reports whether it is new. One
// statement decides between any number of nodes.
func (g *grants) firstSeen(ctx context.Context, client string, jti []byte, until time.Time) (bool, error) {
	res := g.db.Write(ctx).Exec(`INSERT INTO assertion_jtis (client_id, jti_hash, expires_at) VALUES (?, ?, ?)
		ON CONFLICT (client_id, jti_hash) DO NOTHING`, client, jti, database.Truncate(until))
	if res.Error != nil {
		return false, fmt.Errorf("note assertion: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}
