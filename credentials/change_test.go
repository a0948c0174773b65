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

// started is a person in the middle of the change.
func (f *fixture) started(cf string, pin PIN) (ChangeID, Change) {
	f.t.Helper()
	id, err := f.StartChange(f.t.Context(), anyone, f.right(cf, pin))
	f.must(err)
	return id, f.shown(id)
}

func (f *fixture) shown(id ChangeID) Change {
	f.t.Helper()
	c, err := f.Change(f.t.Context(), id)
	f.must(err)
	return c
}

func (f *fixture) over(id ChangeID) {
	f.t.Helper()
	_, err := f.Change(f.t.Context(), id)
	f.wants("the change", err, ErrChangeExpired)
}

func (f *fixture) confirm(id ChangeID, old, typed PIN) error {
	_, err := f.Confirm(f.t.Context(), anyone, id, old, typed)
	return err
}

func TestR23R25FirstAccess(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.issued(mario)
		citizen := f.person(mario)
		id, c := f.started(mario, first)
		if !c.First || c.Citizen != citizen || c.RegenerationsLeft != 3 || len(c.Candidate.Reveal()) != 8 {
			t.Errorf("change %+v, want a first one with a PIN of 8", c)
		}
		f.right(mario, first) // R23: closed midway, it is still valid
		v, err := f.Confirm(t.Context(), anyone, id, first, c.Candidate)
		f.must(err)
		if v.MustChange || v.Citizen != citizen || v.Credential == "" || v.Kind != Ordinario {
			t.Errorf("confirmed %+v, want a PIN that signs in", v)
		}
		f.refused(mario, first) // R25
		if got := f.right(mario, c.Candidate); got.MustChange || got.Credential != v.Credential {
			t.Errorf("verified %+v, want the new PIN", got)
		}
		f.is(mario, Active)
		f.over(id)
		if len(f.ends) != 0 {
			t.Errorf("ended %v: a change keeps sessions and grants", f.ends)
		}
		if n := f.count(`audit_events WHERE type = 'pin.changed' AND details LIKE '%"rules":"acknowledged"%'`); n != 1 {
			t.Errorf("%d changes audited, want 1 with the rules acknowledged", n)
		}
	})
}

// contract §3: GET never generates.
func TestR26TheSamePINOnEveryRender(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id, c := f.started(mario, f.active(mario))
		for range 3 {
			f.shift(3 * time.Minute)
			if f.shown(id) != c {
				t.Error("another PIN, or another time, is shown")
			}
		}
		f.shift(61 * time.Second)
		f.over(id)
		f.wants("confirm", f.confirm(id, never, c.Candidate), ErrChangeExpired)
		f.wants("regenerate", f.Regenerate(t.Context(), anyone, id), ErrChangeExpired)
		f.must(f.Sweep(t.Context()))
		if n := f.count("pin_changes"); n != 0 {
			t.Errorf("%d changes left, want none", n)
		}
	})
}

func TestR26Regenerate(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		old := f.active(mario)
		id, c := f.started(mario, old)
		seen := map[PIN]bool{c.Candidate: true}
		for left := 2; left >= 0; left-- {
			f.shift(9 * time.Minute)
			f.must(f.Regenerate(t.Context(), anyone, id))
			c = f.shown(id)
			if seen[c.Candidate] || c.RegenerationsLeft != left {
				t.Errorf("%d left, want %d and a PIN not seen before", c.RegenerationsLeft, left)
			}
			seen[c.Candidate] = true
		}
		f.wants("a fourth", f.Regenerate(t.Context(), anyone, id), ErrNoMoreCandidates)
		if f.shown(id) != c {
			t.Error("a refused regeneration changes the PIN")
		}
		f.must(f.confirm(id, old, c.Candidate))
	})
}

