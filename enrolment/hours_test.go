package enrolment

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"ente.example/idp/citizens"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// R15, §2.5: opening hours crossed with the slot, by the clock of whom we call.
func TestR15NextCall(t *testing.T) {
	t.Parallel()
	italy := zone(t, "Europe/Rome")
	holidays := DefaultHours()
	holidays.Closed = []citizens.Date{{Year: 2026, Month: 12, Day: 8}}
	for _, c := range []struct {
		name, now, zone string
		slot            Slot
		from, until     string // in Rome
	}{
		{"now", "2026-11-18 10:00:00", "Europe/Rome", AnyTime, "2026-11-18 10:00:00", "2026-11-18 20:00:00"},
		{"before opening", "2026-11-18 06:00:00", "Europe/Rome", AnyTime, "2026-11-18 09:00:00", "2026-11-18 20:00:00"},
		{"after closing", "2026-11-18 21:00:00", "Europe/Rome", Morning, "2026-11-19 09:00:00", "2026-11-19 13:00:00"},
		{"the end of a window", "2026-11-18 12:50:00", "Europe/Rome", Morning, "2026-11-19 09:00:00", "2026-11-19 13:00:00"},
		{"Saturday afternoon is short", "2026-11-21 10:00:00", "Europe/Rome", Afternoon, "2026-11-21 13:00:00", "2026-11-21 14:00:00"},
		{"Saturday evening", "2026-11-21 15:00:00", "Europe/Rome", AnyTime, "2026-11-23 09:00:00", "2026-11-23 20:00:00"},
		{"Sunday", "2026-11-22 10:00:00", "Europe/Rome", Afternoon, "2026-11-23 13:00:00", "2026-11-23 19:00:00"},
		{"a holiday", "2026-12-08 10:00:00", "Europe/Rome", Morning, "2026-12-09 09:00:00", "2026-12-09 13:00:00"},
		{"London", "2026-11-18 06:00:00", "Europe/London", Morning, "2026-11-18 10:00:00", "2026-11-18 14:00:00"},
		{"New York", "2026-11-18 06:00:00", "America/New_York", Morning, "2026-11-18 15:00:00", "2026-11-18 19:00:00"},
		{"New York in the afternoon", "2026-11-18 06:00:00", "America/New_York", Afternoon, "2026-11-18 19:00:00", "2026-11-18 20:00:00"},
		{"Los Angeles in the morning", "2026-11-18 06:00:00", "America/Los_Angeles", Morning, "2026-11-18 18:00:00", "2026-11-18 20:00:00"},
		{"Los Angeles has no afternoon of ours", "2026-11-18 06:00:00", "America/Los_Angeles", Afternoon, "2026-11-18 18:00:00", "2026-11-18 20:00:00"},
		{"Sydney in the afternoon", "2026-11-18 06:00:00", "Australia/Sydney", Afternoon, "2026-11-18 08:00:00", "2026-11-18 09:00:00"},
		{"Sydney has no morning of ours", "2026-11-18 10:30:00", "Australia/Sydney", Morning, "2026-11-18 10:30:00", "2026-11-18 11:00:00"},
		{"Auckland", "2026-11-18 06:00:00", "Pacific/Auckland", AnyTime, "2026-11-18 08:00:00", "2026-11-18 09:00:00"},
		{"summer time has begun there alone", "2026-03-16 06:00:00", "America/New_York", Morning, "2026-03-16 14:00:00", "2026-03-16 18:00:00"},
		{"the day the clock is moved", "2026-10-25 06:00:00", "Europe/Rome", AnyTime, "2026-10-26 09:00:00", "2026-10-26 20:00:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := holidays.next(c.slot, zone(t, c.zone), rome(t, c.now), italy)
			if !got.From.Equal(rome(t, c.from)) || !got.Until.Equal(rome(t, c.until)) {
				t.Errorf("%s to %s, want %s to %s", got.From.In(italy), got.Until.In(italy), c.from, c.until)
			}
		})
	}
}

// Whenever and wherever: the window lies ahead, is long enough and within the
// hours in which the contact centre works.
func TestNextCallIsWhenSomebodyWorks(t *testing.T) {
	t.Parallel()
	italy, h := zone(t, "Europe/Rome"), DefaultHours()
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Unix(rapid.Int64Range(1767225600, 1924992000).Draw(rt, "now"), 0)
		slot := rapid.SampledFrom([]Slot{AnyTime, Morning, Afternoon}).Draw(rt, "slot")
		name := rapid.SampledFrom([]string{"Europe/Rome", "America/New_York", "America/Los_Angeles", "Asia/Kolkata", "Australia/Sydney",
			"Pacific/Auckland", "Pacific/Honolulu", "Asia/Kathmandu", "America/Sao_Paulo"}).Draw(rt, "zone")
		w := h.next(slot, zone(t, name), now, italy)
		if w.From.Before(now) || w.Until.Sub(w.From) < shortest {
			rt.Fatalf("%s: %s to %s", now, w.From, w.Until)
		}
		inside := false
		for _, open := range h.on(citizens.DateOf(w.From), italy) {
			inside = inside || !w.From.Before(open.From) && !w.Until.After(open.Until)
		}
		if !inside {
			rt.Fatalf("%s to %s, when nobody works", w.From.In(italy), w.Until.In(italy))
		}
	})
}

func TestWorkingDays(t *testing.T) {
	t.Parallel()
	italy := zone(t, "Europe/Rome")
	h := DefaultHours()
	h.Closed = []citizens.Date{{Year: 2026, Month: 12, Day: 8}, {Year: 2026, Month: 12, Day: 25}}
	for _, c := range []struct{ from, want string }{
		{"2026-11-18 10:00:00", "2026-12-03 00:00:00"},
		{"2026-12-01 23:59:00", "2026-12-17 00:00:00"}, // over the 8th
		{"2026-11-21 10:00:00", "2026-12-05 00:00:00"}, // from a Saturday
	} {
		if got := h.workingDays(10, rome(t, c.from), italy); !got.Equal(rome(t, c.want)) {
			t.Errorf("ten working days after %s: %s, want %s", c.from, got.In(italy), c.want)
		}
	}
}

func TestCallZone(t *testing.T) {
	t.Parallel()
	for phone, want := range map[string]string{
		"+390612345678": "Europe/Rome", "+498912345678": "Europe/Berlin", "+4915123456789": "Europe/Berlin", "+12125550123": "America/New_York",
		"+442079460000": "Europe/London", "": "Europe/Rome",
	} {
		if got := CallZone(phone).String(); got != want {
			t.Errorf("%q is at home in %s, want %s", phone, got, want)
		}
	}
}

func rome(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04:05", s, zone(t, "Europe/Rome"))
	if err != nil {
		t.Fatal(err)
	}
	return at
}
