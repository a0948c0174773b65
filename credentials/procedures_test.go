package credentials

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
)

// twoNodes are two nodes on one database, with the same keys.
func twoNodes(t *testing.T, fn func(t *testing.T, nodes []*mailroom)) {
	t.Helper()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		ring := newRing(t)
		fn(t, []*mailroom{newMailroomWith(t, a, ring), newMailroomWith(t, b, ring)})
	})
}

// Of many confirmations at once, on two nodes, one makes a PIN.
func TestConfirmedOnce(t *testing.T) {
	twoNodes(t, func(t *testing.T, nodes []*mailroom) {
		m := nodes[0]
		m.active(mario, withContacts()...)
		code1, link1 := m.mailed(mario)
		var done, dead atomic.Int64
		databasetest.Barrier(4, func(i int) {
			switch err := nodes[i%2].confirm(mario, code1, link1); {
			case err == nil:
				done.Add(1)
			case errors.Is(err, ErrLinkDead):
				dead.Add(1)
			default:
				t.Errorf("confirm: %v", err)
			}
		})
		if done.Load() != 1 || dead.Load() != 3 {
			t.Errorf("%d confirmed, %d told that the link is dead", done.Load(), dead.Load())
		}
		if n := m.count("credentials WHERE state = 'pending_delivery'"); n != 1 {
			t.Errorf("%d PINs on their way", n)
		}
	})
}

// Of many tries at once no more than five are looked at.
func TestTriesAreCountedOnce(t *testing.T) {
	twoNodes(t, func(t *testing.T, nodes []*mailroom) {
		m := nodes[0]
		m.active(mario, withContacts()...)
		code1, _ := m.mailed(mario)
		databasetest.Barrier(12, func(i int) {
			if err := nodes[i%2].confirm(mario, Code{"0000000A"}, Code{}); !errors.Is(err, ErrCodeWrong) {
				t.Errorf("confirm: %v", err)
			}
		})
		m.at(stepTooManyTries)
		m.wants("right, too late", m.confirm(mario, code1, Code{}), ErrCodeWrong)
		if n := m.count("audit_events WHERE type = 'procedure.code-wrong'"); n != 5 {
			t.Errorf("%d tries were looked at", n)
		}
	})
}

// Two nodes' workers share the requests: each gets one mail, and of one
// person's several at most one stays open.
func TestWorkersShareRequests(t *testing.T) {
	twoNodes(t, func(t *testing.T, nodes []*mailroom) {
		m := nodes[0]
		people := []string{mario, anna, franco, samantha}
		for _, cf := range people {
			m.active(cf, withContacts()...)
		}
		for _, cf := range append(people, mario, mario) {
			m.must(m.StartRecovery(t.Context(), anyone, Recovery{FiscalCode: code(cf), Contacts: contacts(mobile, email)}))
		}
		databasetest.Barrier(4, func(i int) {
			// a meeting of two on one person is left to the next round
			_ = nodes[i%2].WorkProcedures(context.WithoutCancel(t.Context()))
		})
		m.must(m.WorkProcedures(t.Context()))
		if n := m.count("pin_procedures WHERE state = 'received'"); n != 0 {
			t.Errorf("%d requests nobody has looked at", n)
		}
		if n := m.count("deliveries WHERE message = 'recovery-code'"); n != 6 {
			t.Errorf("%d mails, want one a request", n)
		}
		if n := m.count("pin_procedures WHERE state = 'mail_sent'"); n != len(people) {
			t.Errorf("%d open requests, want one a person", n)
		}
	})
}

// A confirmation, a sign-in with the old PIN and a report at once: whatever
// comes of it, one PIN at most is live and none is half delivered for ever.
func TestConfirmSignInAndReportAtOnce(t *testing.T) {
	twoNodes(t, func(t *testing.T, nodes []*mailroom) {
		m := nodes[0]
		old := m.active(mario, withContacts()...)
		for round := range 4 {
			m.shift(25 * time.Hour)
			code1, link1 := m.mailed(mario)
			report := linkOf(m.last(NoticeRecoveryStarted))
			ctx := context.WithoutCancel(t.Context())
			databasetest.Barrier(4, func(i int) {
				n := nodes[i%2]
				switch i {
				case 0:
					_ = n.confirm(mario, code1, link1)
				case 1:
					_, _ = n.try(mario, old)
				case 2:
					if round%2 == 1 {
						_ = n.Report(ctx, anyone, report)
					}
				case 3:
					_ = n.outbox.Flush(ctx)
				}
			})
			m.shift(5 * time.Minute)
			m.deliver()
			if n := m.count("credentials WHERE state IN ('issued', 'active')"); n != 1 {
				t.Fatalf("%d live PINs", n)
			}
			if n := m.count("credentials WHERE state = 'pending_delivery'"); n != 0 {
				t.Errorf("%d PINs on their way, with nothing left to deliver", n)
			}
			if m.state(mario) == Suspended {
				m.must(m.Resume(t.Context(), staff, code(mario), "mistake"))
			}
			if m.state(mario) == Issued { // the recovery has won
				id, _, err := m.citizens.Find(t.Context(), code(mario))
				m.must(err)
				pin := nodes[0].first(id)
				if _, err := m.try(mario, pin); err != nil {
					pin = nodes[1].first(id)
				}
				old = m.change(mario, pin)
			}
		}
	})
}

