package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// forgetProgram takes the pages of the program's own file out of this process:
// what the start has run and read of them is most of what a node at rest has
// mapped. They stay in the kernel's cache, from which each comes back, with
// fifteen beside it, when it is next touched. Only what cannot be written and is
// still as in the file is let go: what a linker has put right in place is not.
func forgetProgram() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("read what is mapped: %w", err)
	}
	var errs []error
	for _, m := range untouched(maps, program) {
		if _, _, no := syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED); no != 0 {
			errs = append(errs, fmt.Errorf("let go of %x: %w", m.from, no))
		}
	}
	return errors.Join(errs...)
}

// mapping is a stretch of this process's memory.
type mapping struct{ from, to uintptr }

// untouched are the mappings of a file that are not to be written and of which no
// page differs from it, as proc_pid_smaps(5) tells.
func untouched(smaps []byte, file string) []mapping {
	var found []mapping
	of := false // whether the lines are about the last that was found
	for lines := bufio.NewScanner(bytes.NewReader(smaps)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		switch from, to, is := strings.Cut(words[0], "-"); {
		case is: // the line that begins a mapping; no amount has such a name
			start, err1 := strconv.ParseUint(from, 16, 64)
			end, err2 := strconv.ParseUint(to, 16, 64)
			of = errors.Join(err1, err2) == nil && strings.HasPrefix(words[1], "r-") && strings.HasSuffix(lines.Text(), " "+file)
			if of {
				found = append(found, mapping{uintptr(start), uintptr(end)})
			}
		case of && (words[0] == "Anonymous:" || words[0] == "Swap:") && words[1] != "0":
			found, of = found[:len(found)-1], false
		}
	}
	return found
}
