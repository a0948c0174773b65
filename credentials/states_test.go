package credentials

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// life is what a person's PINs should look like, kept beside the real thing
// while rapid walks through the state machine of pin-rules §2.1.
type life struct {
	*fixture
	rt        *rapid.T
	visited   map[State]int
	cf        string
	id        citizens.ID
	state     State // of the newest PIN that counts
	before    State // what is shown if a pending one is discarded
	suspended bool
	since     time.Time // of the latest step
	pin       PIN
	verified  Verified
	change    ChangeID
	candidate PIN
	started   time.Time
}

func TestNeverTwoLivePINs(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		people, visited := 0, map[State]int{}
		rapid.Check(t, func(rt *rapid.T) {
			people++
			l := &life{fixture: f, rt: rt, visited: visited, cf: provisional(people), state: None, before: None}
			l.id = f.person(l.cf)
			rt.Repeat(map[string]func(*rapid.T){
				"":           func(*rapid.T) { l.check() },
				"issue":      func(*rapid.T) { l.issues() },
				"deliver":    func(*rapid.T) { l.delivers(nil) },
				"bad post":   func(*rapid.T) { l.delivers(errors.New("out of paper")) },
				"return":     func(*rapid.T) { l.delivers(delivery.ErrRejected) },
				"right PIN":  func(*rapid.T) { l.signsIn() },
				"wrong PIN":  func(*rapid.T) { l.refuses(never) },
				"enrol":      func(*rapid.T) { l.issues(); l.delivers(nil) },
				"change":     func(*rapid.T) { l.starts(); l.confirms() },
				"start":      func(*rapid.T) { l.starts() },
				"confirm":    func(*rapid.T) { l.confirms() },
				"suspend":    func(*rapid.T) { l.suspends() },
				"resume":     func(*rapid.T) { l.resumes() },
				"revoke":     func(*rapid.T) { l.revokes() },
				"sweep":      func(*rapid.T) { l.sweeps() },
				"some hours": func(*rapid.T) { l.shift(2 * time.Hour) },
				"some days":  func(*rapid.T) { l.shift(8 * 24 * time.Hour) },
				"months":     func(*rapid.T) { l.shift(100 * 24 * time.Hour) },
			})
		})
		for _, st := range []State{None, PendingDelivery, Issued, Active, ChangeDue, Suspended, Revoked, ExpiredUnused} {
			if visited[st] == 0 {
				t.Errorf("no walk came to a PIN %s: %v", st, visited)
			}
		}
	})
}

func (l *life) now() time.Time {
	now, err := l.db.Now(l.t.Context())
	l.must(err)
	return now
}

// shown is the state that staff should be told.
func (l *life) shown() State {
	alive := l.state == PendingDelivery || l.live()
	switch {
	case alive && l.suspended:
		return Suspended
	case l.state == Issued && !l.live():
		return ExpiredUnused
	case l.state == Active && !l.policy.due(l.since, citizens.Ordinary, l.italy).After(l.now()):
		return ChangeDue
	}
	return l.state
}

func (l *life) live() bool {
	return l.state == Active || l.state == Issued && l.now().Before(l.since.Add(l.policy.ValidityItaly))
}

func (l *life) check() {
	for what, n := range map[string]int{
		"live PINs":       l.count("credentials WHERE citizen_id = ? AND state IN ('issued', 'active', 'inactive', 'dismissed')", l.id),
		"PINs on the way": l.count("credentials WHERE citizen_id = ? AND state = 'pending_delivery'", l.id),
	} {
		if n > 1 {
			l.rt.Fatalf("%d %s", n, what)
		}
	}
	want := l.shown()
	l.visited[want]++
	if l.state == Issued && !l.live() && l.suspended && l.count("credentials WHERE citizen_id = ? AND state = 'issued'", l.id) == 1 {
		want = Suspended // run out beneath a suspension, until the sweep
	}
	if got := l.fixture.state(l.cf); got != want {
		l.rt.Fatalf("the PIN is %s, want %s", got, want)
	}
}

func (l *life) issues() {
	err := l.Issue(l.t.Context(), staff, code(l.cf), Ordinario)
	switch {
	case l.live():
		l.expect(err, ErrLive)
	case l.state == PendingDelivery:
		l.expect(err, ErrPending)
	default:
		l.expect(err, nil)
		if l.before = l.state; l.state == Issued {
			l.before = ExpiredUnused
		}
		l.state, l.suspended, l.since = PendingDelivery, false, l.now()
	}
}

