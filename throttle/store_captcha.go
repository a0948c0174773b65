package throttle

import (
	"context"

	"gorm.io/gorm/clause"

	"ente.example/idp/database"
)

type captchaStore struct{ db *database.DB }

func (s captchaStore) add(ctx context.Context, c challenge) error {
	return s.db.Write(ctx).Exec(`INSERT INTO captchas (form, id_hash, browser_hash, expires_at) VALUES (?, ?, ?, ?)`,
		c.form, c.hash, c.browser, s.db.NowPlus(captchaLife)).Error
}

// open is the condition under which a challenge can still be shown or answered.
func (s captchaStore) open(c challenge) clause.Expr {
	e := clause.Expr{
		SQL:  "id_hash = ? AND browser_hash = ? AND spent_at IS NULL AND expires_at > ?",
		Vars: []any{c.hash, c.browser, s.db.NowExpr()},
	}
	if c.form != "" {
		e.SQL += " AND form = ?"
		e.Vars = append(e.Vars, c.form)
	}
	return e
}

func (s captchaStore) live(ctx context.Context, c challenge) (bool, error) {
	var n int
	err := s.db.Read(ctx).Raw(`SELECT count(*) FROM captchas WHERE ?`, s.open(c)).Row().Scan(&n)
	return n == 1, err
}

// spend is the one statement that makes a challenge good for one answer only.
func (s captchaStore) spend(ctx context.Context, c challenge) (bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE captchas SET spent_at = ? WHERE ?`, s.db.NowExpr(), s.open(c))
	return r.RowsAffected == 1, r.Error
}

func (s captchaStore) draw(ctx context.Context, c challenge) (bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE captchas SET drawn = drawn + 1 WHERE ? AND drawn < ?`, s.open(c), captchaDraws)
	return r.RowsAffected == 1, r.Error
}

func (s captchaStore) deleteExpired(ctx context.Context) (int, error) {
	r := s.db.Write(ctx).Exec(`DELETE FROM captchas WHERE id_hash IN (?)`, clause.Expr{
		SQL:  "SELECT id_hash FROM captchas WHERE expires_at <= ? LIMIT ?",
		Vars: []any{s.db.NowExpr(), batch},
	})
	return int(r.RowsAffected), r.Error
}
