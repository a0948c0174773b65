package credentials

import (
	"context"
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
)

const days = 24 * time.Hour

// sweeps lets time bring what it brings, and the post take it.
func (m *mailroom) sweeps() {
	m.t.Helper()
	m.must(m.Sweep(m.t.Context()))
	m.deliver()
}

// pass lets days pass, with a look on each.
func (m *mailroom) pass(n int) {
	m.t.Helper()
	for range n {
		m.shift(days)
		m.sweeps()
	}
}

func (m *mailroom) arrived(what string, key delivery.MessageKey, want int) {
	m.t.Helper()
	if n := len(m.got(key)); n != want {
		m.t.Errorf("%s: %d messages %s, want %d", what, n, key, want)
	}
}

// The days of a notice are those of the calendar in Italy, where an hour is
// lost and won on the way.
func TestReminder(t *testing.T) {
	italy, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		x, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	due := at("2027-03-31T10:00:00+02:00")
	for _, c := range []struct {
		now, next string
		state     State
		days      int
	}{
		{"2027-03-01T09:59:59+01:00", "2027-03-01T10:00:00+01:00", Active, 0},
		{"2027-03-01T10:00:00+01:00", "2027-03-24T10:00:00+01:00", Active, 30},
		{"2027-03-24T09:59:00+01:00", "2027-03-24T10:00:00+01:00", Active, 30},
		{"2027-03-24T10:00:00+01:00", "2027-03-30T10:00:00+02:00", Active, 7},
		{"2027-03-30T10:00:00+02:00", "", Active, 1},
		{"2027-03-31T10:00:00+02:00", "", Active, 0},
		{"2027-03-01T10:00:00+01:00", "2027-03-24T10:00:00+01:00", Issued, 0},
		{"2027-03-24T10:00:00+01:00", "2027-03-30T10:00:00+02:00", Issued, 7},
	} {
		pin := credential{State: c.state, Now: database.Time{Time: at(c.now)}}
		pin.SecondHalfAt.Time = at("2027-01-30T10:00:00+01:00")
		days, next := reminder(pin, due, italy)
		if days != c.days || next.IsZero() != (c.next == "") || c.next != "" && !next.Equal(at(c.next)) {
			t.Errorf("%s at %s: %d days, next %s, want %d and %s", c.state, c.now, days, next, c.days, c.next)
		}
	}
	short := credential{State: Issued, Now: database.Time{Time: at("2027-03-24T10:00:00+01:00")}}
	short.SecondHalfAt.Time = at("2027-03-24T09:00:00+01:00") // of a week
	if days, next := reminder(short, due, italy); days != 0 || !next.Equal(at("2027-03-30T10:00:00+02:00")) {
		t.Errorf("a first PIN of a week: %d days, next %s, want only the day before", days, next)
	}
}

// R27: 30, 7 and 1 days before, each once; whoever changes starts anew.
func TestR27NoticeBeforeAPINIsOfAge(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		pin := m.active(mario, "mobile="+mobile)
		s, err := m.Status(t.Context(), code(mario))
		m.must(err)
		left := func(d int) { // so many days before it is due, and an hour
			t.Helper()
			m.shift(-m.since(*s.DueAt) - time.Duration(d)*days + 2*time.Hour)
			m.sweeps()
			m.sweeps()
		}
		left(32)
		m.arrived("too early", NoticePINDue, 0)
		for i, d := range []int{30, 20, 7, 1} {
			left(d)
			m.arrived("so many days before", NoticePINDue, []int{1, 1, 2, 3}[i])
		}
		left(-1)
		m.is(mario, ChangeDue)
		m.arrived("when it is too late", NoticePINDue, 3)
		m.change(mario, pin)
		m.pass(3)
		m.arrived("after the change", NoticePINDue, 3)
	})
}

// After a pause of the service there is one notice, the nearest. A category
// that changes moves the day, and what was told of another day does not count.
func TestR27NoticeOfTheNearestDay(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, "mobile="+mobile)
		m.shift(178 * days)
		m.sweeps()
		m.arrived("after a pause", NoticePINDue, 1)
		m.active(anna, "mobile="+mobile)
		m.shift(60 * days)
		m.sweeps()
		m.forgetLetters()
		m.person(anna, "category=intermediary") // due in a month, not in four
		m.pass(5)
		m.arrived("of the new day", NoticePINDue, 1)
		m.forgetLetters()
		m.person(anna, "category=citizen")
		m.pass(2)
		m.arrived("of no day near", NoticePINDue, 0)
	})
}

func TestNoticeBeforeAFirstPINEnds(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.issued(mario, "mobile="+mobile)
		m.shift(52 * days)
		m.sweeps()
		m.arrived("eight days before", NoticePINFirstDue, 0)
		m.pass(2)
		m.arrived("a week before", NoticePINFirstDue, 1)
		m.pass(6)
		m.arrived("the day before", NoticePINFirstDue, 2)
		m.arrived("by then", NoticePINExpired, 1)
		m.active(anna, withContacts()...)
		m.forgetLetters()
		m.confirmed(anna)
		m.pass(7)
		m.arrived("a recovered one: once", NoticePINFirstDue, 3)
	})
}

