package meter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Waits is what a server's connections were found at, in one look after another.
type Waits struct {
	Looks       int `json:"looks"`
	Connections int `json:"connections"` // the most there were at once
	Busy        int `json:"busy"`        // with a statement under way, summed over all looks
	Locked      int `json:"locked"`      // of them, waiting for somebody else's lock
	Logged      int `json:"logged"`      // of them, waiting for the log to reach the disk
}

// look is often enough to see what is frequent, and costs little beside a load.
const look = 50 * time.Millisecond

const activity = `SELECT count(*), count(*) FILTER (WHERE state = 'active'),
	count(*) FILTER (WHERE state = 'active' AND wait_event_type = 'Lock'),
	count(*) FILTER (WHERE state = 'active' AND wait_event IN ('WALSync', 'WALWrite'))
	FROM pg_stat_activity WHERE datname = current_database() AND usename <> current_user`

// Watch looks until it is stopped.
func (p *Postgres) Watch(ctx context.Context) (stop func() (Waits, error), err error) {
	conn, err := pgx.Connect(ctx, address(p.dir, "bench", "meter"))
	if err != nil {
		return nil, fmt.Errorf("watch connections: %w", err)
	}
	var w Waits
	end, done := make(chan struct{}), make(chan error, 1)
	go func() {
		t := time.NewTicker(look)
		defer t.Stop()
		for {
			select {
			case <-end:
				done <- conn.Close(ctx)
				return
			case <-t.C:
				if err := w.add(ctx, conn); err != nil {
					done <- errors.Join(err, conn.Close(ctx))
					return
				}
			}
		}
	}()
	return func() (Waits, error) {
		close(end)
		err := <-done
		return w, err
	}, nil
}

func (w *Waits) add(ctx context.Context, conn *pgx.Conn) error {
	var connections, busy, locked, logged int
	if err := conn.QueryRow(ctx, activity).Scan(&connections, &busy, &locked, &logged); err != nil {
		return fmt.Errorf("look at connections: %w", err)
	}
	w.Looks, w.Connections = w.Looks+1, max(w.Connections, connections)
	w.Busy, w.Locked, w.Logged = w.Busy+busy, w.Locked+locked, w.Logged+logged
	return nil
}
