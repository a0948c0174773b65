package credentials

import (
	"context"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/delivery"
)

// notice is a row of pin_notices.
type notice struct {
	ID        string
	CitizenID citizens.ID
	Message   delivery.MessageKey
	LinkKey   []byte
	CodeKey   []byte
}

func (s store) noticesToday(ctx context.Context, who citizens.ID, key delivery.MessageKey) (n int, now time.Time, err error) {
	var at database.Time
	err = s.db.Read(ctx).Raw(`SELECT count(*), ? AS now FROM pin_notices WHERE citizen_id = ? AND message = ? AND created_at > ?`,
		s.db.NowExpr(), who, key, s.db.NowPlus(-24*time.Hour)).Row().Scan(&n, &at)
	return n, at.Time, err
}

func (s store) addNotice(ctx context.Context, n notice, life time.Duration) error {
	return s.db.Write(ctx).Exec(`INSERT INTO pin_notices (id, citizen_id, message, link_key, code_key, tries, created_at, expires_at)
VALUES (?, ?, ?, ?, ?, 0, ?, ?)`, n.ID, n.CitizenID, n.Message, n.LinkKey, n.CodeKey, s.db.NowExpr(), s.db.NowPlus(life)).Error
}

const noticeColumns = `id, citizen_id, message, link_key, code_key`

func (s store) noticeByLink(ctx context.Context, link [][]byte) (notice, bool, error) {
	var n notice
	r := s.db.Read(ctx).Raw(`SELECT `+noticeColumns+` FROM pin_notices WHERE link_key IN ? AND reported_at IS NULL AND expires_at > ?`,
		link, s.db.NowExpr()).Scan(&n)
	return n, r.RowsAffected == 1, r.Error
}

// tryNotices counts a try at the codes of all of a person's notices, before it
// is looked at, and hands out those that have tries left.
func (s store) tryNotices(ctx context.Context, who citizens.ID, most int) ([]notice, error) {
	var list []notice
	err := s.db.Write(ctx).Raw(`UPDATE pin_notices SET tries = tries + 1
WHERE citizen_id = ? AND tries < ? AND reported_at IS NULL AND expires_at > ? RETURNING `+noticeColumns,
		who, most, s.db.NowExpr()).Scan(&list).Error
	return list, err
}

// report uses a notice up.
func (s store) report(ctx context.Context, id string) (bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE pin_notices SET reported_at = ? WHERE id = ? AND reported_at IS NULL AND expires_at > ?`,
		s.db.NowExpr(), id, s.db.NowExpr())
	return r.RowsAffected == 1, r.Error
}

func (s store) purgeNotices(ctx context.Context) (int64, error) {
	r := s.db.Write(ctx).Exec(`DELETE FROM pin_notices WHERE id IN (SELECT id FROM pin_notices WHERE expires_at <= ? LIMIT ?)`,
		s.db.NowExpr(), batch)
	return r.RowsAffected, r.Error
}
