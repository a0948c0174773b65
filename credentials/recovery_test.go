package credentials

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/delivery"
)

// R34 to R40, start to finish: typed contacts, a mail with link and code, two
// parts by two ways, the old PIN good until both have left, then 16 and then 8
// characters.
func TestR34ToR40Recovery(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		old := m.active(mario, withContacts()...)
		m.forgetLetters()
		m.start(mario, "340 123 4567", "MARIO.ROSSI@Posta.Example")
		mail := m.last(RecoveryCode)
		if mail.Channel != delivery.Email || mail.To.Reveal() != email {
			t.Errorf("R37: the code went by %s", mail.Channel)
		}
		if c := codeOf(mail); c.Len() != 8 || !c.Digits() || linkOf(mail).Len() != 43 {
			t.Errorf("R37: code of %d, link of %d characters", c.Len(), linkOf(mail).Len())
		}
		m.told(NoticeRecoveryStarted, delivery.SMS, delivery.Email, delivery.PEC)
		m.forgetLetters()
		m.must(m.confirm(mario, codeOf(mail), linkOf(mail)))
		m.is(mario, Active)
		m.deliver()
		half1, half2 := m.last(delivery.PINHalf1), m.last(delivery.PINHalf2)
		if half1.Channel != delivery.SMS || half2.Channel != delivery.Email {
			t.Errorf("R39: parts by %s and %s", half1.Channel, half2.Channel)
		}
		m.told(NoticeRecoveryConfirmed, delivery.SMS, delivery.Email, delivery.PEC)
		if diff := cmp.Diff([]Reason{ReasonSuperseded}, m.ends); diff != "" {
			t.Error(diff)
		}
		m.at(stepSent)
		m.refused(mario, old)
		id, _, err := m.citizens.Find(t.Context(), code(mario))
		m.must(err)
		first := m.first(id)
		if v := m.right(mario, first); !v.MustChange || v.Reason != FirstAccess {
			t.Errorf("R40: %+v", v)
		}
		newer := m.change(mario, first)
		m.right(mario, newer)
		m.at(stepCompleted)
	})
}

// told is who got a notice: mail with a link, SMS with a code and no link.
func (m *mailroom) told(key delivery.MessageKey, want ...delivery.Channel) {
	m.t.Helper()
	by := map[delivery.Channel]int{}
	for _, l := range m.got(key) {
		by[l.Channel]++
		text := l.Body.Reveal()
		linked, coded := strings.Contains(text, "http") && !linkOf(l).IsZero(), codeOf(l).Len() == 8
		if sms := l.Channel == delivery.SMS; linked == sms || coded != sms {
			m.t.Errorf("%s by %s: %s", key, l.Channel, text)
		}
	}
	wanted := map[delivery.Channel]int{}
	for _, c := range want {
		wanted[c]++
	}
	if diff := cmp.Diff(wanted, by); diff != "" {
		m.t.Errorf("%s (-want +got): %s", key, diff)
	}
}

// R37, R39: certified mail first; never both parts to one place.
func TestR39DeliveryPlans(t *testing.T) {
	t.Parallel()
	all := map[citizens.ContactKind]way{
		citizens.Mobile: {channel: delivery.SMS}, citizens.Email: {channel: delivery.Email}, citizens.PEC: {channel: delivery.PEC},
	}
	without := func(kinds ...citizens.ContactKind) map[citizens.ContactKind]way {
		some := map[citizens.ContactKind]way{}
		for k, w := range all {
			some[k] = w
		}
		for _, k := range kinds {
			delete(some, k)
		}
		return some
	}
	three := typed{Mobile: "m", Email: "e", PEC: "p"}
	for _, c := range []struct {
		name               string
		in                 typed
		on                 map[citizens.ContactKind]way
		mail, half1, half2 delivery.Channel
	}{
		{"mobile and e-mail", typed{Mobile: "m", Email: "e"}, all, delivery.Email, delivery.SMS, delivery.Email},
		{"mobile and PEC", typed{Mobile: "m", PEC: "p"}, all, delivery.PEC, delivery.SMS, delivery.PEC},
		{"all three", three, all, delivery.PEC, delivery.SMS, delivery.PEC},
		{"e-mail and PEC", typed{Email: "e", PEC: "p"}, all, delivery.PEC, delivery.Email, delivery.PEC},
		{"all three, SMS off", three, without(citizens.Mobile), delivery.PEC, delivery.Email, delivery.PEC},
		{"all three, PEC off", three, without(citizens.PEC), delivery.Email, delivery.SMS, delivery.Email},
		{"mobile and e-mail, e-mail off", typed{Mobile: "m", Email: "e"}, without(citizens.Email), "", "", ""},
		{"e-mail and PEC, PEC off", typed{Email: "e", PEC: "p"}, without(citizens.PEC), "", "", ""},
	} {
		p, ok := plan(c.in, c.on)
		if ok != (c.mail != "") || p.mail.channel != c.mail || p.half1.channel != c.half1 || p.half2.channel != c.half2 {
			t.Errorf("%s: %+v, %v", c.name, p, ok)
		}
		if ok && p.half1.channel == p.half2.channel {
			t.Errorf("%s: both parts to one place", c.name)
		}
	}
}

