package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"ente.example/idp/bench/driver"
	"ente.example/idp/bench/meter"
)

// server is a provider that is measured, with a database of its own.
type server struct {
	name     string
	target   driver.Target
	driver   *driver.Driver
	nodes    []*exec.Cmd     // the program, once or more often
	database *meter.Postgres // nil without PostgreSQL
	watched  bool            // whether its connections are looked at under load
	admin    string          // where pprof answers; "" where it does not
	// settle is how long after a load the server may still work on what the load
	// has left it to do; that is counted with the load.
	settle time.Duration
}

// run starts a node of a program, whose output goes to a file beside its data.
func (s *server) run(ctx context.Context, dir, program string, args []string, environ ...string) error {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, program, args...)
	c.Dir, c.Stdout, c.Stderr = dir, log, log
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TZ=UTC", "LC_ALL=C.UTF-8"}, environ...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 10 * time.Second
	s.nodes = append(s.nodes, c)
	return errors.Join(c.Start(), log.Close())
}

// said is the end of what a program that does not start has said.
func (s *server) said() error {
	if len(s.nodes) == 0 {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(s.nodes[len(s.nodes)-1].Dir, "log"))
	return errors.Join(err, errors.New(string(b[max(0, len(b)-2000):])))
}

// await waits until a GET of an address is answered with 200.
func await(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		a, err := http.DefaultClient.Do(r)
		if err == nil {
			_, _ = io.Copy(io.Discard, a.Body)
			if err = a.Body.Close(); err == nil && a.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.Join(err, fmt.Errorf("%s answers %s", address, a.Status))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for a server: %w", err)
		case <-t.C:
		}
	}
}

// connect makes the driver, once the server answers.
func (s *server) connect(ctx context.Context) (err error) {
	if err = await(ctx, s.target.Issuer+"/.well-known/openid-configuration"); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.driver, err = driver.New(ctx, s.target)
	return err
}

// stop ends program and database.
func (s *server) stop() {
	if s.driver != nil {
		s.driver.Close()
	}
	for _, c := range s.nodes {
		if c.Process != nil {
			_ = c.Process.Signal(syscall.SIGTERM)
			_ = c.Process.Signal(syscall.SIGCONT) // or one that is stopped would never end
		}
	}
	for _, c := range s.nodes {
		if c.Process != nil {
			_ = c.Wait()
		}
	}
	if s.database != nil {
		s.database.Stop()
	}
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
