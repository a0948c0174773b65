package credentials

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
)

// niceness is of a process that hashes: a tenth of the share of whoever else
// wants the processor, who therefore gets it as soon as he wakes.
const niceness = 10

// confine gives this process a low priority and keeps its memory from others.
func confine() error {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0) // a comfort, no more
	threads, err := os.ReadDir("/proc/self/task")                  // those to come inherit it
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, niceness); err != nil {
			return os.NewSyscallError("setpriority", err)
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return os.NewSyscallError("setrlimit", err)
	}
	// from here on /proc/self is root's
	if _, _, e := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0); e != 0 {
		return os.NewSyscallError("prctl", e)
	}
	return nil
}

// enlarge asks for huge pages where the next hash will have its memory: the
// runtime takes again what it has collected, and an advice stays with its place.
func enlarge(bytes int) {
	_ = syscall.Madvise(make([]byte, bytes), syscall.MADV_HUGEPAGE) // where there are none, it goes without
	runtime.GC()
}