func (l *life) expect(err, want error) {
	if !errors.Is(err, want) {
		l.rt.Fatalf("%v, want %v", err, want)
	}
}

func (l *life) delivers(post error) {
	l.fails[delivery.Post] = post
	l.shift(2 * time.Hour) // past every pause
	l.deliver()
	if l.state != PendingDelivery {
		return
	}
	switch {
	case post == nil:
		l.state, l.since, l.pin = Issued, l.now(), l.first(l.id)
	case errors.Is(post, delivery.ErrRejected), l.count("deliveries WHERE citizen_id = ? AND state = 'dead'", l.id) > 0 &&
		l.count("credentials WHERE citizen_id = ? AND state = 'pending_delivery'", l.id) == 0:
		l.state = l.before
	}
}

func (l *life) forget() { l.sql("DELETE FROM pin_throttle") }

func (l *life) refuses(pin PIN) {
	l.forget()
	_, err := l.try(l.cf, pin)
	l.expect(err, ErrRefused)
}

func (l *life) signsIn() bool {
	if l.pin.IsZero() {
		return false
	}
	if !l.live() || l.suspended {
		l.refuses(l.pin)
		return false
	}
	l.forget()
	v, err := l.try(l.cf, l.pin)
	l.expect(err, nil)
	if v.MustChange != (l.shown() != Active) || v.Citizen != l.id {
		l.rt.Fatalf("verified %+v of a PIN that is %s", v, l.shown())
	}
	l.verified = v
	return true
}

func (l *life) starts() {
	if !l.signsIn() {
		return
	}
	var err error
	l.change, err = l.StartChange(l.t.Context(), anyone, l.verified)
	l.expect(err, nil)
	c, err := l.Change(l.t.Context(), l.change)
	l.expect(err, nil)
	l.candidate, l.started = c.Candidate, l.now()
}

func (l *life) confirms() {
	if l.change == "" {
		return
	}
	l.forget()
	_, err := l.Confirm(l.t.Context(), anyone, l.change, l.pin, l.candidate)
	if l.started.IsZero() || l.now().After(l.started.Add(l.policy.CandidateLife)) {
		l.expect(err, ErrChangeExpired)
		return
	}
	l.expect(err, nil)
	old := l.pin
	l.state, l.since, l.pin, l.started = Active, l.now(), l.candidate, time.Time{}
	l.refuses(old)
}

func (l *life) suspends() {
	err := l.Suspend(l.t.Context(), staff, code(l.cf), "report")
	switch {
	case l.unswept():
	case !l.live() && l.state != PendingDelivery:
		l.expect(err, ErrNoPIN)
	case l.suspended:
		l.expect(err, ErrSuspended)
	default:
		l.expect(err, nil)
	}
	if err == nil {
		l.suspended, l.started = true, time.Time{}
	}
}

// unswept: run out, and the row does not say so yet; either answer will do.
func (l *life) unswept() bool { return l.state == Issued && !l.live() }

func (l *life) resumes() {
	err := l.Resume(l.t.Context(), staff, code(l.cf), "mistake")
	switch {
	case l.unswept():
	case !l.live() && l.state != PendingDelivery:
		l.expect(err, ErrNoPIN)
	case !l.suspended:
		l.expect(err, ErrNotSuspended)
	default:
		l.expect(err, nil)
	}
	if err == nil {
		l.suspended = false
	}
}

func (l *life) revokes() {
	err := l.Revoke(l.t.Context(), staff, code(l.cf), "report")
	if !l.unswept() && !l.live() && l.state != PendingDelivery {
		l.expect(err, ErrNoPIN)
		return
	}
	if err == nil {
		l.state, l.suspended, l.started = Revoked, false, time.Time{}
		return
	}
	l.expect(err, ErrNoPIN)
}

func (l *life) sweeps() {
	l.must(l.Sweep(l.t.Context()))
	switch {
	case l.unswept():
		l.state, l.suspended = ExpiredUnused, false
	case l.state == PendingDelivery && l.now().After(l.since.Add(l.policy.Patience)):
		l.state, l.suspended = l.before, false
	}
}
