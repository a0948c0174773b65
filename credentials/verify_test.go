package credentials

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

func TestR1TheFormIsLenient(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		pin := f.active(mario)
		typed, err := ParsePIN(" " + pin.Reveal()[:4] + "-" + pin.Reveal()[4:])
		f.must(err)
		if _, err := f.Verify(t.Context(), anyone, code(" rss mra 80a01 h501 u "), typed); err != nil {
			t.Errorf("Verify = %v, want the same person", err)
		}
	})
}

func TestR2HalfAFirstPINIsAWrongPIN(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first, second := f.issued(mario).halves()
		for _, p := range []PIN{{first}, {second}, {second + first}, never} {
			f.refused(mario, p)
		}
		if n := f.count("pin_throttle WHERE fails = 4"); n != 1 {
			t.Error("half a PIN was not counted as a wrong one")
		}
		if _, err := f.try(mario, PIN{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("no PIN at all: %v, want ErrMalformed", err)
		}
	})
}

// R30, R31 through the front door, for a PIN in use and for one just issued.
func TestR31ToTheSecond(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		pins := map[string]PIN{mario: f.active(mario), franco: f.issued(franco)}
		forAll := func(do func(cf string, pin PIN)) {
			for cf, pin := range pins {
				do(cf, pin)
			}
		}
		for range 9 {
			forAll(func(cf string, _ PIN) { f.refused(cf, never) })
		}
		forAll(func(cf string, _ PIN) { f.waits("R30 the tenth", cf, never) })
		f.shift(4*time.Minute + 57*time.Second)
		forAll(func(cf string, pin PIN) { f.waits("R31 the right one at 4:57", cf, pin) })
		f.shift(3 * time.Second)
		forAll(func(cf string, _ PIN) { f.waits("R31 a wrong one at 5:00", cf, never) })
		f.shift(4*time.Minute + 57*time.Second)
		forAll(func(cf string, pin PIN) { f.waits("R31 the right one at 9:57", cf, pin) })
		f.shift(3 * time.Second)
		forAll(func(cf string, pin PIN) { f.right(cf, pin) })
		forAll(func(cf string, pin PIN) { f.refused(cf, never); f.right(cf, pin) })
	})
}

func TestR31RightOnTheTenth(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		pin := f.active(mario)
		for range 9 {
			f.refused(mario, never)
		}
		f.right(mario, pin)
		for range 9 {
			f.refused(mario, never)
		}
	})
}

func TestR31ParallelTries(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		ring := newRing(t)
		nodes := []*fixture{newFixture(t, a, ring), newFixture(t, b, ring)}
		nodes[0].active(mario)
		before := nodes[0].seen.Load()
		databasetest.Barrier(1000, func(i int) {
			var w *WaitingError
			if _, err := nodes[i%2].try(mario, never); !errors.Is(err, ErrRefused) && !errors.As(err, &w) {
				t.Errorf("try %d: %v", i, err)
			}
		})
		if n := nodes[0].seen.Load() + nodes[1].seen.Load() - before; n != 10 {
			t.Errorf("%d of 1000 tries were looked at, want 10", n)
		}
		for reason, want := range map[string]int{"wrong": 10, "waiting": 990} {
			if n := nodes[0].count("audit_events WHERE type = 'sign-in' AND reason = ?", reason); n != want {
				t.Errorf("%d tries audited as %s, want %d: every one", n, reason, want)
			}
		}
		if n := nodes[0].count("audit_events WHERE type = 'pin.locked'"); n != 1 {
			t.Errorf("%d waits audited, want 1", n)
		}
	})
}

