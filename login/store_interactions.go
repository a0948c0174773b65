package login

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"ente.example/idp/credentials"
	"ente.example/idp/database"
)

// interactionStore is the table interactions. Whether a row is open is always
// asked of the database, by its clock.
type interactionStore struct{ db *database.DB }

type interactionRow struct {
	BrowserHash     []byte
	ClientID        string
	Sealed          []byte
	RequestedAt     database.Time
	ExpiresAt       database.Time
	SessionID       *string
	AuthenticatedAt database.Time
	ChosenSession   *string
	OtherPerson     bool
	ChangeID        *string
	ChangeTicket    []byte
	ChangeUntil     database.Time
	Answer          *string
	AnswerSession   *string
	Open            bool
	Now             database.Time
}

const interactionColumns = `interactions.browser_hash, interactions.client_id, interactions.sealed, interactions.requested_at,
	interactions.expires_at, interactions.session_id, interactions.authenticated_at, interactions.chosen_session,
	interactions.other_person, interactions.change_id, interactions.change_ticket, interactions.change_until,
	interactions.answer, interactions.answer_session, (interactions.ended_at IS NULL AND interactions.expires_at > ?), ?`

func (r *interactionRow) fields() []any {
	return []any{
		&r.BrowserHash, &r.ClientID, &r.Sealed, &r.RequestedAt, &r.ExpiresAt, &r.SessionID, &r.AuthenticatedAt, &r.ChosenSession,
		&r.OtherPerson, &r.ChangeID, &r.ChangeTicket, &r.ChangeUntil, &r.Answer, &r.AnswerSession, &r.Open, &r.Now,
	}
}

func (s interactionStore) insert(ctx context.Context, i *Interaction, sealed []byte, life time.Duration) error {
	var requested any = database.Truncate(i.RequestedAt)
	if i.RequestedAt.IsZero() {
		requested = s.db.NowExpr()
	}
	var at, until database.Time
	_, err := s.db.Writer(ctx).One(`INSERT INTO interactions
		(client_id, id_hash, browser_hash, sealed, created_at, requested_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING requested_at, expires_at`,
		[]any{i.Client, digest("interaction", i.ID), i.browser, sealed, s.db.NowExpr(), requested, s.db.NowPlus(life)}, &at, &until)
	i.RequestedAt, i.ExpiresAt = at.Time, until.Time
	return err
}

// bind gives an unbound interaction to a browser; of two the first has it.
func (s interactionStore) bind(ctx context.Context, idHash, browser []byte) error {
	return s.db.Write(ctx).Exec(`UPDATE interactions SET browser_hash = ?
		WHERE id_hash = ? AND browser_hash IS NULL`, browser, idHash).Error
}

// take is bind in time, and with it the interaction's whole life begins.
func (s interactionStore) take(ctx context.Context, idHash, browser []byte, client string) error {
	return s.db.Write(ctx).Exec(`UPDATE interactions SET browser_hash = ?, expires_at = ?
		WHERE id_hash = ? AND client_id = ? AND browser_hash IS NULL AND ended_at IS NULL AND expires_at > ?`,
		browser, s.db.NowPlus(interactionLife), idHash, client, s.db.NowExpr()).Error
}

// dropOldest ends all but the newest of a browser's open interactions.
func (s interactionStore) dropOldest(ctx context.Context, browser []byte) error {
	_, err := s.db.Writer(ctx).Do(`UPDATE interactions SET ended_at = ?, sealed = NULL
		WHERE browser_hash = ? AND ended_at IS NULL AND expires_at > ? AND id_hash NOT IN (
			SELECT id_hash FROM interactions WHERE browser_hash = ? AND ended_at IS NULL AND expires_at > ?
			ORDER BY created_at DESC, id_hash LIMIT ?)`,
		s.db.NowExpr(), browser, s.db.NowExpr(), browser, s.db.NowExpr(), openPerBrowser)
	return err
}

func (s interactionStore) get(ctx context.Context, idHash []byte) (interactionRow, bool, error) {
	var r interactionRow
	found, err := s.db.Reader(ctx).One(`SELECT `+interactionColumns+` FROM interactions WHERE id_hash = ?`,
		[]any{s.db.NowExpr(), s.db.NowExpr(), idHash}, r.fields()...)
	return r, found, err
}

// getBoth is get, and the live session of a cookie with it, in one statement;
// others go with it.
func (s interactionStore) getBoth(ctx context.Context, idHash []byte, in sessionStore, cookie string, others []database.Query) (interactionRow, *Session, bool, error) {
	var r interactionRow
	var beside sessionRow
	var found bool
	args := append([]any{s.db.NowExpr(), s.db.NowExpr(), s.db.NowExpr(), digest("session", cookie)}, in.liveArgs()...)
	err := s.db.Reader(ctx).Together(append([]database.Query{{Text: `SELECT ` + interactionColumns + `, ` + sessionColumns + `, ? FROM interactions
		LEFT JOIN sessions ON sessions.secret_hash = ? AND ` + live + ` WHERE interactions.id_hash = ?`,
		Args: append(args, idHash), Each: func(row database.Row) error {
			found = true
			return row.Scan(append(r.fields(), beside.fields()...)...)
		}}}, others...)...)
	if err != nil || beside.ID == nil {
		return r, nil, found, err
	}
	session := in.session(beside)
	return r, &session, found, nil
}