// Nothing that was typed or sent can be read in the database or in the log.
func TestProceduresAtRest(t *testing.T) {
	var log bytes.Buffer
	mailrooms(t, func(t *testing.T, m *mailroom) {
		log.Reset()
		m.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		m.active(mario, withContacts()...)
		m.down[delivery.SMS], m.down[delivery.PEC] = errors.New("away"), errors.New("away")
		m.start(mario, mobile, email)
		recovery := m.last(RecoveryCode)
		report := linkOf(m.got(NoticeRecoveryStarted)[0])
		m.startRevocation(mario, card, cardExpiry, elsewhere)
		revocation := m.last(RevocationCode)
		secrets := []string{
			codeOf(recovery).Reveal(), linkOf(recovery).Reveal(), report.Reveal(), codeOf(revocation).Reveal(), linkOf(revocation).Reveal(),
			card, elsewhere, email, mobile, mario,
		}
		m.atRest(secrets)
		m.must(m.confirm(mario, codeOf(recovery), linkOf(recovery)))
		m.deliver()
		delete(m.down, delivery.SMS)
		m.shift(2 * time.Hour)
		m.deliver()
		id, _, err := m.citizens.Find(t.Context(), code(mario))
		m.must(err)
		pin := m.first(id).Reveal()
		secrets = append(secrets, pin[:8], pin[8:])
		m.must(m.revokeBy(mario, codeOf(revocation), linkOf(revocation)))
		m.atRest(secrets)
		for _, s := range secrets {
			if strings.Contains(log.String(), s) {
				t.Errorf("the log holds a secret: %s", log.String())
			}
		}
		for _, state := range []string{"completed", "cancelled"} {
			if n := m.count("pin_procedures WHERE state = ? AND input IS NOT NULL", state); n != 0 {
				t.Errorf("what was typed outlives its request")
			}
		}
	})
}

// A code does not print.
func TestCodesDoNotPrint(t *testing.T) {
	t.Parallel()
	c := ParseCode("12 34-56 78")
	if c.Reveal() != "12345678" || !c.Digits() {
		t.Errorf("read as %q", c.Reveal())
	}
	p := Proof{Link: NewLink("token"), FiscalCode: code(mario), Code: c}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%#v %+v %s %q %x %d", c, c, c, c, c, c), fmt.Sprintf("%v %+v", p, p), fmt.Sprint(typed{Card: "12345678"})} {
		if strings.Contains(text, "1234") || strings.Contains(text, "token") || strings.Contains(text, "3132") {
			t.Errorf("printed: %s", text)
		}
	}
	if _, err := c.MarshalJSON(); err == nil {
		t.Error("a code was encoded")
	}
}

// walk is a person whose PIN is recovered, revoked, suspended, used and issued
// in any order.
type walk struct {
	*mailroom
	rt         *rapid.T
	visited    map[string]int
	cf         string
	id         citizens.ID
	pins       []PIN // every one that ever was
	code, link Code
}