// R33 and contract §3: whoever is not let in hears the same, and costs the
// database the same.
func TestR33EverybodyRefusedLooksTheSame(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.active(mario)
		suspended, revoked := f.active(franco), f.active(samantha)
		f.must(f.Suspend(t.Context(), staff, code(franco), "report"))
		f.must(f.Revoke(t.Context(), staff, code(samantha), "report"))
		dead := f.active(anna)
		f.person(anna, "deceased_on=2026-01-01")
		f.person(provisional(1)) // known, and without a PIN
		f.person(provisional(2))
		f.issue(provisional(2)) // on its way
		tries := []struct {
			who string
			cf  string
			pin PIN
		}{
			{"wrong", mario, never}, {"unknown", stranger, never}, {"suspended, right", franco, suspended},
			{"revoked, right", samantha, revoked}, {"dead, right", anna, dead}, {"no PIN", provisional(1), never}, {"on its way", provisional(2), never},
		}
		for n := 1; n <= 12; n++ {
			statements := 0
			for i, x := range tries {
				c := databasetest.Count(t, f.db)
				_, err := f.try(x.cf, x.pin)
				var w *WaitingError
				if waits := errors.As(err, &w); waits != (n >= 10) || !waits && !errors.Is(err, ErrRefused) {
					t.Errorf("try %d, %s: %v", n, x.who, err)
				}
				if waits := w != nil; waits && (time.Until(w.Until) > 5*time.Minute || time.Until(w.Until) < 4*time.Minute) {
					t.Errorf("try %d, %s: waits until %s, want five minutes", n, x.who, w.Until)
				}
				got := len(c.Statements())
				if i == 0 {
					statements = got
				} else if got != statements {
					t.Errorf("try %d, %s: %d statements, want %d as for anybody: %q", n, x.who, got, statements, c.Statements())
				}
				if c.Commits() != 1 {
					t.Errorf("try %d, %s: %d transactions, want 1", n, x.who, c.Commits())
				}
			}
		}
	})
}

// The right PIN of somebody who may not sign in is a wrong one: it counts, and
// forgives nothing.
func TestARightPINThatOpensNothingForgivesNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		pin := f.active(mario)
		f.must(f.Suspend(t.Context(), staff, code(mario), "report"))
		for range 9 {
			f.refused(mario, pin)
		}
		f.waits("the tenth", mario, pin)
		f.must(f.Resume(t.Context(), staff, code(mario), "mistake"))
		f.waits("resumed, but it goes on", mario, pin)
		f.shift(5 * time.Minute)
		f.right(mario, pin)
	})
}

func TestR7EligibilityIsAskedAtEverySignIn(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		pin := f.active(samantha, "residence_country=US")
		f.person(samantha, "residence_country=IT")
		f.right(samantha, pin)
		f.shift(60 * 24 * time.Hour)
		f.refused(samantha, pin)
		f.is(samantha, Dismissed)
		f.person(samantha, "residence_country=US")
		f.right(samantha, pin)
		f.is(samantha, Active)
	}, func(d *Deps) { d.Eligibility = citizens.Current })
}

func TestR27APINOfAgeOpensOnlyTheChange(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		pin := f.active(mario)
		f.shift(80 * 24 * time.Hour)
		if v := f.right(mario, pin); v.MustChange {
			t.Error("must be changed before its time")
		}
		f.shift(20 * 24 * time.Hour)
		f.person(mario, "category=intermediary") // and so it is due sooner
		f.is(mario, ChangeDue)
		if v := f.right(mario, pin); !v.MustChange || v.Reason != TooOld {
			t.Errorf("verified %+v, want one that must change for its age", v)
		}
		f.person(mario, "category=citizen")
		if v := f.right(mario, pin); v.MustChange {
			t.Error("a citizen again, and still due after three months")
		}
		f.shift(90 * 24 * time.Hour)
		next := f.change(mario, pin)
		if v := f.right(mario, next); v.MustChange {
			t.Error("must be changed again after the change")
		}
	})
}

func TestPreviousAccess(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.issued(mario)
		f.right(mario, first)
		f.shift(time.Hour)
		if v := f.right(mario, first); v.PreviousAccess != nil {
			t.Error("a first PIN that was never changed counts as an access")
		}
		pin := f.change(mario, first)
		start, err := f.db.Now(t.Context())
		f.must(err)
		f.shift(time.Hour)
		if v := f.right(mario, pin); v.PreviousAccess == nil || v.PreviousAccess.Sub(start).Abs() > time.Minute {
			t.Errorf("previous access %v, want the change at %v", v.PreviousAccess, start)
		}
		f.refused(mario, never)
		f.shift(time.Hour)
		if v := f.right(mario, pin); v.PreviousAccess == nil || v.PreviousAccess.Sub(start.Add(time.Hour)).Abs() > time.Minute {
			t.Errorf("previous access %v, want an hour after %v", v.PreviousAccess, start)
		}
	})
}

