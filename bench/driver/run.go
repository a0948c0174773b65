package driver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Load says how much: so many workers, until so many operations are done or so
// much time has passed.
type Load struct {
	Workers int
	Count   int
	Time    time.Duration
	// Rate, if there is one, is how many begin each second; whoever is late for an
	// operation has waited for it. Without, each begins when the one before ends.
	Rate float64
}

// begins is when the n-th operation of a load does, and whether there is one.
func (l Load) begins(start time.Time, n int64) (time.Time, bool) {
	at := time.Now()
	if l.Rate > 0 {
		at = start.Add(time.Duration(float64(n-1) / l.Rate * float64(time.Second)))
	}
	return at, n <= int64(l.Count) && at.Sub(start) < l.Time
}

// Report is what the clients saw.
type Report struct {
	Done    int           `json:"done"`
	Busy    int           `json:"busy,omitempty"` // refused until later; of Arrive alone
	Errors  int           `json:"errors"`
	First   string        `json:"first_error,omitempty"`
	Wall    time.Duration `json:"wall"`
	P50     time.Duration `json:"p50"`
	P95     time.Duration `json:"p95"`
	P99     time.Duration `json:"p99"`
	Starved bool          `json:"starved,omitempty"` // codes ran out before count and time
}

// errSpent ends a run: there is nothing left to do.
var errSpent = errors.New("nothing is left to do")

// Prepare signs a browser in for each worker and has consent kept, so that
// what follows needs no page. It forgets what an earlier round has left.
func (d *Driver) Prepare(ctx context.Context, workers int) error {
	d.browsers, d.kept, d.rs256 = make([]*Browser, workers), stock{}, stock{}
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		d.browsers[w] = d.browser()
		wg.Go(func() {
			p := <-d.people
			defer func() { d.people <- p }()
			for _, c := range []Client{d.target.Kept, d.target.RS256} {
				_, err := d.authorize(ctx, d.browsers[w], c, "", p)
				errs[w] = errors.Join(errs[w], err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// FirstAccess signs somebody in whom pages show something to be copied, which
// learn adds to the person.
func (d *Driver) FirstAccess(ctx context.Context, p Person, learn func(*Browser, Person)) error {
	b := d.browser()
	b.learn = learn
	_, err := d.authorize(ctx, b, d.target.Client, "", p)
	return err
}

// Gather makes what a scenario uses up, where none before it does.
func (d *Driver) Gather(ctx context.Context, s Scenario, l Load) {
	if s.gather != nil {
		d.Run(ctx, Scenario{do: s.gather}, l)
	}
}

// Run puts a load on the provider.
func (d *Driver) Run(ctx context.Context, s Scenario, l Load) Report {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var begun, failed atomic.Int64
	var first atomic.Pointer[string]
	times := make([][]time.Duration, l.Workers)
	var r Report
	var spent atomic.Bool
	start := time.Now()
	var wg sync.WaitGroup
	for w := range l.Workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				at, more := l.begins(start, begun.Add(1))
				if !more {
					return
				}
				select { // one that is late begins at once
				case <-ctx.Done():
					return
				case <-time.After(time.Until(at)):
				}
				err := s.do(d, ctx, w)
				switch {
				case errors.Is(err, errSpent):
					spent.Store(true)
					return
				case err != nil:
					failed.Add(1)
					text := err.Error()
					first.CompareAndSwap(nil, &text)
				default:
					times[w] = append(times[w], time.Since(at))
				}
			}
		})
	}
	wg.Wait()
	r.Wall, r.Errors, r.Starved = time.Since(start), int(failed.Load()), spent.Load()
	if p := first.Load(); p != nil {
		r.First = *p
	}
	all := slices.Sorted(slices.Values(slices.Concat(times...)))
	r.Done = len(all)
	r.P50, r.P95, r.P99 = quantile(all, 50), quantile(all, 95), quantile(all, 99)
	return r
}

// quantile is the smallest duration that so many in a hundred do not exceed.
func quantile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*percent+99)/100-1]
}
