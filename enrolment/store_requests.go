package enrolment

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
)

// request is a row of enrolments, with the database's time when it was read
// and the state of the PIN that came of it.
type request struct {
	ID           string
	CodeKey      []byte
	CodeTries    int
	CitizenID    citizens.ID
	CredentialID credentials.ID
	State        state
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
	Reply        []byte
	WithdrawKey  []byte
	WithdrawnAt  database.Time
	Now          database.Time
}

// proofOf are the keys by which a new request is found again.
type proofOf struct{ tracking, fiscalCode, contact, code []byte }

type requestStore struct {
	db   *database.DB
	keep time.Duration
}

const requestColumns = `id, code_key, code_tries, citizen_id, credential_id, state, data, vouched, reissues, checks, reason,
created_at, first_half_at, second_half_at, posted_at, due_at, ended_at, reply, withdraw_key, withdrawn_at`

// open are the states in which a person has a request, for SQL.
const openRequests = `('checking', 'call_queued', 'calling', 'approved', 'part1_sent', 'part2_handed', 'part2_posted')`

// insert keeps a new request, once: the same form sent twice is one request.
func (s requestStore) insert(ctx context.Context, id string, k proofOf, data []byte, life time.Duration) (bool, error) {
	r := s.db.Write(ctx).Exec(`
INSERT INTO enrolments (id, tracking_key, fiscal_code_key, contact_key, code_key, code_tries, state, data, vouched, reissues, checks,
  reason, created_at, due_at)
VALUES (?, ?, ?, ?, ?, 0, 'submitted', ?, false, 0, 0, '', ?, ?)
ON CONFLICT (tracking_key) DO NOTHING`,
		id, k.tracking, k.fiscalCode, k.contact, k.code, data, s.db.NowExpr(), s.db.NowPlus(life))
	return r.RowsAffected == 1, r.Error
}

// alone has the caller's transaction wait for every other one that begins a
// request about this person or for this contact: what they have inserted and not
// committed would not be counted. The two are taken in one order by everybody, and
// end with the transaction, so that a pooler does them no harm.
func (s requestStore) alone(ctx context.Context, k proofOf) error {
	if s.db.Dialect() == database.SQLite {
		return nil // its writers stand in line anyway
	}
	locks := []int64{lockOf(k.fiscalCode), lockOf(k.contact)}
	slices.Sort(locks)
	for _, n := range locks {
		if err := s.db.Write(ctx).Exec(`SELECT pg_advisory_xact_lock(?)`, n).Error; err != nil {
			return err
		}
	}
	return nil
}

// lockOf is a number for a key; two keys with one number only wait for each
// other without need.
func lockOf(key []byte) int64 { return int64(binary.BigEndian.Uint64(key)) }

// begun is how many requests a person, and a contact, have begun in a day. The
// new one is among them.
func (s requestStore) begun(ctx context.Context, k proofOf) (n int, err error) {
	err = s.db.Read(ctx).Raw(`
SELECT max(n) FROM (
  SELECT count(*) AS n FROM enrolments WHERE fiscal_code_key = ? AND created_at > ?
  UNION ALL SELECT count(*) FROM enrolments WHERE contact_key = ? AND created_at > ?) AS both_counts`,
		k.fiscalCode, s.db.NowPlus(-24*time.Hour), k.contact, s.db.NowPlus(-24*time.Hour)).Row().Scan(&n)
	return n, err
}

// forget takes a request out again that was one too many.
func (s requestStore) forget(ctx context.Context, id string) error {
	return s.db.Write(ctx).Exec(`DELETE FROM enrolments WHERE id = ?`, id).Error
}

func (s requestStore) exists(ctx context.Context, tracking [][]byte) (bool, error) {
	var n int
	err := s.db.Read(ctx).Raw(`SELECT count(*) FROM enrolments WHERE tracking_key IN ?`, tracking).Row().Scan(&n)
	return n > 0, err
}

// try counts one code for a request, before anybody looks at it.
func (s requestStore) try(ctx context.Context, tracking [][]byte, most int) (request, bool, error) {
	var row request
	r := s.db.Write(ctx).Raw(`UPDATE enrolments SET code_tries = code_tries + 1 WHERE tracking_key IN ? AND code_tries < ?
RETURNING `+requestColumns+`, ? AS now`, tracking, most, s.db.NowExpr()).Scan(&row)
	return row, row.ID != "", r.Error
}

// tracked finds a request by its tracking code and the person's.
func (s requestStore) tracked(ctx context.Context, tracking [][]byte, person []byte) (request, bool, error) {
	return s.one(ctx, `tracking_key IN ? AND fiscal_code_key = ?`, tracking, person)
}

