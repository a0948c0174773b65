package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	chainEvery  = time.Second
	anchorEvery = time.Minute
	leaseFor    = 3 * time.Second // when its holder dies, another goes on in time
	chainBatch  = 1000
)

// errLostLease rolls a batch back that another node has overtaken.
var errLostLease = errors.New("another node chains the audit now")

// Run chains new events within seconds and signs a checkpoint each minute,
// on one node at a time, until ctx ends; then it chains and signs what is
// left. Trouble with the database is reported and tried again.
func (l *Log) Run(ctx context.Context, report func(error)) error {
	tick := time.NewTicker(chainEvery)
	defer tick.Stop()
	anchored := time.Now()
	for {
		select {
		case <-ctx.Done():
			return l.finish(context.WithoutCancel(ctx))
		case <-tick.C:
		}
		held, err := l.Chain(ctx)
		if err == nil && held && time.Since(anchored) >= anchorEvery {
			_, err = l.Anchor(ctx)
			anchored = time.Now()
		}
		if err != nil && ctx.Err() == nil {
			report(fmt.Errorf("chain audit events: %w", err))
		}
	}
}

// finish is the last round before a node stops.
func (l *Log) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := l.Settle(ctx)
	return err
}

// Settle chains and signs what there is, and lets go at once: what a command
// and the last round of a node want. Where another node chains, it signs what
// that one has chained so far.
func (l *Log) Settle(ctx context.Context) (*Checkpoint, error) {
	held, err := l.Chain(ctx)
	if err != nil {
		return nil, err
	}
	c, err := l.Anchor(ctx)
	if held {
		err = errors.Join(err, l.release(ctx))
	}
	return c, err
}

// Chain numbers and chains every event that is not yet. held is false where
// another node does so.
func (l *Log) Chain(ctx context.Context) (held bool, err error) {
	for {
		if held, err = l.lease(ctx, leaseFor); err != nil || !held {
			return false, err
		}
		n, err := l.chainSome(ctx)
		if errors.Is(err, errLostLease) {
			return false, nil
		}
		if err != nil || n < chainBatch {
			return true, err
		}
	}
}

func (l *Log) chainSome(ctx context.Context) (n int, err error) {
	err = l.db.InTx(ctx, func(ctx context.Context) error {
		from, ok, err := l.lockHead(ctx)
		if err != nil {
			return err
		}
		if !ok {
			return errLostLease
		}
		rows, err := l.unchained(ctx, chainBatch)
		if n = len(rows); err != nil || n == 0 {
			return err
		}
		if err := link(from, rows); err != nil {
			return err
		}
		return l.chain(ctx, rows)
	})
	return n, err
}

// link numbers rows from the head on, each with the hash before it.
func link(from head, rows []row) error {
	seq, prev := from.Seq, from.Hash
	for i := range rows {
		seq++
		n := seq
		rows[i].Seq, rows[i].PrevHash = &n, prev
		h, err := rows[i].digest(prev)
		if err != nil {
			return err
		}
		rows[i].Hash, prev = h, h
	}
	return nil
}

// digest is SHA-256 over the hash before and the event in canonical JSON
// (RFC 8785: members sorted, no white space; our texts hold no character that
// the two encoders escape differently).
func (r row) digest(prev []byte) ([]byte, error) {
	var doc bytes.Buffer
	e := json.NewEncoder(&doc)
	e.SetEscapeHTML(false)
	if err := e.Encode(r.document()); err != nil {
		return nil, fmt.Errorf("encode audit event: %w", err)
	}
	h := sha256.New()
	h.Write(prev)
	h.Write(bytes.TrimRight(doc.Bytes(), "\n"))
	return h.Sum(nil), nil
}

// document is the event as it is hashed and exported, in RFC 8785's order.
type document struct {
	ActorID   string          `json:"actor_id"`
	ActorKind string          `json:"actor_kind"`
	At        string          `json:"at"`
	ClientID  string          `json:"client_id"`
	Details   json.RawMessage `json:"details"`
	ID        string          `json:"id"`
	IP        string          `json:"ip"`
	Node      string          `json:"node"`
	NodeAt    string          `json:"node_at"`
	Outcome   string          `json:"outcome"`
	Port      int             `json:"port"`
	Reason    string          `json:"reason"`
	RequestID string          `json:"request_id"`
	Session   string          `json:"session"`
	Subject   string          `json:"subject"`
	Type      string          `json:"type"`
	UserAgent string          `json:"user_agent"`
}

func (r row) document() document {
	return document{
		ActorID: r.ActorID, ActorKind: r.ActorKind, At: stamp(r.At.Time), ClientID: r.ClientID, Details: json.RawMessage(r.Details),
		ID: r.ID, IP: r.IP, Node: r.Node, NodeAt: stamp(r.NodeAt.Time), Outcome: r.Outcome, Port: r.Port, Reason: r.Reason,
		RequestID: r.RequestID, Session: r.Session, Subject: r.Subject, Type: r.Type, UserAgent: r.UserAgent,
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
