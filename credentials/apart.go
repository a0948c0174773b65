package credentials

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

const (
	// rest is how long a process that hashes waits for the next hash before it
	// ends: a node where nobody signs in keeps no memory for it.
	rest = time.Minute
	// retry is how long hashes stay in this process when others cannot be started.
	retry = time.Minute
)

// apart hands hashes to processes of their own, one hash each at a time. A hash
// in this process would stand in the way of everybody else here: the runtime
// takes a processor back from it after 10 ms, stops the world only once its
// thread is on a processor, and collects after each hash. Beside it, it is a
// program of low priority that the kernel sets aside in time (decision 0031).
//
// Such a process gets a keyed HMAC and a salt, never a PIN or a key, and nothing
// in its arguments or environment. It ends with its standard input, so that none
// outlives this process, however that ends.
type apart struct {
	program string
	rest    time.Duration
	log     *slog.Logger

	mu      sync.Mutex
	idle    []*process // the one that hashed last is the last
	broken  bool
	retryAt time.Time
	closed  bool
}

// errApart says that hashes have to run here for the moment.
var errApart = errors.New("no process hashes apart")

// stretch hashes in a process of its own. Where one dies, another does its work,
// once. With errApart the caller has to; other errors are the context's.
func (a *apart) stretch(ctx context.Context, secret, salt []byte, cost Cost) ([]byte, error) {
	var all error
	for range 2 {
		p, err := a.take(ctx)
		if err != nil {
			return nil, a.here(errors.Join(all, err))
		}
		sum, err := p.stretch(ctx, secret, salt, cost)
		if err == nil {
			a.give(p)
			return sum, nil
		}
		p.kill()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		a.log.WarnContext(ctx, "a process that hashes PINs has ended", "error", err)
		all = errors.Join(all, err)
	}
	return nil, a.here(all)
}

// take is a process that waits for work, the one that hashed last, or a new one.
func (a *apart) take(ctx context.Context) (*process, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.idle); n > 0 {
		p := a.idle[n-1]
		a.idle = a.idle[:n-1]
		return p, nil
	}
	if a.closed || time.Now().Before(a.retryAt) {
		return nil, errApart
	}
	p, err := start(ctx, a.program)
	if err == nil && a.broken {
		a.broken = false
		a.log.InfoContext(ctx, "PINs are hashed in processes of their own again")
	}
	return p, err
}

// here says once that hashes run in this process, and for how long.
func (a *apart) here(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if errors.Is(err, errApart) {
		return err // said before, or the house is closing
	}
	a.retryAt = time.Now().Add(retry)
	if !a.broken {
		a.broken = true
		a.log.Error("PINs are hashed in the serving process, and slow its other answers down: no process of their own can be started", "error", err)
	}
	return errApart
}

// give lets a process wait for the next hash, not for ever.
func (a *apart) give(p *process) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		p.end()
		return
	}
	a.idle = append(a.idle, p)
	p.since = time.Now()
	time.AfterFunc(a.rest, a.tire)
}

// tire ends those that have waited long enough.
func (a *apart) tire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.idle = slices.DeleteFunc(a.idle, func(p *process) bool {
		tired := time.Since(p.since) >= a.rest
		if tired {
			p.end()
		}
		return tired
	})
}

// close ends those that wait, and the others when they have hashed.
func (a *apart) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, p := range a.idle {
		p.end()
	}
	a.idle = nil
}

// process is a program that hashes, from whose standard input it takes work.
type process struct {
	cmd   *exec.Cmd
	to    *os.File
	from  *os.File
	since time.Time // it has waited for work
}

// start starts a process. It outlives the context of who needs it first.
func start(ctx context.Context, program string) (*process, error) {
	in, to, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start a process that hashes: %w", err)
	}
	from, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a process that hashes: %w", err), in.Close(), to.Close())
	}
	c := exec.CommandContext(context.WithoutCancel(ctx), program, HashArgument)
	c.Dir, c.Stdin, c.Stdout = "/", in, out
	c.Env = []string{"GOMAXPROCS=1", "GOGC=off"} // and none of ours: see HashApart
	err = c.Start()
	_, _ = in.Close(), out.Close()
	if err != nil {
		_, _ = to.Close(), from.Close()
		return nil, fmt.Errorf("start a process that hashes: %w", err)
	}
	go func() { _ = c.Wait() }() // leaves no zombie, whenever it ends
	return &process{cmd: c, to: to, from: from}, nil
}

// stretch has the process hash. A context that ends meanwhile ends the process,
// which cannot be called back from a hash.
func (p *process) stretch(ctx context.Context, secret, salt []byte, cost Cost) ([]byte, error) {
	stop := context.AfterFunc(ctx, p.kill)
	defer stop()
	job := work{Cost: cost, Secret: uint8(len(secret)), Salt: uint8(len(salt))}
	if _, err := p.to.Write(job.append(secret, salt)); err != nil {
		return nil, fmt.Errorf("hand over a hash: %w", err)
	}
	sum := make([]byte, hashLength)
	if _, err := io.ReadFull(p.from, sum); err != nil {
		return nil, fmt.Errorf("wait for a hash: %w", err)
	}
	if !stop() {
		return nil, ctx.Err()
	}
	return sum, nil
}

// end lets the process go, which ends by itself.
func (p *process) end() { _, _ = p.to.Close(), p.from.Close() }

// kill ends the process at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	p.end()
}
