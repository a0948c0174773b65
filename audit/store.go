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
	Seq       int64
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
	ok, err = l.db.Writer(ctx).One("UPDATE audit_head SET leased_by = leased_by WHERE id = 1 AND leased_by = ? RETURNING seq, hash",
		[]any{l.holder}, &h.Seq, &h.Hash)
	return h, ok, err
}

// lease takes or keeps the one right to chain, for a while.
func (l *Log) lease(ctx context.Context, d time.Duration) (bool, error) {
	n, err := l.db.Writer(ctx).Do(`UPDATE audit_head SET leased_by = ?, leased_till = ?
		WHERE id = 1 AND (leased_by = ? OR leased_till IS NULL OR leased_till < ?)`,
		l.holder, l.db.NowPlus(d), l.holder, l.db.NowExpr())
	return n == 1, err
}

// release gives the lease up, for the next node not to wait.
func (l *Log) release(ctx context.Context) error {
	return l.db.Write(ctx).Exec("UPDATE audit_head SET leased_till = NULL WHERE id = 1 AND leased_by = ?", l.holder).Error
}

// link is what chaining adds to an event.
type link struct {
	ID         string
	Seq        int64
	Prev, Hash []byte
}

// unchained links the first events of the queue to from, ordered by id. Of the
// events themselves nothing is kept.
func (l *Log) unchained(ctx context.Context, from head, limit int) (links []link, err error) {
	var r row
	fields := r.fields()
	err = l.db.Reader(ctx).All("SELECT "+columns+" FROM audit_queue ORDER BY id LIMIT ?", []any{limit}, func(one database.Row) error {
		if err := one.Scan(fields...); err != nil {
			return err
		}
		added := from.next(r)
		links, from = append(links, added), head{added.Seq, added.Hash}
		return nil
	})
	return links, err
}

func (l *Log) countUnchained(ctx context.Context) (n int64, err error) {
	err = l.db.Read(ctx).Raw("SELECT count(*) FROM audit_queue").Scan(&n).Error
	return n, err
}

// errNotMoved rolls a batch back that has not come into the chain.
var errNotMoved = errors.New("events that left the queue are not in the chain")

// chain moves events from the queue into the chain, and its head, which lockHead
// has locked.
func (l *Log) chain(ctx context.Context, links []link) error {
	move := l.movePostgres
	if l.db.Dialect() == database.SQLite {
		move = l.moveSQLite
	}
	n, err := move(ctx, links)
	if err == nil && n != int64(len(links)) {
		err = fmt.Errorf("%d of %d events moved into the chain", n, len(links))
	}
	if err != nil {
		return err
	}
	last := links[len(links)-1]
	return l.db.Writer(ctx).Must(errNotMoved, `UPDATE audit_head SET seq = ?, hash = ? WHERE id = 1
		AND EXISTS (SELECT 1 FROM audit_chain WHERE seq = ? AND hash = ?) RETURNING 1`, last.Seq, last.Hash, last.Seq, last.Hash)
}

// movePostgres takes events out of the queue, whose trigger puts them into the
// chain: no event is sent back, and none need be compared. A batch of any length
// is the same two statements, parsed once.
func (l *Log) movePostgres(ctx context.Context, links []link) (int64, error) {
	ids, hashes := make([]string, len(links)), make([]byte, 0, 64*len(links))
	for i, one := range links {
		ids[i], hashes = one.ID, hex.AppendEncode(hashes, one.Hash)
	}
	w := l.db.Writer(ctx)
	if err := w.Later("SELECT set_config('audit.hashes', ?, true)", string(hashes)); err != nil {
		return 0, err
	}
	return w.Do("DELETE FROM audit_queue WHERE id = ANY(?::uuid[])", ids)
}

// SQLite's trigger lets an event go that stands in the chain as it was.
const (
	copySQLite = `INSERT INTO audit_chain (` + columns + `, seq, prev_hash, hash)
		SELECT audit_queue.*, value ->> 'seq', unhex(value ->> 'prev'), unhex(value ->> 'hash')
		FROM json_each(?) JOIN audit_queue ON audit_queue.id = value ->> 'id'`
	leaveSQLite = `DELETE FROM audit_queue WHERE id IN (SELECT value ->> 'id' FROM json_each(?))`
)

func (l *Log) moveSQLite(ctx context.Context, links []link) (int64, error) {
	type spelled struct {
		ID   string `json:"id"`
		Seq  int64  `json:"seq"`
		Prev string `json:"prev"`
		Hash string `json:"hash"`
	}
	list := make([]spelled, len(links))
	for i, one := range links {
		list[i] = spelled{one.ID, one.Seq, hex.EncodeToString(one.Prev), hex.EncodeToString(one.Hash)}
	}
	doc, err := json.Marshal(list)
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
