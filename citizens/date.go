package citizens

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // Italian dates must not depend on the machine's zone files
)

// Date is a day of the calendar, without an hour and without a zone: a birth,
// the expiry of a card. The zero Date means that the day is not known.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

var errDate = errors.New("not a date: write YYYY-MM-DD")

// ParseDate reads a day as people write it in forms (gg/mm/aaaa) and as files
// carry it (YYYY-MM-DD).
func ParseDate(s string) (Date, error) {
	s = strings.TrimSpace(s)
	if strings.Contains(s, "/") {
		t, err := time.Parse("2/1/2006", s)
		if err != nil || t.Year() < 1 {
			return Date{}, errDate
		}
		return dateIn(t), nil
	}
	return parseISODate(s)
}

func parseISODate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1 {
		return Date{}, errDate // the parser's own words quote the input
	}
	return dateIn(t), nil
}

// italy is where days begin for the rules: an 18th birthday, the last day of a
// profile. The zone is in the program (time/tzdata), so loading cannot fail.
var italy = sync.OnceValue(func() *time.Location {
	zone, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		panic("citizens: " + err.Error())
	}
	return zone
})

// DateOf returns the day that it is in Italy at t.
func DateOf(t time.Time) Date { return dateIn(t.In(italy())) }

func dateIn(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// exists reports whether the calendar has the day.
func (d Date) exists() bool { return dateIn(d.midnight()) == d }

func (d Date) midnight() time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}

// IsZero reports whether the day is unknown.
func (d Date) IsZero() bool { return d == Date{} }

// Compare orders days; it returns -1, 0 or +1.
func (d Date) Compare(o Date) int { return d.midnight().Compare(o.midnight()) }

// Before reports whether d is an earlier day than o.
func (d Date) Before(o Date) bool { return d.Compare(o) < 0 }

// After reports whether d is a later day than o.
func (d Date) After(o Date) bool { return d.Compare(o) > 0 }

// AddMonths moves by calendar months and stays in the month it arrives in:
// six months after 31 August is the last of February, not the third of March.
func (d Date) AddMonths(n int) Date {
	first := time.Date(d.Year, d.Month+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return Date{first.Year(), first.Month(), min(d.Day, last)}
}

// Age returns the birthdays that someone born on d has had by the day on. Born
// on 29 February, one comes of age on 1 March.
func (d Date) Age(on Date) int {
	age := on.Year - d.Year
	if on.Month < d.Month || on.Month == d.Month && on.Day < d.Day {
		age--
	}
	return age
}

// String writes YYYY-MM-DD, and nothing for an unknown day.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day)
}

// MarshalText writes YYYY-MM-DD.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads YYYY-MM-DD, or nothing.
func (d *Date) UnmarshalText(text []byte) error {
	*d = Date{}
	if len(text) == 0 {
		return nil
	}
	parsed, err := parseISODate(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Value stores the day; an unknown one is NULL.
func (d Date) Value() (driver.Value, error) {
	if d.IsZero() {
		return nil, nil //nolint:nilnil // NULL
	}
	return d.String(), nil
}

// Scan reads the day back: drivers hand a date column over as a time or a text.
func (d *Date) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*d = Date{}
	case time.Time:
		*d = dateIn(v)
	case string:
		return d.UnmarshalText([]byte(v))
	case []byte:
		return d.UnmarshalText(v)
	default:
		return fmt.Errorf("scan a date from %T", src)
	}
	return nil
}
