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
	k, read := s.asking(string(citizen), client)
	err := s.db.Reader(ctx).Together(read)
	return k.kept, err
}

// asking reads what a citizen keeps, whose id is known or looked up.
func (s store) asking(citizen any, client string) (*Kept, database.Query) {
	k := &Kept{}
	return k, database.Query{
		Text: `SELECT claims, offline FROM consents WHERE citizen_id = ? AND client_id = ?`, Args: []any{citizen, client},
		Each: func(found database.Row) error {
			var r row
			if err := found.Scan(&r.Claims, &r.Offline); err != nil {
				return err
			}
			one, err := r.kept()
			k.kept = &one
			return err
		},
	}
}

// add widens what is kept by k. The first statement takes the row's lock, made
// or found, so that two tabs that agree to different things both count; where
// nothing was kept before, it is the only one.
func (s store) add(ctx context.Context, citizen citizens.ID, client string, k kept) error {
	text, err := encode(k.claims)
	if err != nil {
		return err
	}
	var r row
	_, err = s.db.Writer(ctx).One(`INSERT INTO consents (citizen_id, client_id, claims, offline, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (citizen_id, client_id) DO UPDATE SET updated_at = excluded.updated_at
		RETURNING claims, offline`,
		[]any{string(citizen), client, text, k.offline, s.db.NowExpr(), s.db.NowExpr()}, &r.Claims, &r.Offline)
	if err != nil {
		return err
	}
	before, err := r.kept()
	if err != nil || before.holds(k) {
		return err
	}
	if text, err = encode(append(before.claims, k.claims...)); err != nil {
		return err
	}
	return s.db.Writer(ctx).Later(`UPDATE consents SET claims = ?, offline = ? WHERE citizen_id = ? AND client_id = ?`,
		text, before.offline || k.offline, string(citizen), client)
}

func encode(claims []string) (string, error) {
	all := append([]string{}, claims...)
	slices.Sort(all)
	text, err := json.Marshal(slices.Compact(all))
	if err != nil {
		return "", fmt.Errorf("encode kept claims: %w", err)
	}
	return string(text), nil
}

// holds tells whether all of other is in k.
func (k kept) holds(other kept) bool {
	return (k.offline || !other.offline) &&
		!slices.ContainsFunc(other.claims, func(c string) bool { return !slices.Contains(k.claims, c) })
}

func (s store) remove(ctx context.Context, citizen citizens.ID, client string) (bool, error) {
	tx := s.db.Write(ctx).Exec(`DELETE FROM consents WHERE citizen_id = ? AND client_id = ?`, string(citizen), client)
	return tx.RowsAffected == 1, tx.Error
}
