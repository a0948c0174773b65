package audit

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Checkpoint says how long the chain was at a time and how it ended, signed
// with a key that is not in the database. It belongs where the database's
// owner cannot change it.
type Checkpoint struct {
	Seq       int64  `json:"seq"`
	Hash      string `json:"hash"` // hex
	Time      string `json:"time"`
	Signature string `json:"signature"` // hex, ES256 over the first three members as lines
}

func (c Checkpoint) signed() []byte {
	return fmt.Appendf(nil, "idp audit checkpoint v1\n%d\n%s\n%s\n", c.Seq, c.Hash, c.Time)
}

// anchorFile is where checkpoints are appended, one JSON document a line.
func (l *Log) anchorFile() string { return filepath.Join(l.anchors, "checkpoints.jsonl") }

// Anchor signs the head of the chain and appends it to the folder of anchors.
// Without a folder, or with nothing new to sign, it does nothing.
func (l *Log) Anchor(ctx context.Context) (*Checkpoint, error) {
	if l.anchors == "" || l.signer == nil {
		return nil, nil
	}
	h, err := l.head(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the chain's head: %w", err)
	}
	if last, err := l.lastAnchor(); err != nil || h.Seq == 0 || (last != nil && last.Seq >= h.Seq) {
		return nil, err
	}
	now, err := l.db.Now(ctx)
	if err != nil {
		return nil, err
	}
	c := Checkpoint{Seq: h.Seq, Hash: hex.EncodeToString(h.Hash), Time: stamp(now)}
	signature, err := l.signer.Sign(c.signed())
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	c.Signature = hex.EncodeToString(signature)
	return &c, l.append(c)
}

func (l *Log) append(c Checkpoint) error {
	if err := os.MkdirAll(l.anchors, 0o750); err != nil {
		return fmt.Errorf("make the folder of anchors: %w", err)
	}
	line, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode checkpoint: %w", err)
	}
	f, err := os.OpenFile(l.anchorFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open anchors: %w", err)
	}
	_, werr := f.Write(append(line, '\n'))
	if err := errors.Join(werr, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("append checkpoint: %w", err)
	}
	return nil
}

func (l *Log) lastAnchor() (*Checkpoint, error) {
	all, err := l.checkpoints()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[len(all)-1], nil
}

// checkpoints reads every line of the anchors; a broken line is a finding for
// Verify, hence kept as a checkpoint that no signature fits.
func (l *Log) checkpoints() ([]Checkpoint, error) {
	if l.anchors == "" {
		return nil, nil
	}
	f, err := os.Open(l.anchorFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open anchors: %w", err)
	}
	defer func() { _ = f.Close() }()
	var all []Checkpoint
	for lines := bufio.NewScanner(f); ; {
		if !lines.Scan() {
			return all, lines.Err()
		}
		var c Checkpoint
		if json.Unmarshal(lines.Bytes(), &c) != nil {
			c = Checkpoint{}
		}
		all = append(all, c)
	}
}

func (l *Log) genuine(c Checkpoint) bool {
	signature, err := hex.DecodeString(c.Signature)
	return err == nil && l.verifier.Verify(signature, c.signed()) == nil
}