// Tries at people who do not exist leave one row each that expires, and one a
// minute that becomes an audit event.
func TestTriesAtStrangersDoNotPileUp(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		before := f.count("audit_events")
		for i := range 30 {
			f.refused(provisional(i), never)
		}
		for range 12 {
			_, _ = f.try(stranger, never)
		}
		if n := f.count("audit_events"); n != before {
			t.Errorf("%d audit events of strangers, want none yet", n-before)
		}
		if n := f.count("pin_stranger_tries"); n > 2 {
			t.Errorf("%d rows of tries, want one a minute", n)
		}
		f.shift(2 * time.Minute)
		f.must(f.Sweep(t.Context()))
		f.must(f.Sweep(t.Context()))
		var total, waits int
		var details []string
		f.must(f.db.Read(t.Context()).Raw(`SELECT details FROM audit_events WHERE type = 'sign-in.unknown'`).Scan(&details).Error)
		for _, d := range details {
			total, waits = total+number(t, d, "count"), waits+number(t, d, "waits")
		}
		if total != 42 || waits != 2 || len(details) > 2 || f.count("pin_stranger_tries") != 0 {
			t.Errorf("%d events tell %d tries and %d waits, want 42 and 2", len(details), total, waits)
		}
		f.shift(31 * 24 * time.Hour)
		f.must(f.Sweep(t.Context()))
		if n := f.count("pin_throttle"); n != 0 {
			t.Errorf("%d counters left after a month, want none", n)
		}
	})
}

// Whoever goes away in the middle is judged and recorded all the same.
func TestACancelledTryIsATry(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.active(mario)
		ctx, cancel := context.WithCancel(t.Context())
		slow := f.hasher.slots
		for range cap(slow) {
			slow <- struct{}{} // every processor is busy
		}
		done := make(chan error)
		go func() {
			_, err := f.Verify(ctx, anyone, code(mario), never)
			done <- err
		}()
		for f.hasher.Waiting() == 0 {
			runtime.Gosched() // until the try stands in line
		}
		cancel()
		for range cap(slow) {
			<-slow
		}
		f.wants("a cancelled try", <-done, ErrRefused)
		if n := f.count("audit_events WHERE type = 'sign-in' AND reason = 'wrong'"); n != 1 {
			t.Errorf("%d wrong tries audited, want 1", n)
		}
	})
}

// The audit and the tables after a life of PINs name nobody and tell no PIN.
func TestNothingReadableAtRest(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario)
		f.issue(mario)
		secrets := []string{"+393401234567"}
		f.atRest(secrets)
		f.deliver()
		first := f.first(id)
		a, b := first.halves()
		v := f.right(mario, first)
		change, err := f.StartChange(t.Context(), anyone, v)
		f.must(err)
		c, err := f.Change(t.Context(), change)
		f.must(err)
		secrets = append(secrets, a, b, c.Candidate.Reveal(), mario)
		f.atRest(secrets)
		_, err = f.Confirm(t.Context(), anyone, change, first, c.Candidate)
		f.must(err)
		f.refused(mario, never)
		f.atRest(append(secrets, never.Reveal()+"x"))
		if n := f.count("credentials WHERE form = 'initial' AND hash IS NOT NULL"); n != 0 {
			t.Error("the first PIN's hash outlives the change (R25)")
		}
	})
}

func TestAForgedRowOpensNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		mine, theirs := f.active(mario), f.active(franco)
		victim := f.person(franco)
		for what, q := range map[string]string{
			"another's row": `UPDATE credentials SET hash = a.hash, salt = a.salt FROM
(SELECT hash, salt FROM credentials WHERE state = 'active' AND citizen_id <> ?) AS a WHERE citizen_id = ? AND state = 'active'`,
			"another kind": `UPDATE credentials SET kind = 'dispositivo' WHERE citizen_id = ? AND citizen_id = ? AND state = 'active'`,
			"another form": `UPDATE credentials SET form = 'initial' WHERE citizen_id = ? AND citizen_id = ? AND state = 'active'`,
		} {
			undo := errors.New("undo")
			err := f.db.InTx(t.Context(), func(ctx context.Context) error {
				if err := f.db.Write(ctx).Exec(q, victim, victim).Error; err != nil {
					return err
				}
				c, found, err := f.store.live(ctx, victim)
				if err != nil || !found {
					return fmt.Errorf("no row: %w", err)
				}
				for _, pin := range []PIN{mine, theirs} {
					p := &place{h: f.hasher}
					if ok, err := f.vault.matches(context.WithoutCancel(t.Context()), p, c.label(), c.Secret, pin); ok || !errors.Is(err, errForged) {
						t.Errorf("%s: %v, %v, want errForged", what, ok, err)
					}
				}
				return undo
			})
			if !errors.Is(err, undo) {
				t.Fatal(err)
			}
		}
		f.right(franco, theirs)
		f.sql(`UPDATE credentials SET kind = 'dispositivo' WHERE citizen_id = ? AND state = 'active'`, victim)
		f.refused(franco, theirs)
	})
}
