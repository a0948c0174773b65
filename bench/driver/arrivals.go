package driver

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Arrivals are an open load: so many a second come, however slow the answers
// are, for so long. Latencies count from when each was due.
type Arrivals struct {
	Rate float64
	Time time.Duration
}

// errBusy is a 503 that says when to come again.
var errBusy = errors.New("refused for now with")

func unexpected(a *http.Response) error {
	if n, err := strconv.Atoi(a.Header.Get("Retry-After")); a.StatusCode == http.StatusServiceUnavailable && err == nil && n > 0 {
		return errBusy
	}
	return errStatus
}

// Answers are what services ask for without anybody who signs in.
func Answers() []Scenario {
	return []Scenario{
		{Name: "token", What: "an access token for a service", do: (*Driver).clientCredentials},
		{Name: "jwks", What: "the keys", do: func(d *Driver, ctx context.Context, _ int) error {
			_, err := d.get(ctx, d.at.JWKS, "")
			return err
		}},
		{Name: "userinfo", What: "the claims of an access token", do: func(d *Driver, ctx context.Context, n int) error {
			return d.claims(ctx, d.kept.tokens[n%len(d.kept.tokens)])
		}},
	}
}

// Visit is a whole sign-in by whoever's turn it is, who may be signing in
// elsewhere as well.
func Visit() Scenario {
	return Scenario{Name: "visit", What: "a sign-in", do: func(d *Driver, ctx context.Context, n int) error {
		return d.signInAs(ctx, d.target.People[n%len(d.target.People)])
	}}
}

// Arrive puts an open load on the provider. Those that are told to come again
// later are Busy, and no Errors; Done are the others that had what they wanted.
func (d *Driver) Arrive(ctx context.Context, s Scenario, a Arrivals) Report {
	var (
		mu    sync.Mutex
		r     Report
		times []time.Duration
		wg    sync.WaitGroup
	)
	start := time.Now()
	for n := range int(a.Rate * a.Time.Seconds()) {
		due := start.Add(time.Duration(float64(n) / a.Rate * float64(time.Second)))
		time.Sleep(time.Until(due)) //nolint:forbidigo // it is the load that is timed
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			err := s.do(d, ctx, n)
			took := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				times = append(times, took)
			case errors.Is(err, errBusy):
				r.Busy++
			default:
				r.Errors++
				r.First = err.Error()
			}
		})
	}
	wg.Wait()
	r.Wall, r.Done = time.Since(start), len(times)
	slices.Sort(times)
	r.P50, r.P95, r.P99 = quantile(times, 50), quantile(times, 95), quantile(times, 99)
	return r
}
