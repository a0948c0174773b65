package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What is shipped stays small: fetched by every node at every release, and kept
// in memory by each. It has grown by a library nobody looked at before.
func TestSizeOfTheProgram(t *testing.T) {
	t.Parallel()
	const most = 45e6
	out := filepath.Join(t.TempDir(), "idp")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", out, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	program, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if size := program.Size(); size > most {
		t.Errorf("the program has %d bytes, want %.0f at most", size, most)
	}
}
