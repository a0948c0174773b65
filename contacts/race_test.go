package contacts

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
)

// free has the test's context, without the test's end.
func (f *fixture) free() context.Context { return context.WithoutCancel(f.t.Context()) }

// Many proofs of one contact at once, by code and by link, begin one pause.
func TestManyProofsAtOnce(t *testing.T) {
	two(t, func(t *testing.T, a, b *fixture) {
		id := a.person(mario, "mobile", oldMobile)
		c := a.asks(id, value(newMail))
		right, link := a.code(), a.link()
		var failed atomic.Int64
		databasetest.Barrier(8, func(i int) {
			f := []*fixture{a, b}[i%2]
			err := f.ProveByLink(f.free(), citizen(id), link)
			if i < 4 {
				err = f.Prove(f.free(), citizen(id), id, citizens.Email, right)
			}
			if err != nil {
				failed.Add(1)
			}
		})
		if failed.Load() > 0 {
			t.Errorf("%d right proofs were refused", failed.Load())
		}
		a.is(c.ID, Cooling, "")
		a.recorded(1, audit.ContactProved)
	})
}

// However many wrong codes come at once, no more are looked at than are allowed.
func TestManyWrongCodesAtOnce(t *testing.T) {
	two(t, func(t *testing.T, a, b *fixture) {
		id := a.person(mario, "mobile", oldMobile)
		c := a.asks(id, value(newMail))
		databasetest.Barrier(16, func(i int) {
			f := []*fixture{a, b}[i%2]
			f.wants("a wrong code", f.Prove(f.free(), citizen(id), id, citizens.Email, credentials.ParseCode("00000000")), ErrCodeWrong)
		})
		a.is(c.ID, Expired, TooManyTries)
		a.recorded(5, audit.ContactCodeWrong)
		a.recorded(1, audit.ContactEnded)
	})
}

// A proof and a withdrawal at once: whatever comes first, what is withdrawn
// stays so.
func TestProofAgainstWithdrawal(t *testing.T) {
	two(t, func(_ *testing.T, a, b *fixture) {
		id := a.person(mario, "mobile", oldMobile)
		for _, v := range []string{newMail, "due@posta.example", "tre@posta.example"} {
			c := a.asks(id, value(v))
			right := a.code()
			databasetest.Barrier(2, func(i int) {
				if i == 0 {
					if err := a.Prove(a.free(), citizen(id), id, citizens.Email, right); err != nil {
						a.wants("the proof", err, ErrCodeWrong)
					}
					return
				}
				b.wants("the withdrawal", b.Withdraw(b.free(), citizen(id), id, citizens.Email), nil)
			})
			a.is(c.ID, Withdrawn, ByCitizen)
		}
	})
}

// A code and the provider's receipt at once: the later of the two begins the
// pause, and only it.
func TestCodeAgainstReceipt(t *testing.T) {
	two(t, func(_ *testing.T, a, b *fixture) {
		id := a.person(mario, "mobile", oldMobile)
		for i, v := range []string{newPEC, "due@pec.example", "tre@pec.example"} {
			c := a.asks(id, value(v))
			right := a.code()
			databasetest.Barrier(2, func(i int) {
				if i == 0 {
					a.wants("the code", a.Prove(a.free(), citizen(id), id, citizens.PEC, right), nil)
					return
				}
				o := delivery.Outcome{Receipt: delivery.Receipt{Key: ContactCode, Channel: delivery.PEC, Ref: string(c.ID)}, Result: delivery.PECDelivered}
				b.wants("the receipt", b.db.InTx(b.free(), func(ctx context.Context) error { return b.Outcome(ctx, o) }), nil)
			})
			a.is(c.ID, Cooling, "")
			a.recorded(i+1, audit.ContactProved)
		}
	}, certified)
}

// Two nodes that look at once what is due: one makes it count, once.
func TestTwoNodesSweep(t *testing.T) {
	two(t, func(_ *testing.T, a, b *fixture) {
		id := a.person(mario, "mobile", oldMobile)
		a.cools(id, value(newMail))
		a.cools(id, value(newMobile))
		a.shift(72 * time.Hour)
		databasetest.Barrier(6, func(i int) {
			f := []*fixture{a, b}[i%2]
			f.wants("the sweep", f.Sweep(f.free()), nil)
		})
		a.counts(id, citizens.Email, newMail)
		a.counts(id, citizens.Mobile, newMobile)
		a.recorded(2, audit.ContactEffective)
	})
}

