// Package meter reads what a server has cost: processor time and memory from
// /proc, and from a PostgreSQL of its own statements, commits, log and rows.
package meter

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat; 100 a second on every Linux.
const tick = 10 * time.Millisecond

// process is what /proc/PID/stat says.
type process struct {
	parent      int
	own, reaped time.Duration // of the process, and of children it has waited for
}

// readProcess parses proc(5)'s stat; the name in it may hold spaces and brackets.
func readProcess(path string) (process, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return process{}, err
	}
	end := bytes.LastIndexByte(b, ')')
	f := strings.Fields(string(b[end+1:])) // f[0] is the third field, the state
	if end < 0 || len(f) < 15 {
		return process{}, fmt.Errorf("read %s: not as proc(5) has it", path)
	}
	n := make([]int, 15)
	for _, i := range []int{1, 11, 12, 13, 14} {
		if n[i], err = strconv.Atoi(f[i]); err != nil {
			return process{}, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return process{parent: n[1], own: time.Duration(n[11]+n[12]) * tick, reaped: time.Duration(n[13]+n[14]) * tick}, nil
}

// CPU is the user and system time that a process and all that came of it have
// taken since they began, those that have ended included.
func CPU(pid int) (time.Duration, error) {
	all := map[int]process{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, path := range stats {
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if p, err := readProcess(path); err == nil { // it may have ended meanwhile
			all[id] = p
		}
	}
	if _, ok := all[pid]; !ok {
		return 0, fmt.Errorf("process %d is not there", pid)
	}
	var sum time.Duration
	for id, p := range all {
		if within(all, id, pid) {
			sum += p.own + p.reaped
		}
	}
	return sum, nil
}

// within reports whether id is ancestor or comes of it.
func within(all map[int]process, id, ancestor int) bool {
	for range len(all) {
		if id == ancestor {
			return true
		}
		p, ok := all[id]
		if !ok || id == 0 {
			return false
		}
		id = p.parent
	}
	return false
}

// Memory is a process's resident memory in bytes.
func Memory(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0, fmt.Errorf("read memory of %d: not as proc(5) has it", pid)
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
