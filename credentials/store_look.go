package credentials

import (
	"context"
	"time"

	"gorm.io/gorm"

	"ente.example/idp/database"
)

// toLook lists some PINs whose time to be looked at has come.
func (s store) toLook(ctx context.Context) ([]ID, error) {
	var list []ID
	err := s.db.Read(ctx).Raw(`SELECT id FROM credentials
WHERE state IN ('issued', 'active', 'inactive', 'dismissed') AND look_at <= ? ORDER BY look_at LIMIT ?`, s.db.NowExpr(), batch).Scan(&list).Error
	return list, err
}

// takeLook holds a PIN that is to be looked at until the transaction ends, and
// says when it is looked at next if nothing sooner turns up.
func (s store) takeLook(ctx context.Context, id ID) (bool, error) {
	return one(s.db.Write(ctx).Exec(`UPDATE credentials SET look_at = ?
WHERE id = ? AND state IN ('issued', 'active', 'inactive', 'dismissed') AND look_at <= ?`, s.db.NowPlus(relook), id, s.db.NowExpr()))
}

func (s store) lookIn(ctx context.Context, id ID, d time.Duration) error {
	return s.db.Write(ctx).Exec(`UPDATE credentials SET look_at = ? WHERE id = ?`, s.db.NowPlus(d), id).Error
}

func (s store) reminded(ctx context.Context, id ID, days int, due time.Time) error {
	return s.db.Write(ctx).Exec(`UPDATE credentials SET notice_step = ?, notice_due = ? WHERE id = ?`, days, database.Truncate(due), id).Error
}

func (s store) announce(ctx context.Context, id ID, until time.Time) (bool, error) {
	return one(s.db.Write(ctx).Exec(`UPDATE credentials SET dismissal_at = ?
WHERE id = ? AND dismissal_at IS NULL AND state IN ('issued', 'active', 'inactive')`, database.Truncate(until), id))
}

// reprofile notes that a PIN is right under the profile in force as well.
func (s store) reprofile(ctx context.Context, id ID) error {
	return s.db.Write(ctx).Exec(`UPDATE credentials SET profile = ? WHERE id = ?`, s.profile, id).Error
}

func (s store) dismiss(ctx context.Context, id ID) (bool, error) {
	return one(s.db.Write(ctx).Exec(`UPDATE credentials SET state = 'dismissed'
WHERE id = ? AND state IN ('issued', 'active', 'inactive') AND dismissal_at <= ?`, id, s.db.NowExpr()))
}

// readmit gives a PIN back the state that it had. One that was inactive is found
// so again at the next look, a first one that is too old by the sweep.
func (s store) readmit(ctx context.Context, id ID) (bool, error) {
	return one(s.db.Write(ctx).Exec(`UPDATE credentials SET dismissal_at = NULL, look_at = ?, profile = ?,
  state = CASE WHEN state <> 'dismissed' THEN state WHEN form = 'initial' THEN 'issued' ELSE 'active' END
WHERE id = ? AND dismissal_at IS NOT NULL AND ended_at IS NULL`, s.db.NowExpr(), s.profile, id))
}

// deactivate goes by the access that the caller has read: it holds the row.
func (s store) deactivate(ctx context.Context, id ID) (bool, error) {
	return one(s.db.Write(ctx).Exec(`UPDATE credentials SET state = 'inactive' WHERE id = ? AND state = 'active'`, id))
}

func one(r *gorm.DB) (bool, error) { return r.RowsAffected == 1, r.Error }
