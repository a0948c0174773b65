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

// sessionRow is a row, or beside an interaction none: all of it is NULL then.
type sessionRow struct {
	ID, CitizenID, ACR, AMR, PINKind *string
	AuthTime                         database.Time
	SeenAt                           database.Time
	ExpiresAt                        database.Time
	PreviousAccess                   database.Time
	ChangeID                         *string
	Now                              database.Time
}

const sessionColumns = `sessions.id, sessions.citizen_id, sessions.acr, sessions.amr, sessions.pin_kind, sessions.auth_time,
	sessions.seen_at, sessions.expires_at, sessions.previous_access, sessions.change_id`

// fields are for sessionColumns, and the time behind them.
func (r *sessionRow) fields() []any {
	return []any{
		&r.ID, &r.CitizenID, &r.ACR, &r.AMR, &r.PINKind, &r.AuthTime, &r.SeenAt, &r.ExpiresAt, &r.PreviousAccess, &r.ChangeID, &r.Now,
	}
}

// session is r under the policy of now: a session ends by what was stored and by
// what has become stricter since.
func (s sessionStore) session(r sessionRow) Session {
	ends := r.AuthTime.Add(s.policy.Absolute)
	if r.ExpiresAt.Before(ends) {
		ends = r.ExpiresAt.Time
	}
	return Session{
		ID: SessionID(*r.ID), Citizen: citizens.ID(*r.CitizenID), ACR: *r.ACR, AMR: strings.Fields(*r.AMR),
		Kind: credentials.Kind(*r.PINKind), AuthTime: r.AuthTime.Time, SeenAt: r.SeenAt.Time, Now: r.Now.Time,
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

// condition selects sessions to end, which have not ended.
type condition struct {
	sql  string
	args []any
}

func (sessionStore) byID(id SessionID) condition {
	return condition{"id = ? AND " + unended, []any{string(id)}}
}

func (sessionStore) byCitizen(id citizens.ID) condition {
	return condition{"ended_at IS NULL AND citizen_id = ?", []any{string(id)}}
}

// elsewhere are a citizen's sessions in other browsers than that of a change: a
// voluntary one hangs on its session, one of a sign-in on its interaction.
func (sessionStore) elsewhere(id citizens.ID, change credentials.ChangeID) condition {
	return condition{`ended_at IS NULL AND citizen_id = ? AND COALESCE(change_id, '') <> ? AND NOT EXISTS (SELECT 1 FROM interactions
		WHERE interactions.browser_hash = sessions.browser_hash AND interactions.ended_at IS NULL AND interactions.change_id = ?)`,
		[]any{string(id), string(change), string(change)}}
}

func (sessionStore) byBrowser(browser string) condition {
	return condition{"ended_at IS NULL AND browser_hash = ?", []any{digest("browser", browser)}}
}

// over is a session whose time has run out, though nobody has noticed.
func (s sessionStore) over(id SessionID) condition {
	return condition{"id = ? AND " + unended + " AND NOT " + live, append([]any{string(id)}, s.liveArgs()...)}
}

// idleAt is when a session that has not ended will have been idle for too long.
func (s sessionStore) idleAt(ctx context.Context, id SessionID) (at time.Time, found bool, err error) {
	var r struct{ SeenAt database.Time }
	tx := s.db.Read(ctx).Raw(`SELECT seen_at FROM sessions WHERE id = ? AND ended_at IS NULL`, string(id)).Scan(&r)
	return r.SeenAt.Add(s.policy.Idle), tx.RowsAffected == 1, tx.Error
}

// begin gives the live session that this citizen has in this browser a new
// secret, a new authentication and its whole time again, or adds one where the
// browser has none without an end. It does nothing where that one is another's
// or over.
func (s sessionStore) begin(ctx context.Context, in SignIn, c Cookie) (Session, bool, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Session{}, false, fmt.Errorf("make session id: %w", err)
	}
	var before any
	if in.PreviousAccess != nil {
		before = database.Truncate(*in.PreviousAccess)
	}
	var r sessionRow
	done, err := s.db.Writer(ctx).One(`INSERT INTO sessions (id, secret_hash, browser_hash, citizen_id, acr, amr, pin_kind,
		started_at, auth_time, seen_at, expires_at, previous_access)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (browser_hash) WHERE ended_at IS NULL DO UPDATE SET secret_hash = excluded.secret_hash,
		acr = excluded.acr, amr = excluded.amr, pin_kind = excluded.pin_kind, auth_time = excluded.auth_time, seen_at = excluded.seen_at,
		expires_at = excluded.expires_at, previous_access = excluded.previous_access, change_id = NULL
		WHERE sessions.citizen_id = excluded.citizen_id AND `+live+` RETURNING `+returned,
		append([]any{id.String(), digest("session", c.secret), digest("browser", in.Browser), string(in.Citizen),
			in.ACR, strings.Join(in.AMR, " "), string(in.Kind),
			s.db.NowExpr(), s.db.NowExpr(), s.db.NowExpr(), s.db.NowPlus(s.policy.Absolute), before}, s.liveArgs()...),
		r.fields()...)
	if err != nil || !done {
		return Session{}, false, err
	}
	return s.session(r), true, nil
}

// returned are sessionColumns and, as their time, when the session was seen: it
// is what a statement says that has just written it.
const returned = `id, citizen_id, acr, amr, pin_kind, auth_time, seen_at, expires_at, previous_access, change_id, seen_at`

// live is asked of a row that its key has found. It is a CASE so that PostgreSQL
// takes that key: where nobody has analyzed the table yet, in a new database or a
// restored one, it thinks that next to nothing has no end, and would go through
// the index of all that has none.
const live = `(CASE WHEN sessions.ended_at IS NULL THEN sessions.expires_at > ? AND sessions.seen_at > ? AND sessions.auth_time > ? ELSE false END)`

// unended is a CASE for live's sake.
const unended = `(CASE WHEN ended_at IS NULL THEN true ELSE false END)`

// liveArgs are live's. The stored end binds, and so does a policy that has
// been made stricter since.
func (s sessionStore) liveArgs() []any {
	return []any{s.db.NowExpr(), s.db.NowPlus(-s.policy.Idle), s.db.NowPlus(-s.policy.Absolute)}
}

func (s sessionStore) get(ctx context.Context, cookie string, others []database.Query) (Session, bool, error) {
	r, found := sessionRow{}, false
	read := database.Query{
		Text: `SELECT ` + sessionColumns + `, ? FROM sessions WHERE secret_hash = ? AND ` + live,
		Args: append([]any{s.db.NowExpr(), digest("session", cookie)}, s.liveArgs()...),
		Each: func(row database.Row) error {
			found = true
			return row.Scan(r.fields()...)
		},
	}
	err := s.db.Reader(ctx).Together(append([]database.Query{read}, others...)...)
	if err != nil || !found {
		return Session{}, false, err
	}
	return s.session(r), true, nil
}

func citizenOf(cookie string) database.Subquery {
	return database.Subquery{Text: `SELECT citizen_id FROM sessions WHERE secret_hash = ?`, Args: []any{digest("session", cookie)}}
}

// hold is touch where activity was noted lately: the same lock, and no new
// version of the row.
func (s sessionStore) hold(ctx context.Context, id SessionID) error {
	q := s.holding(id)
	return s.db.Writer(ctx).Must(ErrNoSession, q.Text, q.Args...)
}

// holding is hold as a condition of another statement, by EXISTS: what is looked
// up but once, and before that statement's own rows. SQLite has one writer, who
// holds everything.
func (s sessionStore) holding(id SessionID) database.Subquery {
	lock := ""
	if s.db.Dialect() == database.Postgres {
		lock = " FOR NO KEY UPDATE"
	}
	return database.Subquery{Text: `SELECT 1 FROM sessions WHERE id = ? AND ` + live + lock, Args: append([]any{string(id)}, s.liveArgs()...)}
}

func (s sessionStore) touch(ctx context.Context, id SessionID) error {
	return s.db.Writer(ctx).Must(ErrNoSession, `UPDATE sessions SET seen_at = ? WHERE id = ? AND `+live+` RETURNING 1`,
		append([]any{s.db.NowExpr(), string(id)}, s.liveArgs()...)...)
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
	var ended []Session
	err := s.db.Writer(ctx).All(`UPDATE sessions SET ended_at = ?, end_reason = ?
		WHERE `+c.sql+` RETURNING `+returned,
		append([]any{s.db.NowExpr(), reason}, c.args...), func(row database.Row) error {
			var r sessionRow
			if err := row.Scan(r.fields()...); err != nil {
				return err
			}
			ended = append(ended, s.session(r))
			return nil
		})
	return ended, err
}

func (s sessionStore) expired(ctx context.Context) ([]SessionID, error) {
	var ids []SessionID
	err := s.db.Read(ctx).Raw(`SELECT id FROM sessions WHERE ended_at IS NULL AND expires_at <= ? ORDER BY expires_at LIMIT ?`,
		s.db.NowExpr(), sweepBatch).Scan(&ids).Error
	return ids, err
}

func (s sessionStore) sweep(ctx context.Context) (int, error) {
	tx := s.db.Write(ctx).Exec(`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions
		WHERE ended_at IS NOT NULL AND expires_at <= ? LIMIT ?)`, s.db.NowPlus(-tombstoneLife), sweepBatch)
	return int(tx.RowsAffected), tx.Error
}
