package contacts

import (
	"context"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
)

// row is a row of contact_changes.
type row struct {
	ID        ID
	CitizenID citizens.ID
	Kind      citizens.ContactKind
	Removal   bool
	AskedBy   author
	State     State
	Data      []byte
	TargetKey []byte
	CodeKey   []byte
	LinkKey   []byte
	Tries     int
	Reason    Reason
	CreatedAt database.Time
	CodeAt    database.Time // somebody had the right code
	ReceiptAt database.Time // the provider's receipt was there
	ProvedAt  database.Time
	DueAt     database.Time
	EndedAt   database.Time
}

const columns = `id, citizen_id, kind, removal, asked_by, state, data, target_key, code_key, link_key, tries, reason,
created_at, code_at, receipt_at, proved_at, due_at, ended_at`

// batch bounds what one statement of the sweep touches.
const batch = 200

type store struct {
	db   *database.DB
	keep time.Duration
}

// insert writes a new change that runs for so long, and hands it back as it is
// kept. The person's row is held, so that there is no other of its kind.
func (s store) insert(ctx context.Context, r row, runs time.Duration) (row, error) {
	var kept row
	q := s.db.Write(ctx).Raw(`
INSERT INTO contact_changes (id, citizen_id, kind, removal, asked_by, state, data, target_key, code_key, link_key, tries, reason, created_at, due_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', ?, ?) RETURNING `+columns,
		r.ID, r.CitizenID, r.Kind, r.Removal, r.AskedBy, r.State, r.Data, r.TargetKey, r.CodeKey, r.LinkKey,
		s.db.NowExpr(), s.db.NowPlus(runs)).Scan(&kept)
	return kept, q.Error
}

// open are the changes that a person has under way, one of a kind at most.
func (s store) open(ctx context.Context, who citizens.ID) ([]row, error) {
	return s.list(ctx, `WHERE citizen_id = ? AND state IN ('asked', 'cooling') ORDER BY kind`, who)
}

// newest are a person's latest changes, the newest first.
func (s store) newest(ctx context.Context, who citizens.ID) ([]row, error) {
	return s.list(ctx, `WHERE citizen_id = ? ORDER BY created_at DESC, id DESC LIMIT ?`, who, batch)
}

// overdue are some changes whose time has come.
func (s store) overdue(ctx context.Context) ([]row, error) {
	return s.list(ctx, `WHERE due_at <= ? ORDER BY due_at LIMIT ?`, s.db.NowExpr(), batch)
}

func (s store) list(ctx context.Context, where string, args ...any) ([]row, error) {
	var list []row
	err := s.db.Read(ctx).Raw(`SELECT `+columns+` FROM contact_changes `+where, args...).Scan(&list).Error
	return list, err
}

func (s store) byID(ctx context.Context, id ID) (row, bool, error) {
	return first(s.list(ctx, `WHERE id = ?`, id))
}

// byLink finds a change by the link of its mail, as long as the link leads on:
// also when somebody has pressed the button already.
func (s store) byLink(ctx context.Context, link [][]byte) (row, bool, error) {
	return first(s.list(ctx, `WHERE link_key IN ? AND state IN ('asked', 'cooling') AND due_at > ?`, link, s.db.NowExpr()))
}

func first(list []row, err error) (row, bool, error) {
	if err != nil || len(list) == 0 {
		return row{}, false, err
	}
	return list[0], true, nil
}

// try counts one code, before anybody looks at it, in a commit of its own.
func (s store) try(ctx context.Context, who citizens.ID, kind citizens.ContactKind, most int) (row, bool, error) {
	return s.move(ctx, `tries = tries + 1 WHERE citizen_id = ? AND kind = ? AND state IN ('asked', 'cooling') AND NOT removal
  AND tries < ? AND due_at > ?`, who, kind, most, s.db.NowExpr())
}

// codeRight notes that somebody had the right code, in time.
func (s store) codeRight(ctx context.Context, id ID) (row, bool, error) {
	return s.move(ctx, `code_at = COALESCE(code_at, ?) WHERE id = ? AND state = 'asked' AND due_at > ?`, s.db.NowExpr(), id, s.db.NowExpr())
}

// receipt notes that the PEC provider has delivered the code.
func (s store) receipt(ctx context.Context, id ID) (row, bool, error) {
	return s.move(ctx, `receipt_at = COALESCE(receipt_at, ?) WHERE id = ? AND state = 'asked' AND due_at > ?`, s.db.NowExpr(), id, s.db.NowExpr())
}

// cool begins the pause of a change that is proved.
func (s store) cool(ctx context.Context, r row, pause time.Duration) (row, bool, error) {
	return s.move(ctx, `state = 'cooling', proved_at = ?, due_at = ? WHERE id = ? AND state = 'asked'`,
		s.db.NowExpr(), s.db.NowPlus(pause), r.ID)
}

// end brings a change to its end along an arrow of transitions, wherever it
// stands by now; to its good end only when its pause is over. Its contacts are
// erased.
func (s store) end(ctx context.Context, id ID, to State, why Reason) (row, bool, error) {
	args := []any{to, why, s.db.NowExpr(), s.db.NowPlus(s.keep), id, from(to)}
	early := ``
	if to == Effective || to == Expired && why == NotProved {
		early, args = ` AND due_at <= ?`, append(args, s.db.NowExpr())
	}
	return s.move(ctx, `state = ?, reason = ?, ended_at = ?, purge_at = ?, due_at = NULL, data = NULL, code_key = NULL, link_key = NULL
WHERE id = ? AND state IN ?`+early, args...)
}

// move is an UPDATE that hands back the row, if it found it where it should be.
func (s store) move(ctx context.Context, set string, args ...any) (row, bool, error) {
	var list []row
	err := s.db.Write(ctx).Raw(`UPDATE contact_changes SET `+set+` RETURNING `+columns, args...).Scan(&list).Error
	return first(list, err)
}

// askedToday is how many changes a person has asked for in a day.
func (s store) askedToday(ctx context.Context, who citizens.ID) (int, error) {
	return s.count(ctx, `citizen_id = ? AND created_at > ?`, who, s.db.NowPlus(-24*time.Hour))
}

// sentToday is how many codes a number or an address was sent in a day.
func (s store) sentToday(ctx context.Context, target [][]byte) (int, error) {
	return s.count(ctx, `target_key IN ? AND created_at > ?`, target, s.db.NowPlus(-24*time.Hour))
}

func (s store) count(ctx context.Context, where string, args ...any) (n int, err error) {
	err = s.db.Read(ctx).Raw(`SELECT count(*) FROM contact_changes WHERE `+where, args...).Row().Scan(&n)
	return n, err
}

func (s store) purge(ctx context.Context) (int64, error) {
	r := s.db.Write(ctx).Exec(`DELETE FROM contact_changes WHERE id IN (SELECT id FROM contact_changes WHERE purge_at <= ? LIMIT ?)`,
		s.db.NowExpr(), batch)
	return r.RowsAffected, r.Error
}
