package credentials

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

const elsewhere = "nuova@altraposta.example"

func healthCard(number, expiry string) citizens.HealthCard {
	n, err := citizens.ParseCardNumber(number)
	if err != nil {
		panic(err)
	}
	d, err := citizens.ParseDate(expiry)
	if err != nil {
		panic(err)
	}
	return citizens.HealthCard{Number: n, Expiry: d}
}

func (m *mailroom) startRevocation(cf, number, expiry, to string) {
	m.t.Helper()
	address, err := citizens.ParseContact(citizens.Email, to)
	m.must(err)
	m.must(m.StartRevocation(m.t.Context(), anyone, Revocation{FiscalCode: code(cf), Card: healthCard(number, expiry), To: address}))
	m.round()
}

func (m *mailroom) revokeBy(cf string, code_, link Code) error {
	return m.ConfirmRevocation(m.t.Context(), anyone, Proof{FiscalCode: code(cf), Code: code_, Link: link})
}

// R47 to R52, start to finish, to an address that is not on file.
func TestR47ToR52Revocation(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		old := m.active(mario, withContacts()...)
		m.forgetLetters()
		m.startRevocation(mario, card, "31/12/2031", elsewhere)
		mail := m.last(RevocationCode)
		if mail.Channel != delivery.Email || mail.To.Reveal() != elsewhere {
			t.Errorf("R48: the code went by %s", mail.Channel)
		}
		if c := codeOf(mail); c.Len() != 10 || linkOf(mail).Len() != 43 || strings.ContainsAny(c.Reveal(), "01OIL") {
			t.Errorf("R50: code of %d, link of %d characters", c.Len(), linkOf(mail).Len())
		}
		m.told(NoticeRevocationStarted, delivery.SMS, delivery.Email, delivery.PEC)
		m.right(mario, old) // until it is confirmed
		m.must(m.revokeBy(mario, ParseCode(strings.ToLower(codeOf(mail).Reveal())), linkOf(mail)))
		m.is(mario, Revoked)
		m.refused(mario, old)
		if diff := cmp.Diff([]Reason{ReasonRevoked}, m.ends); diff != "" {
			t.Error(diff)
		}
		m.deliver()
		if n := len(m.got(NoticePINRevoked)); n != 3 {
			t.Errorf("%d notices of the revocation", n)
		}
		m.at(stepCompleted)
		m.wants("used", m.revokeBy(mario, codeOf(mail), linkOf(mail)), ErrLinkDead)
		m.issue(mario) // R52: at once
	})
}

// R47: a first PIN that was never used, and one whose halves are on their way.
func TestR47FirstPIN(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.issued(mario, withContacts()...)
		m.person(anna, withContacts()...)
		m.issue(anna)
		for _, cf := range []string{mario, anna} {
			m.startRevocation(cf, card, cardExpiry, elsewhere)
			l := m.last(RevocationCode)
			m.must(m.revokeBy(cf, codeOf(l), Code{}))
			m.is(cf, Revoked)
			m.shift(time.Second)
		}
	})
}

// A registered PEC gets certified mail: most refuse any other.
func TestR48CertifiedMail(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		m.startRevocation(mario, card, cardExpiry, strings.ToUpper(pec))
		if l := m.last(RevocationCode); l.Channel != delivery.PEC {
			t.Errorf("the code went by %s", l.Channel)
		}
	})
}

// R49: whatever does not match is silent.
func TestR49NothingWithoutAMatch(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		m.active(anna, "email="+email)
		m.active(franco, "email="+email, "health_card_number="+card, "health_card_expiry=2025-12-31")
		m.forgetLetters()
		for _, c := range []struct{ name, cf, number, expiry string }{
			{"somebody unknown", stranger, card, cardExpiry},
			{"another number", mario, "80380000300123456780", cardExpiry},
			{"another expiry", mario, card, "2031-12-30"},
			{"no card on file", anna, card, cardExpiry},
			{"R53 an expired card", franco, card, "2025-12-31"},
		} {
			m.startRevocation(c.cf, c.number, c.expiry, elsewhere)
			m.at(stepNoMatch)
			if got := m.keys(); len(got) > 0 {
				t.Errorf("%s: sent %v", c.name, got)
			}
			m.shift(time.Second)
		}
	})
}

// §2.4: after three cards that do not match nobody looks at a fourth, right as
// it may be, for a day; the owner is told once a day at most three times.
func TestCardsAreNotForGuessing(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		m.forgetLetters()
		for range 3 {
			m.startRevocation(mario, "80380000300123456780", cardExpiry, elsewhere)
			m.shift(time.Minute)
		}
		m.wantNone(NoticeRevocationGuessing)
		for range 5 {
			m.startRevocation(mario, card, cardExpiry, elsewhere)
			m.at(stepNotVerified)
			m.shift(time.Minute)
		}
		m.wantNone(RevocationCode)
		if n := len(m.got(NoticeRevocationGuessing)); n != 9 { // three by three channels
			t.Errorf("%d notices", n)
		}
		m.shift(24 * time.Hour)
		m.startRevocation(mario, card, cardExpiry, elsewhere)
		m.at(stepMailed)
		for range 4 {
			m.startRevocation(stranger, card, cardExpiry, elsewhere)
			m.shift(time.Second)
		}
		m.at(stepNotVerified)
	})
}