// A row from before anybody looked, and a suspended one.
func TestLooksAtWhatWasThereBefore(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, "mobile="+mobile)
		m.shift(170 * days)
		m.sql("UPDATE credentials SET look_at = ?", database.Time{Time: time.Unix(0, 0)})
		m.must(m.Suspend(t.Context(), staff, code(mario), "report"))
		m.sweeps()
		m.arrived("while it is suspended", NoticePINDue, 0)
		m.must(m.Resume(t.Context(), staff, code(mario), "mistake"))
		m.sweeps()
		m.arrived("once it is not", NoticePINDue, 1)
	})
}

func TestNodesShareLooks(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		ring := newRing(t)
		nodes := []*mailroom{newMailroomWith(t, a, ring), newMailroomWith(t, b, ring)}
		nodes[0].active(mario, "mobile="+mobile)
		nodes[0].active(anna, "category=intermediary", "mobile="+mobile)
		nodes[0].shift(183*days + 12*time.Hour - 30*days)
		for _, step := range []struct {
			after time.Duration
			where string
			want  int
		}{
			{0, "deliveries WHERE message = 'notice-pin-due'", 1},
			{60 * days, "deliveries WHERE message = 'notice-pin-inactive'", 1},
			{0, "audit_events WHERE type = 'pin.inactive'", 1},
		} {
			nodes[0].shift(step.after)
			errs := make([]error, 6)
			databasetest.Barrier(len(errs), func(i int) { errs[i] = nodes[i%2].Sweep(context.Background()) })
			for _, err := range errs {
				nodes[0].must(err)
			}
			if n := nodes[0].count(step.where); n != step.want {
				t.Errorf("%d %s, want %d", n, step.where, step.want)
			}
		}
	})
}

// C9: an intermediary's PIN that nobody used for six months is inactive: a
// right one is a wrong one, and a recovery makes another.
func TestInactive(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		idle := append(withContacts(), "category=intermediary")
		pin, kept := m.active(mario, idle...), m.active(anna)
		m.shift(100 * days)
		m.must(m.sweepAll())
		m.is(mario, ChangeDue)
		pin = m.change(mario, pin)
		m.shift(190 * days)
		m.is(mario, Inactive)
		m.refused(mario, pin) // before anybody has looked
		m.forgetLetters()
		m.sweeps()
		m.arrived("inactive", NoticePINInactive, 3)
		m.is(mario, Inactive)
		m.refused(mario, pin)
		if v := m.right(anna, kept); !v.MustChange {
			t.Error("a citizen's is inactive, or not of age")
		}
		if len(m.ends) != 1 || m.ends[0] != ReasonInactive {
			t.Errorf("ended %v, want what rested on the inactive PIN", m.ends)
		}
		m.wants("another one", m.Issue(t.Context(), staff, code(mario), Ordinario), ErrLive)
		first := m.confirmed(mario)
		m.is(mario, Issued)
		m.change(mario, first)
		m.is(mario, Active)
	})
}

func TestInactiveIsOffOrOn(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		pin := m.active(mario, "category=intermediary")
		own := m.active(anna)
		m.shift(400 * days)
		m.sweeps()
		m.is(mario, ChangeDue)
		m.right(mario, pin)
		m.is(anna, Inactive)
		m.refused(anna, own)
	}, func(d *Deps) { d.Policy.InactiveMonths, d.Policy.InactiveMonthsIntermediary = 12, 0 })
}

func (f *fixture) sweepAll() error { return f.Sweep(f.t.Context()) }

// R7 and decision 11: whoever is no longer eligible is told, keeps the PIN for
// 60 days, and then is refused as with a wrong one.
func TestR7Dismissal(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		abroad := append(withContacts(), "residence_country=US")
		home := append(withContacts(), "residence_country=IT")
		pin := m.active(samantha, abroad...)
		m.person(samantha, home...)
		m.right(samantha, pin) // announces, before anybody has looked
		m.deliver()
		m.arrived("at the sign-in", NoticePINDismissal, 3)
		m.pass(2)
		m.arrived("at the look", NoticePINDismissal, 3)
		m.shift(50 * days)
		pin = m.change(samantha, pin) // which wins no time
		m.is(samantha, Active)
		m.shift(8 * days)
		m.is(samantha, Dismissed)
		m.refused(samantha, pin) // before anybody has looked
		m.sweeps()
		m.arrived("at the end", NoticePINDismissed, 3)
		m.refused(samantha, pin)
		if len(m.ends) != 1 || m.ends[0] != ReasonDismissed {
			t.Errorf("ended %v, want what rested on the dismissed PIN", m.ends)
		}
		m.start(samantha, mobile, email)
		m.at(stepIneligible)
		m.person(samantha, abroad...)
		if v := m.right(samantha, pin); v.MustChange { // at once, before anybody has looked
			t.Error("the same PIN as before must be changed")
		}
		m.is(samantha, Active)
		m.deliver()
		m.arrived("taken back", NoticePINKept, 3)
		for what, n := range map[string]int{"dismissal": 1, "dismissed": 1, "readmitted": 1} {
			if got := m.count("audit_events WHERE type = ?", "pin."+what); got != n {
				t.Errorf("%d events pin.%s, want %d", got, what, n)
			}
		}
	}, func(d *Deps) { d.Eligibility = citizens.Current })
}

