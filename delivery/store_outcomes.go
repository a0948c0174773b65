package delivery

import (
	"context"

	"github.com/google/uuid"

	"ente.example/idp/database"
)

// outcomes owns the table delivery_outcomes.
type outcomes struct{ db *database.DB }

// about finds what a report speaks of. A message that is held back has been
// given to nobody, so nobody can tell anything about it.
func (s outcomes) about(ctx context.Context, r Report) (delivery, error) {
	id, err := uuid.Parse(r.Delivery)
	if err != nil {
		return delivery{}, ErrUnknownDelivery // PostgreSQL would refuse the comparison
	}
	var list []delivery
	err = s.db.Read(ctx).Raw(`SELECT id, channel, message, citizen_id, ref, state FROM deliveries WHERE id = ? AND channel = ?`,
		id.String(), r.Channel).Scan(&list).Error
	if err == nil && (len(list) == 0 || list[0].State == held) {
		err = ErrUnknownDelivery
	}
	if err != nil {
		return delivery{}, err
	}
	return list[0], nil
}

// note is false if the same has been told before.
func (s outcomes) note(ctx context.Context, r Report) (bool, error) {
	q := s.db.Write(ctx).Exec(`
INSERT INTO delivery_outcomes (delivery_id, result, at, uncertified, told_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		r.Delivery, r.Result, database.Truncate(r.At), r.Uncertified, s.db.NowExpr())
	return q.RowsAffected == 1, q.Error
}
