package credentials

import (
	"bytes"
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
)

// nobody is the id under which nothing is found: whoever looks for a person
// who does not exist does so with as many statements as for one who does.
const nobody citizens.ID = "00000000-0000-0000-0000-000000000000"

// credential is a row of credentials, and the database's time when it was read.
type credential struct {
	ID           ID
	CitizenID    citizens.ID
	Kind         Kind
	Form         form
	Origin       origin
	State        State
	Secret       secret
	CreatedAt    database.Time
	FirstHalfAt  database.Time
	SecondHalfAt database.Time
	IssuedAt     database.Time
	ChangedAt    database.Time
	DueAt        database.Time
	LastAccessAt database.Time
	SuspendedAt  database.Time
	// NoticeStep is the notice, in days before, that was given of NoticeDue.
	NoticeStep int
	NoticeDue  database.Time
	// DismissalAt is when the PIN ends because its owner is no longer eligible.
	DismissalAt database.Time
	// OrdinaryUntil is until when it counts as ordinario, having been recovered.
	OrdinaryUntil database.Time
	// Profile is that of eligibility under which the PIN was given or last found
	// right; empty for one from before this was kept.
	Profile citizens.Eligibility
	Now     database.Time
	// Recovering says that its owner has asked for another in its place.
	Recovering bool
}

// final reports whether this PIN is dead for good.
func (c credential) final() bool { return len(c.Secret.Hash) == 0 }

func (c credential) label() label { return label{c.ID, c.CitizenID, c.Kind, c.Form} }

type store struct {
	db      *database.DB
	profile citizens.Eligibility // in force
	keep    time.Duration
}

const columns = `id, citizen_id, kind, form, origin, state, hash, salt, memory, passes, threads, pepper_key, hash_version,
created_at, first_half_at, second_half_at, issued_at, changed_at, due_at, last_access_at, suspended_at,
notice_step, notice_due, dismissal_at, ordinary_until, profile`

// trying reads the PIN that a try of whoever it is whose id the database finds
// is held against: one that could sign in, or could again if its owner is
// eligible again. Where it finds nobody, nobody's is looked for.
func (s store) trying(who database.Subquery) (*asked, database.Query) {
	return s.asking(`citizen_id = COALESCE(?, ?) AND state IN ('issued', 'active', 'dismissed')`, who, string(nobody))
}

// live is the PIN with which a person could sign in.
func (s store) live(ctx context.Context, id citizens.ID) (credential, bool, error) {
	return s.one(ctx, `citizen_id = ? AND state IN ('issued', 'active')`, id)
}

func (s store) byID(ctx context.Context, id ID) (credential, bool, error) {
	return s.one(ctx, `id = ?`, id)
}

// shown is the PIN that staff are told about. One that never reached its owner
// is not told, nor is one that another has replaced.
func (s store) shown(ctx context.Context, id citizens.ID) (credential, bool, error) {
	return s.one(ctx, `citizen_id = ? AND state NOT IN ('superseded', 'discarded')
ORDER BY CASE WHEN state IN ('issued', 'active', 'inactive', 'dismissed') THEN 0 ELSE 1 END, created_at DESC, id DESC LIMIT 1`, id)
}

func (s store) one(ctx context.Context, where string, args ...any) (credential, bool, error) {
	a, read := s.asking(where, args...)
	err := s.db.Reader(ctx).All(read.Text, read.Args, read.Each)
	return a.credential, a.found, err
}

// asked is a PIN that a statement asks for, once that has been answered.
type asked struct {
	credential
	found bool
}

func (a *asked) scan(r database.Row) error {
	a.found = true
	return r.Scan(a.fields()...)
}

func (s store) asking(where string, args ...any) (*asked, database.Query) {
	a := &asked{}
	return a, database.Query{Text: `SELECT ` + columns + `, ?, EXISTS (SELECT 1 FROM pin_procedures p
WHERE p.citizen_id = credentials.citizen_id AND p.kind = 'recovery' AND p.state IN ('mail_sent', 'parts_sending', 'parts_sent'))
FROM credentials WHERE ` + where, Args: append([]any{s.db.NowExpr()}, args...), Each: a.scan}
}

// fields shows the driver texts as texts: a type of ours costs it a search each time.
func (c *credential) fields() []any {
	return []any{
		(*string)(&c.ID), (*string)(&c.CitizenID), (*string)(&c.Kind), (*string)(&c.Form), (*string)(&c.Origin), (*string)(&c.State),
		&c.Secret.Hash, &c.Secret.Salt, &c.Secret.Memory, &c.Secret.Passes, &c.Secret.Threads, &c.Secret.PepperKey, &c.Secret.HashVersion,
		&c.CreatedAt, &c.FirstHalfAt, &c.SecondHalfAt, &c.IssuedAt, &c.ChangedAt, &c.DueAt, &c.LastAccessAt, &c.SuspendedAt,
		&c.NoticeStep, &c.NoticeDue, &c.DismissalAt, &c.OrdinaryUntil, (*string)(&c.Profile), &c.Now, &c.Recovering,
	}
}

