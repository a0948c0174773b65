package credentials

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A hash gives way, and nothing else of the program does afterwards.
func TestHashesGiveWay(t *testing.T) {
	before := behind(t)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			aside(func() []byte {
				if nice := niceness(t, unix.Gettid()); nice != 19 {
					t.Errorf("a hash runs at %d, want it at 19", nice)
				}
				return nil
			})
		})
	}
	group.Wait()
	for deadline := time.Now().Add(10 * time.Second); behind(t) > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d threads of low priority outlive their hash", behind(t)-before)
		}
	}
}

// niceness is the thread's; the kernel tells it as 20 less.
func niceness(t *testing.T, thread int) int {
	t.Helper()
	n, err := unix.Getpriority(unix.PRIO_PROCESS, thread)
	if err != nil {
		t.Fatal(err)
	}
	return 20 - n
}

// behind counts this process's threads of the lowest priority, but for its
// first: the runtime cannot end that one and lets it rest for ever.
func behind(t *testing.T) (n int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil || len(stats) == 0 {
		t.Fatalf("no threads: %v", err)
	}
	first := fmt.Sprintf("/proc/self/task/%d/stat", os.Getpid())
	for _, path := range stats {
		if path == first {
			continue
		}
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		_, fields, _ := strings.Cut(string(stat), ") ") // the 3rd and on; niceness is the 19th
		if f := strings.Fields(fields); len(f) > 16 && f[16] == "19" {
			n++
		}
	}
	return n
}
