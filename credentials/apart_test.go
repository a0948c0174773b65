package credentials

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// parentArgument makes this test binary a parent that is to be killed.
const parentArgument = "hash-parent"

// TestMain is also the program that hashes apart, and one that has it hash.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == HashArgument:
		if err := HashApart(os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
	case len(os.Args) == 2 && os.Args[1] == parentArgument:
		a := &apart{program: os.Args[0], rest: time.Hour, log: slog.New(slog.DiscardHandler)}
		p, err := a.take(context.Background())
		if err != nil {
			panic(err)
		}
		fmt.Println(p.cmd.Process.Pid)
		_, _ = p.stretch(context.Background(), []byte("x"), make([]byte, saltLength), long)
	default:
		os.Exit(m.Run())
	}
}

// long takes a processor for half a second or so; moment is over at once.
var long, moment = Cost{Memory: 64 << 10, Passes: 10, Threads: 1}, Cost{Memory: 64, Passes: 1, Threads: 1}

// logbook is a log that several write.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logbook) count(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), words)
}

func newApart(t *testing.T) (*apart, *logbook) {
	t.Helper()
	said := &logbook{}
	a := &apart{program: os.Args[0], rest: time.Hour, log: slog.New(slog.NewTextHandler(said, nil))}
	t.Cleanup(a.close)
	return a, said
}

// hashes wants the same result from a as from this process.
func hashes(t *testing.T, a *apart, secret, salt []byte, c Cost) {
	t.Helper()
	got, err := a.stretch(t.Context(), secret, salt, c)
	if want := stretch(secret, salt, c); err != nil || !bytes.Equal(got, want) {
		t.Errorf("Argon2id of %d and %d bytes at %+v: %x %v, want %x", len(secret), len(salt), c, got, err, want)
	}
}

func TestHashedApartIsTheSame(t *testing.T) {
	t.Parallel()
	a, said := newApart(t)
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := range 40 {
				secret := bytes.Repeat([]byte{byte(w), byte(i)}, i)
				salt := bytes.Repeat([]byte{byte(i)}, 8+i%32)
				hashes(t, a, secret, salt, Cost{Memory: uint32(8 + 97*i), Passes: uint32(1 + i%3), Threads: uint8(1 + i%2)})
			}
		})
	}
	wg.Wait()
	hashes(t, a, make([]byte, hashLength), make([]byte, saltLength), FloorCost())
	if n := len(a.idle); n == 0 || n > 3 || said.count("") != 1 {
		t.Errorf("%d processes for 3 at once, and %s", n, &said.text)
	}
}

// One that dies with a hash in it is replaced, and the hash is made.
func TestProcessKilledInMidHash(t *testing.T) {
	t.Parallel()
	a, said := newApart(t)
	p := hashed(t, a)
	done := make(chan bool)
	go func() {
		hashes(t, a, []byte("x"), make([]byte, saltLength), long)
		close(done)
	}()
	busy(t, p)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-done
	if n := said.count("has ended"); n != 1 || len(a.idle) != 1 || a.idle[0] == p {
		t.Errorf("%d ended, %d wait: %s", n, len(a.idle), &said.text)
	}
}

// hashed is the process that a's next hash goes to.
func hashed(t *testing.T, a *apart) *process {
	t.Helper()
	hashes(t, a, []byte("x"), make([]byte, saltLength), moment)
	return a.idle[len(a.idle)-1]
}

// busy waits until a process computes: some hundredths of a second more.
func busy(t *testing.T, p *process) {
	t.Helper()
	for before := ticks(t, p); ticks(t, p) < before+5; time.Sleep(time.Millisecond) {
	}
}

// status are the fields of proc_pid_stat(5) from the state on; none of who is gone.
func status(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.Fields(rest)
}

func ticks(t *testing.T, p *process) int {
	t.Helper()
	list := status(p.cmd.Process.Pid)
	if len(list) < 17 {
		t.Fatal("the process is gone")
	}
	n, err := strconv.Atoi(list[11])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// away waits until a process is no more; a zombie is none.
func away(t *testing.T, pid int) {
	t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		list := status(pid)
		if len(list) == 0 || list[0] == "Z" || list[0] == "X" {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("process %d is still there: %v", pid, list)
		}
	}
}

func TestCancelledHashEndsItsProcess(t *testing.T) {
	t.Parallel()
	a, said := newApart(t)
	p := hashed(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := a.stretch(ctx, []byte("x"), make([]byte, saltLength), long)
		done <- err
	}()
	busy(t, p)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || said.count("ended") > 0 {
		t.Errorf("a cancelled hash: %v, %s; want context.Canceled and no words", err, &said.text)
	}
	away(t, p.cmd.Process.Pid)
	hashes(t, a, []byte("y"), make([]byte, saltLength), moment)
}

