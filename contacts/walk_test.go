package contacts

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/delivery"
)

// walker does at random what people, operators, transports and time may do, and
// keeps its own book of when a contact was proved.
type walker struct {
	*fixture
	rt      *rapid.T
	id      citizens.ID
	pin     credentials.Verified
	last    map[citizens.ContactKind]Change
	codes   map[ID]credentials.Code
	proved  map[string]time.Time // value → when its proof was taken
	visited map[string]bool
	before  citizens.Contacts
	others  bool // contacts changed by another way in this step
}

func TestChangesWalk(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		visited := map[string]bool{}
		f.policy.PerDay, f.policy.PerTarget = 10_000, 10_000
		id := f.person(mario, "mobile", oldMobile, "email", oldMail)
		pin := f.verified(mario, id)
		rapid.Check(t, func(rt *rapid.T) {
			w := &walker{fixture: f, rt: rt, id: id, pin: pin, visited: visited, last: map[citizens.ContactKind]Change{},
				codes: map[ID]credentials.Code{}, proved: map[string]time.Time{}}
			w.reset()
			rt.Repeat(map[string]func(*rapid.T){
				"":           func(*rapid.T) { w.check() },
				"ask":        func(*rapid.T) { w.ask(w.pick()) },
				"and prove":  func(*rapid.T) { v := w.pick(); w.ask(v); w.prove(v.Kind()) },
				"prove":      func(*rapid.T) { w.prove(w.kind()) },
				"wrong code": func(*rapid.T) { w.wrong(w.kind()) },
				"many wrong": func(*rapid.T) {
					v := w.pick()
					w.ask(v)
					for range 5 {
						w.wrong(v.Kind())
					}
				},
				"receipt":      func(*rapid.T) { w.receipt(delivery.PECDelivered, false) },
				"no PEC":       func(*rapid.T) { w.receipt(delivery.PECAccepted, true) },
				"remove":       func(*rapid.T) { w.remove(w.kind()) },
				"withdraw":     func(*rapid.T) { w.tolerate(w.Withdraw(t.Context(), citizen(id), id, w.kind()), ErrNothing) },
				"operator":     func(*rapid.T) { w.propose(w.pick()) },
				"contest":      func(*rapid.T) { w.tolerate(w.inTx(func(ctx context.Context) error { return w.Contest(ctx, id) })) },
				"another way":  func(*rapid.T) { w.another() },
				"sweep":        func(*rapid.T) { w.tolerate(w.Sweep(t.Context())) },
				"an hour":      func(*rapid.T) { w.shift(time.Hour) },
				"days":         func(*rapid.T) { w.shift(2 * day) },
				"and it works": func(*rapid.T) { w.shift(72 * time.Hour); w.tolerate(w.Sweep(t.Context())) },
			})
		})
		for _, s := range States() {
			if !visited[string(s)] {
				t.Errorf("no walk came to %s", s)
			}
		}
		for _, why := range []Reason{NotProved, TooManyTries, NotPEC, ByCitizen, Superseded} {
			if !visited[string(why)] {
				t.Errorf("no walk came to the reason %s", why)
			}
		}
	}, certified)
}

func (w *walker) inTx(fn func(ctx context.Context) error) error { return w.db.InTx(w.t.Context(), fn) }

func (w *walker) tolerate(err error, refusals ...error) {
	w.rt.Helper()
	for _, r := range refusals {
		if errors.Is(err, r) {
			return
		}
	}
	if err != nil {
		w.rt.Fatal(err)
	}
}

// reset begins a walk with two contacts and nothing under way.
func (w *walker) reset() {
	w.tolerate(w.inTx(func(ctx context.Context) error {
		if _, err := w.endAll(ctx, system, w.id, Withdrawn, ByCitizen, func(row) bool { return true }); err != nil {
			return err
		}
		return w.citizens.ReplaceContacts(ctx, w.id, citizens.Contacts{
			Mobile: proved(citizens.Mobile, oldMobile), Email: proved(citizens.Email, oldMail),
		})
	}))
	w.before = w.contacts()
}

func (w *walker) kind() citizens.ContactKind {
	return rapid.SampledFrom(citizens.ContactKinds()).Draw(w.rt, "kind")
}

// pick is some contact; few enough, so that kinds and people meet.
func (w *walker) pick() citizens.ContactValue {
	kind, n := w.kind(), rapid.IntRange(0, 3).Draw(w.rt, "value")
	if kind == citizens.Mobile {
		return kindly(kind, fmt.Sprintf("+39349100000%d", n))
	}
	return kindly(kind, fmt.Sprintf("casella%d@posta.example", n))
}

func (w *walker) keep(c Change, err error) {
	w.rt.Helper()
	w.tolerate(err, ErrSame, ErrSameAsOther, ErrNone, ErrLast, ErrNoneOnFile)
	if err != nil {
		return
	}
	w.forget()
	w.deliver()
	if w.last[c.Kind] = c; !c.Removal {
		w.codes[c.ID] = w.code()
	}
}