// Who learns what, as a table: nothing before the contacts are right.
func TestRecoveryDecides(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 18, 10, 0, 0, 0, time.UTC)
	at := func(d time.Duration) database.Time { return database.Time{Time: now.Add(d)} }
	p := DefaultProcedurePolicy()
	good := recoveryFacts{matches: true, eligible: true, reachable: true, has: true, pin: credential{State: Active, Origin: change}}
	with := func(change func(*recoveryFacts)) recoveryFacts {
		f := good
		change(&f)
		return f
	}
	for _, c := range []struct {
		name string
		f    recoveryFacts
		want step
	}{
		{"R35 all is well", good, stepMailed},
		{"R36 contacts do not match", with(func(f *recoveryFacts) { f.matches, f.has = false, false }), stepNoMatch},
		{"deceased", with(func(f *recoveryFacts) { f.dead = true }), stepNoMatch},
		{"R43 first PIN never used", with(func(f *recoveryFacts) { f.pin = credential{State: Issued, Origin: enrolment} }), stepFirstPIN},
		{"a recovered PIN never used", with(func(f *recoveryFacts) { f.pin = credential{State: Issued, Origin: recovered} }), stepMailed},
		{"R29 inactive", with(func(f *recoveryFacts) { f.pin.State = Inactive }), stepMailed},
		{"no PIN", with(func(f *recoveryFacts) { f.has = false }), stepNoPIN},
		{"suspended", with(func(f *recoveryFacts) { f.pin.SuspendedAt = at(0) }), stepSuspended},
		{"R7 not eligible", with(func(f *recoveryFacts) { f.eligible = false }), stepIneligible},
		{"no channel", with(func(f *recoveryFacts) { f.reachable = false }), stepUnreachable},
		{"R46 over one that waits for its code", with(func(f *recoveryFacts) { f.open = &procedure{State: stepMailed} }), stepMailed},
		{"R46 parts just out", with(func(f *recoveryFacts) {
			f.open = &procedure{State: stepSent, ConfirmedAt: at(-time.Hour), PartsSentAt: at(-14 * time.Minute)}
		}), stepRecent},
		{"R46 parts out for a while", with(func(f *recoveryFacts) {
			f.open = &procedure{State: stepSent, ConfirmedAt: at(-time.Hour), PartsSentAt: at(-15 * time.Minute)}
		}), stepMailed},
		{"R46 parts on their way", with(func(f *recoveryFacts) { f.open = &procedure{State: stepSending, ConfirmedAt: at(-time.Minute)} }), stepRecent},
		{"a third start", with(func(f *recoveryFacts) { f.starts = 2 }), stepMailed},
		{"a fourth start", with(func(f *recoveryFacts) { f.starts = 3 }), stepLimit},
	} {
		if got := c.f.decide(p, now); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// R11, C6: two kinds, two addresses.
func TestR35TwoDifferentContacts(t *testing.T) {
	t.Parallel()
	same, err := citizens.ParseContact(citizens.PEC, strings.ToUpper(email))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		list []citizens.ContactValue
		want bool
	}{
		{"none", nil, false},
		{"one", contacts(mobile), false},
		{"mobile and e-mail", contacts(mobile, email), true},
		{"e-mail and PEC", contacts(email, pec), true},
		{"an e-mail that is the PEC", append(contacts(email), same), false},
		{"the same with a mobile", append(contacts(mobile, email), same), true},
		{"two mobiles", contacts(mobile, "+393407654321"), false},
	} {
		if got := (Recovery{Contacts: c.list}).Enough(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// R36: everything that was typed must be right, and whoever gets one thing
// wrong hears nothing, nor does anybody else.
func TestR36NothingWithoutAMatch(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		m.active(anna, "mobile="+mobile, "email=anna@posta.example")
		m.forgetLetters()
		for _, c := range []struct {
			name, cf string
			contacts []string
		}{
			{"somebody unknown", stranger, []string{mobile, email}},
			{"one of two wrong", mario, []string{mobile, "mario@posta.example"}},
			{"one of three wrong", mario, []string{mobile, email, "mario@pec.example"}},
			{"another person's", anna, []string{mobile, email}},
			{"one that is not on file", anna, []string{mobile, "anna@posta.example", "anna@pec.example"}},
		} {
			m.start(c.cf, c.contacts...)
			m.at(stepNoMatch)
			if got := m.keys(); len(got) > 0 {
				t.Errorf("%s: sent %v", c.name, got)
			}
			m.shift(time.Second)
		}
		m.sql("UPDATE contacts SET verified = false WHERE kind = 'email'")
		m.start(mario, mobile, email)
		m.at(stepNoMatch)
	})
}

// R43, R7 and the rest: refused in substance, explained to the contacts on
// file, which whoever asked has proved to know.
func TestR43ExplainedToTheContactsOnFile(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.issued(mario, withContacts()...)
		m.person(anna, withContacts()...)
		m.active(franco, withContacts()...)
		m.must(m.Suspend(t.Context(), staff, code(franco), "report"))
		m.active(samantha, withContacts()...)
		m.forgetLetters()
		for _, c := range []struct {
			cf   string
			want step
			key  delivery.MessageKey
		}{
			{mario, stepFirstPIN, NoticeRecoveryFirstPIN}, {anna, stepNoPIN, NoticeRecoveryNoPIN}, {franco, stepSuspended, NoticeRecoverySuspended},
		} {
			m.start(c.cf, mobile, email)
			m.at(c.want)
			m.told(c.key, delivery.SMS, delivery.Email, delivery.PEC)
			m.shift(time.Second)
		}
		m.eligibility = citizens.Current
		m.start(samantha, mobile, email)
		m.at(stepIneligible)
		m.told(NoticeRecoveryExcluded, delivery.SMS, delivery.Email, delivery.PEC)
		m.wantNone(RecoveryCode)
	})
}