// Whatever ends the parent, what hashed for it ends as well, in mid-hash too.
func TestParentsEndEndsTheProcess(t *testing.T) {
	t.Parallel()
	c := exec.CommandContext(t.Context(), os.Args[0], parentArgument)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || len(status(pid)) == 0 {
		t.Fatalf("no process %q: %v", line, err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // it was killed
	away(t, pid)
}

// What others on the machine can see of the process says nothing, it yields to
// everybody, leaves no core, and a signal to the whole service does not end it.
func TestProcessIsConfined(t *testing.T) {
	t.Parallel()
	a, _ := newApart(t)
	secret := []byte("a keyed HMAC of somebody's PIN...")
	hashes(t, a, secret, make([]byte, saltLength), moment)
	p := a.idle[0]
	dir := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	for name, want := range map[string]string{
		"cmdline": os.Args[0] + "\x00" + HashArgument + "\x00", "environ": "GOMAXPROCS=1\x00GOGC=off\x00",
	} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if (err != nil || string(got) != want) && !errors.Is(err, fs.ErrPermission) { // nobody but root may look
			t.Errorf("%s: %q %v, want %q", name, got, err, want)
		}
	}
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		if err := p.cmd.Process.Signal(s); err != nil {
			t.Error(err)
		}
	}
	hashes(t, a, secret, make([]byte, saltLength), moment)
	if len(a.idle) != 1 || a.idle[0] != p {
		t.Error("a signal ended the process")
	}
	tasks, err := filepath.Glob(dir + "/task/*")
	if err != nil || len(tasks) < 2 {
		t.Fatalf("%d threads, %v", len(tasks), err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(filepath.Join(task, "stat"))
		if err != nil {
			continue // it has ended meanwhile
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		if nice := strings.Fields(rest)[16]; nice != "10" {
			t.Errorf("%s has priority %s, want 10", task, nice)
		}
	}
	group, err := os.ReadFile(dir + "/autogroup")
	if err == nil && !strings.HasSuffix(string(group), " nice 5\n") {
		t.Errorf("its session is %s, want nice 5", group)
	}
	limits, err := os.ReadFile(dir + "/limits")
	if err == nil && !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max core file size 0 0") || err != nil && !errors.Is(err, fs.ErrPermission) {
		t.Errorf("it may leave a core: %s %v", limits, err)
	}
}

// Where no process can be started, or each dies, hashes are made here, and one
// line says so; later it is tried again.
func TestNoProcessCanBeStarted(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"/nowhere/idp", "/bin/false"} {
		databasetest.Each(t, func(t *testing.T, db *database.DB) {
			said := &logbook{}
			h := hasher(t, HasherDeps{DB: db, Workers: 2, Program: program, Logger: slog.New(slog.NewTextHandler(said, nil))})
			t.Cleanup(h.Close)
			works := func() {
				t.Helper()
				p, err := h.enter()
				if err != nil {
					t.Fatal(err)
				}
				defer p.leave()
				got, err := p.argon2(t.Context(), light, []byte("x"), make([]byte, saltLength))
				if want := stretch([]byte("x"), make([]byte, saltLength), light); err != nil || !bytes.Equal(got, want) {
					t.Errorf("hash %x %v, want %x", got, err, want)
				}
			}
			for range 5 {
				works()
			}
			if n := said.count("level=ERROR"); n != 1 || said.count("level=WARN") > 2 {
				t.Errorf("%s said %d times, want once: %s", program, n, &said.text)
			}
			h.apart.program, h.apart.retryAt = os.Args[0], time.Time{}
			works()
			if said.count("again") != 1 || len(h.apart.idle) != 1 {
				t.Errorf("%d processes wait once they can be started: %s", len(h.apart.idle), &said.text)
			}
		})
	}
}

// A node where nobody signs in keeps no process; nor does one that has closed.
func TestIdleProcessesEnd(t *testing.T) {
	t.Parallel()
	a, _ := newApart(t)
	p := hashed(t, a)
	p.since = time.Now().Add(-2 * a.rest)
	a.tire()
	away(t, p.cmd.Process.Pid)
	p = hashed(t, a)
	a.tire()
	if len(a.idle) != 1 {
		t.Error("one that has just hashed was ended")
	}
	a.close()
	away(t, p.cmd.Process.Pid)
	if _, err := a.stretch(t.Context(), []byte("x"), make([]byte, saltLength), moment); !errors.Is(err, errApart) {
		t.Errorf("after the end: %v, want errApart", err)
	}
}
