package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// gatherFor is how long a line of the log may wait for others: a node that is
	// killed takes what came within it along.
	gatherFor = 50 * time.Millisecond
	// mostGathered is how many bytes wait, at most: who writes more than the log's
	// reader takes waits for it.
	mostGathered = 64 << 10
)

// newLogger writes to w.
func newLogger(w io.Writer, s settings) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return nil, fmt.Errorf("log-level %q is none of debug, info, warn, error", s.LogLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	if strings.EqualFold(s.LogFormat, "text") {
		return slog.New(slog.NewTextHandler(w, o)), nil
	}
	return slog.New(slog.NewJSONHandler(w, o)), nil
}

// gathered hands lines on many at a time: a line for each request would else be
// a system call for each, and every request would wait for the reader of the last.
type gathered struct {
	to io.Writer

	mu      sync.Mutex
	waiting bytes.Buffer
}

// Write never fails: a log that cannot be written has nobody to tell.
func (g *gathered) Write(line []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting.Len() == 0 {
		time.AfterFunc(gatherFor, g.flush)
	}
	g.waiting.Write(line)
	if g.waiting.Len() >= mostGathered {
		_, _ = g.waiting.WriteTo(g.to)
	}
	return len(line), nil
}

// flush hands on what waits.
func (g *gathered) flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, _ = g.waiting.WriteTo(g.to)
}