// A person with the card and no PIN is told at the contacts on file only.
func TestRevocationWithoutPIN(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.person(mario, withContacts()...)
		m.startRevocation(mario, card, cardExpiry, elsewhere)
		m.at(stepNoPIN)
		m.told(NoticeRevocationNoPIN, delivery.SMS, delivery.Email, delivery.PEC)
		m.wantNone(RevocationCode)
	})
}

// Five wrong codes, a day, a newer request: the same rules as for a recovery.
func TestR51DeadRevocations(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		old := m.active(mario, withContacts()...)
		begin := func() (Code, Code) {
			m.shift(time.Second)
			m.startRevocation(mario, card, cardExpiry, elsewhere)
			l := m.last(RevocationCode)
			return codeOf(l), linkOf(l)
		}
		code1, link1 := begin()
		code2, link2 := begin()
		m.wants("superseded", m.revokeBy(mario, code1, link1), ErrLinkDead)
		for range 5 {
			m.wants("wrong", m.revokeBy(mario, Code{"AAAAAAAAAA"}, Code{}), ErrCodeWrong)
		}
		m.wants("five wrong", m.revokeBy(mario, code2, link2), ErrLinkDead)
		code3, link3 := begin()
		m.shift(24*time.Hour + time.Second)
		m.wants("expired", m.revokeBy(mario, code3, link3), ErrLinkDead)
		m.right(mario, old)
	})
}

// A link of one procedure opens no other.
func TestLinksBelongToTheirProcedure(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		code1, link1 := m.mailed(mario)
		m.wants("revoke by a recovery's link", m.revokeBy(mario, code1, link1), ErrLinkDead)
		m.wants("revoke by a recovery's code", m.revokeBy(mario, code1, Code{}), ErrCodeWrong)
		if open, err := m.RevocationOpen(t.Context(), link1); open || err != nil {
			t.Errorf("open: %v, %v", open, err)
		}
		m.must(m.confirm(mario, code1, link1))
	})
}

// "That was not me", by the link of a mail and by the code of an SMS: the PIN
// is suspended, what is under way ends, and a report is good once.
func TestReportSuspends(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		pins := map[string]PIN{mario: m.active(mario, withContacts()...), anna: m.active(anna, withContacts()...)}
		for _, cf := range []string{mario, anna} {
			m.forgetLetters()
			code1, link1 := m.mailed(cf)
			m.must(m.confirm(cf, code1, link1))
			m.down[delivery.SMS] = errors.New("away")
			m.deliver()
			delete(m.down, delivery.SMS)
			bySMS, byMail := Code{}, Code{}
			for _, l := range m.got(NoticeRecoveryStarted) {
				if l.Channel == delivery.SMS {
					bySMS = codeOf(l)
				} else {
					byMail = linkOf(l)
				}
			}
			if open, err := m.ReportOpen(t.Context(), byMail); !open || err != nil {
				t.Fatalf("the link of a notice: %v, %v", open, err)
			}
			m.is(cf, Active) // looking changes nothing
			if cf == mario {
				m.must(m.Report(t.Context(), anyone, byMail))
			} else {
				m.wants("another's code", m.ReportByCode(t.Context(), anyone, code(mario), bySMS), ErrCodeWrong)
				m.wants("nobody's code", m.ReportByCode(t.Context(), anyone, code(stranger), bySMS), ErrCodeWrong)
				m.must(m.ReportByCode(t.Context(), anyone, code(anna), bySMS))
			}
			m.is(cf, Suspended)
			m.at(stepContested)
			m.refused(cf, pins[cf])
			m.wants("used link", m.Report(t.Context(), anyone, byMail), ErrLinkDead)
			m.wants("used code", m.ReportByCode(t.Context(), anyone, code(cf), bySMS), ErrCodeWrong)
			m.shift(2 * time.Hour)
			m.deliver()
			if n := len(m.got(NoticePINSuspended)); n != 3 {
				t.Errorf("%d notices of the suspension", n)
			}
			if n := len(m.got(delivery.PINHalf1)); n != 0 {
				t.Errorf("a part has left after its recovery was contested")
			}
		}
	})
}

// The code of an SMS is not for guessing, and a notice is not for ever.
func TestReportCodesAreNotForGuessing(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		m.mailed(mario)
		var right, link Code
		for _, l := range m.got(NoticeRecoveryStarted) {
			if l.Channel == delivery.SMS {
				right = codeOf(l)
			} else {
				link = linkOf(l)
			}
		}
		for range 5 {
			m.wants("wrong", m.ReportByCode(t.Context(), anyone, code(mario), Code{"0000000A"}), ErrCodeWrong)
		}
		m.wants("right, too late", m.ReportByCode(t.Context(), anyone, code(mario), right), ErrCodeWrong)
		m.shift(30 * 24 * time.Hour)
		m.wants("an old link", m.Report(t.Context(), anyone, link), ErrLinkDead)
		m.must(m.Sweep(t.Context()))
		if n := m.count("pin_notices"); n != 0 {
			t.Errorf("%d notices are left", n)
		}
		m.is(mario, Active)
	})
}
