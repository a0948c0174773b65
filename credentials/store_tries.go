package credentials

import (
	"context"
	"time"

	"ente.example/idp/database"
)

// stranger counts a try at somebody who does not exist. One row a minute,
// whatever the number of tries and of made-up people.
func (s store) stranger(ctx context.Context, at time.Time, waits int) error {
	return s.db.Writer(ctx).Later(`
INSERT INTO pin_stranger_tries AS t (minute, tries, waits) VALUES (?, 1, ?)
ON CONFLICT (minute) DO UPDATE SET tries = t.tries + 1, waits = t.waits + excluded.waits`,
		at.Truncate(time.Minute), waits)
}

type minute struct {
	Minute database.Time
	Tries  int
	Waits  int
}

// takeMinutes removes the minutes that are over and returns them, each to one
// caller only. A late try opens its minute again, for the next round.
func (s store) takeMinutes(ctx context.Context) ([]minute, error) {
	var list []minute
	err := s.db.Write(ctx).Raw(`
DELETE FROM pin_stranger_tries WHERE minute IN (SELECT minute FROM pin_stranger_tries WHERE minute <= ? LIMIT ?)
RETURNING minute, tries, waits`, s.db.NowPlus(-time.Minute), batch).Scan(&list).Error
	return list, err
}
