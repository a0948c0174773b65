package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
)

// Kind says in which way a chain is broken.
type Kind string

// The ways.
const (
	Altered      Kind = "altered"       // the record's content is not what was chained
	Missing      Kind = "missing"       // a record was taken out
	Reordered    Kind = "reordered"     // a record stands at another's place
	Truncated    Kind = "truncated"     // the end was cut off
	Forked       Kind = "forked"        // the chain is whole but not the one that was signed
	BadSignature Kind = "bad signature" // a checkpoint is not ours
)

// Finding is the first break of a chain.
type Finding struct {
	Seq  int64 `json:"seq"`
	Kind Kind  `json:"kind"`
}

// Report is the answer of Verify.
type Report struct {
	OK          bool     `json:"ok"`
	Events      int64    `json:"events"`      // chained and right, up to the finding
	Unchained   int64    `json:"unchained"`   // too new to be chained: not broken
	Checkpoints int      `json:"checkpoints"` // signed and matching
	Finding     *Finding `json:"finding,omitempty"`
}

const verifyBatch = 1000

// Verify walks the whole chain and holds it against the head and every
// checkpoint. It reads only and may run while events are written.
func (l *Log) Verify(ctx context.Context) (Report, error) {
	anchors, err := l.checkpoints()
	if err != nil {
		return Report{}, err
	}
	end, err := l.head(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("read the chain's head: %w", err)
	}
	w := &walk{log: l, prev: make([]byte, 32), signed: map[int64]string{}}
	if bad := w.admit(anchors); bad != nil {
		return l.report(ctx, w, bad)
	}
	bad, err := w.run(ctx, end)
	if err != nil {
		return Report{}, err
	}
	return l.report(ctx, w, bad)
}

func (l *Log) report(ctx context.Context, w *walk, bad *Finding) (Report, error) {
	open, err := l.countUnchained(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("count unchained events: %w", err)
	}
	return Report{OK: bad == nil, Events: w.seq, Unchained: open, Checkpoints: w.matched, Finding: bad}, nil
}

// walk is one pass along the chain.
type walk struct {
	log      *Log
	seq      int64
	prev     []byte
	signed   map[int64]string // seq → hash that a checkpoint vouches for
	furthest int64
	matched  int
}

// admit takes the checkpoints whose signature is right.
func (w *walk) admit(anchors []Checkpoint) *Finding {
	for _, c := range anchors {
		if !w.log.genuine(c) {
			return &Finding{c.Seq, BadSignature}
		}
		w.signed[c.Seq] = c.Hash
		w.furthest = max(w.furthest, c.Seq)
	}
	return nil
}

func (w *walk) run(ctx context.Context, end head) (*Finding, error) {
	for {
		rows, err := w.log.chained(ctx, w.seq, verifyBatch)
		if err != nil {
			return nil, fmt.Errorf("read audit events: %w", err)
		}
		if len(rows) == 0 {
			return w.atEnd(end), nil
		}
		for _, r := range rows {
			if bad, err := w.step(ctx, r); bad != nil || err != nil {
				return bad, err
			}
		}
	}
}

func (w *walk) step(ctx context.Context, r row) (*Finding, error) {
	at := w.seq + 1
	if r.Seq != at {
		return &Finding{at, Missing}, nil
	}
	if !bytes.Equal(r.digest(r.PrevHash), r.Hash) {
		return &Finding{at, Altered}, nil
	}
	if !bytes.Equal(r.PrevHash, w.prev) {
		moved, err := w.log.hasHash(ctx, r.PrevHash)
		if err != nil {
			return nil, fmt.Errorf("look for a moved audit event: %w", err)
		}
		if moved {
			return &Finding{at, Reordered}, nil
		}
		return &Finding{at, Missing}, nil
	}
	if vouched, ok := w.signed[at]; ok {
		if vouched != hex.EncodeToString(r.Hash) {
			return &Finding{at, Forked}, nil
		}
		w.matched++
	}
	w.seq, w.prev = at, r.Hash
	return nil, nil
}

// atEnd finds a tail that was cut off: the head or a checkpoint knows more.
func (w *walk) atEnd(end head) *Finding {
	if w.seq < end.Seq || w.seq < w.furthest {
		return &Finding{w.seq + 1, Truncated}
	}
	return nil
}

// Export writes the chained events as JSON lines, each with its number and
// hashes, for a verifier elsewhere. It returns how many.
func (l *Log) Export(ctx context.Context, out io.Writer) (int64, error) {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	var seq int64
	for {
		rows, err := l.chained(ctx, seq, verifyBatch)
		if err != nil {
			return seq, fmt.Errorf("read audit events: %w", err)
		}
		if len(rows) == 0 {
			return seq, nil
		}
		for _, r := range rows {
			line := map[string]any{
				"seq": r.Seq, "prev_hash": hex.EncodeToString(r.PrevHash), "hash": hex.EncodeToString(r.Hash), "event": r.document(),
			}
			if err := e.Encode(line); err != nil {
				return seq, fmt.Errorf("write audit export: %w", err)
			}
			seq = r.Seq
		}
	}
}

// Unanchored counts the events that no checkpoint vouches for yet.
func (l *Log) Unanchored(ctx context.Context) (int64, error) {
	h, err := l.head(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the chain's head: %w", err)
	}
	open, err := l.countUnchained(ctx)
	if err != nil {
		return 0, fmt.Errorf("count unchained events: %w", err)
	}
	last, err := l.lastAnchor()
	if err != nil || last == nil {
		return h.Seq + open, err
	}
	return max(0, h.Seq-last.Seq) + open, nil
}
