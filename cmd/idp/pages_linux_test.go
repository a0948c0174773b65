package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"ente.example/idp/templates"
)

// The program's own pages go, and come back as they were. No test runs beside it,
// so that nothing else brings them back meanwhile.
func TestProgramIsForgottenAndWorksOn(t *testing.T) { //nolint:paralleltest // see above
	if _, err := templates.New(templates.Options{}); err != nil {
		t.Fatal(err)
	}
	before := mapped(t)
	if err := forgetProgram(); err != nil {
		t.Fatal(err)
	}
	if after := mapped(t); after > before-4<<10 {
		t.Errorf("%d KiB of files are mapped, of %d before; want 4 MiB less at least", after, before)
	}
	if _, err := templates.New(templates.Options{}); err != nil {
		t.Error(err)
	}
}

// mapped is how much of files this process has mapped, in KiB.
func mapped(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssFile:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}

// Only what is as in the file: not what is written, another file's, or was put
// right in place before it was closed to writing.
func TestWhatIsUntouched(t *testing.T) {
	t.Parallel()
	lines := func(mapping, anonymous, swap string) string {
		return mapping + "\nRss: 8 kB\nAnonymous:   " + anonymous + " kB\nSwap:   " + swap + " kB\nVmFlags: rd mr mw me \n"
	}
	smaps := lines("00400000-00403000 r--p 00000000 fe:00 42    /opt/the idp", "0", "0") +
		lines("00403000-016c0000 r-xp 00003000 fe:00 42     /opt/the idp", "0", "0") +
		lines("016c0000-016c1000 r--p 012c0000 fe:00 42     /opt/the idp", "4", "0") +
		lines("016c1000-016c2000 r--p 012c1000 fe:00 42     /opt/the idp", "0", "4") +
		lines("02ced000-02f2b000 rw-p 028ed000 fe:00 42     /opt/the idp", "0", "0") +
		lines("02f2b000-02f59000 r--p 00000000 00:00 0 ", "0", "0") +
		lines("7f0000000000-7f0000001000 r-xp 00000000 fe:00 43   /lib/libc.so.6", "0", "0") +
		lines("7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0    [vdso]", "0", "0")
	want := []mapping{{0x400000, 0x403000}, {0x403000, 0x16c0000}}
	if got := untouched([]byte(smaps), "/opt/the idp"); !slices.Equal(got, want) {
		t.Errorf("untouched are %x, want %x", got, want)
	}
}
