package main

import (
	"runtime"
	"testing"
)

// Hashes get processors of their own, once in a process (decision 0029).
func TestProcessorsBesideTheHashes(t *testing.T) {
	all := runtime.NumCPU()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(all))
	processorsFor(all)
	processorsFor(all)
	if got := runtime.GOMAXPROCS(0); got != 2*all {
		t.Errorf("%d processors for requests and %d hashes, want %d", got, all, 2*all)
	}
}
