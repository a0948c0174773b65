package enrolment

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
)

// callRow is a row of callbacks, with the database's time when it was read.
type callRow struct {
	ID               string
	CitizenID        citizens.ID
	RequestID        string
	Reasons          string
	Phone            []byte
	PhoneKey         []byte
	TimeZone         string
	Slot             Slot
	State            CallState
	Operator         string
	Attempts         int
	IdentityFailures int
	CreatedAt        database.Time
	NotBefore        database.Time
	NotAfter         database.Time
	AssignedTill     database.Time
	DueAt            database.Time
	Now              database.Time
}

type callStore struct {
	db   *database.DB
	keep time.Duration
}

const callColumns = `id, citizen_id, COALESCE(CAST(enrolment_id AS text), '') AS request_id, reasons, phone, phone_key, time_zone, slot, state, operator,
attempts, identity_failures, created_at, not_before, not_after, assigned_till, due_at`

// add writes a new call. errPhoneBusy says that person or telephone has one
// open: the indexes refused, and the transaction is lost.
func (s callStore) add(ctx context.Context, c callRow) error {
	err := s.db.Write(ctx).Exec(`
INSERT INTO callbacks (id, citizen_id, enrolment_id, reasons, phone, phone_key, time_zone, slot, state, outcome, operator, attempts, identity_failures,
  created_at, not_before, not_after, due_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued', '', '', 0, 0, ?, ?, ?, ?)`,
		c.ID, c.CitizenID, orNull(c.RequestID), c.Reasons, c.Phone, c.PhoneKey, c.TimeZone, c.Slot, s.db.NowExpr(), c.NotBefore, c.NotAfter, c.DueAt).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return errPhoneBusy
	}
	return err
}

func orNull(id string) any {
	if id == "" {
		return nil
	}
	return id
}

func (s callStore) append(ctx context.Context, id, reasons, enrolment string) error {
	return s.db.Write(ctx).Exec(`UPDATE callbacks SET reasons = ?, enrolment_id = ? WHERE id = ? AND state <> 'closed'`,
		reasons, orNull(enrolment), id).Error
}

func (s callStore) byID(ctx context.Context, id string) (callRow, bool, error) {
	return s.one(ctx, `CAST(id AS text) = ?`, id)
}

func (s callStore) of(ctx context.Context, who citizens.ID) (callRow, bool, error) {
	return s.one(ctx, `citizen_id = ? AND state <> 'closed'`, who)
}

func (s callStore) one(ctx context.Context, where string, arg any) (callRow, bool, error) {
	var row callRow
	r := s.db.Read(ctx).Raw(`SELECT `+callColumns+`, ? AS now FROM callbacks WHERE `+where, s.db.NowExpr(), arg).Scan(&row)
	return row, row.ID != "", r.Error
}

func (s callStore) phoneBusy(ctx context.Context, key []byte) (bool, error) {
	var n int
	err := s.db.Read(ctx).Raw(`SELECT count(*) FROM callbacks WHERE phone_key = ? AND state <> 'closed'`, key).Row().Scan(&n)
	return n > 0, err
}

// mostCalls is how many calls one list shows.
const mostCalls = 200

func (s callStore) open(ctx context.Context) ([]callRow, error) {
	var list []callRow
	err := s.db.Read(ctx).Raw(`SELECT `+callColumns+`, ? AS now FROM callbacks WHERE state <> 'closed'
ORDER BY not_before, created_at, id LIMIT ?`, s.db.NowExpr(), mostCalls).Scan(&list).Error
	return list, err
}

// next is the one that has been due longest, and is nobody's. Of two that
// ask at once the second gets the next: the first's row is locked.
func (s callStore) next(ctx context.Context) (string, error) {
	var id string
	err := s.db.Read(ctx).Raw(`SELECT CAST(id AS text) FROM callbacks
WHERE (state = 'queued' OR state = 'assigned' AND assigned_till <= ?) AND not_before <= ? AND due_at > ?
ORDER BY not_before, created_at, id LIMIT 1 ?`, s.db.NowExpr(), s.db.NowExpr(), s.db.NowExpr(), skipLocked(s.db)).Scan(&id).Error
	return id, err
}

// assign gives a call to an operator, if it still is as it was read.
func (s callStore) assign(ctx context.Context, c callRow, operator string, lease time.Duration) (callRow, bool, error) {
	var row callRow
	r := s.db.Write(ctx).Raw(`UPDATE callbacks SET state = 'assigned', operator = ?, assigned_till = ?
WHERE id = ? AND (state = 'queued' OR state = 'assigned' AND (assigned_till <= ? OR operator = ?))
RETURNING `+callColumns+`, ? AS now`, operator, s.db.NowPlus(lease), c.ID, s.db.NowExpr(), operator, s.db.NowExpr()).Scan(&row)
	return row, row.ID != "", r.Error
}

// requeue puts an assigned call back, under the operator who had it.
func (s callStore) requeue(ctx context.Context, c callRow) (bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE callbacks SET state = 'queued', operator = '', assigned_till = NULL, attempts = ?, identity_failures = ?,
  not_before = ?, not_after = ? WHERE id = ? AND state = 'assigned' AND operator = ? AND assigned_till = ?`,
		c.Attempts, c.IdentityFailures, c.NotBefore, c.NotAfter, c.ID, c.Operator, c.AssignedTill)
	return r.RowsAffected == 1, r.Error
}

// end closes a call that is as it was read; its number goes.
func (s callStore) end(ctx context.Context, c callRow, how CallOutcome) (bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE callbacks SET state = 'closed', outcome = ?, phone = NULL, assigned_till = NULL, attempts = ?,
  identity_failures = ?, due_at = NULL, closed_at = ?, purge_at = ? WHERE id = ? AND state = ? AND operator = ?`,
		how, c.Attempts, c.IdentityFailures, s.db.NowExpr(), s.db.NowPlus(s.keep), c.ID, c.State, c.Operator)
	return r.RowsAffected == 1, r.Error
}

// stale are some calls that were let lie or whose days are over.
func (s callStore) stale(ctx context.Context) ([]callRow, error) {
	var list []callRow
	err := s.db.Read(ctx).Raw(`SELECT `+callColumns+`, ? AS now FROM callbacks
WHERE state <> 'closed' AND (due_at <= ? OR state = 'assigned' AND assigned_till <= ?) LIMIT ?`,
		s.db.NowExpr(), s.db.NowExpr(), s.db.NowExpr(), batch).Scan(&list).Error
	return list, err
}

func (s callStore) purge(ctx context.Context) (int64, error) {
	r := s.db.Write(ctx).Exec(`DELETE FROM callbacks WHERE id IN (SELECT id FROM callbacks WHERE purge_at <= ? LIMIT ?)`, s.db.NowExpr(), batch)
	return r.RowsAffected, r.Error
}
