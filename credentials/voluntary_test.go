package credentials

import (
	"context"
	"errors"
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// wanted is somebody in the middle of a change that he has asked for himself.
func (f *fixture) wanted(id citizens.ID) (ChangeID, Change) {
	f.t.Helper()
	change, err := f.StartVoluntaryChange(f.t.Context(), anyone, id)
	f.must(err)
	return change, f.shown(change)
}

func TestR26VoluntaryChange(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		old, id := f.active(mario), f.person(mario)
		f.shift(150 * 24 * time.Hour)
		change, c := f.wanted(id)
		if c.First || c.Citizen != id || c.RegenerationsLeft != 3 || len(c.Candidate.Reveal()) != 8 {
			t.Errorf("change %+v, want one of a PIN in use", c)
		}
		f.wants("copied wrongly", f.confirm(change, old, never), ErrNewMismatch)
		f.wants("the old one wrong", f.confirm(change, never, c.Candidate), ErrOldWrong)
		f.must(f.Regenerate(t.Context(), anyone, change))
		c = f.shown(change)
		f.must(f.confirm(change, old, c.Candidate))
		f.refused(mario, old)
		f.shift(150 * 24 * time.Hour) // the age starts anew
		if v := f.right(mario, c.Candidate); v.MustChange {
			t.Error("a PIN changed five months ago must be changed")
		}
		if len(f.ends) != 0 {
			t.Errorf("ended %v: a change keeps sessions and grants", f.ends)
		}
		if n := f.count(`audit_events WHERE type = 'pin.change-opened' AND details LIKE '%"purpose":"voluntary"%'`); n != 1 {
			t.Errorf("%d voluntary changes audited, want 1", n)
		}
	})
}

// One that has come of age during a session is changed in the same way.
func TestR26VoluntaryChangeOfAPINOfAge(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		old, id := f.active(mario), f.person(mario)
		f.shift(190 * 24 * time.Hour)
		f.is(mario, ChangeDue)
		change, c := f.wanted(id)
		f.must(f.confirm(change, old, c.Candidate))
		f.is(mario, Active)
	})
}

func TestR26VoluntaryChangeRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		start := func(what, cf string, fields ...string) {
			t.Helper()
			_, err := f.StartVoluntaryChange(t.Context(), anyone, f.person(cf, fields...))
			f.wants(what, err, ErrNoPIN)
		}
		start("without a PIN", mario)
		f.issued(mario)
		start("a first PIN", mario)
		f.active(anna)
		f.must(f.Suspend(t.Context(), staff, code(anna), "report"))
		start("a suspended one", anna)
		f.must(f.Revoke(t.Context(), staff, code(anna), "report"))
		start("a revoked one", anna)
		f.active(franco)
		start("of somebody no longer eligible", franco, "deceased_on=2025-01-01")
		if n := f.count("pin_changes WHERE citizen_id <> ?", f.person(samantha)); n != 0 {
			t.Errorf("%d changes are open, want none", n)
		}
	})
}

// Of tabs on several nodes that start at once, one is left with a change that
// can be confirmed, whatever the old PIN was changed to elsewhere.
func TestR26OfManyTabsTheLastCounts(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		ring := newRing(t)
		nodes := []*fixture{newFixture(t, a, ring), newFixture(t, b, ring)}
		old, id := nodes[0].active(mario), nodes[0].person(mario)
		tabs := make([]ChangeID, 8)
		errs := make([]error, len(tabs))
		databasetest.Barrier(len(tabs), func(i int) { tabs[i], errs[i] = nodes[i%2].StartVoluntaryChange(t.Context(), anyone, id) })
		for _, err := range errs {
			nodes[0].must(err)
		}
		changed := 0
		for _, tab := range tabs {
			c, err := nodes[0].Change(t.Context(), tab)
			if errors.Is(err, ErrChangeExpired) {
				continue
			}
			nodes[0].must(err)
			nodes[0].must(nodes[0].confirm(tab, old, c.Candidate))
			nodes[1].right(mario, c.Candidate)
			changed++
		}
		if changed != 1 {
			t.Errorf("%d tabs could change the PIN, want 1", changed)
		}
	})
}

// R27: calendar months of Italy, and never beyond the end of the month arrived
// at: of a change on 31 August comes 28 February.
func TestR27TheAgeEndsWithTheMonth(t *testing.T) {
	for _, c := range []struct{ category, changed, due string }{
		{"citizen", "2026-08-31T10:00:00Z", "2027-02-28T11:00:00Z"}, // summer time, then winter time
		{"citizen", "2027-08-31T10:00:00Z", "2028-02-29T11:00:00Z"},
		{"intermediary", "2026-11-30T10:00:00Z", "2027-02-28T10:00:00Z"},
	} {
		each(t, func(t *testing.T, f *fixture) {
			old, id := f.active(mario, "category="+c.category), f.person(mario, "category="+c.category)
			change, shown := f.wanted(id)
			f.must(f.confirm(change, old, shown.Candidate))
			at, err := time.Parse(time.RFC3339, c.changed)
			f.must(err)
			f.sql("UPDATE credentials SET changed_at = ? WHERE state = 'active'", database.Time{Time: at})
			s, err := f.Status(t.Context(), code(mario))
			f.must(err)
			if got := s.DueAt.UTC().Format(time.RFC3339); got != c.due {
				t.Errorf("%s of %s: due %s, want %s", c.changed, c.category, got, c.due)
			}
		})
	}
}

func TestR32Reauthenticate(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		pin, id := f.active(mario), f.person(mario)
		f.shift(time.Hour)
		v, err := f.Reauthenticate(t.Context(), anyone, id, pin)
		f.must(err)
		if v.Citizen != id || v.Credential == "" {
			t.Errorf("verified %+v", v)
		}
		if n := f.count(`audit_events WHERE type = 'sign-in' AND details LIKE '%reauthentication%'`); n != 1 {
			t.Errorf("%d events, want 1 that says what for", n)
		}
		if before := f.right(mario, pin).PreviousAccess; before == nil || f.since(*before) < time.Hour {
			t.Errorf("the access before was %v: typing the PIN again is none", before)
		}
		_, err = f.Reauthenticate(t.Context(), anyone, id, PIN{})
		f.wants("what is no PIN", err, ErrMalformed)
		for range 9 { // one count with the sign-in
			_, err = f.Reauthenticate(t.Context(), anyone, id, never)
			f.wants("a wrong PIN", err, ErrRefused)
		}
		f.waits("the tenth, at the door", mario, never)
		var w *WaitingError
		if _, err = f.Reauthenticate(t.Context(), anyone, id, pin); !errors.As(err, &w) {
			t.Errorf("during the wait: %v", err)
		}
		f.shift(5 * time.Minute)
		f.shift(200 * 24 * time.Hour) // of age: the session goes on
		v, err = f.Reauthenticate(t.Context(), anyone, id, pin)
		f.must(err)
		f.must(f.db.InTx(t.Context(), func(ctx context.Context) error { return f.Hold(ctx, v) }))
	})
}

// A first PIN opens its own change and nothing else.
func TestReauthenticateWithAFirstPIN(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first, id := f.issued(mario), f.person(mario)
		_, err := f.Reauthenticate(t.Context(), anyone, id, first)
		f.wants("a first PIN", err, ErrRefused)
	})
}

func (f *fixture) since(at time.Time) time.Duration {
	f.t.Helper()
	now, err := f.db.Now(f.t.Context())
	f.must(err)
	return now.Sub(at)
}
