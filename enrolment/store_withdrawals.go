package enrolment

import (
	"context"
	"time"
)

// offer writes the key of a new code by which a request can be taken back, in
// the place of the one before. False: a day has seen enough of them.
func (s requestStore) offer(ctx context.Context, id string, key []byte, life time.Duration, most int) (bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE enrolments SET withdraw_key = ?, withdraw_tries = 0, withdraw_due_at = ?,
  withdraw_sent = CASE WHEN withdraw_sent_at > ? THEN withdraw_sent + 1 ELSE 1 END, withdraw_sent_at = ?
WHERE id = ? AND withdrawn_at IS NULL AND (withdraw_sent_at IS NULL OR withdraw_sent_at <= ? OR withdraw_sent < ?)`,
		key, s.db.NowPlus(life), s.db.NowPlus(-24*time.Hour), s.db.NowExpr(), id, s.db.NowPlus(-24*time.Hour), most)
	return r.RowsAffected == 1, r.Error
}

// tryWithdrawal counts one code, before anybody looks at it.
func (s requestStore) tryWithdrawal(ctx context.Context, tracking [][]byte, person []byte, most int) (request, bool, error) {
	var row request
	r := s.db.Write(ctx).Raw(`UPDATE enrolments SET withdraw_tries = withdraw_tries + 1
WHERE tracking_key IN ? AND fiscal_code_key = ? AND withdraw_tries < ? AND withdraw_due_at > ?
RETURNING `+requestColumns+`, ? AS now`, tracking, person, most, s.db.NowExpr(), s.db.NowExpr()).Scan(&row)
	return row, row.ID != "", r.Error
}

// conceal marks a rejected request as taken back, which is what it then looks
// like; its contact goes.
func (s requestStore) conceal(ctx context.Context, id string) (bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE enrolments SET withdrawn_at = ?, reply = NULL, reply_until = NULL
WHERE id = ? AND state = 'rejected' AND withdrawn_at IS NULL`, s.db.NowExpr(), id)
	return r.RowsAffected == 1, r.Error
}

// forgetReplies drops the contacts of rejected requests that look over.
func (s requestStore) forgetReplies(ctx context.Context) (int64, error) {
	r := s.db.Write(ctx).Exec(`UPDATE enrolments SET reply = NULL, reply_until = NULL
WHERE id IN (SELECT id FROM enrolments WHERE reply_until <= ? LIMIT ?)`, s.db.NowExpr(), batch)
	return r.RowsAffected, r.Error
}
