package credentials

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
)

// R46: parts just out keep another recovery from beginning for 15 minutes;
// three begin in a day.
func TestR46OneAfterAnother(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		first := m.confirmed(mario)
		m.forgetLetters()
		m.shift(14 * time.Minute)
		m.start(mario, mobile, email)
		m.at(stepRecent)
		m.wantNone(RecoveryCode)
		m.shift(time.Minute)
		second := m.confirmed(mario)
		m.refused(mario, first)
		m.right(mario, second)
		m.shift(16 * time.Minute)
		m.mailed(mario)
		m.forgetLetters()
		m.shift(time.Minute)
		m.start(mario, mobile, email)
		m.at(stepLimit)
		m.wantNone(RecoveryCode)
		m.shift(24 * time.Hour)
		m.mailed(mario)
	})
}

// R46: parts that have not both left die when the next recovery begins; the
// PIN in use is not touched.
func TestR46SupersedesPartsOnTheirWay(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		old := m.active(mario, withContacts()...)
		m.down[delivery.Email] = nil
		code1, link1 := m.mailed(mario)
		m.down[delivery.Email] = errors.New("away")
		m.must(m.confirm(mario, code1, link1))
		m.deliver()
		m.at(stepSending)
		m.shift(16 * time.Minute)
		m.start(mario, mobile, pec)
		l := m.last(RecoveryCode)
		delete(m.down, delivery.Email)
		m.shift(2 * time.Hour)
		m.deliver()
		if n := len(m.got(delivery.PINHalf2)); n != 1 { // that of the enrolment, by post
			t.Errorf("%d second parts have arrived", n)
		}
		m.must(m.confirm(mario, codeOf(l), linkOf(l)))
		m.deliver()
		m.refused(mario, old)
		id, _, err := m.citizens.Find(t.Context(), code(mario))
		m.must(err)
		m.right(mario, m.first(id))
	})
}

// R46: signing in with the old PIN ends a recovery, before its code was used
// and after, until both parts have left.
func TestR46SigningInCancels(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		old := m.active(mario, withContacts()...)
		code1, link1 := m.mailed(mario)
		m.right(mario, old)
		m.at(stepCancelled)
		m.deliver()
		m.told(NoticeRecoveryCancelled, delivery.SMS, delivery.Email, delivery.PEC)
		m.wants("cancelled", m.confirm(mario, code1, link1), ErrLinkDead)
		m.shift(time.Minute)
		code2, link2 := m.mailed(mario)
		m.must(m.confirm(mario, code2, link2))
		m.down[delivery.SMS] = errors.New("away")
		m.deliver() // one part only
		m.right(mario, old)
		m.at(stepCancelled)
		delete(m.down, delivery.SMS)
		m.shift(2 * time.Hour)
		m.deliver()
		m.is(mario, Active)
		m.right(mario, old)
		for _, l := range m.got(delivery.PINHalf1) {
			if l.Channel == delivery.SMS && strings.Contains(l.Body.Reveal(), "e-mail o PEC") {
				t.Error("a part has left after its recovery was cancelled")
			}
		}
		if len(m.ends) > 0 {
			t.Errorf("ended: %v", m.ends)
		}
	})
}

// A part that can never arrive: the new PIN is none, the old one stays.
func TestRecoveryOfWhichAPartIsLost(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		old := m.active(mario, withContacts()...)
		code1, link1 := m.mailed(mario)
		m.down[delivery.SMS] = delivery.ErrRejected
		m.must(m.confirm(mario, code1, link1))
		m.deliver()
		m.deliver()
		m.at(stepUndelivered)
		m.told(NoticeRecoveryFailed, delivery.Email, delivery.PEC)
		m.is(mario, Active)
		m.right(mario, old)
	})
}

// A code that can never arrive: the request is over at once.
func TestRecoveryWhoseMailIsLost(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		old := m.active(mario, withContacts()...)
		m.down[delivery.Email] = delivery.ErrRejected
		m.start(mario, mobile, email)
		m.at(stepUndelivered)
		m.startRevocation(mario, card, cardExpiry, elsewhere)
		m.at(stepUndelivered)
		m.right(mario, old)
	})
}

// Suspension and revocation by staff end what is under way.
func TestRecoveryEndsWithItsPIN(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		for _, c := range []struct {
			cf  string
			end func() error
		}{
			{mario, func() error { return m.Suspend(t.Context(), staff, code(mario), "report") }},
			{anna, func() error { return m.Revoke(t.Context(), staff, code(anna), "report") }},
			{franco, func() error {
				return m.db.InTx(t.Context(), func(ctx context.Context) error {
					id, _, err := m.citizens.Find(ctx, code(franco))
					if err != nil {
						return err
					}
					return m.Bereave(ctx, id)
				})
			}},
		} {
			m.active(c.cf, withContacts()...)
			code1, link1 := m.mailed(c.cf)
			m.must(c.end())
			m.at(stepCancelled)
			m.wants("confirm", m.confirm(c.cf, code1, link1), ErrLinkDead)
			m.shift(time.Minute)
		}
	})
}

// TEMP_LOCK does not keep anybody from recovering, and R32: it resets.
func TestR32RecoveryForgives(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		for range 10 {
			_, _ = m.try(mario, never)
		}
		m.waits("ten wrong", mario, never)
		first := m.confirmed(mario)
		m.right(mario, first)
	})
}

// A recovered first PIN waits seven days for its owner, not sixty.
func TestRecoveredPINIsShortLived(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		first := m.confirmed(mario)
		m.shift(7 * 24 * time.Hour)
		m.refused(mario, first)
		m.must(m.Sweep(t.Context()))
		m.is(mario, ExpiredUnused)
		m.at(stepExpired)
	})
}

// What begins takes the same statements, whoever is meant.
func TestStartingTellsNothing(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		m.person(anna)
		counter := databasetest.Count(t, m.db)
		statements := func(cf string) int {
			counter.Reset()
			m.must(m.StartRecovery(t.Context(), anyone, Recovery{FiscalCode: code(cf), Contacts: contacts(mobile, email)}))
			return len(counter.Statements())
		}
		want := statements(mario)
		for _, cf := range []string{anna, stranger, mario} {
			if got := statements(cf); got != want {
				t.Errorf("%d statements for one, %d for another", want, got)
			}
		}
		codes := func(cf string) int {
			counter.Reset()
			m.wants("confirm", m.confirm(cf, Code{"12345678"}, Code{}), ErrCodeWrong)
			return len(counter.Statements())
		}
		want = codes(anna)
		if got := codes(stranger); got != want {
			t.Errorf("%d statements for one, %d for another", want, got)
		}
	})
}
