package login

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
)

// sessionStore is the table sessions. A session is live while it has no end,
// and neither its idle nor its absolute time is over by the database's clock.
type sessionStore struct {
	db     *database.DB
	policy Policy
}

type sessionRow struct {
	ID             string
	CitizenID      string
	ACR            string `gorm:"column:acr"`
	AMR            string `gorm:"column:amr"`
	PINKind        string `gorm:"column:pin_kind"`
	AuthTime       database.Time
	SeenAt         database.Time
	ExpiresAt      database.Time
	PreviousAccess database.Time
	ChangeID       *string
	Now            database.Time
}

const sessionColumns = `id, citizen_id, acr, amr, pin_kind, auth_time, seen_at, expires_at, previous_access, change_id`

// session is r under the policy of now: a session ends by what was stored and by
// what has become stricter since.
func (s sessionStore) session(r sessionRow) Session {
	ends := r.AuthTime.Add(s.policy.Absolute)
	if r.ExpiresAt.Before(ends) {
		ends = r.ExpiresAt.Time
	}
	return Session{
		ID: SessionID(r.ID), Citizen: citizens.ID(r.CitizenID), ACR: r.ACR, AMR: strings.Fields(r.AMR),
		Kind: credentials.Kind(r.PINKind), AuthTime: r.AuthTime.Time, SeenAt: r.SeenAt.Time, Now: r.Now.Time,
		IdleAt: r.SeenAt.Add(s.policy.Idle), EndsAt: ends, PreviousAccess: r.PreviousAccess.Ptr(),
		Change: changeOf(r.ChangeID),
	}
}

func changeOf(s *string) credentials.ChangeID {
	if s == nil {
		return ""
	}
	return credentials.ChangeID(*s)
}

// condition selects sessions to end.
type condition struct {
	sql  string
	args []any
}

func (sessionStore) byID(id SessionID) condition { return condition{"id = ?", []any{string(id)}} }

func (sessionStore) byCitizen(id citizens.ID) condition {
	return condition{"citizen_id = ?", []any{string(id)}}
}

// elsewhere are a citizen's sessions in other browsers than that of a change: a
// voluntary one hangs on its session, one of a sign-in on its interaction.
func (sessionStore) elsewhere(id citizens.ID, change credentials.ChangeID) condition {
	return condition{`citizen_id = ? AND COALESCE(change_id, '') <> ? AND NOT EXISTS (SELECT 1 FROM interactions
		WHERE interactions.browser_hash = sessions.browser_hash AND interactions.change_id = ?)`,
		[]any{string(id), string(change), string(change)}}
}

func (sessionStore) byBrowser(browser string) condition {
	return condition{"browser_hash = ?", []any{digest("browser", browser)}}
}

// over is a session whose time has run out, though nobody has noticed.
func (s sessionStore) over(id SessionID) condition {
	return condition{"id = ? AND NOT (" + live + ")", append([]any{string(id)}, s.liveArgs()...)}
}

// idleAt is when a session that has not ended will have been idle for too long.
func (s sessionStore) idleAt(ctx context.Context, id SessionID) (at time.Time, found bool, err error) {
	var r struct{ SeenAt database.Time }
	tx := s.db.Read(ctx).Raw(`SELECT seen_at FROM sessions WHERE id = ? AND ended_at IS NULL`, string(id)).Scan(&r)
	return r.SeenAt.Add(s.policy.Idle), tx.RowsAffected == 1, tx.Error
}

// renew gives the live session that this citizen has in this browser a new
// secret, a new authentication and its whole time again.
func (s sessionStore) renew(ctx context.Context, in SignIn, c Cookie) (Session, bool, error) {
	var r sessionRow
	tx := s.db.Write(ctx).Raw(`UPDATE sessions SET secret_hash = ?, acr = ?, amr = ?, pin_kind = ?,
		auth_time = ?, seen_at = ?, expires_at = ?, previous_access = ?, change_id = NULL
		WHERE browser_hash = ? AND citizen_id = ? AND `+live+` RETURNING `+sessionColumns,
		append([]any{digest("session", c.secret), in.ACR, strings.Join(in.AMR, " "), string(in.Kind),
			s.db.NowExpr(), s.db.NowExpr(), s.db.NowPlus(s.policy.Absolute), in.PreviousAccess,
			digest("browser", in.Browser), string(in.Citizen)}, s.liveArgs()...)...).Scan(&r)
	return s.session(r), tx.RowsAffected == 1, tx.Error
}

