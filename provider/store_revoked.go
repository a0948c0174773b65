package provider

import (
	"context"
	"time"

	"ente.example/idp/database"
)

// revokedTokens are the access tokens that were revoked one by one: those of
// client_credentials, which no grant stands behind. Their times are the node's
// and not the database's, because issuing them asks the database nothing.
type revokedTokens struct{ db *database.DB }

// slack keeps a row past its token's end: clocks of nodes differ.
const slack = time.Minute

// add is idempotent.
func (s *revokedTokens) add(ctx context.Context, jti, client string, expires time.Time) error {
	return s.db.Write(ctx).Exec(`INSERT INTO revoked_tokens (jti, client_id, expires_at) VALUES (?, ?, ?)
		ON CONFLICT (jti) DO NOTHING`, jti, client, expires.Add(slack)).Error
}

func (s *revokedTokens) has(ctx context.Context, jti string) (bool, error) {
	var n int
	err := s.db.Read(ctx).Raw(`SELECT count(*) FROM revoked_tokens WHERE jti = ?`, jti).Scan(&n).Error
	return n > 0, err
}

// sweep deletes a batch of rows whose tokens are over anyway.
func (s *revokedTokens) sweep(ctx context.Context) (int, error) {
	res := s.db.Write(ctx).Exec(`DELETE FROM revoked_tokens WHERE jti IN
		(SELECT jti FROM revoked_tokens WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`, s.db.NowExpr(), sweepBatch)
	return int(res.RowsAffected), res.Error
}
