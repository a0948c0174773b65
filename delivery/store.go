package delivery

import (
	"context"
	"time"

	"gorm.io/gorm/clause"

	"ente.example/idp/database"
)

// The states of a delivery. Held and queued ones have a body and a time by
// which they end; the others have neither.
const (
	held      = "held"
	queued    = "queued"
	accepted  = "accepted"
	dead      = "dead"
	cancelled = "cancelled"
)

// claims is how many messages one worker takes at a time, purges how many dead
// rows one statement removes.
const (
	claims = 8
	purges = 1000
)

type delivery struct {
	ID        string
	Channel   string
	Message   string
	CitizenID string
	Ref       string
	Body      []byte
	State     string
	Attempts  int
	CreatedAt database.Time
}

type store struct {
	db     *database.DB
	policy Policy
}

// insert gives a held message its own time in which to be released, before
// that of its hand-over begins.
func (s store) insert(ctx context.Context, d delivery) error {
	patience := s.policy.GiveUp
	if d.State == held {
		patience *= 2
	}
	return s.db.Write(ctx).Exec(`
INSERT INTO deliveries (id, channel, message, citizen_id, ref, body, state, attempts, created_at, next_at, give_up_at, problem)
VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, '')`,
		d.ID, d.Channel, d.Message, d.CitizenID, d.Ref, d.Body, d.State, s.db.NowExpr(), s.db.NowExpr(), s.db.NowPlus(patience)).Error
}

func (s store) release(ctx context.Context, ref string) error {
	return s.db.Write(ctx).Exec(`UPDATE deliveries SET state = ?, next_at = ?, give_up_at = ? WHERE ref = ? AND state = ?`,
		queued, s.db.NowExpr(), s.db.NowPlus(s.policy.GiveUp), ref, held).Error
}

func (s store) cancel(ctx context.Context, ref string) error {
	return s.db.Write(ctx).Exec(`
UPDATE deliveries SET state = ?, body = NULL, leased_till = NULL, ended_at = ?, purge_at = ? WHERE ref = ? AND state IN (?, ?)`,
		cancelled, s.db.NowExpr(), s.db.NowPlus(s.policy.Keep), ref, held, queued).Error
}

// due lists the channels for which something waits. It only reads, so that
// polling does not take SQLite's one writer. The state is spelt out, here and in
// claim: an index of what is queued serves no statement with a placeholder.
func (s store) due(ctx context.Context) ([]Channel, error) {
	var list []Channel
	err := s.db.Read(ctx).Raw(`
SELECT DISTINCT channel FROM deliveries
WHERE state = 'queued' AND next_at <= ? AND (leased_till IS NULL OR leased_till <= ?)`, s.db.NowExpr(), s.db.NowExpr()).Scan(&list).Error
	return list, err
}

// claim leases the oldest waiting messages of a channel to the caller.
func (s store) claim(ctx context.Context, c Channel) ([]delivery, error) {
	var list []delivery
	err := s.db.Write(ctx).Raw(`
WITH due AS (
  SELECT id AS due_id FROM deliveries
  WHERE state = 'queued' AND channel = ? AND next_at <= ? AND (leased_till IS NULL OR leased_till <= ?)
  ORDER BY next_at LIMIT ? ?)
UPDATE deliveries SET leased_till = ?, attempts = attempts + 1
FROM due WHERE id = due_id
RETURNING id, channel, message, citizen_id, ref, body, state, attempts, created_at`,
		c, s.db.NowExpr(), s.db.NowExpr(), claims, s.skipLocked(), s.db.NowPlus(s.policy.Lease)).Scan(&list).Error
	return list, err
}

func (s store) skipLocked() clause.Expr {
	if s.db.Dialect() == database.SQLite {
		return clause.Expr{} // its writers stand in line anyway
	}
	return clause.Expr{SQL: "FOR UPDATE SKIP LOCKED"}
}

// end closes a delivery and erases its body. It is false when the delivery has
// ended otherwise in the meantime. Whoever still holds the lease does not
// matter: a hand-over that succeeded has succeeded.
func (s store) end(ctx context.Context, id, state, problem string) (bool, error) {
	r := s.db.Write(ctx).Exec(`
UPDATE deliveries SET state = ?, problem = ?, body = NULL, leased_till = NULL, ended_at = ?, purge_at = ?
WHERE id = ? AND state IN (?, ?)`,
		state, problem, s.db.NowExpr(), s.db.NowPlus(s.policy.Keep), id, held, queued)
	return r.RowsAffected == 1, r.Error
}

// retry gives the lease back and says when to try next. It is false when the
// time for this message is over.
func (s store) retry(ctx context.Context, id, problem string, pause time.Duration) (bool, error) {
	r := s.db.Write(ctx).Exec(`
UPDATE deliveries SET leased_till = NULL, next_at = ?, problem = ? WHERE id = ? AND state = ? AND give_up_at > ?`,
		s.db.NowPlus(pause), problem, id, queued, s.db.NowExpr())
	return r.RowsAffected == 1, r.Error
}

// unclaim undoes a claim that led to nothing, because the node is leaving.
func (s store) unclaim(ctx context.Context, id string) error {
	return s.db.Write(ctx).Exec(`UPDATE deliveries SET leased_till = NULL, attempts = attempts - 1 WHERE id = ? AND state = ?`,
		id, queued).Error
}

// overdue lists what nobody has managed to hand over in time.
func (s store) overdue(ctx context.Context) ([]delivery, error) {
	var list []delivery
	err := s.db.Read(ctx).Raw(`
SELECT id, channel, message, citizen_id, ref FROM deliveries
WHERE state IN ('held', 'queued') AND give_up_at <= ? AND (leased_till IS NULL OR leased_till <= ?) ORDER BY give_up_at LIMIT ?`,
		s.db.NowExpr(), s.db.NowExpr(), purges).Scan(&list).Error
	return list, err
}

func (s store) purge(ctx context.Context) (int, error) {
	r := s.db.Write(ctx).Exec(`
DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE purge_at <= ? LIMIT ?)`, s.db.NowExpr(), purges)
	return int(r.RowsAffected), r.Error
}

func (s store) oldest(ctx context.Context) (map[Channel]time.Duration, error) {
	rows, err := s.db.Read(ctx).Raw(`
SELECT channel, min(created_at), ? FROM deliveries WHERE state = ? GROUP BY channel`, s.db.NowExpr(), queued).Rows()
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	ages := map[Channel]time.Duration{}
	for rows.Next() {
		var c Channel
		var since, now database.Time
		if err := rows.Scan(&c, &since, &now); err != nil {
			return nil, err
		}
		ages[c] = now.Sub(since.Time)
	}
	return ages, rows.Err()
}
