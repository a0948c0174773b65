package main

import (
	"context"
	"slices"
	"testing"
	"time"
)

// A node that works collects less often, and one that rests as ever (decision 0035).
func TestCollectorIsSparedWhileThereIsWork(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	tick, ended := make(chan time.Time), make(chan struct{})
	bytes := []uint64{100, 110, 121, 140, 145, 145, 200} // more than ten are work
	looks := 0
	var set []int
	go func() {
		defer close(ended)
		followWork(ctx, tick, 10, func() uint64 { looks++; return bytes[looks-1] }, func(percent int) { set = append(set, percent) })
	}()
	for range len(bytes) - 1 { // the first look is not at a tick
		tick <- time.Now()
	}
	stop()
	<-ended
	if want := []int{patienceBusy, patienceQuiet, patienceBusy}; !slices.Equal(set, want) {
		t.Errorf("set to %v, want %v", set, want)
	}
}

// What is made is counted at all: an unknown name in the metrics would be 0.
func TestWhatIsMadeIsCounted(t *testing.T) {
	t.Parallel()
	before := made()
	if kept := make([]byte, 1<<20); made() < before+uint64(len(kept)) {
		t.Error("a megabyte more is not counted")
	}
}
