package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// specifications are the rows of docs/conformance.md.
func specifications(t *testing.T) []requirement {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []requirement
	for line := range strings.SplitSeq(string(page), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| specification ") || strings.HasPrefix(line, "| plan ") {
			continue
		}
		if len(cells) != 4 {
			t.Fatalf("%d cells in %q, want 4", len(cells), line)
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, requirement{name: cells[0], promise: cells[1], where: "provider", tests: cells[2], state: cells[3]})
	}
	return rows
}

// The page of the specifications names tests that there are, and says of what
// is not met what is missing.
func TestConformanceNamesTests(t *testing.T) {
	t.Parallel()
	rows := specifications(t)
	if len(rows) < 30 {
		t.Fatalf("%d specifications, want all of them", len(rows))
	}
	for _, r := range rows {
		r.checkState(t)
	}
	nameTests(t, rows)
}

// The page of the threats names tests that there are.
func TestThreatsNameTests(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "threats.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n|---|---|\n")
	var rows []requirement
	for line := range strings.SplitSeq(strings.TrimSpace(table), "\n") {
		attack, tests, ok := strings.Cut(strings.Trim(line, "| "), " | ")
		if !ok {
			t.Fatalf("%q is not an attack and its tests", line)
		}
		rows = append(rows, requirement{name: attack, tests: tests})
	}
	if len(rows) < 25 {
		t.Fatalf("%d attacks, want all of them", len(rows))
	}
	nameTests(t, rows)
}
