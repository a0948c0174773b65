package credentials

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
)

// Whoever gives up a contact is told there as well (pin-rules §2.5): the old
// address and the new one get the same notice, with the same way back.
func TestNoticesReachFurtherAddresses(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		who := m.citizen(mario, "mobile="+mobile, "email="+email)
		var also []citizens.Contact
		for _, v := range contacts("+393409999999", "MARIO.ROSSI@posta.example", pec) {
			also = append(also, citizens.Contact{Value: v})
		}
		also = append(also, citizens.Contact{}, also[0])
		m.must(m.db.InTx(t.Context(), func(ctx context.Context) error {
			return m.Notify(ctx, who, NoticeRecoveryStarted, nil, also...)
		}))
		m.deliver()
		var to []string
		links, reports := map[Code]bool{}, map[Code]bool{}
		for _, l := range m.got(NoticeRecoveryStarted) {
			to = append(to, l.To.Reveal())
			if l.Channel == delivery.SMS {
				reports[codeOf(l)] = true
			} else {
				links[linkOf(l)] = true
			}
		}
		slices.Sort(to)
		want := []string{mobile, "+393409999999", email, pec}
		if slices.Sort(want); !slices.Equal(to, want) {
			t.Errorf("told %v, want %v", to, want)
		}
		if len(links) != 1 || len(reports) != 1 || links[Code{}] || reports[Code{}] {
			t.Error("the notices do not lead to the same report")
		}
	})
}

func TestNoticesBelongToTheirEvent(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		who := m.citizen(mario, withContacts()...)
		broken := errors.New("nothing has happened")
		m.wants("the event", m.db.InTx(t.Context(), func(ctx context.Context) error {
			m.must(m.Notify(ctx, who, NoticeRecoveryStarted, nil))
			return broken
		}), broken)
		m.deliver()
		m.wantNone(NoticeRecoveryStarted)
	})
}

// What somebody reports stops everything about him, or nothing: what another
// room has under way is contested in the same transaction.
func TestReportIsToldToOtherRooms(t *testing.T) {
	var told []citizens.ID
	var broken error
	mailrooms(t, func(t *testing.T, m *mailroom) {
		told, broken = nil, nil
		pin := m.active(mario, withContacts()...)
		id := m.person(mario, withContacts()...)
		m.start(mario, mobile, email)
		link := linkOf(m.last(NoticeRecoveryStarted))
		broken = errors.New("a change of contacts cannot be contested")
		m.wants("report", m.Report(t.Context(), anyone, link), broken)
		m.right(mario, pin)
		broken = nil
		told = nil
		m.must(m.Report(t.Context(), anyone, link))
		m.is(mario, Suspended)
		if !slices.Equal(told, []citizens.ID{id}) {
			t.Errorf("told of %v, want %v once", told, id)
		}
	}, func(d *Deps) {
		d.Reported = func(_ context.Context, id citizens.ID) error {
			told = append(told, id)
			return broken
		}
	})
}

// citizen is somebody as the registry has him.
func (f *fixture) citizen(cf string, fields ...string) citizens.Citizen {
	f.t.Helper()
	who, err := f.citizens.ByID(f.t.Context(), f.person(cf, fields...))
	f.must(err)
	return who
}

// pin-rules §4.2: whatever happens to a PIN is told at every contact, with a
// way to say that it was not he; an SMS has no link.
func TestEveryEventIsTold(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		ctx := t.Context()
		told := func(what string, key delivery.MessageKey) {
			t.Helper()
			m.deliver()
			list := m.got(key)
			m.forgetLetters()
			if len(list) != 3 {
				t.Errorf("%s: %d messages %s, want one at each of three contacts", what, len(list), key)
			}
			for _, l := range list {
				if sms := l.Channel == delivery.SMS; sms == codeOf(l).IsZero() || sms != linkOf(l).IsZero() {
					t.Errorf("%s by %s: no way to say no: %s", what, l.Channel, l.Body.Reveal())
				}
			}
		}
		id := m.person(mario, withContacts()...)
		m.issue(mario)
		told("issued", NoticePINIssued)
		first := m.first(id)
		pin := m.change(mario, first)
		told("first access", NoticePINActivated)
		pin = m.change(mario, pin)
		told("change", NoticePINChanged)
		m.must(m.Suspend(ctx, staff, code(mario), "report"))
		told("suspended", NoticePINSuspended)
		m.must(m.Resume(ctx, staff, code(mario), "mistake"))
		told("resumed", NoticePINResumed)
		m.right(mario, pin)
		m.must(m.Revoke(ctx, staff, code(mario), "report"))
		told("revoked", NoticePINRevoked)
		m.issue(mario)
		m.deliver()
		m.forgetLetters()
		m.shift(60 * 24 * time.Hour)
		m.must(m.Sweep(ctx))
		told("never used", NoticePINExpired)
		m.must(m.Sweep(ctx))
		m.deliver()
		m.wantNone(NoticePINExpired)
	})
}

