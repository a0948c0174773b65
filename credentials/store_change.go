package credentials

import (
	"context"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
)

// changeRow is a change in progress, with the form of the PIN it replaces. A
// person has one at most: a later one takes the row.
type changeRow struct {
	CitizenID     citizens.ID
	ID            ChangeID
	CredentialID  ID
	Candidate     []byte
	Regenerations int
	ExpiresAt     database.Time
	Form          form
	Now           database.Time
}

func (s store) startChange(ctx context.Context, r changeRow, life time.Duration) error {
	return s.db.Write(ctx).Exec(`
INSERT INTO pin_changes (citizen_id, id, credential_id, candidate, regenerations, slips, expires_at) VALUES (?, ?, ?, ?, 0, 0, ?)
ON CONFLICT (citizen_id) DO UPDATE SET id = excluded.id, credential_id = excluded.credential_id, candidate = excluded.candidate,
  regenerations = 0, slips = 0, expires_at = excluded.expires_at`,
		r.CitizenID, r.ID, r.CredentialID, r.Candidate, s.db.NowPlus(life)).Error
}

func (s store) change(ctx context.Context, id ChangeID) (changeRow, bool, error) {
	var row changeRow
	r := s.db.Read(ctx).Raw(`
SELECT x.citizen_id, x.id, x.credential_id, x.candidate, x.regenerations, x.expires_at, c.form, ? AS now
FROM pin_changes AS x JOIN credentials AS c ON c.id = x.credential_id
WHERE x.id = ? AND x.expires_at > ?`, s.db.NowExpr(), id, s.db.NowExpr()).Scan(&row)
	return row, r.RowsAffected == 1, r.Error
}

// regenerate goes by what the caller has read: of two clicks one counts.
func (s store) regenerate(ctx context.Context, r changeRow, life time.Duration) (bool, error) {
	x := s.db.Write(ctx).Exec(`
UPDATE pin_changes SET candidate = ?, regenerations = regenerations + 1, expires_at = ?
WHERE id = ? AND regenerations = ? AND expires_at > ?`, r.Candidate, s.db.NowPlus(life), r.ID, r.Regenerations, s.db.NowExpr())
	return x.RowsAffected == 1, x.Error
}

func (s store) slip(ctx context.Context, id ChangeID) (slips int, found bool, err error) {
	r := s.db.Write(ctx).Raw(`UPDATE pin_changes SET slips = slips + 1 WHERE id = ? AND expires_at > ? RETURNING slips`,
		id, s.db.NowExpr()).Scan(&slips)
	return slips, r.RowsAffected == 1, r.Error
}

func (s store) endChange(ctx context.Context, id ChangeID) (bool, error) {
	r := s.db.Write(ctx).Exec(`DELETE FROM pin_changes WHERE id = ? AND expires_at > ?`, id, s.db.NowExpr())
	return r.RowsAffected == 1, r.Error
}

// endChangesOf ends whatever change a person is in the middle of.
func (s store) endChangesOf(ctx context.Context, id citizens.ID) error {
	return s.db.Write(ctx).Exec(`DELETE FROM pin_changes WHERE citizen_id = ?`, id).Error
}

func (s store) purgeChanges(ctx context.Context) (int64, error) {
	r := s.db.Write(ctx).Exec(`DELETE FROM pin_changes WHERE citizen_id IN (SELECT citizen_id FROM pin_changes WHERE expires_at <= ? LIMIT ?)`,
		s.db.NowExpr(), batch)
	return r.RowsAffected, r.Error
}
