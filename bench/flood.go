package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"ente.example/idp/bench/driver"
)

const (
	// shipped is the memory of a hash as the program comes, in KiB (security §4).
	shipped = 47104
	// overload is how many times as many people come as can be served.
	overload = 5
	// asked is how often a second each of the services' questions is asked.
	asked = 40
)

// flood has the program as it is shipped, with its hashes, answer services
// while more people sign in than its processors can hash for.
func (o options) flood(ctx context.Context, out io.Writer, dir string) error {
	if o.servers != "" || o.scenarios != "" || o.workers <= 0 || o.rounds <= 0 || o.window <= 0 {
		return errors.New("-flood measures this program alone, in its own scenarios; it goes with -rounds, -workers and -time")
	}
	program := filepath.Join(dir, "program")
	if err := build(ctx, program, "./cmd/idp"); err != nil {
		return err
	}
	f, err := o.apart(ctx, dir, program, way{name: "idp"})
	defer f.stop() //nolint:contextcheck // servers end whatever has happened to the context
	if err != nil {
		return err
	}
	s := f[0]
	if err := s.driver.Prepare(ctx, o.workers); err != nil {
		return err
	}
	for _, name := range []string{"sso", "exchange"} { // what userinfo is asked with
		s.driver.Run(ctx, one(driver.Scenarios(), name), driver.Load{Workers: 4, Count: 50, Time: time.Minute})
	}
	for range o.rounds {
		r, err := o.floodOnce(ctx, s)
		if err != nil {
			return err
		}
		r.print(out)
		if n := r.errors(); n > 0 {
			return fmt.Errorf("%d answers were neither right nor a 503 with Retry-After", n)
		}
	}
	return nil
}

// flooding is one round.
type flooding struct {
	alone         float64 // hashes a second, and nothing else
	most          driver.Report
	visits        visits
	quiet, beside []driver.Report // of driver.Answers
}

func (o options) floodOnce(ctx context.Context, s *server) (r flooding, err error) {
	r.alone = hashing(o.window)
	r.quiet = s.answers(ctx, o.window)
	r.most = s.driver.Run(ctx, driver.Visit(), driver.Load{Workers: 4 * runtime.NumCPU(), Count: o.count, Time: o.window})
	if r.most.Done == 0 {
		return r, fmt.Errorf("nobody signs in: %s", r.most.First)
	}
	var wg sync.WaitGroup
	wg.Go(func() { r.visits, err = o.crowds(ctx, s.target, overload*r.signIns()) })
	if err := wait(ctx, o.window/5); err != nil { // until the queue is full
		return r, err
	}
	r.beside = s.answers(ctx, o.window*3/5)
	wg.Wait()
	return r, err
}

// signIns is how many a second could sign in, where no more came.
func (r flooding) signIns() float64 { return float64(r.most.Done) / r.most.Wall.Seconds() }

// errors are the answers that there must not be: services are never refused.
func (r flooding) errors() int {
	n := r.most.Errors + r.visits.Errors
	for _, a := range slices.Concat(r.quiet, r.beside) {
		n += a.Errors + a.Busy
	}
	return n
}

func (r flooding) print(out io.Writer) {
	v := r.visits
	came := v.Done + v.Busy + v.Errors
	_, _ = fmt.Fprintf(out, "Argon2id alone      %6.1f a second on %d processors\n", r.alone, runtime.NumCPU())
	_, _ = fmt.Fprintf(out, "sign-ins            %6.1f a second (%.2f of that), p50 %s, %d errors %s\n", r.signIns(), r.signIns()/r.alone, round(r.most.P50), r.most.Errors, r.most.First)
	_, _ = fmt.Fprintf(out, "in the flood        %6.1f of %.1f a second (%.2f of what could), p99 %s; %.0f %% refused with 503 and Retry-After, %d errors %s\n",
		float64(v.Done)/v.Wall.Seconds(), float64(came)/v.Time.Seconds(), float64(v.Done)/v.Wall.Seconds()/r.signIns(), round(v.P99),
		100*float64(v.Busy)/float64(max(1, came)), v.Errors, v.First)
	_, _ = fmt.Fprintf(out, "who flooded took    %6.2f processors\n", v.CPU.Seconds()/v.Wall.Seconds())
	for i, a := range driver.Answers() {
		q, b := r.quiet[i], r.beside[i]
		_, _ = fmt.Fprintf(out, "%-18s p50 %8s, in the flood %8s; p99 %8s, in the flood %8s (× %.2f); %d errors %s%s\n", a.Name, round(q.P50), round(b.P50),
			round(q.P99), round(b.P99), float64(b.P99)/float64(max(1, q.P99)), q.Errors+b.Errors+q.Busy+b.Busy, q.First, b.First)
	}
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// hashing is how many hashes a second all processors make that do nothing else.
func hashing(window time.Duration) float64 {
	var done atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range runtime.NumCPU() {
		wg.Go(func() {
			for time.Since(start) < window {
				argon2.IDKey(make([]byte, 32), make([]byte, 16), 1, shipped, 1, 32)
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}

// answers asks all that services ask, at once and at a steady rate.
func (s *server) answers(ctx context.Context, window time.Duration) []driver.Report {
	steps := driver.Answers()
	list := make([]driver.Report, len(steps))
	var wg sync.WaitGroup
	for i, one := range steps {
		wg.Go(func() { list[i] = s.driver.Arrive(ctx, one, driver.Arrivals{Rate: asked, Time: window}) })
	}
	wg.Wait()
	return list
}

// visits are sign-ins as they come, and what sending them took.
type visits struct {
	driver.Report
	Time time.Duration // in which they came
	CPU  time.Duration
}

// crowds has people come from a process of their own: in this one, which asks
// for services, their pages would delay what is measured.
func (o options) crowds(ctx context.Context, t driver.Target, rate float64) (v visits, err error) {
	self, err := os.Executable()
	if err != nil {
		return v, err
	}
	in, err := json.Marshal(t)
	if err != nil {
		return v, err
	}
	c := exec.CommandContext(ctx, self, "-visits", strconv.FormatFloat(rate, 'f', 2, 64), "-time", o.window.String())
	c.Stdin, c.Stderr = bytes.NewReader(in), os.Stderr
	b, err := c.Output()
	if err != nil {
		return v, fmt.Errorf("send people: %w", err)
	}
	v.Time, v.CPU = o.window, c.ProcessState.UserTime()+c.ProcessState.SystemTime()
	return v, json.Unmarshal(b, &v.Report)
}

// visit is what crowds starts.
func (o options) visit(ctx context.Context, in io.Reader, out io.Writer) error {
	var t driver.Target
	if err := json.NewDecoder(in).Decode(&t); err != nil {
		return fmt.Errorf("read the target: %w", err)
	}
	d, err := driver.New(ctx, t)
	if err != nil {
		return err
	}
	defer d.Close()
	return json.NewEncoder(out).Encode(d.Arrive(ctx, driver.Visit(), driver.Arrivals{Rate: o.visits, Time: o.window}))
}
