package credentials

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// niceness is of a process that hashes: a tenth of the share of whoever else
	// wants the processor, who therefore gets it as soon as he wakes.
	niceness = 10
	// groupNiceness is of its session, a third: where sessions are groups, other
	// programs of the machine are weighed against it, and not the service alone.
	groupNiceness = 5
	// slice is how long such a process would rather not be interrupted for, the
	// longest there is. Whoever wakes and wants less need not wait for the end of
	// it: without it, a wait of some milliseconds.
	slice = 100 * time.Millisecond
)

// stepAside makes this process a session of its own. A kernel that weighs
// sessions against each other (sched(7), autogroup) looks at a process's priority
// within its session only: in the service's, hashes took from every process of a
// database beside it, each of which is a session, as though they were the service
// at work. Where sessions are no groups this does nothing.
func stepAside() {
	if _, err := syscall.Setsid(); err == nil {
		_ = os.WriteFile("/proc/self/autogroup", []byte(strconv.Itoa(groupNiceness)), 0)
	}
}

// confine gives this process a low priority and keeps its memory from others.
func confine() error {
	stepAside()
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
		lengthen(id)
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

// lengthen asks for a longer slice for a thread (sched_setattr(2)); a kernel
// before 6.12 takes no notice, and one that forbids it is let.
func lengthen(thread int) {
	if a, err := unix.SchedGetAttr(thread, 0); err == nil {
		a.Runtime = uint64(slice)
		_ = unix.SchedSetAttr(thread, a, 0)
	}
}

// enlarge asks for huge pages where the next hash will have its memory: the
// runtime takes again what it has collected, and an advice stays with its place.
func enlarge(bytes int) {
	_ = syscall.Madvise(make([]byte, bytes), syscall.MADV_HUGEPAGE) // where there are none, it goes without
	runtime.GC()
}
