package credentials

import (
	"context"
	"errors"
	"slices"
	"testing"

	"ente.example/idp/citizens"
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
