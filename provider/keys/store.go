package keys

import (
	"context"
	"fmt"
	"time"

	"ente.example/idp/database"
	"gorm.io/gorm/clause"
)

// row is one row of provider_keys, in every state but the forgotten ones.
type row struct {
	Kid            string
	Alg            string
	State          string
	PublicJWK      string `gorm:"column:public_jwk"`
	Proof          []byte // that this program made the key
	Sealed         []byte // the private key; NULL once it is of no use
	CreatedAt      database.Time
	ActivatesAt    database.Time // of a pending key: not before
	ActivatedAt    database.Time
	PublishedUntil database.Time // of a retiring key, which others may still be using: then retired
	ExpiresAt      database.Time // of a retired or revoked key: then forgotten
	Now            database.Time // the database's clock at the read
}

// store is the only writer of provider_keys. Every change is one conditional
// statement, so any number of nodes may try the same one.
type store struct{ db *database.DB }

// all reads every key and the database's clock in one statement.
func (s *store) all(ctx context.Context) ([]row, time.Time, error) {
	var rows []row
	err := s.db.Read(ctx).Raw(`SELECT kid, alg, state, public_jwk, proof, sealed, created_at,
		activates_at, activated_at, published_until, expires_at, ? AS now
		FROM provider_keys ORDER BY alg, created_at, kid`, s.db.NowExpr()).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, time.Time{}, err
	}
	return rows, rows[0].Now.Time, nil
}

// add inserts a key unless its algorithm has one in that state already.
func (s *store) add(ctx context.Context, r row, usable time.Duration) (bool, error) {
	var activated any
	if r.State == stateActive {
		activated = s.db.NowExpr()
	}
	res := s.db.Write(ctx).Exec(`INSERT INTO provider_keys
		(kid, alg, state, public_jwk, proof, sealed, created_at, activates_at, activated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		r.Kid, r.Alg, r.State, r.PublicJWK, r.Proof, r.Sealed, s.db.NowExpr(), s.db.NowPlus(usable), activated)
	return res.RowsAffected == 1, res.Error
}

// retire ends the use of alg's active key if a successor is due. The private
// part of one that signed is erased at once; nodes that have not heard yet hold
// it in memory for some seconds more. One that others encrypt to keeps it.
func (s *store) retire(ctx context.Context, alg string, published time.Duration) (bool, error) {
	kept := clause.Expr{SQL: "NULL"}
	if useOf(alg) == useEncryption {
		kept = clause.Expr{SQL: "sealed"}
	}
	res := s.db.Write(ctx).Exec(`UPDATE provider_keys SET state = 'retiring', sealed = ?, published_until = ?
		WHERE alg = ? AND state = 'active' AND EXISTS (
			SELECT 1 FROM provider_keys p WHERE p.alg = ? AND p.state = 'pending' AND p.activates_at <= ?)`,
		kept, s.db.NowPlus(published), alg, alg, s.db.NowExpr())
	return res.RowsAffected == 1, res.Error
}

// promote makes alg's pending key the active one; early promotes it though it
// is not due (its predecessor is revoked). It says which key that was.
func (s *store) promote(ctx context.Context, alg string, early bool) (kid string, err error) {
	q := s.db.Write(ctx)
	due := clause.Expr{SQL: "activates_at <= ?", Vars: []any{s.db.NowExpr()}}
	if early {
		due = clause.Expr{SQL: "1 = 1"}
	}
	err = q.Raw(`UPDATE provider_keys SET state = 'active', activated_at = ?
		WHERE alg = ? AND state = 'pending' AND ?
		AND NOT EXISTS (SELECT 1 FROM provider_keys a WHERE a.alg = ? AND a.state = 'active')
		RETURNING kid`, s.db.NowExpr(), alg, due, alg).Scan(&kid).Error
	return kid, err
}

// settle retires what need no longer be published, or open anything, and
// forgets what no signature can need.
func (s *store) settle(ctx context.Context, remember time.Duration) error {
	err := s.db.Write(ctx).Exec(`UPDATE provider_keys SET state = 'retired', sealed = NULL, expires_at = ?
		WHERE state = 'retiring' AND published_until <= ?`, s.db.NowPlus(remember), s.db.NowExpr()).Error
	if err != nil {
		return err
	}
	return s.db.Write(ctx).Exec(`DELETE FROM provider_keys WHERE expires_at <= ?`, s.db.NowExpr()).Error
}

// revoke ends a key whatever it was, and says what it was.
func (s *store) revoke(ctx context.Context, kid string, remember time.Duration) (was row, err error) {
	for range 10 { // the state may change between the two statements
		was = row{}
		err = s.db.Write(ctx).Raw(`SELECT kid, alg, state FROM provider_keys WHERE kid = ?`, kid).Scan(&was).Error
		if err != nil || was.Kid == "" || was.State == stateRevoked {
			return was, err
		}
		res := s.db.Write(ctx).Exec(`UPDATE provider_keys SET state = 'revoked', sealed = NULL, expires_at = ?
			WHERE kid = ? AND state = ?`, s.db.NowPlus(remember), kid, was.State)
		if res.Error != nil || res.RowsAffected == 1 {
			return was, res.Error
		}
	}
	return was, fmt.Errorf("key %s keeps changing", kid)
}

// reseal replaces what was made with an older sealing key. A private part that
// was erased meanwhile stays so.
func (s *store) reseal(ctx context.Context, old, anew row) (bool, error) {
	if len(anew.Sealed) > 0 {
		res := s.db.Write(ctx).Exec(`UPDATE provider_keys SET proof = ?, sealed = ? WHERE kid = ? AND proof = ? AND sealed = ?`,
			anew.Proof, anew.Sealed, old.Kid, old.Proof, old.Sealed)
		if res.Error != nil || res.RowsAffected == 1 {
			return res.Error == nil, res.Error
		}
	}
	res := s.db.Write(ctx).Exec(`UPDATE provider_keys SET proof = ? WHERE kid = ? AND proof = ?`, anew.Proof, old.Kid, old.Proof)
	return res.RowsAffected == 1, res.Error
}