func (s requestStore) byID(ctx context.Context, id string) (request, bool, error) {
	return s.one(ctx, `id = ?`, id)
}

func (s requestStore) byCredential(ctx context.Context, c credentials.ID) (request, bool, error) {
	return s.one(ctx, `credential_id = ?`, c)
}

// openOf is the request that a person has open.
func (s requestStore) openOf(ctx context.Context, who citizens.ID) (request, bool, error) {
	return s.one(ctx, `citizen_id = ? AND state IN `+openRequests, who)
}

func (s requestStore) one(ctx context.Context, where string, args ...any) (request, bool, error) {
	var row request
	r := s.db.Read(ctx).Raw(`SELECT `+requestColumns+`, ? AS now FROM enrolments WHERE `+where, append([]any{s.db.NowExpr()}, args...)...).Scan(&row)
	return row, row.ID != "", r.Error
}

// claim leases one request that is to be looked at to the caller: until the
// pause is over nobody else looks.
func (s requestStore) claim(ctx context.Context, lease time.Duration) (request, bool, error) {
	var row request
	r := s.db.Write(ctx).Raw(`
UPDATE enrolments SET next_at = ?, checks = checks + 1
WHERE id = (SELECT id FROM enrolments WHERE state = 'checking' AND next_at <= ? ORDER BY next_at LIMIT 1 ?)
  AND state = 'checking' AND next_at <= ?
RETURNING `+requestColumns+`, ? AS now`, s.db.NowPlus(lease), s.db.NowExpr(), skipLocked(s.db), s.db.NowExpr(), s.db.NowExpr()).Scan(&row)
	return row, row.ID != "", r.Error
}

// skipLocked lets the second of two that ask at once pass on to the next row.
func skipLocked(db *database.DB) clause.Expr {
	if db.Dialect() == database.SQLite {
		return clause.Expr{} // its writers stand in line anyway
	}
	return clause.Expr{SQL: "FOR UPDATE SKIP LOCKED"}
}

// waiting reports whether a request is to be looked at. It only reads, so that
// polling does not take SQLite's one writer.
func (s requestStore) waiting(ctx context.Context) (bool, error) {
	var n int
	err := s.db.Read(ctx).Raw(`SELECT count(*) FROM (SELECT 1 AS one FROM enrolments WHERE state = 'checking' AND next_at <= ? LIMIT 1) AS due`,
		s.db.NowExpr()).Row().Scan(&n)
	return n > 0, err
}

func (s requestStore) postpone(ctx context.Context, id string, pause time.Duration) error {
	return s.db.Write(ctx).Exec(`UPDATE enrolments SET next_at = ? WHERE id = ? AND state = 'checking'`, s.db.NowPlus(pause), id).Error
}

// errOpen says that the person has another request open: the index refused.
var errOpen = errors.New("another request is open")

// move brings a request along an arrow of transitions, from the state in which
// it was read. False: somebody else has moved it meanwhile.
func (s requestStore) move(ctx context.Context, r request, to state, set map[string]any) (bool, error) {
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

// handed are some requests whose PIN is made, by id, after one of them; of
// everybody or of one person.
func (s requestStore) handed(ctx context.Context, who citizens.ID, after string) ([]request, error) {
	var list []request
	where, args := ``, []any{s.db.NowExpr(), after}
	if who != "" {
		where, args = ` AND citizen_id = ?`, append(args, who)
	}
	err := s.db.Read(ctx).Raw(`SELECT `+requestColumns+`, ? AS now FROM enrolments
WHERE state IN ('approved', 'part1_sent', 'part2_handed', 'part2_posted') AND id > ?`+where+` ORDER BY id LIMIT ?`,
		append(args, batch)...).Scan(&list).Error
	return list, err
}

// batch bounds what one statement of a sweep touches.
const batch = 500

// overdue are some requests whose time is over. That they have not ended is said
// as the index says it: SQLite does not conclude.
func (s requestStore) overdue(ctx context.Context) ([]request, error) {
	var list []request
	err := s.db.Read(ctx).Raw(`SELECT `+requestColumns+`, ? AS now FROM enrolments
WHERE due_at <= ? AND state IN ('submitted', 'checking') AND state NOT IN ('completed', 'rejected', 'expired', 'cancelled') LIMIT ?`, s.db.NowExpr(), s.db.NowExpr(), batch).Scan(&list).Error
	return list, err
}

func (s requestStore) purge(ctx context.Context) (int64, error) {
	r := s.db.Write(ctx).Exec(`DELETE FROM enrolments WHERE id IN (SELECT id FROM enrolments WHERE purge_at <= ? LIMIT ?)`, s.db.NowExpr(), batch)
	return r.RowsAffected, r.Error
}
