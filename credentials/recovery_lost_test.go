package credentials

import (
	"context"
	"slices"
	"testing"

	"ente.example/idp/delivery"
)

// outcome is what a transport tells of the newest message of a key.
func (m *mailroom) outcome(key delivery.MessageKey, by delivery.Channel, r delivery.Result) {
	m.t.Helper()
	var ref string
	m.must(m.db.Read(m.t.Context()).Raw(`SELECT ref FROM deliveries WHERE message = ? AND channel = ? ORDER BY created_at DESC, id DESC LIMIT 1`,
		key, by).Row().Scan(&ref))
	o := delivery.Outcome{Receipt: delivery.Receipt{Ref: ref, Key: key, Channel: by}, Result: r}
	m.must(m.db.InTx(m.t.Context(), func(ctx context.Context) error { return m.Outcome(ctx, o) }))
}

// pin-rules §2.6: what was taken is not yet there. A half that is lost after
// all ends the new PIN, tells by the other contacts, and keeps nobody from
// beginning again at once.
func TestAHalfLostAfterTheHandOver(t *testing.T) {
	for _, c := range []struct {
		key    delivery.MessageKey
		by     delivery.Channel
		result delivery.Result
	}{
		{delivery.PINHalf1, delivery.SMS, delivery.SMSFailed},
		{delivery.PINHalf1, delivery.SMS, delivery.SMSExpired},
		{delivery.PINHalf2, delivery.PEC, delivery.PECFailed},
		{delivery.PINHalf2, delivery.PEC, delivery.PECVirus},
	} {
		mailrooms(t, func(t *testing.T, m *mailroom) {
			m.active(mario, withContacts()...)
			m.start(mario, mobile, pec)
			l := m.last(RecoveryCode)
			m.must(m.confirm(mario, codeOf(l), linkOf(l)))
			m.deliver()
			first := m.first(m.person(mario, withContacts()...))
			m.outcome(c.key, c.by, delivery.PECFailing) // not yet the end
			m.is(mario, Issued)
			m.forgetLetters()
			m.outcome(c.key, c.by, c.result)
			m.outcome(c.key, c.by, c.result) // transports repeat themselves
			m.deliver()
			m.is(mario, ExpiredUnused)
			m.refused(mario, first)
			m.at(stepUndelivered)
			var by []delivery.Channel
			for _, l := range m.got(NoticeRecoveryLost) {
				by = append(by, l.Channel)
			}
			if len(by) != 2 || slices.Contains(by, c.by) {
				t.Errorf("%s: told by %v, want the two other channels", c.result, by)
			}
			if n := m.count("audit_events WHERE type = 'pin.discarded' AND outcome = 'failure' AND reason = ?", lostHalf); n != 1 {
				t.Errorf("%d events, want 1", n)
			}
			m.must(m.Sweep(t.Context()))
			again := m.confirmed(mario) // at once
			m.change(mario, again)
			m.is(mario, Active)
		})
	}
}

// Whoever has used the PIN has it, whatever a transport says; the old one stays
// as long as the new one is not out; and only what was recovered is meant.
func TestAHalfLostTooLateOrTooEarly(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		old := m.active(mario, withContacts()...)
		code_, link := m.mailed(mario)
		m.must(m.confirm(mario, code_, link))
		m.down[delivery.SMS] = context.DeadlineExceeded
		m.deliver() // one half is out
		m.outcome(delivery.PINHalf2, delivery.Email, delivery.PECFailed)
		delete(m.down, delivery.SMS)
		m.at(stepUndelivered)
		m.is(mario, Active)
		m.right(mario, old)
		pin := m.change(mario, m.confirmed(mario))
		m.outcome(delivery.PINHalf1, delivery.SMS, delivery.SMSFailed)
		m.right(mario, pin)
		m.is(mario, Active)
		first := m.issued(anna, withContacts()...)
		m.outcome(delivery.PINHalf1, delivery.SMS, delivery.SMSFailed)
		m.right(anna, first)
	})
}

// Revoked since, a lost one is nothing to recover.
func TestALostPINIsNoPINForEver(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		m.confirmed(mario)
		m.outcome(delivery.PINHalf1, delivery.SMS, delivery.SMSFailed)
		m.issue(mario)
		m.must(m.Revoke(t.Context(), staff, code(mario), "report"))
		m.start(mario, mobile, email)
		m.at(stepNoPIN)
	})
}

// A code whose mail is lost confirms nothing, and keeps nobody waiting.
func TestACodeLostAfterTheHandOver(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		m.start(mario, mobile, pec)
		l := m.last(RecoveryCode)
		m.outcome(RecoveryCode, delivery.PEC, delivery.PECFailed)
		m.at(stepUndelivered)
		m.wants("the code", m.confirm(mario, codeOf(l), linkOf(l)), ErrLinkDead)
		m.confirmed(mario)
	})
}

// R29: a PIN past its age that nobody remembers is recovered like a young one.
func TestR29APINOfAgeIsRecovered(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		old := m.active(mario, withContacts()...)
		m.shift(200 * days)
		m.is(mario, ChangeDue)
		first := m.confirmed(mario)
		m.refused(mario, old)
		m.change(mario, first)
		m.is(mario, Active)
	})
}

// Whoever says "that was not me" while a half of the new PIN is lost has no PIN
// that could be suspended, and still nobody recovers one for him; what staff lift
// is lifted.
func TestAReportHoldsAfterALostHalf(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		m.start(mario, mobile, pec)
		l := m.last(RecoveryCode)
		m.must(m.confirm(mario, codeOf(l), linkOf(l)))
		m.deliver()
		m.outcome(delivery.PINHalf1, delivery.SMS, delivery.SMSFailed)
		m.deliver()
		m.must(m.Report(t.Context(), anyone, linkOf(m.last(NoticeRecoveryLost))))
		m.start(mario, mobile, email)
		m.at(stepSuspended)
		m.must(m.Resume(t.Context(), staff, code(mario), "he has called"))
		m.change(mario, m.confirmed(mario))
		m.is(mario, Active)
	})
}
