package consent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
)

// store is the table consents: one row for a citizen and a client.
type store struct{ db *database.DB }

type row struct {
	Claims  string
	Offline bool
}

func (r row) kept() (kept, error) {
	k := kept{offline: r.Offline}
	if err := json.Unmarshal([]byte(r.Claims), &k.claims); err != nil {
		return kept{}, fmt.Errorf("decode kept claims: %w", err)
	}
	return k, nil
}

func (s store) get(ctx context.Context, citizen citizens.ID, client string) (*kept, error) {
	var r row
	tx := s.db.Read(ctx).Raw(`SELECT claims, offline FROM consents WHERE citizen_id = ? AND client_id = ?`,
		string(citizen), client).Scan(&r)
	if tx.Error != nil || tx.RowsAffected == 0 {
		return nil, tx.Error
	}
	k, err := r.kept()
	return &k, err
}

// add widens what is kept by k. The first statement takes the row's lock, made
// or found, so that two tabs that agree to different things both count.
func (s store) add(ctx context.Context, citizen citizens.ID, client string, k kept) error {
	var r row
	err := s.db.Write(ctx).Raw(`INSERT INTO consents (citizen_id, client_id, claims, offline, created_at, updated_at)
		VALUES (?, ?, '[]', ?, ?, ?)
		ON CONFLICT (citizen_id, client_id) DO UPDATE SET updated_at = excluded.updated_at
		RETURNING claims, offline`,
		string(citizen), client, false, s.db.NowExpr(), s.db.NowExpr()).Scan(&r).Error
	if err != nil {
		return err
	}
	before, err := r.kept()
	if err != nil {
		return err
	}
	all := append(before.claims, k.claims...)
	slices.Sort(all)
	text, err := json.Marshal(slices.Compact(all))
	if err != nil {
		return fmt.Errorf("encode kept claims: %w", err)
	}
	return s.db.Write(ctx).Exec(`UPDATE consents SET claims = ?, offline = ? WHERE citizen_id = ? AND client_id = ?`,
		string(text), before.offline || k.offline, string(citizen), client).Error
}

func (s store) remove(ctx context.Context, citizen citizens.ID, client string) (bool, error) {
	tx := s.db.Write(ctx).Exec(`DELETE FROM consents WHERE citizen_id = ? AND client_id = ?`, string(citizen), client)
	return tx.RowsAffected == 1, tx.Error
}
