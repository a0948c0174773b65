package credentials

import (
	"context"

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

// void ends a first PIN whose halves are not where they should be: on its way
// it is discarded, issued it runs out. One that has been used stays.
func (s store) void(ctx context.Context, id ID, why string) ([]ended, error) {
	list, err := s.discard(ctx, id, why)
	if err != nil || len(list) > 0 {
		return list, err
	}
	return s.end(ctx, ExpiredUnused, why, `id = ? AND state = 'issued'`, id)
}
