package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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
		links, err := l.unchained(ctx, from, chainBatch)
		if n = len(links); err != nil || n == 0 {
			return err
		}
		return l.chain(ctx, links)
	})
	return n, err
}

// next is the link of the event that comes after h.
func (h head) next(r row) link {
	return link{ID: r.ID, Seq: h.Seq + 1, Prev: h.Hash, Hash: r.digest(h.Hash)}
}

// digest is SHA-256 over the hash before and the event in canonical JSON.
func (r row) digest(prev []byte) []byte {
	sum := sha256.Sum256(r.canonical(append(make([]byte, 0, 1024), prev...)))
	return sum[:]
}

// canonical appends the event as RFC 8785 has it: members sorted, no white
// space. Details are so already. Written here, and hashed, an event takes a third of
// the time that it takes with encoding/json.
func (r row) canonical(b []byte) []byte {
	b = appendText(append(b, `{"actor_id":`...), r.ActorID)
	b = appendText(append(b, `,"actor_kind":`...), r.ActorKind)
	b = appendStamp(append(b, `,"at":`...), r.At.Time)
	b = appendText(append(b, `,"client_id":`...), r.ClientID)
	b = append(append(b, `,"details":`...), r.Details...)
	b = appendText(append(b, `,"id":`...), r.ID)
	b = appendText(append(b, `,"ip":`...), r.IP)
	b = appendText(append(b, `,"node":`...), r.Node)
	b = appendStamp(append(b, `,"node_at":`...), r.NodeAt.Time)
	b = appendText(append(b, `,"outcome":`...), r.Outcome)
	b = strconv.AppendInt(append(b, `,"port":`...), int64(r.Port), 10)
	b = appendText(append(b, `,"reason":`...), r.Reason)
	b = appendText(append(b, `,"request_id":`...), r.RequestID)
	b = appendText(append(b, `,"session":`...), r.Session)
	b = appendText(append(b, `,"subject":`...), r.Subject)
	b = appendText(append(b, `,"type":`...), r.Type)
	b = appendText(append(b, `,"user_agent":`...), r.UserAgent)
	return append(b, '}')
}

// appendText appends s as a JSON string. What is not plain is left to
// encoding/json; our texts hold no character that it escapes otherwise than RFC
// 8785 does.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			var out bytes.Buffer
			e := json.NewEncoder(&out)
			e.SetEscapeHTML(false)
			_ = e.Encode(s) // a string into memory
			return append(b, bytes.TrimRight(out.Bytes(), "\n")...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// document is the event as it is exported, in the order in which it is hashed.
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

const stampLayout = "2006-01-02T15:04:05.000000Z"

func stamp(t time.Time) string { return t.UTC().Format(stampLayout) }

func appendStamp(b []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(b, '"'), stampLayout), '"')
}
