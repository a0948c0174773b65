package audit

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ente.example/idp/database"
)

// row is an event: a line of audit_queue until it is chained, and then of
// audit_chain, with the last three columns. The triggers of both tables let no
// event change, and none go but from the queue into the chain.
type row struct {
	ID        string
	At        database.Time
	NodeAt    database.Time
	Node      string
	Type      string
	Outcome   string
	ActorKind string
	ActorID   string
	Subject   string
	ClientID  string
	Session   string
	RequestID string
	IP        string
	Port      int
	UserAgent string
	Reason    string
	Details   string
	Seq       *int64
	PrevHash  []byte
	Hash      []byte
}

const columns = "id, at, node_at, node, type, outcome, actor_kind, actor_id, subject, client_id, session, request_id, ip, port, user_agent, reason, details"

func (r *row) fields() []any {
	return []any{
		&r.ID, &r.At, &r.NodeAt, &r.Node, &r.Type, &r.Outcome, &r.ActorKind, &r.ActorID, &r.Subject, &r.ClientID, &r.Session,
		&r.RequestID, &r.IP, &r.Port, &r.UserAgent, &r.Reason, &r.Details,
	}
}

// values are r's columns; at is the database's own time.
func (l *Log) values(r row) []any {
	return []any{
		r.ID, l.db.NowExpr(), database.Truncate(time.Now()), r.Node, r.Type, r.Outcome, r.ActorKind, r.ActorID, r.Subject, r.ClientID,
		r.Session, r.RequestID, r.IP, r.Port, r.UserAgent, r.Reason, r.Details,
	}
}

// insert leaves the statement to the end of the transaction, where it is one for
// all its events.
func (l *Log) insert(ctx context.Context, r row) error {
	return l.db.Writer(ctx).Gather("INSERT INTO audit_queue ("+columns+")", l.values(r)...)
}

// insertIf is a write to one row and the event of it in one statement, and so
// in one commit. Only PostgreSQL knows such statements.
func (l *Log) insertIf(ctx context.Context, r row, write string, args []any) (bool, error) {
	n, err := l.db.Writer(ctx).Do("WITH done AS ("+write+" RETURNING 1) INSERT INTO audit_queue ("+columns+`)
		SELECT ?::uuid, ?, ?::timestamptz, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?::bigint, ?, ?, ? FROM done`, append(args, l.values(r)...)...)
	return n == 1, err
}

// head is the end of the chain, and who may lengthen it.
type head struct {
	Seq  int64
	Hash []byte
}

func (l *Log) head(ctx context.Context) (head, error) {
	var h head
	return h, l.db.Read(ctx).Raw("SELECT seq, hash FROM audit_head WHERE id = 1").Scan(&h).Error
}

// lockHead reads the head for the rest of the transaction: whoever else wants
// to chain waits here, and then sees the head that this one leaves. ok is
// false where the lease has gone to another node.
func (l *Log) lockHead(ctx context.Context) (h head, ok bool, err error) {
	r := l.db.Write(ctx).Raw("UPDATE audit_head SET leased_by = leased_by WHERE id = 1 AND leased_by = ? RETURNING seq, hash", l.holder).Scan(&h)
	return h, r.RowsAffected == 1, r.Error
}

// lease takes or keeps the one right to chain, for a while.
func (l *Log) lease(ctx context.Context, d time.Duration) (bool, error) {
	r := l.db.Write(ctx).Exec(`UPDATE audit_head SET leased_by = ?, leased_till = ?
		WHERE id = 1 AND (leased_by = ? OR leased_till IS NULL OR leased_till < ?)`,
		l.holder, l.db.NowPlus(d), l.holder, l.db.NowExpr())
	return r.RowsAffected == 1, r.Error
}

// release gives the lease up, for the next node not to wait.
func (l *Log) release(ctx context.Context) error {
	return l.db.Write(ctx).Exec("UPDATE audit_head SET leased_till = NULL WHERE id = 1 AND leased_by = ?", l.holder).Error
}