// However these procedures follow each other, nobody ever has two PINs, and
// nothing stands still for ever.
func TestNeverTwoLivePINsWhateverIsAskedFor(t *testing.T) {
	mailrooms(t, func(t *testing.T, m *mailroom) {
		people, visited := 0, map[string]int{}
		rapid.Check(t, func(rt *rapid.T) {
			people++
			w := &walk{mailroom: m, rt: rt, visited: visited, cf: provisional(people)}
			w.moves("US")
			clear(m.down)
			for _, step := range w.opening(people % 5) {
				step()
				w.check()
			}
			rt.Repeat(map[string]func(*rapid.T){
				"":            func(*rapid.T) { w.check() },
				"issue":       func(*rapid.T) { w.issues() },
				"use":         func(*rapid.T) { w.uses() },
				"recover":     func(*rapid.T) { w.starts() },
				"confirm":     func(*rapid.T) { w.confirms() },
				"have a PIN":  func(*rapid.T) { w.issues(); w.uses() },
				"recover all": func(*rapid.T) { w.starts(); w.confirms(); w.delivers(); w.uses() },
				"revoke all":  func(*rapid.T) { w.revokes(); w.confirmsRevocation() },
				"deliver":     func(*rapid.T) { w.delivers() },
				"SMS away":    func(*rapid.T) { m.down[delivery.SMS] = errors.New("away") },
				"SMS refused": func(*rapid.T) { m.down[delivery.SMS] = delivery.ErrRejected },
				"all well":    func(*rapid.T) { clear(m.down) },
				"revocation":  func(*rapid.T) { w.revokes() },
				"confirm it":  func(*rapid.T) { w.confirmsRevocation() },
				"suspend":     func(*rapid.T) { _ = m.Suspend(t.Context(), staff, code(w.cf), "report") },
				"resume":      func(*rapid.T) { _ = m.Resume(t.Context(), staff, code(w.cf), "mistake") },
				"report":      func(*rapid.T) { w.reports() },
				"at will":     func(*rapid.T) { w.changes() },
				"half lost":   func(*rapid.T) { w.loses() },
				"come home":   func(*rapid.T) { w.moves("IT") },
				"go abroad":   func(*rapid.T) { w.moves("US") },
				"sweep":       func(*rapid.T) { w.sweeps() },
				"months":      func(*rapid.T) { m.shift(61 * 24 * time.Hour) },
				"minutes":     func(*rapid.T) { m.shift(16 * time.Minute) },
				"a day":       func(*rapid.T) { m.shift(25 * time.Hour) },
				"a week":      func(*rapid.T) { m.shift(8 * 24 * time.Hour) },
			})
		})
		for _, want := range []string{
			"recovery completed", "recovery cancelled", "recovery refused_first_pin", "recovery refused_suspended",
			"revocation completed", "revocation superseded", "recovery delivery_failed", "PIN inactive", "PIN dismissed",
		} {
			if visited[want] == 0 {
				t.Errorf("no walk came to %s: %v", want, visited)
			}
		}
	}, func(d *Deps) { d.Eligibility, d.Policy.InactiveMonths = citizens.Current, 4 })
}

// opening is how a walk begins: chance alone seldom gets all the way through a
// recovery, or into a state that only months bring.
func (w *walk) opening(n int) []func() {
	months := func() { w.shift(130 * 24 * time.Hour) }
	return [][]func(){
		nil,
		{w.issues, w.uses, w.starts, w.confirms, w.delivers, w.uses},
		{w.issues, w.revokes, w.revokes},
		{w.issues, w.uses, func() { w.moves("IT") }, months, w.sweeps, months, w.sweeps, w.uses, func() { w.moves("US") }, w.uses},
		{w.issues, w.uses, months, w.sweeps, w.uses, w.starts, w.confirms, w.delivers, w.loses, w.starts, w.confirms, w.delivers, w.uses},
	}[n]
}

// moves says where the person lives, which decides who may have a PIN.
func (w *walk) moves(country string) {
	w.id = w.person(w.cf, append(withContacts(), "health_card_expiry=2999-12-31", "residence_country="+country)...)
}

// changes is a change that somebody who is signed in asks for.
func (w *walk) changes() {
	id, err := w.StartVoluntaryChange(w.t.Context(), anyone, w.id)
	if errors.Is(err, ErrNoPIN) {
		return
	}
	w.must(err)
	next := w.shown(id).Candidate
	for _, pin := range w.pins {
		w.sql("DELETE FROM pin_throttle")
		if w.fixture.confirm(id, pin, next) == nil {
			w.pins = append(w.pins, next)
			return
		}
	}
	w.rt.Fatal("no PIN that ever was confirms a change of the one in use")
}

// loses is a transport that changes its mind about a half.
func (w *walk) loses() {
	if w.count("deliveries WHERE citizen_id = ? AND message = 'pin-half-1' AND channel = 'sms'", w.id) > 0 {
		w.outcome(delivery.PINHalf1, delivery.SMS, delivery.SMSFailed)
	}
}

// sweeps leaves nothing whose time was over. What the first sweep gives back its
// state, the second finds as it is.
func (w *walk) sweeps() {
	w.must(w.Sweep(w.t.Context()))
	w.must(w.Sweep(w.t.Context()))
	now := w.db.NowExpr()
	if n := w.count(`credentials WHERE state IN ('issued', 'active', 'inactive', 'dismissed') AND look_at <= ?
OR state IN ('pending_delivery', 'issued') AND due_at <= ? OR state IN ('issued', 'active', 'inactive') AND dismissal_at <= ?`, now, now, now); n > 0 {
		w.rt.Fatalf("%d PINs stand still: %s", n, w.lives())
	}
}

// lives is what the database says of the PINs that have not ended, for whoever
// reads a failure that does not come again.
func (w *walk) lives() string {
	var list []map[string]any
	w.must(w.db.Read(w.t.Context()).Raw(`SELECT state, form, origin, created_at, issued_at, changed_at, due_at, look_at, dismissal_at,
suspended_at, notice_step, notice_due, ? AS now FROM credentials WHERE ended_at IS NULL`, w.db.NowExpr()).Scan(&list).Error)
	return fmt.Sprint(list)
}

