package credentials

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
)

// enrolmentRow is a row of enrolments, with the database's time when it was read
// and the state of the PIN that came of it.
type enrolmentRow struct {
	ID           string
	CodeKey      []byte
	CodeTries    int
	CitizenID    citizens.ID
	CredentialID ID
	State        EnrolmentState
	Data         []byte
	Vouched      bool
	Reissues     int
	Checks       int
	Reason       string
	CreatedAt    database.Time
	FirstHalfAt  database.Time
	SecondHalfAt database.Time
	PostedAt     database.Time
	DueAt        database.Time
	EndedAt      database.Time
	Now          database.Time
}

// proofOf are the keys by which a new request is found again.
type proofOf struct{ tracking, fiscalCode, contact, code []byte }

type enrolmentStore struct {
	db   *database.DB
	keep time.Duration
}

const enrolmentColumns = `id, code_key, code_tries, citizen_id, credential_id, state, data, vouched, reissues, checks, reason,
created_at, first_half_at, second_half_at, posted_at, due_at, ended_at`

// open are the states in which a person has a request, for SQL.
const openRequests = `('checking', 'call_queued', 'calling', 'approved', 'part1_sent', 'part2_handed', 'part2_posted')`

// insert keeps a new request, once: the same form sent twice is one request.
func (s enrolmentStore) insert(ctx context.Context, id string, k proofOf, data []byte, life time.Duration) (bool, error) {
	r := s.db.Write(ctx).Exec(`
INSERT INTO enrolments (id, tracking_key, fiscal_code_key, contact_key, code_key, code_tries, state, data, vouched, reissues, checks,
  reason, created_at, due_at)
VALUES (?, ?, ?, ?, ?, 0, 'submitted', ?, false, 0, 0, '', ?, ?)
ON CONFLICT (tracking_key) DO NOTHING`,
		id, k.tracking, k.fiscalCode, k.contact, k.code, data, s.db.NowExpr(), s.db.NowPlus(life))
	return r.RowsAffected == 1, r.Error
}

// begun is how many requests a person, and a contact, have begun in a day. The
// new one is among them, so that of many at once no more than allowed get
// through.
func (s enrolmentStore) begun(ctx context.Context, k proofOf) (n int, err error) {
	err = s.db.Read(ctx).Raw(`
SELECT max(n) FROM (
  SELECT count(*) AS n FROM enrolments WHERE fiscal_code_key = ? AND created_at > ?
  UNION ALL SELECT count(*) FROM enrolments WHERE contact_key = ? AND created_at > ?) AS both_counts`,
		k.fiscalCode, s.db.NowPlus(-24*time.Hour), k.contact, s.db.NowPlus(-24*time.Hour)).Row().Scan(&n)
	return n, err
}

// forget takes a request out again that was one too many.
func (s enrolmentStore) forget(ctx context.Context, id string) error {
	return s.db.Write(ctx).Exec(`DELETE FROM enrolments WHERE id = ?`, id).Error
}

func (s enrolmentStore) exists(ctx context.Context, tracking [][]byte) (bool, error) {
	var n int
	err := s.db.Read(ctx).Raw(`SELECT count(*) FROM enrolments WHERE tracking_key IN ?`, tracking).Row().Scan(&n)
	return n > 0, err
}

// try counts one code for a request, before anybody looks at it.
func (s enrolmentStore) try(ctx context.Context, tracking [][]byte, most int) (enrolmentRow, bool, error) {
	var row enrolmentRow
	r := s.db.Write(ctx).Raw(`UPDATE enrolments SET code_tries = code_tries + 1 WHERE tracking_key IN ? AND code_tries < ?
RETURNING `+enrolmentColumns+`, ? AS now`, tracking, most, s.db.NowExpr()).Scan(&row)
	return row, row.ID != "", r.Error
}

// tracked finds a request by its tracking code and the person's.
func (s enrolmentStore) tracked(ctx context.Context, tracking [][]byte, person []byte) (enrolmentRow, bool, error) {
	return s.one(ctx, `tracking_key IN ? AND fiscal_code_key = ?`, tracking, person)
}

func (s enrolmentStore) byID(ctx context.Context, id string) (enrolmentRow, bool, error) {
	return s.one(ctx, `id = ?`, id)
}

func (s enrolmentStore) byCredential(ctx context.Context, c ID) (enrolmentRow, bool, error) {
	return s.one(ctx, `credential_id = ?`, c)
}

// openOf is the request that a person has open.
func (s enrolmentStore) openOf(ctx context.Context, who citizens.ID) (enrolmentRow, bool, error) {
	return s.one(ctx, `citizen_id = ? AND state IN `+openRequests, who)
}

