package credentials

import (
	"math"
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
// the tries. So medians that differ by more get 200 tries more, and then must
// differ by more than chance explains: the interval in which the slowest
// class's true median lies (99 %) must be clear of the quickest one's. On a
// quiet machine these intervals are narrow and the bound is the 5 %.
//
// The hash is cheaper here than in production, which makes the test stricter:
// what differs around it weighs more.
func TestR33TheSameTimeForEverybody(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, newRing(t), cost(Cost{Memory: 19456, Passes: 1, Threads: 1}))
		classes := f.classes()
		samples := map[string][]time.Duration{}
		for range 2 {
			f.measure(classes, 200, samples)
			m := medians(samples)
			if t.Logf("medians of %d: %v", len(samples["known"]), m); spread(m) <= 1.05 {
				return
			}
		}
		if slow, quick := distinct(samples); slow != "" {
			t.Errorf("%s takes longer than %s: medians %v, want them within 5 %%", slow, quick, medians(samples))
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

func medians(samples map[string][]time.Duration) map[string]time.Duration {
	m := map[string]time.Duration{}
	for name, list := range samples {
		sorted := slices.Sorted(slices.Values(list))
		m[name] = sorted[len(sorted)/2]
	}
	return m
}

// distinct names two classes whose medians differ by more than 5 % and more
// than by chance. Of n samples, the true median lies within 1.3 times the root
// of n ranks of the middle one in 99 cases of a hundred.
func distinct(samples map[string][]time.Duration) (slow, quick string) {
	low, high := map[string]time.Duration{}, map[string]time.Duration{}
	for name, list := range samples {
		sorted := slices.Sorted(slices.Values(list))
		middle, ranks := len(sorted)/2, int(1.3*math.Sqrt(float64(len(sorted))))
		low[name], high[name] = sorted[middle-ranks], sorted[middle+ranks]
	}
	for a := range samples {
		for b := range samples {
			if float64(low[a]) > 1.05*float64(high[b]) {
				return a, b
			}
		}
	}
	return "", ""
}

// A leak must not hide behind the allowance for chance.
func TestDistinct(t *testing.T) {
	t.Parallel()
	samples := map[string][]time.Duration{}
	for i := range 200 {
		jitter := time.Duration(i%21-10) * 300 * time.Microsecond // 3 ms about 30 ms
		samples["known"] = append(samples["known"], 30*time.Millisecond+jitter)
		samples["unknown"] = append(samples["unknown"], 31*time.Millisecond+jitter)
	}
	if slow, quick := distinct(samples); slow != "" {
		t.Errorf("3 %% count as a leak of %s over %s", slow, quick)
	}
	for i := range samples["unknown"] {
		samples["unknown"][i] += 4 * time.Millisecond
	}
	if slow, quick := distinct(samples); slow != "unknown" || quick != "known" {
		t.Errorf("17 %% are found as %q over %q, want unknown over known", slow, quick)
	}
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
		if m := medians(samples); spread(m) > 2 {
			t.Errorf("medians %v, want about the same", m)
		}
	})
}