// R7: a profile is the institution's decision, and has its own date: whom a new
// one excludes gets no more time. Whom it admits as well is somebody like any
// other afterwards.
func TestR7AnotherProfile(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		home, abroad := append(withContacts(), "residence_country=IT"), append(withContacts(), "residence_country=US")
		excluded, admitted := m.active(mario, home...), m.active(samantha, abroad...)
		m.eligibility, m.store.profile = citizens.Current, citizens.Current
		m.refused(mario, excluded)
		m.is(mario, Dismissed)
		m.right(samantha, admitted)
		m.pass(2)
		m.arrived("no time", NoticePINDismissal, 0)
		m.arrived("the end", NoticePINDismissed, 3)
		m.person(samantha, home...)
		m.right(samantha, admitted) // who moves later has the while
		m.deliver()
		m.arrived("a while", NoticePINDismissal, 3)
		m.eligibility, m.store.profile = citizens.Open, citizens.Open
		m.right(mario, excluded)
	})
}

// The looks alone do the same, and take back what they announced.
func TestR7DismissalByLooks(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		abroad := append(withContacts(), "residence_country=US")
		home := append(withContacts(), "residence_country=IT")
		first := m.issued(samantha, abroad...)
		m.person(samantha, home...)
		m.pass(2)
		m.arrived("announced", NoticePINDismissal, 3)
		m.person(samantha, abroad...)
		m.pass(1)
		m.arrived("taken back", NoticePINKept, 3)
		m.person(samantha, home...)
		m.shift(days)
		m.sweeps()
		m.shift(56 * days) // the first PIN's 60 days are not over, his are
		m.sql("UPDATE credentials SET dismissal_at = ? WHERE dismissal_at IS NOT NULL", m.db.NowPlus(-time.Minute))
		m.sweeps()
		m.is(samantha, Dismissed)
		m.refused(samantha, first)
		m.person(samantha, abroad...)
		m.pass(1)
		m.is(samantha, Issued)
		if v := m.right(samantha, first); v.Reason != FirstAccess {
			t.Errorf("verified %+v, want the first access", v)
		}
	}, func(d *Deps) { d.Eligibility = citizens.Current })
}

// A PIN that takes the place of one with a date is looked at at the next sweep,
// not a day later: the date may have come, or mean nothing by now.
func TestR7TheDateGoesWithTheChange(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		abroad := append(withContacts(), "residence_country=US")
		pin := m.active(samantha, abroad...)
		id := m.person(samantha, append(withContacts(), "residence_country=IT")...)
		m.right(samantha, pin)
		m.shift(61 * days)
		m.person(samantha, abroad...)
		change, err := m.StartVoluntaryChange(t.Context(), anyone, id)
		m.must(err)
		m.must(m.fixture.confirm(change, pin, m.shown(change).Candidate))
		m.sweeps()
		m.is(samantha, Active)
		if n := m.count("credentials WHERE ended_at IS NULL AND dismissal_at IS NOT NULL"); n != 0 {
			t.Error("a PIN is to be dismissed though its owner is eligible again")
		}
	}, func(d *Deps) { d.Eligibility = citizens.Current })
}

// pin-rules §5.4: what two contacts can make opens for some days less than what
// the PIN before it opened.
func TestKindAfterRecovery(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		id := m.person(mario, withContacts()...)
		m.must(m.Issue(t.Context(), staff, code(mario), Dispositivo))
		m.deliver()
		pin := m.change(mario, m.first(id))
		kind := func(what string, want Kind) {
			t.Helper()
			got, _, err := m.Kind(t.Context(), id)
			m.must(err)
			if v := m.right(mario, pin); got != want || v.Kind != want {
				t.Errorf("%s: services are told %s, sessions %s, want %s", what, got, v.Kind, want)
			}
		}
		kind("before", Dispositivo)
		pin = m.confirmed(mario)
		kind("a first PIN", Ordinario)
		pin = m.change(mario, pin)
		kind("at once", Ordinario)
		m.shift(3 * days)
		pin = m.change(mario, pin)
		kind("changed again", Ordinario)
		m.shift(4*days + time.Minute)
		kind("after a week", Dispositivo)
		if s, err := m.Status(t.Context(), code(mario)); err != nil || s.Kind != Dispositivo {
			t.Errorf("staff are told %s, %v", s.Kind, err)
		}
	})
}
