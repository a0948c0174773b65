package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// writes keeps what each call to Write was given.
type writes struct {
	mu   sync.Mutex
	list []string
}

func (w *writes) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, string(b))
	return len(b), nil
}

func (w *writes) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list)
}

// Lines wait for each other a moment, and no longer.
func TestLinesOfTheLogAreGathered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &writes{}
		g := &gathered{to: w}
		for i := range 3 {
			_, _ = fmt.Fprintln(g, i)
		}
		if got := w.all(); len(got) != 0 {
			t.Errorf("written at once: %q", got)
		}
		time.Sleep(gatherFor)
		synctest.Wait()
		_, _ = fmt.Fprintln(g, 3)
		time.Sleep(gatherFor)
		synctest.Wait()
		if got := w.all(); !slices.Equal(got, []string{"0\n1\n2\n", "3\n"}) {
			t.Errorf("written: %q", got)
		}
		_, _ = fmt.Fprintln(g, "last")
		if g.flush(); w.all()[2] != "last\n" {
			t.Error("flush hands nothing on")
		}
	})
}

// Whoever writes very much does not fill the memory with it.
func TestGatheredLinesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // in which no time passes
		w := &writes{}
		g := &gathered{to: w}
		line := strings.Repeat("x", 1023) + "\n"
		for range 3 * mostGathered / len(line) {
			_, _ = g.Write([]byte(line))
		}
		if got := w.all(); len(got) != 3 || len(strings.Join(got, "")) != 3*mostGathered {
			t.Errorf("%d bytes in %d writes", len(strings.Join(got, "")), len(got))
		}
	})
}
