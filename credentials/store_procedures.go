package credentials

import (
	"context"
	"time"

	"gorm.io/gorm/clause"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
)

// procedure is a row of pin_procedures, and the database's time when it was
// read. CitizenID is empty until the worker has found out.
type procedure struct {
	ID           string
	Kind         procedureKind
	State        step
	PersonKey    []byte
	CitizenID    citizens.ID
	CredentialID ID
	Input        []byte
	CodeKey      []byte
	Tries        int
	ConfirmedAt  database.Time
	PartsSentAt  database.Time
	DueAt        database.Time
	Now          database.Time
}

const procedureColumns = `id, kind, state, person_key, citizen_id, credential_id, input, code_key, tries, confirmed_at, parts_sent_at, due_at`

func (s store) receive(ctx context.Context, p procedure, person []byte, life time.Duration) error {
	return s.db.Write(ctx).Exec(`INSERT INTO pin_procedures (id, kind, state, person_key, input, tries, created_at, due_at)
VALUES (?, ?, ?, ?, ?, 0, ?, ?)`, p.ID, p.Kind, stepReceived, person, p.Input, s.db.NowExpr(), s.db.NowPlus(life)).Error
}

// received lists some requests that nobody has looked at, the oldest first.
func (s store) received(ctx context.Context) ([]string, error) {
	var list []string
	err := s.db.Read(ctx).Raw(`SELECT id FROM pin_procedures WHERE state = 'received' AND due_at > ? ORDER BY created_at, id LIMIT ?`,
		s.db.NowExpr(), batch).Scan(&list).Error
	return list, err
}

// take holds a request that nobody has looked at, until the transaction ends.
// It finds nothing when another node holds it or is done with it.
func (s store) take(ctx context.Context, id string) (procedure, bool, error) {
	lock := clause.Expr{} // SQLite's writers stand in line anyway
	if s.db.Dialect() == database.Postgres {
		lock.SQL = "FOR UPDATE SKIP LOCKED"
	}
	return s.oneProcedure(ctx, `id = ? AND state = 'received' ?`, id, lock)
}

func (s store) oneProcedure(ctx context.Context, where string, args ...any) (procedure, bool, error) {
	var p procedure
	r := s.db.Read(ctx).Raw(`SELECT `+procedureColumns+`, ? AS now FROM pin_procedures WHERE `+where,
		append([]any{s.db.NowExpr()}, args...)...).Scan(&p)
	return p, r.RowsAffected == 1, r.Error
}

// asked is the request that a confirmation is about: the link's, else the
// person's newest that a code was sent for.
func (s store) asked(ctx context.Context, k procedureKind, who citizens.ID, link [][]byte) (procedure, bool, error) {
	if link != nil {
		return s.oneProcedure(ctx, `kind = ? AND link_key IN ?`, k, link)
	}
	return s.oneProcedure(ctx, `kind = ? AND citizen_id = ? AND code_key IS NOT NULL ORDER BY mailed_at DESC, id DESC LIMIT 1`, k, who)
}

// openProcedures are what a person has under way, of these kinds.
func (s store) openProcedures(ctx context.Context, who citizens.ID, kinds []procedureKind) ([]procedure, error) {
	var list []procedure
	err := s.db.Read(ctx).Raw(`SELECT `+procedureColumns+`, ? AS now FROM pin_procedures
WHERE citizen_id = ? AND kind IN ? AND state IN ('mail_sent', 'parts_sending', 'parts_sent') ORDER BY created_at`,
		s.db.NowExpr(), who, kinds).Scan(&list).Error
	return list, err
}

// reserveCode counts a try before it is looked at, in a commit of its own.
func (s store) reserveCode(ctx context.Context, id string, most int) (procedure, bool, error) {
	if id == "" {
		id = string(nobody)
	}
	var p procedure
	r := s.db.Write(ctx).Raw(`UPDATE pin_procedures SET tries = tries + 1 WHERE id = ? AND tries < ? AND code_key IS NOT NULL
RETURNING `+procedureColumns+`, ? AS now`, id, most, s.db.NowExpr()).Scan(&p)
	return p, p.ID != "", r.Error
}