func TestR26SlipsAreNoTries(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		old := f.active(mario)
		id, c := f.started(mario, old)
		for range 3 {
			f.wants("a slip", f.confirm(id, never, never), ErrNewMismatch)
		}
		f.wants("what is no PIN", f.confirm(id, old, PIN{}), ErrNewMismatch)
		if n := f.count("pin_throttle WHERE fails > 0"); n != 0 {
			t.Error("a slip was counted as a wrong PIN")
		}
		f.wants("the fifth", f.confirm(id, old, never), ErrChangeExpired)
		f.wants("after it", f.confirm(id, old, c.Candidate), ErrChangeExpired)
		f.right(mario, old)
	})
}

func TestR32AWrongOldPINIsATry(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		old := f.active(mario)
		id, c := f.started(mario, old)
		f.wants("no old PIN", f.confirm(id, PIN{}, c.Candidate), ErrMalformed)
		for n := 1; n <= 9; n++ {
			f.wants("a wrong old PIN", f.confirm(id, never, c.Candidate), ErrOldWrong)
		}
		var w *WaitingError
		for _, pin := range []PIN{never, old} {
			if err := f.confirm(id, pin, c.Candidate); !errors.As(err, &w) {
				t.Errorf("from the tenth on: %v, want a wait", err)
			}
		}
		f.waits("at the door too", mario, old)
		if f.shown(id) != c {
			t.Error("a wrong old PIN changes something")
		}
		f.shift(5 * time.Minute)
		f.must(f.confirm(id, old, c.Candidate))
		f.right(mario, c.Candidate)
		if n := f.count("audit_events WHERE type = 'sign-in' AND outcome = 'refused'"); n != 12 {
			t.Errorf("%d refused tries audited, want 12", n)
		}
	})
}

func TestR26OfTwoTabsTheLaterCounts(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		old := f.active(mario)
		one, a := f.started(mario, old)
		two, b := f.started(mario, old)
		f.over(one)
		f.wants("the first tab", f.confirm(one, old, a.Candidate), ErrChangeExpired)
		f.must(f.CancelChange(t.Context(), anyone, one)) // and leaves the other alone
		f.must(f.confirm(two, old, b.Candidate))
	})
}

func TestCancelChange(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		old := f.active(mario)
		id, _ := f.started(mario, old)
		f.must(f.CancelChange(t.Context(), anyone, id))
		f.must(f.CancelChange(t.Context(), anyone, id))
		f.over(id)
		f.right(mario, old)
	})
}

func TestOfManyConfirmationsOneCounts(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		ring := newRing(t)
		nodes := []*fixture{newFixture(t, a, ring), newFixture(t, b, ring)}
		first := nodes[0].issued(mario)
		id, c := nodes[0].started(mario, first)
		errs := make([]error, 9)
		databasetest.Barrier(len(errs), func(i int) { errs[i] = nodes[i%2].confirm(id, first, c.Candidate) })
		done := 0
		for _, err := range errs {
			if err == nil {
				done++
			} else if !errors.Is(err, ErrChangeExpired) {
				t.Errorf("Confirm: %v, want ErrChangeExpired", err)
			}
		}
		if done != 1 || nodes[0].count("credentials WHERE state = 'active'") != 1 {
			t.Errorf("%d confirmations succeeded, want 1", done)
		}
		nodes[1].right(mario, c.Candidate)
	})
}

func TestAChangeEndsWithItsPIN(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		old := f.active(mario)
		v := f.right(mario, old)
		for what, end := range map[string]func(){
			"suspended": func() { f.must(f.Suspend(t.Context(), staff, code(mario), "report")) },
			"revoked":   func() { f.must(f.Revoke(t.Context(), staff, code(mario), "report")) },
		} {
			if what == "revoked" {
				_ = f.Resume(t.Context(), staff, code(mario), "mistake")
			}
			id, err := f.StartChange(t.Context(), anyone, v)
			if err != nil { // the other one came first
				f.wants(what, err, ErrChangeExpired)
				continue
			}
			end()
			f.over(id)
			_, err = f.StartChange(t.Context(), anyone, v)
			f.wants(what, err, ErrChangeExpired)
		}
	})
}