func (w *walk) check() {
	if n := w.count("credentials WHERE citizen_id = ? AND state IN ('issued', 'active', 'inactive', 'dismissed')", w.id); n > 1 {
		w.rt.Fatalf("%d live PINs", n)
	}
	if n := w.count("credentials WHERE citizen_id = ? AND state = 'pending_delivery'", w.id); n > 1 {
		w.rt.Fatalf("%d PINs on their way", n)
	}
	if n := w.count("pin_procedures WHERE citizen_id = ? AND kind = 'recovery' AND due_at IS NOT NULL AND state <> 'received'", w.id); n > 1 {
		w.rt.Fatalf("%d recoveries under way", n)
	}
	if n := w.count("pin_procedures WHERE due_at IS NULL AND ended_at IS NULL"); n > 0 {
		w.rt.Fatalf("%d requests without a time by which they end", n)
	}
	// parts of a PIN that is none must not leave any more
	if n := w.count(`deliveries AS d JOIN credentials AS c ON d.ref = CAST(c.id AS text)
WHERE d.state IN ('held', 'queued') AND d.message IN ('pin-half-1', 'pin-half-2') AND c.state <> 'pending_delivery'`); n > 0 {
		w.rt.Fatalf("%d parts of dead PINs wait to be sent", n)
	}
	var states []string
	w.must(w.db.Read(w.t.Context()).Raw(`SELECT kind || ' ' || state FROM pin_procedures WHERE citizen_id = ?
UNION ALL SELECT 'PIN ' || state FROM credentials WHERE citizen_id = ?`, w.id, w.id).Scan(&states).Error)
	for _, s := range states {
		w.visited[s]++
	}
	for _, l := range w.got(delivery.PINHalf2) {
		if l.Channel == delivery.SMS {
			w.rt.Fatal("a second part by SMS")
		}
	}
}

func (w *walk) issues() {
	if err := w.Issue(w.t.Context(), staff, code(w.cf), Ordinario); err == nil {
		w.delivers()
	}
}

// delivers hands over what it can and notes the PIN that may come of it.
func (w *walk) delivers() {
	w.shift(2 * time.Minute)
	w.deliver()
	w.fixture.mu.Lock()
	box := w.box[w.id]
	text := box[delivery.PINHalf1] + box[delivery.PINHalf2]
	w.fixture.mu.Unlock()
	if pin, err := ParsePIN(text); err == nil && len(text) == initialLength {
		w.pins = append(w.pins, pin)
	}
}

// uses tries every PIN that ever was: one at most opens anything. If it has to
// be changed it is.
func (w *walk) uses() {
	w.sql("DELETE FROM pin_throttle")
	var good []PIN
	for i, pin := range w.pins {
		if i > 0 && slices.Contains(w.pins[:i], pin) {
			continue
		}
		v, err := w.try(w.cf, pin)
		w.sql("DELETE FROM pin_throttle")
		if err == nil {
			good = append(good, pin)
			if v.MustChange {
				w.pins = append(w.pins, w.change(w.cf, pin))
				break
			}
		}
	}
	if len(good) > 1 {
		w.rt.Fatalf("%d PINs open something", len(good))
	}
}

func (w *walk) starts() {
	w.shift(time.Second)
	w.forgetLetters()
	w.start(w.cf, mobile, email, pec)
	if list := w.got(RecoveryCode); len(list) > 0 {
		w.code, w.link = codeOf(list[0]), linkOf(list[0])
	}
}

func (w *walk) confirms() {
	err := w.confirm(w.cf, w.code, w.link)
	if err != nil && !errors.Is(err, ErrLinkDead) && !errors.Is(err, ErrCodeWrong) {
		w.rt.Fatalf("confirm: %v", err)
	}
}

func (w *walk) revokes() {
	w.shift(time.Second)
	w.startRevocation(w.cf, card, "2999-12-31", elsewhere)
}

func (w *walk) confirmsRevocation() {
	list := w.got(RevocationCode)
	if len(list) == 0 {
		return
	}
	l := list[len(list)-1]
	err := w.revokeBy(w.cf, codeOf(l), linkOf(l))
	if err != nil && !errors.Is(err, ErrLinkDead) && !errors.Is(err, ErrCodeWrong) {
		w.rt.Fatalf("confirm: %v", err)
	}
}

func (w *walk) reports() {
	for _, l := range w.got(NoticeRecoveryStarted) {
		if l.Citizen == w.id && l.Channel == delivery.PEC {
			if err := w.Report(w.t.Context(), anyone, linkOf(l)); err != nil && !errors.Is(err, ErrLinkDead) {
				w.rt.Fatalf("report: %v", err)
			}
		}
	}
}
