package templates

import (
	"testing"
	"time"
)

func inRome(t *testing.T, clock string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", clock, rome())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// R60: the contact centre's state and when it changes.
func TestR60DeskState(t *testing.T) {
	t.Parallel()
	i := Sample()
	i.Closed = []string{"2026-12-25", "2026-12-26"}
	d, err := i.hours()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		now  string
		open bool
		at   string
	}{
		"before opening":           {"2026-11-18 07:59", false, "2026-11-18 08:00"},
		"opens on the minute":      {"2026-11-18 08:00", true, "2026-11-18 20:00"},
		"midday":                   {"2026-11-18 12:00", true, "2026-11-18 20:00"},
		"closes on the minute":     {"2026-11-18 20:00", false, "2026-11-19 08:00"},
		"Saturday morning":         {"2026-11-21 13:59", true, "2026-11-21 14:00"},
		"Saturday afternoon":       {"2026-11-21 14:00", false, "2026-11-23 08:00"},
		"Sunday":                   {"2026-11-22 10:00", false, "2026-11-23 08:00"},
		"Christmas, then Saturday": {"2026-12-24 20:00", false, "2026-12-28 08:00"},
		"summer time begins":       {"2026-03-28 20:00", false, "2026-03-30 08:00"},
		"summer time ends":         {"2026-10-24 20:00", false, "2026-10-26 08:00"},
	} {
		got := d.at(inRome(t, c.now).UTC())
		if got.Open != c.open || !got.At.Equal(inRome(t, c.at)) {
			t.Errorf("%s: open %v until %v, want %v %s", name, got.Open, got.At, c.open, c.at)
		}
	}
	if got := (desk{}).at(inRome(t, "2026-11-18 10:00")); got.Open || !got.At.IsZero() {
		t.Errorf("a desk without hours is %v", got)
	}
}

func TestReopensInWords(t *testing.T) {
	t.Parallel()
	w, err := loadWords("it")
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{
		"2026-11-18 20:00": `riapre oggi alle <time datetime="2026-11-18T20:00:00+01:00">20:00</time>`,
		"2026-11-19 08:00": `riapre domani alle <time datetime="2026-11-19T08:00:00+01:00">8:00</time>`,
		"2026-11-23 08:30": `riapre lunedì alle <time datetime="2026-11-23T08:30:00+01:00">8:30</time>`,
		"2026-12-01 08:00": `riapre il 1º dicembre 2026 alle <time datetime="2026-12-01T08:00:00+01:00">8:00</time>`,
	} {
		got, err := w.reopens(inRome(t, at), inRome(t, "2026-11-18 07:00"))
		if err != nil || string(got) != want {
			t.Errorf("reopens(%s) = %s, %v; want %s", at, got, err, want)
		}
	}
}

func TestHoursInWords(t *testing.T) {
	t.Parallel()
	week := []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	for want, openings := range map[string][]Opening{
		"Dal lunedì al venerdì 8–20, sabato 8–14": Sample().Hours,
		"Dal lunedì alla domenica 8:30–24":        {{Days: week, From: "08:30", To: "24:00"}},
		"Lunedì, giovedì 9–12:15":                 {{Days: []string{"mon", "thu"}, From: "09:00", To: "12:15"}},
		"":                                        nil,
	} {
		w, err := loadWords("it")
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.hours(openings)
		if err != nil || got != want {
			t.Errorf("hours = %q, %v; want %q", got, err, want)
		}
	}
}

func TestWhenInWords(t *testing.T) {
	t.Parallel()
	w, err := loadWords("it")
	if err != nil {
		t.Fatal(err)
	}
	now := inRome(t, "2026-11-18 00:30")
	for at, want := range map[string]string{
		"2026-11-18 00:10": `<time datetime="2026-11-18T00:10:00+01:00">oggi alle 00:10</time>`,
		"2026-11-17 23:50": `<time datetime="2026-11-17T23:50:00+01:00">ieri alle 23:50</time>`,
		"2026-10-01 09:00": `<time datetime="2026-10-01T09:00:00+02:00">il 1º ottobre 2026 alle 09:00</time>`,
	} {
		got, err := w.when(inRome(t, at).UTC(), now)
		if err != nil || string(got) != want {
			t.Errorf("when(%s) = %s, %v; want %s", at, got, err, want)
		}
	}
}

// R31, R33: the time on the page is never before the end of the wait.
func TestR33WaitIsRoundedUp(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"10:42:00": "10:42:00", "10:42:00.000001": "10:43:00", "10:42:59": "10:43:00",
	} {
		at, err := time.Parse(time.TimeOnly, from)
		if err != nil {
			t.Fatal(err)
		}
		if got := roundUp(at).Format(time.TimeOnly); got != want {
			t.Errorf("roundUp(%s) = %s, want %s", from, got, want)
		}
	}
	now := inRome(t, "2026-11-18 10:37")
	for left, want := range map[time.Duration]int{
		-time.Second: 1, 0: 1, time.Second: 1, time.Minute: 1, 61 * time.Second: 2, 5 * time.Minute: 5,
	} {
		if got := minutesLeft(now, now.Add(left)); got != want {
			t.Errorf("minutesLeft(%v) = %d, want %d", left, got, want)
		}
	}
}