func (w *walker) ask(v citizens.ContactValue) {
	w.keep(w.Ask(w.t.Context(), citizen(w.id), w.pin, v, "it"))
}

func (w *walker) propose(v citizens.ContactValue) {
	w.keep(w.Propose(w.t.Context(), operator, w.id, v))
}

func (w *walker) remove(kind citizens.ContactKind) {
	w.keep(w.Remove(w.t.Context(), citizen(w.id), w.pin, kind))
}

func (w *walker) prove(kind citizens.ContactKind) {
	c, found := w.last[kind]
	if !found || c.Removal {
		return
	}
	err := w.Prove(w.t.Context(), citizen(w.id), w.id, kind, w.codes[c.ID])
	w.tolerate(err, ErrCodeWrong)
	w.note(c)
}

// note keeps when a change was first seen cooling.
func (w *walker) note(c Change) {
	r, found, err := w.store.byID(w.t.Context(), c.ID)
	w.tolerate(err)
	key := string(c.ID)
	if found && r.State == Cooling && w.proved[key].IsZero() {
		w.proved[key] = w.clock()
	}
}

func (w *walker) wrong(kind citizens.ContactKind) {
	w.tolerate(w.Prove(w.t.Context(), citizen(w.id), w.id, kind, credentials.ParseCode("no")), ErrCodeWrong)
}

func (w *walker) receipt(result delivery.Result, external bool) {
	c, found := w.last[citizens.PEC]
	if !found {
		return
	}
	o := delivery.Outcome{Receipt: delivery.Receipt{Key: ContactCode, Channel: delivery.PEC, Ref: string(c.ID)}, Result: result, Uncertified: external}
	w.tolerate(w.inTx(func(ctx context.Context) error { return w.Outcome(ctx, o) }))
	w.note(c)
}

// another is a first access or an import.
func (w *walker) another() {
	w.others = true
	v := w.pick()
	c := citizens.Contact{Value: v, Verified: true}
	if twin(w.contacts(), v.Kind(), v) {
		return
	}
	w.tolerate(w.inTx(func(ctx context.Context) error { return w.citizens.SetContact(ctx, w.id, c) }))
}

func (w *walker) contacts() citizens.Contacts {
	who, err := w.citizens.ByID(w.t.Context(), w.id)
	w.tolerate(err)
	return who.Contacts
}

func (w *walker) clock() time.Time {
	now, err := w.db.Now(w.t.Context())
	w.tolerate(err)
	return now
}

// check is what must be so after every step, whoever did what.
func (w *walker) check() {
	for what, n := range map[string]int{
		"kinds with two open changes": w.number(`(SELECT kind FROM contact_changes WHERE citizen_id = ? AND state IN ('asked', 'cooling') GROUP BY kind HAVING count(*) > 1) AS twice`, w.id),
		"open changes without a time": w.number(`contact_changes WHERE due_at IS NULL AND state IN ('asked', 'cooling')`),
		"ended ones with contacts":    w.number(`contact_changes WHERE ended_at IS NOT NULL AND (data IS NOT NULL OR code_key IS NOT NULL OR due_at IS NOT NULL)`),
	} {
		if n > 0 {
			w.rt.Fatalf("%d %s", n, what)
		}
	}
	now := w.contacts()
	if !keepsOne(now, nil) {
		w.rt.Fatal("no contact is left")
	}
	if !now.Email.IsZero() && now.Email.Value.Same(now.PEC.Value) {
		w.rt.Fatal("e-mail and PEC are one contact")
	}
	w.changed(now)
	w.before, w.others = now, false
	var seen []struct{ State, Reason string }
	w.tolerate(w.db.Read(w.t.Context()).Raw(`SELECT DISTINCT state, reason FROM contact_changes`).Scan(&seen).Error)
	for _, s := range seen {
		w.visited[s.State], w.visited[s.Reason] = true, true
	}
}

// changed looks at the contacts that have come since the last step: each by a
// change that was proved, and has cooled since.
func (w *walker) changed(now citizens.Contacts) {
	for _, kind := range citizens.ContactKinds() {
		if w.others || now.Of(kind) == w.before.Of(kind) {
			continue
		}
		c, found := w.last[kind]
		r, _, err := w.store.byID(w.t.Context(), c.ID)
		w.tolerate(err)
		switch {
		case !found || r.State != Effective:
			w.rt.Fatalf("the %s has changed by no change that is effective", kind)
		case !c.Removal && !now.Of(kind).Value.Same(c.Value):
			w.rt.Fatalf("the %s is another one than was asked for", kind)
		case c.Removal && !now.Of(kind).IsZero():
			w.rt.Fatalf("the %s was to be removed", kind)
		}
		since := c.AskedAt
		if !c.Removal {
			if since, found = w.proved[string(c.ID)]; !found {
				w.rt.Fatalf("the %s counts without a proof", kind)
			}
		}
		pause := w.policy.CoolingCitizen
		if c.ByOperator {
			pause = w.policy.CoolingOperator
		}
		if w.clock().Sub(since) < pause-time.Second {
			w.rt.Fatalf("the %s counts after %s", kind, w.clock().Sub(since))
		}
	}
}