// insert adds a session, or nothing where the browser has one without an end.
func (s sessionStore) insert(ctx context.Context, in SignIn, c Cookie) (Session, bool, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Session{}, false, fmt.Errorf("make session id: %w", err)
	}
	var r sessionRow
	tx := s.db.Write(ctx).Raw(`INSERT INTO sessions (id, secret_hash, browser_hash, citizen_id, acr, amr, pin_kind,
		started_at, auth_time, seen_at, expires_at, previous_access)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (browser_hash) WHERE ended_at IS NULL DO NOTHING RETURNING `+sessionColumns,
		id.String(), digest("session", c.secret), digest("browser", in.Browser), string(in.Citizen),
		in.ACR, strings.Join(in.AMR, " "), string(in.Kind),
		s.db.NowExpr(), s.db.NowExpr(), s.db.NowExpr(), s.db.NowPlus(s.policy.Absolute), in.PreviousAccess).Scan(&r)
	return s.session(r), tx.RowsAffected == 1, tx.Error
}

const live = `ended_at IS NULL AND expires_at > ? AND seen_at > ? AND auth_time > ?`

// liveArgs are live's. The stored end binds, and so does a policy that has
// been made stricter since.
func (s sessionStore) liveArgs() []any {
	return []any{s.db.NowExpr(), s.db.NowPlus(-s.policy.Idle), s.db.NowPlus(-s.policy.Absolute)}
}

func (s sessionStore) get(ctx context.Context, cookie string) (Session, bool, error) {
	var r sessionRow
	tx := s.db.Read(ctx).Raw(`SELECT `+sessionColumns+`, ? AS now FROM sessions WHERE secret_hash = ? AND `+live,
		append([]any{s.db.NowExpr(), digest("session", cookie)}, s.liveArgs()...)...).Scan(&r)
	return s.session(r), tx.RowsAffected == 1, tx.Error
}

// hold is touch where activity was noted lately: the same lock, and no new
// version of the row. SQLite has one writer, who holds everything.
func (s sessionStore) hold(ctx context.Context, id SessionID) (bool, error) {
	lock := ""
	if s.db.Dialect() == database.Postgres {
		lock = " FOR NO KEY UPDATE"
	}
	var held []string
	err := s.db.Write(ctx).Raw(`SELECT id FROM sessions WHERE id = ? AND seen_at > ? AND `+live+lock,
		append([]any{string(id), s.db.NowPlus(-lately)}, s.liveArgs()...)...).Scan(&held).Error
	return len(held) == 1, err
}

func (s sessionStore) touch(ctx context.Context, id SessionID) (bool, error) {
	tx := s.db.Write(ctx).Exec(`UPDATE sessions SET seen_at = ? WHERE id = ? AND `+live,
		append([]any{s.db.NowExpr(), string(id)}, s.liveArgs()...)...)
	return tx.RowsAffected == 1, tx.Error
}

func (s sessionStore) keepChange(ctx context.Context, id SessionID, change credentials.ChangeID) (bool, error) {
	tx := s.db.Write(ctx).Exec(`UPDATE sessions SET change_id = ? WHERE id = ? AND `+live,
		append([]any{string(change), string(id)}, s.liveArgs()...)...)
	return tx.RowsAffected == 1, tx.Error
}

func (s sessionStore) dropChange(ctx context.Context, id SessionID, change credentials.ChangeID) error {
	return s.db.Write(ctx).Exec(`UPDATE sessions SET change_id = NULL WHERE id = ? AND change_id = ?`, string(id), string(change)).Error
}

func (s sessionStore) end(ctx context.Context, reason string, c condition) ([]Session, error) {
	var rows []sessionRow
	err := s.db.Write(ctx).Raw(`UPDATE sessions SET ended_at = ?, end_reason = ?
		WHERE ended_at IS NULL AND `+c.sql+` RETURNING `+sessionColumns,
		append([]any{s.db.NowExpr(), reason}, c.args...)...).Scan(&rows).Error
	ended := make([]Session, len(rows))
	for i, r := range rows {
		ended[i] = s.session(r)
	}
	return ended, err
}

func (s sessionStore) expired(ctx context.Context) ([]SessionID, error) {
	var ids []SessionID
	err := s.db.Read(ctx).Raw(`SELECT id FROM sessions WHERE ended_at IS NULL AND expires_at <= ? LIMIT ?`,
		s.db.NowExpr(), sweepBatch).Scan(&ids).Error
	return ids, err
}

func (s sessionStore) sweep(ctx context.Context) (int, error) {
	tx := s.db.Write(ctx).Exec(`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions
		WHERE ended_at IS NOT NULL AND expires_at <= ? LIMIT ?)`, s.db.NowPlus(-tombstoneLife), sweepBatch)
	return int(tx.RowsAffected), tx.Error
}