// R30: the wait is told once, a little later and by another hand than the try,
// which costs the same for everybody.
func TestR30TheWaitIsTold(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		pin := m.active(mario, withContacts()...)
		m.person(anna, withContacts()...) // has no PIN, and nothing to hear
		m.forgetLetters()
		sweep := func(want int) {
			t.Helper()
			m.shift(time.Minute)
			m.must(m.Sweep(t.Context()))
			m.deliver()
			if n := len(m.got(NoticePINLocked)); n != want {
				t.Errorf("told %d times, want %d", n, want)
			}
		}
		for range 9 {
			m.refused(mario, never)
		}
		m.right(mario, pin) // the tenth
		sweep(0)
		for range 10 {
			_, _ = m.try(mario, never)
			_, _ = m.try(anna, never)
			_, _ = m.try(stranger, never)
		}
		sweep(3)
		m.shift(5 * time.Minute)
		m.waits("an eleventh", mario, never)
		sweep(3)
		for _, l := range m.got(NoticePINLocked) {
			if l.Citizen != m.person(mario, withContacts()...) {
				t.Error("somebody without a PIN is told")
			}
		}
	})
}

// Any number of nodes sweep at once, and nobody hears of a thing twice.
func TestNodesShareWhatIsToBeTold(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		ring := newRing(t)
		nodes := []*mailroom{newMailroomWith(t, a, ring), newMailroomWith(t, b, ring)}
		nodes[0].active(mario, withContacts()...)
		nodes[0].issued(anna, withContacts()...)
		for range 10 {
			_, _ = nodes[0].try(mario, never)
		}
		nodes[0].shift(60 * 24 * time.Hour)
		errs := make([]error, 6)
		databasetest.Barrier(len(errs), func(i int) { errs[i] = nodes[i%2].Sweep(context.Background()) })
		for _, err := range errs {
			nodes[0].must(err)
		}
		for _, key := range []delivery.MessageKey{NoticePINLocked, NoticePINExpired} {
			if n := nodes[0].count("deliveries WHERE message = ?", key); n != 3 {
				t.Errorf("%d messages %s, want one at each of three contacts", n, key)
			}
		}
	})
}

func TestNobodyWritesToTheDead(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		m.forgetLetters()
		m.person(mario, append(withContacts(), "deceased_on=2026-01-01")...)
		m.must(m.Revoke(t.Context(), staff, code(mario), "registry"))
		m.deliver()
		if got := m.keys(); len(got) > 0 {
			t.Errorf("sent %v", got)
		}
	})
}

// R58: whatever carries a half says to keep it to oneself, and has no codice
// fiscale on it.
func TestR58NoFiscalCodeBesideAHalf(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		m.confirmed(mario)
		halves := append(m.got(delivery.PINHalf1), m.got(delivery.PINHalf2)...)
		if len(halves) != 4 {
			t.Fatalf("%d halves were sent, want two of the first PIN and two of the recovered one", len(halves))
		}
		for _, l := range halves {
			text := l.Subject + l.Body.Reveal() + l.To.Reveal()
			if strings.Contains(text, mario) || !strings.Contains(text, "a nessuno") {
				t.Errorf("%s by %s says:\n%s", l.Key, l.Channel, text)
			}
		}
	})
}
