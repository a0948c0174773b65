package credentials

import (
	"errors"
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
)

func TestR22ValidOnlyOnceBothHalvesAreOut(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario)
		f.is(mario, None)
		f.issue(mario)
		f.is(mario, PendingDelivery)
		f.fails[delivery.Post] = errors.New("out of paper")
		f.deliver()
		f.is(mario, PendingDelivery)
		if f.box[id][delivery.PINHalf1] == "" || f.box[id][delivery.PINHalf2] != "" {
			t.Error("want the first half out and the second not yet")
		}
		f.fails[delivery.Post] = nil
		f.shift(time.Minute)
		f.deliver()
		f.is(mario, Issued)
		if v := f.right(mario, f.first(id)); !v.MustChange || v.Reason != FirstAccess || v.Citizen != id || v.PreviousAccess != nil {
			t.Errorf("verified %+v, want a first access that must change", v)
		}
	})
}

// pin-rules §2.2: nothing is printed for a PIN whose first half does not arrive.
func TestSecondHalfWaitsForTheFirst(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario)
		f.fails[delivery.SMS] = delivery.ErrRejected
		f.issue(mario)
		f.deliver()
		if len(f.box[id]) != 0 {
			t.Errorf("arrived: %d messages, want none", len(f.box[id]))
		}
		f.is(mario, None) // discarded: it never existed for its owner
		if n := f.count("deliveries WHERE body IS NOT NULL"); n != 0 {
			t.Errorf("%d bodies left, want none", n)
		}
		if n := f.count("credentials WHERE state = 'discarded' AND hash IS NULL"); n != 1 {
			t.Errorf("%d discarded, want 1", n)
		}
		f.fails[delivery.SMS] = nil
		f.issue(mario) // and a new one may be asked for at once
		f.deliver()
		f.is(mario, Issued)
	})
}

func TestFirstHalfsChannel(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for cf, want := range map[string]struct {
			fields  []string
			channel delivery.Channel
		}{
			mario:    {[]string{"email=a@example.org", "pec=a@pec.example.org"}, delivery.SMS},
			franco:   {[]string{"mobile=", "email=a@example.org", "pec=a@pec.example.org"}, delivery.Email},
			samantha: {[]string{"mobile=", "pec=a@pec.example.org"}, delivery.PEC},
		} {
			id := f.person(cf, want.fields...)
			f.issue(cf)
			if n := f.count("deliveries WHERE citizen_id = ? AND message = 'pin-half-1' AND channel = ? AND state = 'queued'", id, want.channel); n != 1 {
				t.Errorf("%v: no first half by %s", want.fields, want.channel)
			}
			if n := f.count("deliveries WHERE citizen_id = ? AND message = 'pin-half-2' AND channel = 'post' AND state = 'held'", id); n != 1 {
				t.Errorf("%v: no second half by post", want.fields)
			}
		}
	})
}

func TestIssueRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		issue := func(cf string) error { return f.Issue(t.Context(), staff, code(cf), Ordinario) }
		f.wants("a stranger", issue(stranger), citizens.ErrUnknown)
		f.person(mario, "mobile=")
		f.wants("no contact", issue(mario), ErrNoContact)
		f.person(franco, "residence_street=")
		f.wants("no address", issue(franco), ErrNoAddress)
		f.issued(anna)
		f.wants("a live PIN", issue(anna), ErrLive)
		f.person(samantha)
		f.issue(samantha)
		f.wants("a PIN on its way", issue(samantha), ErrPending)
		if n := f.count("credentials"); n != 2 {
			t.Errorf("%d PINs, want 2: refusals write nothing", n)
		}
		if err := f.Issue(t.Context(), staff, code(mario), "grande"); err == nil {
			t.Error("a kind that does not exist is accepted")
		}
	})
}

func TestIssueWithoutAChannel(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.person(mario)
		delete(f.senders, delivery.Post)
		f.wants("no post", f.Issue(t.Context(), staff, code(mario), Ordinario), ErrNoPost)
		delete(f.senders, delivery.SMS)
		f.wants("no sms", f.Issue(t.Context(), staff, code(mario), Ordinario), ErrNoChannel)
	})
}

