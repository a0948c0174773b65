package credentials

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// Every thread that may hash has the longest slice there is, where the kernel
// knows slices of a thread's own; one that does not names none for this thread.
func TestHashesMayBeInterrupted(t *testing.T) {
	t.Parallel()
	own, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := newApart(t)
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", hashed(t, a).cmd.Process.Pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	for _, path := range threads {
		id, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			t.Fatal(err)
		}
		got, err := unix.SchedGetAttr(id, 0)
		if err == nil && own.Runtime > 0 && got.Runtime != uint64(slice) { // it may have ended meanwhile
			t.Errorf("thread %d has a slice of %d ns, want %v", id, got.Runtime, slice)
		}
	}
}