// unchained are the first events of the queue.
func (l *Log) unchained(ctx context.Context, limit int) ([]row, error) {
	var rows []row
	err := l.db.Reader(ctx).All("SELECT "+columns+" FROM audit_queue ORDER BY id LIMIT ?", []any{limit}, func(one database.Row) error {
		var r row
		err := one.Scan(r.fields()...)
		rows = append(rows, r)
		return err
	})
	return rows, err
}

func (l *Log) countUnchained(ctx context.Context) (n int64, err error) {
	err = l.db.Read(ctx).Raw("SELECT count(*) FROM audit_queue").Scan(&n).Error
	return n, err
}

// errNotMoved rolls a batch back that has not come into the chain.
var errNotMoved = errors.New("events that left the queue are not in the chain")

// chain moves rows, ordered by id, from the queue into the chain, and its head,
// which lockHead has locked.
func (l *Log) chain(ctx context.Context, rows []row) error {
	move := l.movePostgres
	if l.db.Dialect() == database.SQLite {
		move = l.moveSQLite
	}
	n, err := move(ctx, rows)
	if err == nil && n != int64(len(rows)) {
		err = fmt.Errorf("%d of %d events moved into the chain", n, len(rows))
	}
	if err != nil {
		return err
	}
	last := rows[len(rows)-1]
	return l.db.Writer(ctx).Must(errNotMoved, `UPDATE audit_head SET seq = ?, hash = ? WHERE id = 1
		AND EXISTS (SELECT 1 FROM audit_chain WHERE seq = ? AND hash = ?) RETURNING 1`, *last.Seq, last.Hash, *last.Seq, last.Hash)
}

// movePostgres takes rows out of the queue, whose trigger puts them into the
// chain: no event is sent back, and none need be compared. A batch of any length
// is the same two statements, parsed once.
func (l *Log) movePostgres(ctx context.Context, rows []row) (int64, error) {
	ids, hashes := make([]string, len(rows)), make([]byte, 0, 64*len(rows))
	for i, r := range rows {
		ids[i], hashes = r.ID, hex.AppendEncode(hashes, r.Hash)
	}
	w := l.db.Writer(ctx)
	if err := w.Later("SELECT set_config('audit.hashes', ?, true)", string(hashes)); err != nil {
		return 0, err
	}
	return w.Do("DELETE FROM audit_queue WHERE id = ANY(?::uuid[])", ids)
}

// chainLink is what chaining adds to an event, in hexadecimal where it is bytes.
type chainLink struct {
	ID   string `json:"id"`
	Seq  int64  `json:"seq"`
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}

// SQLite's trigger lets an event go that stands in the chain as it was.
const (
	copySQLite = `INSERT INTO audit_chain (` + columns + `, seq, prev_hash, hash)
		SELECT audit_queue.*, value ->> 'seq', unhex(value ->> 'prev'), unhex(value ->> 'hash')
		FROM json_each(?) JOIN audit_queue ON audit_queue.id = value ->> 'id'`
	leaveSQLite = `DELETE FROM audit_queue WHERE id IN (SELECT value ->> 'id' FROM json_each(?))`
)

func (l *Log) moveSQLite(ctx context.Context, rows []row) (int64, error) {
	links := make([]chainLink, len(rows))
	for i, r := range rows {
		links[i] = chainLink{r.ID, *r.Seq, hex.EncodeToString(r.PrevHash), hex.EncodeToString(r.Hash)}
	}
	doc, err := json.Marshal(links)
	if err != nil {
		return 0, err
	}
	w := l.db.Writer(ctx)
	n, err := w.Do(copySQLite, string(doc))
	if err != nil {
		return 0, err
	}
	return n, w.Later(leaveSQLite, string(doc))
}

func (l *Log) chained(ctx context.Context, after int64, limit int) ([]row, error) {
	var rows []row
	err := l.db.Read(ctx).Raw("SELECT "+columns+", seq, prev_hash, hash FROM audit_chain WHERE seq > ? ORDER BY seq LIMIT ?",
		after, limit).Scan(&rows).Error
	return rows, err
}

func (l *Log) hasHash(ctx context.Context, hash []byte) (bool, error) {
	var n int64
	err := l.db.Read(ctx).Raw("SELECT count(*) FROM audit_chain WHERE hash = ?", hash).Scan(&n).Error
	return n > 0, err
}