func TestR7IssueRefusesTheExcluded(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.person(mario)
		err := f.Issue(t.Context(), staff, code(mario), Ordinario)
		if want := "not eligible under IDP_ELIGIBILITY=current: residence_country is IT"; err == nil || err.Error() != want {
			t.Errorf("Issue = %v, want %s", err, want)
		}
		f.person(samantha, "residence_country=US")
		f.must(f.Issue(t.Context(), staff, code(samantha), Dispositivo))
		f.deliver()
		if kind, ok, err := f.Kind(t.Context(), f.person(samantha, "residence_country=US")); kind != Dispositivo || !ok || err != nil {
			t.Errorf("Kind = %v, %v, %v, want dispositivo", kind, ok, err)
		}
	}, func(d *Deps) { d.Eligibility = citizens.Current })
}

func TestOnePINAtATime(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		ring := newRing(t)
		nodes := []*fixture{newFixture(t, a, ring), newFixture(t, b, ring)}
		nodes[0].person(mario)
		errs := make([]error, 20)
		databasetest.Barrier(len(errs), func(i int) {
			errs[i] = nodes[i%2].Issue(t.Context(), staff, code(mario), Ordinario)
		})
		done := 0
		for _, err := range errs {
			if err == nil {
				done++
			} else if !errors.Is(err, ErrPending) {
				t.Errorf("Issue: %v, want ErrPending", err)
			}
		}
		if n := nodes[0].count("deliveries WHERE message LIKE 'pin-half%'"); done != 1 || n != 2 {
			t.Errorf("%d issued with %d messages, want 1 with 2", done, n)
		}
	})
}

// The database itself refuses what the rules forbid.
func TestDatabaseInvariants(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.active(mario)
		f.issued(franco)
		for what, q := range map[string]string{
			"a second live PIN":            `UPDATE credentials SET citizen_id = (SELECT citizen_id FROM credentials WHERE state = 'active') WHERE state = 'issued'`,
			"an issued PIN without an end": `UPDATE credentials SET due_at = NULL WHERE state = 'issued'`,
			"an active PIN without an age": `UPDATE credentials SET changed_at = NULL WHERE state = 'active'`,
			"a dead PIN with a hash":       `UPDATE credentials SET state = 'revoked' WHERE state = 'active'`,
			"a PIN of no known kind":       `UPDATE credentials SET kind = '' WHERE state = 'active'`,
			"a PIN of no known form":       `UPDATE credentials SET form = '' WHERE state = 'active'`,
			"a PIN of no known origin":     `UPDATE credentials SET origin = '' WHERE state = 'active'`,
			"a PIN of no known state":      `UPDATE credentials SET state = '' WHERE state = 'active'`,
			"a live PIN without a hash":    `UPDATE credentials SET ended_at = created_at, purge_at = created_at, hash = NULL WHERE state = 'active'`,
		} {
			if err := f.db.Write(t.Context()).Exec(q).Error; err == nil {
				t.Errorf("the database takes %s", what)
			}
		}
	})
}

func TestValidityOfAFirstPIN(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const day = 24 * time.Hour
		home := f.issued(mario)
		abroad := f.issued(samantha, "residence_country=US")
		f.shift(60*day - time.Minute)
		f.right(mario, home)
		f.shift(2 * time.Minute)
		f.refused(mario, home)
		f.is(mario, ExpiredUnused) // even before the sweep
		f.must(f.Sweep(t.Context()))
		f.is(mario, ExpiredUnused)
		f.right(samantha, abroad)
		f.shift(60 * day)
		f.refused(samantha, abroad)
		f.must(f.Sweep(t.Context()))
		if n := f.count("credentials WHERE state = 'expired_unused' AND hash IS NULL"); n != 2 {
			t.Errorf("%d expired rows without a hash, want 2", n)
		}
		if n := f.count("audit_events WHERE type = 'pin.expired'"); n != 2 {
			t.Errorf("%d audit events, want 2", n)
		}
		f.issue(mario)
		f.deliver()
		f.is(mario, Issued)
	})
}

func TestLostOnItsWay(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.person(mario)
		f.issue(mario)
		f.shift(f.policy.Patience + time.Minute)
		f.must(f.Sweep(t.Context()))
		f.is(mario, None)
		if n := f.count("deliveries WHERE state = 'cancelled' AND body IS NULL"); n != 2 {
			t.Errorf("%d messages called back, want 2", n)
		}
	})
}