func TestControl(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.wants("suspend a stranger", f.Suspend(ctx, staff, code(stranger), "report"), citizens.ErrUnknown)
		f.person(franco)
		f.wants("suspend nothing", f.Suspend(ctx, staff, code(franco), "report"), ErrNoPIN)
		f.wants("resume nothing", f.Resume(ctx, staff, code(franco), "report"), ErrNoPIN)
		f.wants("revoke nothing", f.Revoke(ctx, staff, code(franco), "report"), ErrNoPIN)
		pin := f.active(mario)
		f.wants("without a reason", f.Revoke(ctx, staff, code(mario), " "), ErrNoReason)
		f.wants("resume what is not suspended", f.Resume(ctx, staff, code(mario), "report"), ErrNotSuspended)
		f.must(f.Suspend(ctx, staff, code(mario), "report"))
		f.is(mario, Suspended)
		f.wants("suspend again", f.Suspend(ctx, staff, code(mario), "report"), ErrSuspended)
		if _, ok, err := f.Kind(ctx, f.person(mario)); ok || err != nil {
			t.Errorf("Kind of a suspended PIN: %v, %v, want none", ok, err)
		}
		f.must(f.Resume(ctx, staff, code(mario), "mistake"))
		f.right(mario, pin)
		f.must(f.Suspend(ctx, staff, code(mario), "report"))
		f.must(f.Revoke(ctx, staff, code(mario), "report"))
		f.is(mario, Revoked)
		f.refused(mario, pin)
		if len(f.ends) != 3 || f.ends[0] != ReasonSuspended || f.ends[2] != ReasonRevoked {
			t.Errorf("ended %v, want suspended twice, then revoked", f.ends)
		}
		f.issue(mario) // R52: a new one may be asked for at once
		f.must(f.Revoke(ctx, staff, code(mario), "report"))
		f.deliver()
		if n := f.count("deliveries WHERE state = 'cancelled'"); n != 2 {
			t.Errorf("%d messages called back, want 2: contract §1", n)
		}
		f.is(mario, Revoked)
	})
}

// What follows from the end of a PIN is in its transaction: if it fails,
// nothing has happened.
func TestEndedIsPartOfIt(t *testing.T) {
	broken := errors.New("sessions cannot be ended")
	each(t, func(t *testing.T, f *fixture) {
		pin := f.active(mario)
		hook := f.ended
		f.ended = func(_ context.Context, _ citizens.ID, _ Reason) error { return broken }
		f.wants("revoke", f.Revoke(t.Context(), staff, code(mario), "report"), broken)
		f.ended = hook
		f.right(mario, pin)
	})
}

func TestStatus(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if _, err := f.Status(t.Context(), code(stranger)); !errors.Is(err, citizens.ErrUnknown) {
			t.Errorf("a stranger's: %v, want ErrUnknown", err)
		}
		f.active(mario)
		for range 10 {
			_, _ = f.try(mario, never)
		}
		s, err := f.Status(t.Context(), code(mario))
		f.must(err)
		now, err := f.db.Now(t.Context())
		f.must(err)
		if s.State != Active || s.Kind != Ordinario || s.ChangedAt == nil || s.DueAt == nil || s.WaitingUntil == nil {
			t.Fatalf("status %+v, want one with everything", s)
		}
		if !s.DueAt.Equal(f.policy.due(*s.ChangedAt, citizens.Ordinary, f.italy)) || s.WaitingUntil.Sub(now) > 5*time.Minute {
			t.Errorf("due %v, waiting until %v", s.DueAt, s.WaitingUntil)
		}
		f.shift(5 * time.Minute)
		if s, err = f.Status(t.Context(), code(mario)); err != nil || s.WaitingUntil != nil {
			t.Errorf("waiting until %v, %v, want no wait", s.WaitingUntil, err)
		}
	})
}