// R7: eligibility counts at the confirmation, too, and so do the contacts.
func TestRecoveryLooksAgainAtTheConfirmation(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		old := m.active(mario, withContacts()...)
		code1, link1 := m.mailed(mario)
		m.sql("UPDATE contacts SET verified = false WHERE kind = 'mobile'")
		m.wants("contacts have changed", m.confirm(mario, code1, link1), ErrLinkDead)
		m.at(stepNoMatch)
		m.sql("UPDATE contacts SET verified = true")
		code2, link2 := m.mailed(mario)
		m.eligibility = citizens.Current
		m.wants("no longer eligible", m.confirm(mario, code2, link2), ErrLinkDead)
		m.eligibility = citizens.Open
		m.right(mario, old)
	})
}

// R38: five wrong codes end the request, whoever types them.
func TestR38FiveWrongCodes(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		m.person(anna)
		right, link := m.mailed(mario)
		wrong := Code{"00000000"}
		if right == wrong {
			wrong = Code{"11111111"}
		}
		m.wants("another person's", m.confirm(anna, right, Code{}), ErrCodeWrong)
		m.wants("another person's, with the link", m.confirm(anna, right, link), ErrCodeWrong)
		for range 4 {
			m.wants("wrong", m.confirm(mario, wrong, Code{}), ErrCodeWrong)
		}
		m.at(stepTooManyTries)
		m.wants("right, too late", m.confirm(mario, right, Code{}), ErrCodeWrong)
		m.wants("right, too late, with the link", m.confirm(mario, right, link), ErrLinkDead)
		open, err := m.RecoveryOpen(t.Context(), link)
		if open || err != nil {
			t.Errorf("the link is open: %v, %v", open, err)
		}
		// the fifth try may be the right one
		m.shift(time.Second)
		right, link = m.mailed(mario)
		for range 4 {
			m.wants("wrong", m.confirm(mario, Code{"0000000A"}, link), ErrCodeWrong)
		}
		m.must(m.confirm(mario, right, link))
	})
}

// A code is good once, for a day, and until a newer one comes.
func TestR38DeadLinks(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		m.active(mario, withContacts()...)
		code1, link1 := m.mailed(mario)
		m.shift(time.Minute)
		code2, link2 := m.mailed(mario)
		m.wants("superseded, by its link", m.confirm(mario, code1, link1), ErrLinkDead)
		m.wants("superseded", m.confirm(mario, code1, Code{}), ErrCodeWrong)
		m.shift(24*time.Hour + time.Second)
		m.wants("expired", m.confirm(mario, code2, link2), ErrLinkDead)
		m.wants("expired, no link", m.confirm(mario, code2, Code{}), ErrLinkDead)
		m.must(m.Sweep(t.Context()))
		m.at(stepExpired)
		code3, link3 := m.mailed(mario)
		m.must(m.confirm(mario, code3, Code{}))
		m.wants("used", m.confirm(mario, code3, link3), ErrLinkDead)
		m.wants("used, no link", m.confirm(mario, code3, Code{}), ErrLinkDead)
		for _, link := range []Code{link1, link2, link3, NewLink("made-up")} {
			if open, err := m.RecoveryOpen(t.Context(), link); open || err != nil {
				t.Errorf("a dead link is open: %v, %v", open, err)
			}
		}
		m.wants("made up", m.confirm(mario, code3, NewLink("made-up")), ErrLinkDead)
	})
}
