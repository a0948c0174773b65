package enrolment

import (
	"slices"
	"time"

	"github.com/nyaruka/phonenumbers"

	"ente.example/idp/citizens"
)

// Opening is a stretch in which the contact centre works, on one day of the
// week; From and To count from midnight in Italy.
type Opening struct {
	Day      time.Weekday
	From, To time.Duration
}

// Hours are when the contact centre works: its openings, but for the days on
// which it is closed.
type Hours struct {
	Openings []Opening
	Closed   []citizens.Date
}

// DefaultHours are those of R60: Monday to Friday 8 to 20, Saturday 8 to 14.
func DefaultHours() Hours {
	var h Hours
	for d := time.Monday; d <= time.Friday; d++ {
		h.Openings = append(h.Openings, Opening{d, 8 * time.Hour, 20 * time.Hour})
	}
	h.Openings = append(h.Openings, Opening{time.Saturday, 8 * time.Hour, 14 * time.Hour})
	return h
}

// Slot is when somebody would like to be called, by the clock where he is.
type Slot string

// The slots.
const (
	AnyTime   Slot = "any"
	Morning   Slot = "morning"
	Afternoon Slot = "afternoon"
)

// ParseSlot reads a slot; nothing means that any time will do.
func ParseSlot(s string) (Slot, bool) {
	switch slot := Slot(s); slot {
	case AnyTime, Morning, Afternoon:
		return slot, true
	case "":
		return AnyTime, true
	}
	return "", false
}

// hours are the slot's, where the person is: nobody is called before nine or
// after nine.
func (s Slot) hours() (from, to time.Duration) {
	switch s {
	case Morning:
		return 9 * time.Hour, 13 * time.Hour
	case Afternoon:
		return 13 * time.Hour, 19 * time.Hour
	case AnyTime:
	}
	return 9 * time.Hour, 21 * time.Hour
}

// Window is a stretch of time in which somebody may be called.
type Window struct{ From, Until time.Time }

// shortest is a window in which a call still makes sense.
const shortest = 20 * time.Minute

// next is the first window, from a moment on, in which the contact centre works
// and the slot says yes, by the person's clock. Where the two never meet, in
// Sydney in the morning, any decent hour will do; where not even those do, any
// hour in which the contact centre works.
func (h Hours) next(slot Slot, zone *time.Location, from time.Time, italy *time.Location) Window {
	for _, s := range []Slot{slot, AnyTime} {
		begin, end := s.hours()
		if w, ok := h.search(from, italy, func(open Window) (Window, bool) { return within(open, begin, end, zone) }); ok {
			return w
		}
	}
	if w, ok := h.search(from, italy, func(open Window) (Window, bool) { return open, true }); ok {
		return w
	}
	return Window{from, from.Add(24 * time.Hour)} // nobody has said when it works
}

// search tries the openings of the next weeks in their order.
func (h Hours) search(from time.Time, italy *time.Location, fit func(Window) (Window, bool)) (Window, bool) {
	day := citizens.DateOf(from)
	for range 28 {
		for _, open := range h.on(day, italy) {
			if open.From.Before(from) {
				open.From = from
			}
			if w, ok := fit(open); ok && w.Until.Sub(w.From) >= shortest {
				return w, true
			}
		}
		day = tomorrow(day)
	}
	return Window{}, false
}

// on are a day's openings, earliest first, by the calendar of Italy and whatever
// summer time does.
func (h Hours) on(day citizens.Date, italy *time.Location) []Window {
	if slices.Contains(h.Closed, day) {
		return nil
	}
	var open []Window
	for _, o := range h.Openings {
		if at(day, 0, italy).Weekday() == o.Day {
			open = append(open, Window{at(day, o.From, italy), at(day, o.To, italy)})
		}
	}
	slices.SortFunc(open, func(a, b Window) int { return a.From.Compare(b.From) })
	return open
}

// within is the first part of an opening that lies between two hours of the
// person's day. Far away an opening reaches over two of those days.
func within(open Window, begin, end time.Duration, zone *time.Location) (Window, bool) {
	local := open.From.In(zone)
	first := citizens.Date{Year: local.Year(), Month: local.Month(), Day: local.Day()}
	for _, day := range []citizens.Date{first, tomorrow(first)} {
		w := Window{later(open.From, at(day, begin, zone)), earlier(open.Until, at(day, end, zone))}
		if w.Until.Sub(w.From) >= shortest {
			return w, true
		}
	}
	return Window{}, false
}

// at is a clock time of a civil day: 9:00 stays 9:00 on the days on which the
// clock is moved.
func at(day citizens.Date, clock time.Duration, zone *time.Location) time.Time {
	return time.Date(day.Year, day.Month, day.Day, 0, int(clock/time.Minute), 0, 0, zone)
}

func tomorrow(d citizens.Date) citizens.Date {
	t := time.Date(d.Year, d.Month, d.Day+1, 0, 0, 0, 0, time.UTC)
	return citizens.Date{Year: t.Year(), Month: t.Month(), Day: t.Day()}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// workingDays is the end of the n-th working day after a moment. Monday to
// Friday count; Saturday does not, though somebody may answer.
func (h Hours) workingDays(n int, from time.Time, italy *time.Location) time.Time {
	day := citizens.DateOf(from)
	for n > 0 {
		day = tomorrow(day)
		weekday := at(day, 0, italy).Weekday()
		if weekday != time.Saturday && weekday != time.Sunday && !slices.Contains(h.Closed, day) {
			n--
		}
	}
	return at(day, 24*time.Hour, italy).UTC()
}

// CallZone is where a telephone number is at home, as far as the number tells:
// by the clock there its owner is called. Numbers of countries with several
// clocks that do not tell which get the one in the middle.
func CallZone(phone string) *time.Location {
	names, err := phonenumbers.GetTimezonesForPrefix(phone)
	if err == nil && len(names) > 0 {
		if zone, err := time.LoadLocation(names[len(names)/2]); err == nil && zone.String() != "Etc/Unknown" {
			return zone
		}
	}
	zone, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		return time.UTC
	}
	return zone
}