// holding says whether a person has a live PIN or one on its way. A first PIN
// that has run out is none, swept or not.
func (s store) holding(ctx context.Context, id citizens.ID) (live, pending bool, err error) {
	var states []State
	err = s.db.Read(ctx).Raw(`SELECT state FROM credentials
WHERE citizen_id = ? AND (state IN ('pending_delivery', 'active', 'inactive', 'dismissed') OR state = 'issued' AND due_at > ?)`,
		id, s.db.NowExpr()).Scan(&states).Error
	for _, st := range states {
		live, pending = live || st != PendingDelivery, pending || st == PendingDelivery
	}
	return live, pending, err
}

// insert writes a PIN that is to be delivered. ErrPending says that the person
// has one, or has one coming: the indexes refused.
func (s store) insert(ctx context.Context, c credential) error {
	err := s.add(ctx, c, nil, nil)
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ErrPending
	}
	return err
}

// activate writes a PIN that is used from now on.
func (s store) activate(ctx context.Context, c credential) error {
	return s.add(ctx, c, s.db.NowExpr(), s.db.NowExpr())
}

// add has a PIN looked at a day later; at once if it takes over the date at which
// its owner was to lose the one before: that may have come, or mean nothing by now.
func (s store) add(ctx context.Context, c credential, changed, accessed any) error {
	look := s.db.NowPlus(relook)
	if !c.DismissalAt.IsZero() {
		look = s.db.NowExpr()
	}
	return s.db.Write(ctx).Exec(`INSERT INTO credentials (`+columns+`, suspended_reason, end_reason, look_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?, ?, ?, NULL, 0, NULL, ?, ?, ?, '', '', ?)`,
		c.ID, c.CitizenID, c.Kind, c.Form, c.Origin, c.State, c.Secret.Hash, c.Secret.Salt, c.Secret.Memory, c.Secret.Passes,
		c.Secret.Threads, c.Secret.PepperKey, c.Secret.HashVersion, s.db.NowExpr(),
		c.IssuedAt, changed, c.DueAt, accessed, c.DismissalAt, c.OrdinaryUntil, s.profile, look).Error
}

// access records that a PIN was right, if it still opens anything: between the
// reading of its row and now it may have been revoked, suspended, changed or
// have run out. A renewed secret takes the old one's place.
func (s store) access(ctx context.Context, c credential, renewed secret, signsIn bool) (bool, error) {
	q, args := s.accessing(c, renewed, signsIn)
	n, err := s.db.Writer(ctx).Do(q, args...)
	return n == 1, err
}

// mustAccess is access to a PIN that signs in, whose transaction is void with
// errOvertaken where it opens nothing.
func (s store) mustAccess(ctx context.Context, c credential, renewed secret) error {
	q, args := s.accessing(c, renewed, true)
	return s.db.Writer(ctx).Must(errOvertaken, q+` RETURNING 1`, args...)
}

func (s store) accessing(c credential, renewed secret, signsIn bool) (string, []any) {
	set, args := `last_access_at = CASE WHEN ? THEN ? ELSE last_access_at END`, []any{signsIn, s.db.NowExpr()}
	if !bytes.Equal(renewed.Hash, c.Secret.Hash) {
		set += `, hash = ?, salt = ?, memory = ?, passes = ?, threads = ?, pepper_key = ?, hash_version = ?`
		args = append(args, renewed.Hash, renewed.Salt, renewed.Memory, renewed.Passes, renewed.Threads, renewed.PepperKey, renewed.HashVersion)
	}
	return `UPDATE credentials SET ` + set + `
WHERE id = ? AND hash = ? AND suspended_at IS NULL AND (state = 'active' OR state = 'issued' AND due_at > ?)`,
		append(args, string(c.ID), c.Secret.Hash, s.db.NowExpr())
}

// supersede ends a PIN for the one that takes its place, under the same
// conditions as access.
func (s store) supersede(ctx context.Context, c credential) (bool, error) {
	r := s.db.Write(ctx).Exec(`
UPDATE credentials SET state = 'superseded', hash = NULL, ended_at = ?, purge_at = ?, end_reason = 'changed'
WHERE id = ? AND suspended_at IS NULL AND (state = 'active' OR state = 'issued' AND due_at > ?)`,
		s.db.NowExpr(), s.db.NowPlus(s.keep), c.ID, s.db.NowExpr())
	return r.RowsAffected == 1, r.Error
}

// ended is a PIN that a statement has just ended.
type ended struct {
	ID        ID
	CitizenID citizens.ID
}

