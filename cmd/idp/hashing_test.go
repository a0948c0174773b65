package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ente.example/idp/credentials"
	"ente.example/idp/database/databasetest"
)

// serve hashes PINs in a process beside it, which is told nothing of the
// settings, still hashes while serve drains, and ends with it (decision 0031).
func TestHashesRunBesideServe(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, databasetest.Postgres(t)).with("IDP_ELIGIBILITY", "open", "IDP_ISSUER", "http://localhost:8080")
	a := s.process()
	p := s.party("http://localhost:8080", newTurns(a.address))
	if list := hashersOf(t, a); len(list) != 0 {
		t.Errorf("processes %v before anybody has signed in", list)
	}
	for cf, pin := range s.activePINs(1) {
		if _, err := p.signIn(p.browser(), cf, pin); err != nil {
			t.Fatal(err)
		}
	}
	list := hashersOf(t, a)
	if len(list) == 0 || strings.Contains(a.log.String(), `"level":"ERROR"`) {
		t.Fatalf("processes %v after a sign-in: %s", list, a.log)
	}
	for _, pid := range list {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && strings.Contains(string(environ), "IDP_") || err != nil && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("its environment: %q %v", environ, err)
		}
	}
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-a.ended; err != nil {
		t.Errorf("serve ended with %v: %s", err, a.log)
	}
	for _, pid := range list {
		eventually(t, 30*time.Second, "the process that hashes has ended", func() bool { return hashes(pid) == "" })
	}
}

// hashersOf are the processes that hash for a node.
func hashersOf(t *testing.T, node *process) (list []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range all {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err == nil && hashes(pid) == strconv.Itoa(node.cmd.Process.Pid) {
			list = append(list, pid)
		}
	}
	return list
}

// hashes is the parent of a process that hashes; "" of any other.
func hashes(pid int) string {
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.HasSuffix(string(command), "\x00"+credentials.HashArgument+"\x00") {
		return ""
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, fields, _ := strings.Cut(string(stat), ") ")
	if list := strings.Fields(fields); err == nil && len(list) > 1 {
		return list[1]
	}
	return ""
}
