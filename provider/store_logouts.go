package provider

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm/clause"

	"ente.example/idp/database"
)

// logouts are the tables session_clients and logouts.
type logouts struct{ db *database.DB }

// logoutRow is a service that is still to be told.
type logoutRow struct {
	ID        string
	ClientID  string
	SessionID string
	Subject   string
	Attempts  int
	Late      bool // the last try it gets
}

const (
	logoutBatch = 20
	// logoutLease is how long one node has for its try, logoutLife how long a
	// service is tried that does not answer.
	logoutLease = 30 * time.Second
	logoutLife  = 2 * time.Hour
)

// remember notes that a session has signed its citizen in at a client, in the
// caller's transaction.
func (l logouts) remember(ctx context.Context, g *grantRow, idle, life time.Duration) error {
	err := l.db.Write(ctx).Exec(`INSERT INTO session_clients (session_id, client_id, subject, look_at, expires_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (session_id, client_id) DO NOTHING`, g.SessionID, g.ClientID, g.Subject, l.db.NowPlus(idle), l.db.NowPlus(life)).Error
	if err != nil {
		return fmt.Errorf("remember a sign-in: %w", err)
	}
	return nil
}

// of are the clients that a session has signed its citizen in at.
func (l logouts) of(ctx context.Context, session string) (list []logoutRow, err error) {
	err = l.db.Read(ctx).Raw(`SELECT client_id, session_id, subject FROM session_clients WHERE session_id = ?`, session).Scan(&list).Error
	if err != nil {
		return nil, fmt.Errorf("read a session's services: %w", err)
	}
	return list, nil
}

// toLook takes sessions that may have gone idle, for as long as a look lasts.
func (l logouts) toLook(ctx context.Context) (sessions []string, err error) {
	err = l.db.Write(ctx).Raw(`UPDATE session_clients SET look_at = ? WHERE (session_id, client_id) IN
		(SELECT session_id, client_id FROM session_clients WHERE look_at <= ? ORDER BY look_at LIMIT ?) RETURNING session_id`,
		l.db.NowPlus(logoutLease), l.db.NowExpr(), logoutBatch).Scan(&sessions).Error
	if err != nil {
		return nil, fmt.Errorf("look for idle sessions: %w", err)
	}
	slices.Sort(sessions)
	return slices.Compact(sessions), nil
}

func (l logouts) lookAgain(ctx context.Context, session string, at time.Time) error {
	err := l.db.Write(ctx).Exec(`UPDATE session_clients SET look_at = ? WHERE session_id = ?`, database.Truncate(at), session).Error
	if err != nil {
		return fmt.Errorf("look at a session later: %w", err)
	}
	return nil
}

// forget takes a session's clients out, for whoever ends it; of two only one
// gets them.
func (l logouts) forget(ctx context.Context, session string) (list []logoutRow, err error) {
	err = l.db.Write(ctx).Raw(`DELETE FROM session_clients WHERE session_id = ? RETURNING client_id, session_id, subject`, session).Scan(&list).Error
	if err != nil {
		return nil, fmt.Errorf("take a session's services: %w", err)
	}
	return list, nil
}

func (l logouts) add(ctx context.Context, row logoutRow) error {
	err := l.db.Write(ctx).Exec(`INSERT INTO logouts (id, client_id, session_id, subject, attempts, next_at, expires_at) VALUES (?, ?, ?, ?, 0, ?, ?)`,
		uuid.Must(uuid.NewV7()).String(), row.ClientID, row.SessionID, row.Subject, l.db.NowExpr(), l.db.NowPlus(logoutLife)).Error
	if err != nil {
		return fmt.Errorf("queue a logout: %w", err)
	}
	return nil
}

// claim takes what is due, most rows at most, for as long as a try lasts. What has
// been tried less comes first: who never answers is in nobody's way.
func (l logouts) claim(ctx context.Context, most int) (list []logoutRow, err error) {
	var lock clause.Expr // SQLite's writers stand in line anyway
	if l.db.Dialect() == database.Postgres {
		lock.SQL = "FOR UPDATE SKIP LOCKED"
	}
	err = l.db.Write(ctx).Raw(`WITH due AS (SELECT id AS due_id FROM logouts WHERE next_at <= ? ORDER BY attempts, next_at LIMIT ? ?)
		UPDATE logouts SET next_at = ?, attempts = attempts + 1 FROM due WHERE id = due_id
		RETURNING id, client_id, session_id, subject, attempts, (expires_at <= ?) AS late`,
		l.db.NowExpr(), most, lock, l.db.NowPlus(logoutLease), l.db.NowExpr()).Scan(&list).Error
	if err != nil {
		return nil, fmt.Errorf("claim logouts: %w", err)
	}
	return list, nil
}

func (l logouts) putOff(ctx context.Context, id string, pause time.Duration) error {
	if err := l.db.Write(ctx).Exec(`UPDATE logouts SET next_at = ? WHERE id = ?`, l.db.NowPlus(pause), id).Error; err != nil {
		return fmt.Errorf("put a logout off: %w", err)
	}
	return nil
}

// end is true for the one that ends it.
func (l logouts) end(ctx context.Context, id string) (bool, error) {
	r := l.db.Write(ctx).Exec(`DELETE FROM logouts WHERE id = ?`, id)
	if r.Error != nil {
		return false, fmt.Errorf("end a logout: %w", r.Error)
	}
	return r.RowsAffected == 1, nil
}

// sweep forgets sessions that have run out by themselves.
func (l logouts) sweep(ctx context.Context) (int, error) {
	r := l.db.Write(ctx).Exec(`DELETE FROM session_clients WHERE (session_id, client_id) IN
		(SELECT session_id, client_id FROM session_clients WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`, l.db.NowExpr(), sweepBatch)
	if r.Error != nil {
		return 0, fmt.Errorf("sweep sessions' services: %w", r.Error)
	}
	return int(r.RowsAffected), nil
}