func (r interactionRow) interaction(id string) (Interaction, error) {
	req, err := unseal(id, r.Sealed)
	if err != nil {
		return Interaction{}, err
	}
	i := Interaction{
		ID: id, Client: r.ClientID, Own: req.Own, Params: req.Params, Wants: req.Wants, Lang: req.Lang, LoginHint: req.LoginHint,
		RequestedAt: r.RequestedAt.Time, ExpiresAt: r.ExpiresAt.Time, Now: r.Now.Time,
		Session: sessionID(r.SessionID), AuthenticatedAt: r.AuthenticatedAt.Ptr(),
		AccountChosen: r.ChosenSession != nil, ChosenSession: sessionID(r.ChosenSession),
		Change: changeOf(r.ChangeID), ChangeUntil: r.ChangeUntil.Ptr(), browser: r.BrowserHash, ticket: r.ChangeTicket,
	}
	i.Wants.ForceLogin = i.Wants.ForceLogin || r.OtherPerson
	if r.Answer != nil {
		i.Consent = &Answer{Session: sessionID(r.AnswerSession)}
		if err := json.Unmarshal([]byte(*r.Answer), i.Consent); err != nil {
			return Interaction{}, fmt.Errorf("decode answer: %w", err)
		}
	}
	return i, nil
}

func sessionID(s *string) SessionID {
	if s == nil {
		return ""
	}
	return SessionID(*s)
}

// update changes i's row, which must be open and this browser's. It may travel
// with the commit, and fail there.
func (s interactionStore) update(ctx context.Context, i Interaction, set string, args ...any) error {
	return s.db.Writer(ctx).Must(lostBy(i.Client), `UPDATE interactions SET `+set+opened+` RETURNING 1`, append(args, s.opened(i)...)...)
}

// opened is an open interaction of this browser.
const opened = ` WHERE id_hash = ? AND browser_hash = ? AND ended_at IS NULL AND expires_at > ?`

func (s interactionStore) opened(i Interaction) []any {
	return []any{digest("interaction", i.ID), i.browser, s.db.NowExpr()}
}

func (s interactionStore) signedIn(ctx context.Context, i Interaction, n Session) error {
	return s.update(ctx, i,
		`session_id = ?, authenticated_at = ?, chosen_session = ?, change_id = NULL, change_ticket = NULL, change_until = NULL`,
		string(n.ID), database.Truncate(n.AuthTime), string(n.ID))
}

func (s interactionStore) chosen(ctx context.Context, i Interaction, id SessionID) error {
	return s.update(ctx, i, `chosen_session = ?`, string(id))
}

func (s interactionStore) other(ctx context.Context, i Interaction) error {
	return s.update(ctx, i, `other_person = ?, session_id = NULL, authenticated_at = NULL, chosen_session = NULL`, true)
}

func (s interactionStore) change(ctx context.Context, i Interaction, id credentials.ChangeID, ticket []byte, until time.Time) error {
	return s.update(ctx, i, `change_id = ?, change_ticket = ?, change_until = ?`, string(id), ticket, database.Truncate(until))
}

func (s interactionStore) extendChange(ctx context.Context, i Interaction, until time.Time) error {
	return s.update(ctx, i, `change_until = ?`, database.Truncate(until))
}

func (s interactionStore) clearChange(ctx context.Context, i Interaction, id credentials.ChangeID) error {
	return s.db.Write(ctx).Exec(`UPDATE interactions SET change_id = NULL, change_ticket = NULL, change_until = NULL
		WHERE id_hash = ? AND browser_hash = ? AND change_id = ?`,
		digest("interaction", i.ID), i.browser, string(id)).Error
}

func (s interactionStore) openChange(ctx context.Context, browser []byte) (bool, error) {
	var n int64
	err := s.db.Read(ctx).Raw(`SELECT count(*) FROM interactions WHERE browser_hash = ?
		AND change_until > ? AND ended_at IS NULL AND expires_at > ?`,
		browser, s.db.NowExpr(), s.db.NowExpr()).Scan(&n).Error
	return n > 0, err
}

// unanswered is an open interaction of this browser to which no answer was given
// in a session.
const unanswered = opened + ` AND (answer IS NULL OR answer_session <> ?)`

func (s interactionStore) unanswered(i Interaction, in SessionID) []any {
	return append(s.opened(i), string(in))
}

// answer writes a where none was given in the same session.
func (s interactionStore) answer(ctx context.Context, i Interaction, a Answer) (bool, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return false, fmt.Errorf("encode answer: %w", err)
	}
	n, err := s.db.Writer(ctx).Do(`UPDATE interactions SET answer = ?, answer_session = ?`+unanswered,
		append([]any{string(text), string(a.Session)}, s.unanswered(i, a.Session)...)...)
	return n == 1, err
}

const ending = `ended_at = ?, sealed = NULL, change_id = NULL, change_ticket = NULL, change_until = NULL`

func (s interactionStore) end(ctx context.Context, i Interaction) error {
	return s.update(ctx, i, ending, s.db.NowExpr())
}

// erase forgets what services sent with requests that have expired.
func (s interactionStore) erase(ctx context.Context) (int, error) {
	tx := s.db.Write(ctx).Exec(`UPDATE interactions SET sealed = NULL WHERE id_hash IN
		(SELECT id_hash FROM interactions WHERE sealed IS NOT NULL AND expires_at <= ? LIMIT ?)`, s.db.NowExpr(), sweepBatch)
	return int(tx.RowsAffected), tx.Error
}

// remove deletes tombstones that nobody will come back to.
func (s interactionStore) remove(ctx context.Context) (int, error) {
	tx := s.db.Write(ctx).Exec(`DELETE FROM interactions WHERE id_hash IN
		(SELECT id_hash FROM interactions WHERE sealed IS NULL AND expires_at <= ? LIMIT ?)`, s.db.NowPlus(-tombstoneLife), sweepBatch)
	return int(tx.RowsAffected), tx.Error
}