// end ends what the condition selects: the row stays, its hash goes.
func (s store) end(ctx context.Context, to State, why, where string, args ...any) ([]ended, error) {
	var list []ended
	vars := append([]any{to, s.db.NowExpr(), s.db.NowPlus(s.keep), why}, args...)
	err := s.db.Write(ctx).Raw(`
UPDATE credentials SET state = ?, hash = NULL, ended_at = ?, purge_at = ?, end_reason = ?
WHERE `+where+` RETURNING id, citizen_id`, vars...).Scan(&list).Error
	return list, err
}

// revoke ends every PIN that a person has or has coming.
func (s store) revoke(ctx context.Context, id citizens.ID, why string) ([]ended, error) {
	return s.end(ctx, Revoked, why, `citizen_id = ? AND state IN ('pending_delivery', 'issued', 'active', 'inactive', 'dismissed')`, id)
}

// replace ends the live PIN of a person for one that has just been issued.
func (s store) replace(ctx context.Context, id citizens.ID) ([]ended, error) {
	return s.end(ctx, superseded, "recovered", `citizen_id = ? AND state IN ('issued', 'active', 'inactive', 'dismissed')`, id)
}

func (s store) discard(ctx context.Context, id ID, why string) ([]ended, error) {
	return s.end(ctx, discarded, why, `id = ? AND state = 'pending_delivery'`, id)
}

// unused are some of the people who have not used their first PINs in time.
func (s store) unused(ctx context.Context) ([]citizens.ID, error) {
	var list []citizens.ID
	err := s.db.Read(ctx).Raw(`SELECT citizen_id FROM credentials
WHERE state IN ('pending_delivery', 'issued') AND state = 'issued' AND due_at <= ? LIMIT ?`, s.db.NowExpr(), batch).Scan(&list).Error
	return list, err
}

// expireOf ends the first PIN of somebody who has not used it in time.
func (s store) expireOf(ctx context.Context, id citizens.ID, why string) ([]ended, error) {
	return s.end(ctx, ExpiredUnused, why, `citizen_id = ? AND state = 'issued' AND due_at <= ?`, id, s.db.NowExpr())
}

// overdue lists some PINs that have been on their way for too long.
func (s store) overdue(ctx context.Context) ([]ID, error) {
	var list []ID
	err := s.db.Read(ctx).Raw(`SELECT id FROM credentials WHERE state = 'pending_delivery' AND due_at <= ? LIMIT ?`,
		s.db.NowExpr(), batch).Scan(&list).Error
	return list, err
}

// suspend and resume lay and lift the overlay on whatever a person has.
func (s store) suspend(ctx context.Context, id citizens.ID, why string) (int64, error) {
	r := s.db.Write(ctx).Exec(`UPDATE credentials SET suspended_at = ?, suspended_reason = ?
WHERE citizen_id = ? AND (ended_at IS NULL OR `+halfLost+`) AND suspended_at IS NULL`, s.db.NowExpr(), why, id, lostHalf)
	return r.RowsAffected, r.Error
}

func (s store) resume(ctx context.Context, id citizens.ID) (int64, error) {
	r := s.db.Write(ctx).Exec(`UPDATE credentials SET suspended_at = NULL, suspended_reason = '', look_at = ?
WHERE citizen_id = ? AND (ended_at IS NULL OR `+halfLost+`) AND suspended_at IS NOT NULL`, s.db.NowExpr(), id, lostHalf)
	return r.RowsAffected, r.Error
}

// half records that one half is with its transport; the row comes back as it
// is now.
func (s store) half(ctx context.Context, id ID, column string) (credential, bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE credentials SET `+column+` = ? WHERE id = ? AND state = 'pending_delivery' AND `+column+` IS NULL`,
		s.db.NowExpr(), id)
	if r.Error != nil || r.RowsAffected == 0 {
		return credential{}, false, r.Error
	}
	return s.byID(ctx, id)
}

// issue starts the life of a PIN whose halves have both left. A recovered one
// is as old as the one it replaces: some profiles ask.
func (s store) issue(ctx context.Context, id ID, validity time.Duration) (bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE credentials SET state = 'issued', issued_at = COALESCE(issued_at, ?), due_at = ? WHERE id = ? AND state = 'pending_delivery'`,
		s.db.NowExpr(), s.db.NowPlus(validity), id)
	return r.RowsAffected == 1, r.Error
}

// batch bounds what one statement of the sweep touches.
const batch = 500

func (s store) purge(ctx context.Context) (int64, error) {
	r := s.db.Write(ctx).Exec(`DELETE FROM credentials WHERE id IN (SELECT id FROM credentials WHERE purge_at <= ? LIMIT ?)`,
		s.db.NowExpr(), batch)
	return r.RowsAffected, r.Error
}