// A withdrawal at the moment in which a contact begins to count: one of the two
// has happened, and not both.
func TestWithdrawalAgainstTheSweep(t *testing.T) {
	two(t, func(t *testing.T, a, b *fixture) {
		id := a.person(mario, "mobile", oldMobile)
		c := a.cools(id, value(newMail))
		a.shift(72 * time.Hour)
		var withdrawn atomic.Bool
		databasetest.Barrier(2, func(i int) {
			if i == 0 {
				a.wants("the sweep", a.Sweep(a.free()), nil)
				return
			}
			err := b.Withdraw(b.free(), citizen(id), id, citizens.Email)
			if withdrawn.Store(err == nil); err != nil {
				b.wants("the withdrawal", err, ErrNothing)
			}
		})
		want := newMail
		if withdrawn.Load() {
			want = ""
			a.is(c.ID, Withdrawn, ByCitizen)
		} else {
			a.is(c.ID, Effective, "")
		}
		a.counts(id, citizens.Email, want)
		if n := a.number(`audit_events WHERE type IN ?`, []audit.Type{audit.ContactEffective, audit.ContactEnded}); n != 1 {
			t.Errorf("%d ends", n)
		}
	})
}

// Many wishes of one person at once leave one open change a kind, no equal
// addresses under two kinds, and no more than a day allows.
func TestManyWishesAtOnce(t *testing.T) {
	two(t, func(t *testing.T, a, b *fixture) {
		id := a.person(mario, "mobile", oldMobile)
		v := a.verified(mario, id)
		databasetest.Barrier(8, func(i int) {
			f := []*fixture{a, b}[i%2]
			kind := []citizens.ContactKind{citizens.Email, citizens.PEC}[i/2%2]
			_, err := f.Ask(f.free(), citizen(id), v, kindly(kind, newMail), "it")
			if err != nil && !errors.Is(err, ErrSameAsOther) && !errors.Is(err, ErrTooMany) {
				f.t.Error(err)
			}
		})
		if n := a.number(`contact_changes WHERE state = 'asked'`); n != 1 {
			t.Errorf("%d open changes for one address", n)
		}
		if n := a.number(`contact_changes`); n > a.policy.PerTarget {
			t.Errorf("%d codes were sent to one address", n)
		}
	})
}

// Two removals at once leave one contact.
func TestTwoRemovalsAtOnce(t *testing.T) {
	two(t, func(t *testing.T, a, b *fixture) {
		id := a.person(mario, "mobile", oldMobile, "email", oldMail)
		v := a.verified(mario, id)
		var done atomic.Int64
		databasetest.Barrier(2, func(i int) {
			f := []*fixture{a, b}[i]
			_, err := f.Remove(f.free(), citizen(id), v, []citizens.ContactKind{citizens.Mobile, citizens.Email}[i])
			if err == nil {
				done.Add(1)
			} else {
				f.wants("a removal", err, ErrLast)
			}
		})
		a.shift(72 * time.Hour)
		a.sweep()
		if n := a.number(`contacts WHERE citizen_id = ?`, id); done.Load() != 1 || n != 1 {
			t.Errorf("%d removals were taken, %d contacts are left", done.Load(), n)
		}
	})
}

// A wish at the moment in which its owner says that it was not he: nothing stays
// under way, whichever comes first.
func TestAWishAgainstAReport(t *testing.T) {
	two(t, func(t *testing.T, a, b *fixture) {
		id := a.person(mario, "mobile", oldMobile)
		a.cools(id, value(newMail))
		report := credentials.ParseCode(a.find(NoticeProved, halfLine))
		v := a.verified(mario, id)
		databasetest.Barrier(4, func(i int) {
			if i == 0 {
				b.wants("the report", b.pins.ReportByCode(b.free(), audit.Actor{Kind: audit.Anonymous}, code(mario), report), nil)
				return
			}
			_, err := a.Ask(a.free(), citizen(id), v, kindly(citizens.Email, []string{"", "due@posta.example", "tre@posta.example", "quattro@posta.example"}[i]), "it")
			if err != nil {
				a.wants("the wish", err, credentials.ErrRefused)
			}
		})
		if n := a.number(`contact_changes WHERE state IN ('asked', 'cooling')`); n != 0 {
			t.Errorf("%d changes are under way after a report", n)
		}
	})
}
