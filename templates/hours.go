package templates

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// span is one opening of the contact centre, in minutes of a day in Rome.
type span struct {
	day      time.Weekday
	from, to int
}

// desk is when the contact centre answers.
type desk struct {
	spans  []span
	closed []string // civil days without service
}

// deskState is what the pages say about it at one moment. At is the end of this
// opening, or the beginning of the next; zero when there is none within two weeks.
type deskState struct {
	Open bool
	At   time.Time
}

// hours reads the opening hours of the institution.
func (i Institution) hours() (desk, error) {
	days := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	d := desk{closed: i.Closed}
	for _, o := range i.Hours {
		from, err := minutes(o.From)
		if err != nil {
			return desk{}, err
		}
		to, err := minutes(o.To)
		if err != nil {
			return desk{}, err
		}
		if to <= from {
			return desk{}, fmt.Errorf("opening_hours: %s is not after %s", o.To, o.From)
		}
		for _, name := range o.Days {
			day := slices.Index(days, name)
			if day < 0 {
				return desk{}, fmt.Errorf("opening_hours: %q is not a day (mon … sun)", name)
			}
			d.spans = append(d.spans, span{day: time.Weekday(day), from: from, to: to})
		}
	}
	slices.SortFunc(d.spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.from, b.from))
	})
	return d, nil
}

// minutes reads HH:MM; 24:00 is the end of the day.
func minutes(s string) (int, error) {
	if s == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, fmt.Errorf("opening_hours: %q is not HH:MM", s)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// at says whether somebody answers at that moment, and when that changes. Days
// and hours are Rome's, over the changes of summer time too.
func (d desk) at(now time.Time) deskState {
	now = now.In(rome())
	for offset := range 15 {
		day := time.Date(now.Year(), now.Month(), now.Day()+offset, 0, 0, 0, 0, rome())
		if slices.Contains(d.closed, day.Format(time.DateOnly)) {
			continue
		}
		for _, s := range d.spans {
			if s.day != day.Weekday() {
				continue
			}
			from, to := onDay(day, s.from), onDay(day, s.to)
			switch {
			case now.Before(from):
				return deskState{At: from}
			case now.Before(to):
				return deskState{Open: true, At: to}
			}
		}
	}
	return deskState{}
}

// onDay is the moment of a clock time on a civil day.
func onDay(day time.Time, minute int) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day(), 0, minute, 0, 0, day.Location())
}
