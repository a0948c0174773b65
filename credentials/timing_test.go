package credentials

import (
	"slices"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// Four kinds of people who are not let in take the same time: the medians of
// 200 tries each, taken in turns, lie within 5 %.
//
// Taken in turns, whatever else the machine does slows all four alike; still,
// on a busy machine a median of 200 tells more about the neighbours than about
// the tries. So up to two more rounds of 200 join, since chance shrinks with
// more tries and a leak does not; and where even then the slow tries take half
// as long again as the quick ones, which Argon2 alone never does, the quickest
// tenth decides: those that nobody got in the way of. The hash is cheaper here
// than in production, which makes the test stricter: what differs around it
// weighs more.
func TestR33TheSameTimeForEverybody(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, newRing(t), cost(Cost{Memory: 19456, Passes: 1, Threads: 1}))
		classes := f.classes()
		samples := map[string][]time.Duration{}
		for range 3 {
			f.measure(classes, 200, samples)
			medians := quantile(samples, 50)
			if t.Logf("medians of %d: %v", len(samples["known"]), medians); spread(medians) <= 1.05 {
				return
			}
		}
		quick, slow := quantile(samples, 10), quantile(samples, 90)
		t.Logf("quick ones: %v", quick)
		if busy := slow["known"] > quick["known"]*3/2; !busy || spread(quick) > 1.05 {
			t.Errorf("the times differ by %.1f %%, want at most 5 %%", (spread(quantile(samples, 50))-1)*100)
		}
	})
}

type class struct {
	name string
	cf   string
	pin  PIN
}

func (f *fixture) classes() []class {
	f.t.Helper()
	f.active(mario)
	f.active(franco)
	right := f.active(samantha)
	f.must(f.Suspend(f.t.Context(), staff, code(samantha), "report"))
	for range 10 {
		_, _ = f.try(franco, never)
	}
	return []class{{"known", mario, never}, {"unknown", stranger, never}, {"waiting", franco, never}, {"suspended", samantha, right}}
}

func (f *fixture) measure(classes []class, rounds int, samples map[string][]time.Duration) {
	f.t.Helper()
	for i := range rounds {
		// outside what is measured: nobody but franco is to come to a wait, and
		// his is not to end
		f.sql(`UPDATE pin_throttle SET fails = 1 WHERE next_at IS NULL`)
		f.sql(`UPDATE pin_throttle SET next_at = ? WHERE next_at IS NOT NULL`, f.db.NowPlus(time.Hour))
		for j := range classes {
			c := classes[(i+j)%len(classes)]
			start := time.Now()
			_, err := f.try(c.cf, c.pin)
			samples[c.name] = append(samples[c.name], time.Since(start))
			if err == nil {
				f.t.Fatalf("%s is let in", c.name)
			}
		}
	}
}

// quantile is, of each class, the time that so many percent of its tries stay
// below.
func quantile(samples map[string][]time.Duration, percent int) map[string]time.Duration {
	m := map[string]time.Duration{}
	for name, list := range samples {
		sorted := slices.Sorted(slices.Values(list))
		m[name] = sorted[len(sorted)*percent/100]
	}
	return m
}

// spread is how much longer the slowest class takes than the quickest.
func spread(medians map[string]time.Duration) float64 {
	var least, most time.Duration
	for _, d := range medians {
		if least == 0 || d < least {
			least = d
		}
		most = max(most, d)
	}
	return float64(most) / float64(least)
}

// After the cost was raised, whoever has not signed in since takes as long as
// somebody unknown, although his hash is still the cheap one.
func TestTheSameTimeAfterTheCostWasRaised(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ring := newRing(t)
		newFixture(t, db, ring).active(mario)
		f := newFixture(t, db, ring, cost(Cost{Memory: 32768, Passes: 1, Threads: 1}))
		samples := map[string][]time.Duration{}
		f.measure([]class{{"known", mario, never}, {"unknown", stranger, never}}, 15, samples)
		// not a matter of percents: the cheap hash alone is a hundredth
		if m := quantile(samples, 50); spread(m) > 2 {
			t.Errorf("medians %v, want about the same", m)
		}
	})
}