// mailed says that the code is on its way. Of two requests of one person only
// one can be open: the index refuses.
func (s store) mailed(ctx context.Context, p procedure, m mailing, life time.Duration) (bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE pin_procedures SET state = ?, citizen_id = ?, link_key = ?, code_key = ?, mailed_at = ?, due_at = ?
WHERE id = ? AND state = 'received'`, stepMailed, p.CitizenID, m.linkKey, m.codeKey, s.db.NowExpr(), s.db.NowPlus(life), p.ID)
	return r.RowsAffected == 1, r.Error
}

// parts says that the code was right and the parts of a new PIN are queued.
func (s store) parts(ctx context.Context, p procedure, c ID, patience time.Duration) (bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE pin_procedures SET state = ?, credential_id = ?, input = NULL, confirmed_at = ?, due_at = ?
WHERE id = ? AND state = 'mail_sent' AND due_at > ?`, stepSending, c, s.db.NowExpr(), s.db.NowPlus(patience), p.ID, s.db.NowExpr())
	return r.RowsAffected == 1, r.Error
}

// handedOver says that both parts have left.
func (s store) handedOver(ctx context.Context, c ID, validity time.Duration) (procedure, bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE pin_procedures SET state = ?, parts_sent_at = ?, due_at = ? WHERE credential_id = ? AND state = 'parts_sending'`,
		stepSent, s.db.NowExpr(), s.db.NowPlus(validity), c)
	if r.Error != nil || r.RowsAffected == 0 {
		return procedure{}, false, r.Error
	}
	return s.byCredential(ctx, c)
}

func (s store) byCredential(ctx context.Context, c ID) (procedure, bool, error) {
	return s.oneProcedure(ctx, `credential_id = ?`, c)
}

// endProcedure ends a request that still stands where it was read; what was
// typed goes.
func (s store) endProcedure(ctx context.Context, p procedure, to step, keep time.Duration) (bool, error) {
	var who any
	if p.CitizenID != "" {
		who = p.CitizenID
	}
	r := s.db.Write(ctx).Exec(`UPDATE pin_procedures SET state = ?, citizen_id = ?, input = NULL, due_at = NULL, ended_at = ?, purge_at = ?
WHERE id = ? AND state = ?`, to, who, s.db.NowExpr(), s.db.NowPlus(keep), p.ID, p.State)
	return r.RowsAffected == 1, r.Error
}

// startsToday is how many requests of a kind a person has begun in a day.
func (s store) startsToday(ctx context.Context, k procedureKind, who citizens.ID) (n int, err error) {
	err = s.db.Read(ctx).Raw(`SELECT count(*) FROM pin_procedures WHERE citizen_id = ? AND kind = ? AND mailed_at > ?`,
		who, k, s.db.NowPlus(-24*time.Hour)).Row().Scan(&n)
	return n, err
}

// missesToday is how many requests about a person, known or not, have named
// the wrong card in a day.
func (s store) missesToday(ctx context.Context, person []byte) (n int, err error) {
	err = s.db.Read(ctx).Raw(`SELECT count(*) FROM pin_procedures WHERE kind = ? AND person_key = ? AND state = 'no_match' AND created_at > ?`,
		revocation, person, s.db.NowPlus(-24*time.Hour)).Row().Scan(&n)
	return n, err
}

// overdueProcedures are some requests whose time is over.
func (s store) overdueProcedures(ctx context.Context) ([]procedure, error) {
	var list []procedure
	err := s.db.Read(ctx).Raw(`SELECT `+procedureColumns+`, ? AS now FROM pin_procedures WHERE due_at <= ? LIMIT ?`,
		s.db.NowExpr(), s.db.NowExpr(), batch).Scan(&list).Error
	return list, err
}

func (s store) purgeProcedures(ctx context.Context) (int64, error) {
	r := s.db.Write(ctx).Exec(`DELETE FROM pin_procedures WHERE id IN (SELECT id FROM pin_procedures WHERE purge_at <= ? LIMIT ?)`,
		s.db.NowExpr(), batch)
	return r.RowsAffected, r.Error
}

// owned is the PIN that a person has, suspended or shut out as it may be; not
// a first one whose time is over. A recovered one whose half was lost counts,
// though it is dead: nothing has taken its place, and its owner had one to
// recover.
func (s store) owned(ctx context.Context, id citizens.ID) (credential, bool, error) {
	return s.one(ctx, `citizen_id = ? AND (state IN ('active', 'inactive', 'dismissed') OR state = 'issued' AND due_at > ?
  OR `+halfLost+`)`, id, s.db.NowExpr(), lostHalf)
}

// halfLost is a PIN that is dead and counts, because its owner recovers from it:
// it is suspended like one that lives. Its parameter is lostHalf.
const halfLost = `state = 'expired_unused' AND origin = 'recovery' AND end_reason = ? AND NOT EXISTS (SELECT 1 FROM credentials AS later
    WHERE later.citizen_id = credentials.citizen_id AND later.created_at > credentials.created_at
      AND later.state NOT IN ('pending_delivery', 'discarded'))`
