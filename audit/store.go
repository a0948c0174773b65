package audit

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"ente.example/idp/database"
)

// row is a line of audit_events. The table's triggers let nothing change but
// the last three columns, once.
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

func (l *Log) insert(ctx context.Context, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	var q strings.Builder
	q.WriteString("INSERT INTO audit_events (" + columns + ") VALUES ")
	args := make([]any, 0, 17*len(rows))
	now, local := l.db.NowExpr(), database.Truncate(time.Now())
	for i, r := range rows {
		if i > 0 {
			q.WriteString(", ")
		}
		q.WriteString("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
		args = append(args, r.ID, now, local, r.Node, r.Type, r.Outcome, r.ActorKind, r.ActorID, r.Subject, r.ClientID,
			r.Session, r.RequestID, r.IP, r.Port, r.UserAgent, r.Reason, r.Details)
	}
	return l.db.Writer(ctx).Later(q.String(), args...)
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

func (l *Log) unchained(ctx context.Context, limit int) ([]row, error) {
	var rows []row
	err := l.db.Read(ctx).Raw("SELECT "+columns+" FROM audit_events WHERE seq IS NULL ORDER BY id LIMIT ?", limit).Scan(&rows).Error
	return rows, err
}

func (l *Log) countUnchained(ctx context.Context) (n int64, err error) {
	err = l.db.Read(ctx).Raw("SELECT count(*) FROM audit_events WHERE seq IS NULL").Scan(&n).Error
	return n, err
}

// chainLink is what chaining adds to an event, in hexadecimal where it is bytes.
type chainLink struct {
	ID   string `json:"id"`
	Seq  int64  `json:"seq"`
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}

// chain writes the numbers and hashes of rows in one statement and moves the
// head, which lockHead has locked. They are one parameter, so that a batch of
// any length is the same statement, parsed once.
func (l *Log) chain(ctx context.Context, rows []row) error {
	links := make([]chainLink, len(rows))
	for i, r := range rows {
		links[i] = chainLink{r.ID, *r.Seq, hex.EncodeToString(r.PrevHash), hex.EncodeToString(r.Hash)}
	}
	doc, err := json.Marshal(links)
	if err != nil {
		return err
	}
	q := `UPDATE audit_events SET seq = c.seq, prev_hash = decode(c.prev, 'hex'), hash = decode(c.hash, 'hex')
		FROM json_to_recordset(?::text::json) AS c(id uuid, seq bigint, prev text, hash text) WHERE audit_events.id = c.id`
	if l.db.Dialect() == database.SQLite {
		q = `UPDATE audit_events SET seq = value ->> 'seq', prev_hash = unhex(value ->> 'prev'), hash = unhex(value ->> 'hash')
			FROM json_each(?) WHERE audit_events.id = value ->> 'id'`
	}
	if err := l.db.Write(ctx).Exec(q, string(doc)).Error; err != nil {
		return err
	}
	last := rows[len(rows)-1]
	return l.db.Write(ctx).Exec("UPDATE audit_head SET seq = ?, hash = ? WHERE id = 1", *last.Seq, last.Hash).Error
}

func (l *Log) chained(ctx context.Context, after int64, limit int) ([]row, error) {
	var rows []row
	err := l.db.Read(ctx).Raw("SELECT "+columns+", seq, prev_hash, hash FROM audit_events WHERE seq > ? ORDER BY seq LIMIT ?",
		after, limit).Scan(&rows).Error
	return rows, err
}

func (l *Log) hasHash(ctx context.Context, hash []byte) (bool, error) {
	var n int64
	err := l.db.Read(ctx).Raw("SELECT count(*) FROM audit_events WHERE hash = ?", hash).Scan(&n).Error
	return n > 0, err
}
