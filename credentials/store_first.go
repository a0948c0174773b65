package credentials

import (
	"context"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
)

// changed is why a PIN ended that its owner has changed.
const changed = "changed"

// fateRow is what is told of a first PIN.
type fateRow struct {
	ID        ID
	State     State
	DueAt     database.Time
	EndReason string
}

func (s store) fates(ctx context.Context, pins []ID) ([]fateRow, error) {
	var list []fateRow
	err := s.db.Read(ctx).Raw(`SELECT id, state, due_at, end_reason FROM credentials WHERE id IN ?`, pins).Scan(&list).Error
	return list, err
}

// lastLetter leaves recoveries out, whose halves go by telephone and mail, and
// letters that have done their work: the PIN was used, or its owner had it
// revoked and may ask for another at once (R52).
func (s store) lastLetter(ctx context.Context, id citizens.ID) (time.Time, error) {
	var last struct{ SecondHalfAt database.Time }
	err := s.db.Read(ctx).Raw(`SELECT second_half_at FROM credentials
WHERE citizen_id = ? AND origin = ? AND second_half_at IS NOT NULL AND state NOT IN (?, ?) ORDER BY second_half_at DESC LIMIT 1`, id, enrolment, superseded, Revoked).Scan(&last).Error
	return last.SecondHalfAt.Time, err
}

// void ends a first PIN whose halves are not where they should be: on its way
// it is discarded, issued it runs out. One that has been used stays.
func (s store) void(ctx context.Context, id ID, why string) ([]ended, error) {
	list, err := s.discard(ctx, id, why)
	if err != nil || len(list) > 0 {
		return list, err
	}
	return s.end(ctx, ExpiredUnused, why, `id = ? AND state = 'issued'`, id)
}
