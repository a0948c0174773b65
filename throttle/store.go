package throttle

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gorm.io/gorm/clause"

	"ente.example/idp/database"
)

// batch bounds how long one DELETE holds its locks.
const batch = 1000

type store struct{ db *database.DB }

// counting is the whole rule in one statement. It always writes the row and
// always answers, so that a try during a wait costs the database the same as
// any other; `refused` carries out what the statement decided, which RETURNING
// could not tell from the new values alone. The clock is read once, into
// tried_at: read anew for each column it could pass the deadline in between,
// and a try would be looked at without being counted.
//
// person is the key of somebody's counter, or NULL for who is unknown and has a
// stranger's, which expires. LIMIT has it looked up once for both columns.
func (s store) counting(person clause.Expr, stranger []byte, p Policy) (*Counted, database.Query) {
	c, until := &Counted{}, s.db.NowPlus(p.Wait)
	return c, database.Query{Text: `
INSERT INTO pin_throttle AS t (fails, key, next_at, refused, tried_at, expires_at, alarm_at)
SELECT 1, COALESCE(k.person, ?), CASE WHEN 1 >= ? THEN ? END, false, ?,
  CASE WHEN k.person IS NULL THEN ? END, CASE WHEN 1 = ? THEN ? END
FROM (SELECT ? AS person LIMIT 1) AS k WHERE true
ON CONFLICT (key) DO UPDATE SET
  fails      = CASE WHEN t.next_at > excluded.tried_at THEN t.fails ELSE t.fails + 1 END,
  next_at    = CASE WHEN t.next_at > excluded.tried_at THEN t.next_at WHEN t.fails + 1 >= ? THEN ? END,
  refused    = COALESCE(t.next_at > excluded.tried_at, false),
  tried_at   = excluded.tried_at,
  expires_at = excluded.expires_at,
  alarm_at   = CASE WHEN COALESCE(t.next_at > excluded.tried_at, false) OR t.fails + 1 <> ? THEN t.alarm_at ELSE excluded.tried_at END
RETURNING key, fails, next_at, refused, tried_at`,
		Args: []any{
			stranger, p.Threshold, until, s.db.NowExpr(), s.db.NowPlus(p.ShadowTTL), p.Threshold, s.db.NowExpr(), person,
			p.Threshold, until, p.Threshold,
		}, Each: c.scan, Writes: true}
}

func (c *Counted) scan(r database.Row) error {
	var next, at database.Time
	err := r.Scan(&c.key, &c.guess.Fails, &next, &c.guess.refused, &at)
	c.guess.Until, c.guess.At = next.Time, at.Time
	return err
}

func (s store) reserve(ctx context.Context, person clause.Expr, stranger []byte, p Policy) (Guess, error) {
	c, read := s.counting(person, stranger, p)
	err := s.db.Writer(ctx).All(read.Text, read.Args, read.Each)
	return c.guess, err
}

// this is a person's key, or none, that the caller has already.
func (s store) this(key []byte) clause.Expr {
	kind := "BLOB"
	if s.db.Dialect() == database.Postgres {
		kind = "bytea"
	}
	return clause.Expr{SQL: "CAST(? AS " + kind + ")", Vars: []any{key}}
}

// found is the key of the person whom a subquery finds.
func (s store) found(person database.Subquery) clause.Expr {
	if s.db.Dialect() == database.Postgres {
		return clause.Expr{SQL: "convert_to('" + personal + "' || ?, 'UTF8')", Vars: []any{person}}
	}
	return clause.Expr{SQL: "CAST('" + personal + "' || ? AS BLOB)", Vars: []any{person}}
}

// forgiving also takes back the alarm that the right try itself has raised, being
// counted as a wrong one before it was looked at.
const forgiving = `UPDATE pin_throttle SET fails = 0, next_at = NULL, refused = false,
  alarm_at = CASE WHEN fails <> ? THEN alarm_at END WHERE key = ?`

func (s store) forgive(ctx context.Context, key []byte, p Policy) error {
	return s.db.Writer(ctx).Later(forgiving, p.Threshold, key)
}

func (s store) mustForgive(ctx context.Context, key []byte, p Policy, allowed database.Subquery, missing error) error {
	return s.db.Writer(ctx).Must(missing, forgiving+` AND EXISTS ? RETURNING 1`, p.Threshold, key, allowed)
}

// takeBack also takes back the wait and the alarm that the try itself has begun.
func (s store) takeBack(ctx context.Context, key []byte, p Policy) error {
	return s.db.Write(ctx).Exec(`UPDATE pin_throttle SET fails = fails - 1,
  next_at = CASE WHEN fails > ? THEN next_at END, alarm_at = CASE WHEN fails <> ? THEN alarm_at END
  WHERE key = ? AND fails > 0`, p.Threshold, p.Threshold, key).Error
}

// settling is how long an alarm waits for the try that raised it to be decided,
// which takes half a minute at most.
const settling = 35 * time.Second

type alarm struct {
	Key     []byte
	AlarmAt database.Time
}

func (s store) alarms(ctx context.Context) ([]alarm, error) {
	var list []alarm
	err := s.db.Read(ctx).Raw(`SELECT key, alarm_at FROM pin_throttle WHERE alarm_at <= ? AND expires_at IS NULL ORDER BY alarm_at LIMIT ?`,
		s.db.NowPlus(-settling), batch).Scan(&list).Error
	return list, err
}

func (s store) silence(ctx context.Context, key []byte) (bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE pin_throttle SET alarm_at = NULL WHERE key = ? AND alarm_at <= ?`, key, s.db.NowPlus(-settling))
	return r.RowsAffected == 1, r.Error
}

func (s store) silenceStrangers(ctx context.Context) (int, error) {
	r := s.db.Write(ctx).Exec(`UPDATE pin_throttle SET alarm_at = NULL
WHERE key IN (SELECT key FROM pin_throttle WHERE alarm_at <= ? AND expires_at IS NOT NULL LIMIT ?)`, s.db.NowPlus(-settling), batch)
	return int(r.RowsAffected), r.Error
}

func (s store) until(ctx context.Context, key []byte) (time.Time, error) {
	var until database.Time
	err := s.db.Read(ctx).Raw(`SELECT next_at FROM pin_throttle WHERE key = ? AND next_at > ?`, key, s.db.NowExpr()).
		Row().Scan(&until)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return until.Time, err
}

func (s store) deleteExpired(ctx context.Context) (int, error) {
	return s.delete(ctx, clause.Expr{SQL: "SELECT key FROM pin_throttle WHERE expires_at <= ? LIMIT ?",
		Vars: []any{s.db.NowExpr(), batch}})
}

func (s store) deleteOldest(ctx context.Context, n int) (int, error) {
	return s.delete(ctx, clause.Expr{SQL: "SELECT key FROM pin_throttle WHERE expires_at IS NOT NULL ORDER BY expires_at LIMIT ?",
		Vars: []any{n}})
}

func (s store) delete(ctx context.Context, keys clause.Expr) (int, error) {
	r := s.db.Write(ctx).Exec(`DELETE FROM pin_throttle WHERE key IN (?)`, keys)
	return int(r.RowsAffected), r.Error
}

func (s store) countShadows(ctx context.Context) (int, error) {
	var n int
	err := s.db.Read(ctx).Raw(`SELECT count(*) FROM pin_throttle WHERE expires_at IS NOT NULL`).Row().Scan(&n)
	return n, err
}