func (s enrolmentStore) one(ctx context.Context, where string, args ...any) (enrolmentRow, bool, error) {
	var row enrolmentRow
	r := s.db.Read(ctx).Raw(`SELECT `+enrolmentColumns+`, ? AS now FROM enrolments WHERE `+where, append([]any{s.db.NowExpr()}, args...)...).Scan(&row)
	return row, row.ID != "", r.Error
}

// claim leases one request that is to be looked at to the caller: until the
// pause is over nobody else looks.
func (s enrolmentStore) claim(ctx context.Context, lease time.Duration) (enrolmentRow, bool, error) {
	var row enrolmentRow
	r := s.db.Write(ctx).Raw(`
UPDATE enrolments SET next_at = ?, checks = checks + 1
WHERE id = (SELECT id FROM enrolments WHERE state = 'checking' AND next_at <= ? ORDER BY next_at LIMIT 1 ?)
  AND state = 'checking' AND next_at <= ?
RETURNING `+enrolmentColumns+`, ? AS now`, s.db.NowPlus(lease), s.db.NowExpr(), s.skipLocked(), s.db.NowExpr(), s.db.NowExpr()).Scan(&row)
	return row, row.ID != "", r.Error
}

func (s enrolmentStore) skipLocked() clause.Expr {
	if s.db.Dialect() == database.SQLite {
		return clause.Expr{} // its writers stand in line anyway
	}
	return clause.Expr{SQL: "FOR UPDATE SKIP LOCKED"}
}

// waiting reports whether a request is to be looked at. It only reads, so that
// polling does not take SQLite's one writer.
func (s enrolmentStore) waiting(ctx context.Context) (bool, error) {
	var n int
	err := s.db.Read(ctx).Raw(`SELECT count(*) FROM (SELECT 1 AS one FROM enrolments WHERE state = 'checking' AND next_at <= ? LIMIT 1) AS due`,
		s.db.NowExpr()).Row().Scan(&n)
	return n > 0, err
}

func (s enrolmentStore) postpone(ctx context.Context, id string, pause time.Duration) error {
	return s.db.Write(ctx).Exec(`UPDATE enrolments SET next_at = ? WHERE id = ? AND state = 'checking'`, s.db.NowPlus(pause), id).Error
}

// errOpen says that the person has another request open: the index refused.
var errOpen = errors.New("another request is open")

// move brings a request along an arrow of transitions, from the state in which
// it was read. False: somebody else has moved it meanwhile.
func (s enrolmentStore) move(ctx context.Context, r enrolmentRow, to EnrolmentState, set map[string]any) (bool, error) {
	if set == nil {
		set = map[string]any{}
	}
	set["state"] = to
	if to.final() {
		set["data"], set["due_at"], set["ended_at"], set["purge_at"] = nil, nil, s.db.NowExpr(), s.db.NowPlus(s.keep)
	}
	q := s.db.Write(ctx).Table("enrolments").Where("id = ? AND state = ? AND state IN ?", r.ID, r.State, from(to)).Updates(set)
	if errors.Is(q.Error, gorm.ErrDuplicatedKey) {
		return false, errOpen
	}
	return q.RowsAffected == 1, q.Error
}

// unsettled are some requests whose PIN has gone another way without them: it
// was used, revoked, given up, or ran out. A request that is read here and
// meanwhile moved stays for the next time.
func (s enrolmentStore) unsettled(ctx context.Context, who citizens.ID) ([]settling, error) {
	var list []settling
	where, args := ``, []any{}
	if who != "" {
		where, args = ` AND e.citizen_id = ?`, append(args, who)
	}
	err := s.db.Read(ctx).Raw(`
SELECT e.id, c.state AS pin, c.end_reason AS why FROM enrolments AS e JOIN credentials AS c ON c.id = e.credential_id
WHERE e.state IN ('approved', 'part1_sent', 'part2_handed', 'part2_posted') AND c.state NOT IN ('pending_delivery', 'issued')`+where+` LIMIT ?`,
		append(args, batch)...).Scan(&list).Error
	return list, err
}

type settling struct {
	ID  string
	PIN State
	Why string
}

// overdue are some requests whose time is over.
func (s enrolmentStore) overdue(ctx context.Context) ([]enrolmentRow, error) {
	var list []enrolmentRow
	err := s.db.Read(ctx).Raw(`SELECT `+enrolmentColumns+`, ? AS now FROM enrolments
WHERE due_at <= ? AND state IN ('submitted', 'checking') LIMIT ?`, s.db.NowExpr(), s.db.NowExpr(), batch).Scan(&list).Error
	return list, err
}

func (s enrolmentStore) purge(ctx context.Context) (int64, error) {
	r := s.db.Write(ctx).Exec(`DELETE FROM enrolments WHERE id IN (SELECT id FROM enrolments WHERE purge_at <= ? LIMIT ?)`, s.db.NowExpr(), batch)
	return r.RowsAffected, r.Error
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
