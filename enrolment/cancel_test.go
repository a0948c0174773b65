package enrolment

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
)

// R18: the contact centre ends what is open, halves that have left included.
func TestR18Cancel(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		id := a.person(mario)
		tracking := a.requested(application(mario))
		pin := a.first(id)
		a.must(a.requests.Cancel(t.Context(), staff, code(mario), "asked by phone"))
		a.refused(mario, pin)
		a.stands(tracking, mario, ProgressClosed)
		a.wants("once more", a.requests.Cancel(t.Context(), staff, code(mario), "asked by phone"), ErrUnknownRequest)
		a.wants("of nobody", a.requests.Cancel(t.Context(), staff, code(stranger), "asked by phone"), citizens.ErrUnknown)
	})
}

// "That was not me" to the notice of a PIN made in one's name takes the request
// back: nothing of it is made anew.
func TestAReportTakesTheRequestBack(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		id := a.person(mario, "email=altro@posta.example")
		tracking := a.requested(application(mario))
		pin := a.first(id)
		var link credentials.Code
		for _, l := range a.letters {
			if _, token, found := strings.Cut(l.Body.Reveal(), "/pin/report?t="); found && l.Key == NoticeMade {
				link = credentials.NewLink(token[:43])
			}
		}
		a.must(a.pins.Report(t.Context(), anyone, link))
		a.refused(mario, pin)
		a.stands(tracking, mario, ProgressClosed)
		a.shift(31 * day)
		a.wants("made anew", a.requests.NotArrived(t.Context(), anyone, tracking, code(mario)), ErrUnknownRequest)
	})
}

// A cancellation that is told to have happened has: whatever the worker was
// doing meanwhile, no half of the request opens anything.
func TestR18CancelWhileWorked(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, x, y *database.DB) {
		ring := newRing(t)
		a, b := newApplicants(t, x, ring), newApplicants(t, y, ring)
		a.person(mario)
		for round := range 4 {
			in := application(mario)
			in.Contacts.Mobile = a.mobile("+39349000006" + string(rune('0'+round)))
			a.proves(a.asks(in))
			databasetest.Barrier(2, func(i int) {
				ctx := context.WithoutCancel(t.Context())
				if i == 0 {
					if err := b.requests.Work(ctx); err != nil {
						t.Errorf("work: %v", err)
					}
					return
				}
				// until the worker has found out whose it is, there is nothing to cancel
				if err := a.requests.Cancel(ctx, staff, code(mario), "a test"); err != nil && !errors.Is(err, ErrUnknownRequest) {
					t.Errorf("cancel: %v", err)
				}
			})
			open := a.count("enrolments WHERE state IN " + openRequests + " OR state = 'checking'")
			if pins := a.count("credentials WHERE state IN ('pending_delivery', 'issued')"); pins != open {
				t.Fatalf("%d PINs for %d open requests", pins, open)
			}
			if open == 1 {
				a.must(a.requests.Cancel(t.Context(), staff, code(mario), "a test"))
			}
			a.shift(31 * day)
		}
	})
}

// withdraws asks for the code and types it.
func (a *applicants) withdraws(tracking credentials.Code, cf string) {
	a.t.Helper()
	a.must(a.requests.Withdraw(a.t.Context(), anyone, tracking, code(cf), a.withdrawalCode(tracking, cf)))
}

func (a *applicants) withdrawalCode(tracking credentials.Code, cf string) credentials.Code {
	a.t.Helper()
	a.must(a.requests.AskToWithdraw(a.t.Context(), anyone, tracking, code(cf)))
	list := a.sent(WithdrawalCode)
	if len(list) == 0 {
		a.t.Fatal("no code was sent")
	}
	return credentials.ParseCode(strings.Split(list[len(list)-1].Body.Reveal(), "\n")[1])
}

// §2.2: whoever asked takes the request back with a code that goes to the
// contact that was proved; both halves die, and everybody who was told of the
// request is told.
func TestWithdraw(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		id := a.person(mario)
		tracking := a.requested(application(mario))
		pin := a.first(id)
		a.right(mario, pin)
		c := a.withdrawalCode(tracking, mario)
		if l := a.went(WithdrawalCode, 1)[0]; l.To.Reveal() != "+393491112223" || l.Channel != delivery.SMS {
			t.Errorf("the code went by %s, want to the contact that was proved", l.Channel)
		}
		a.right(mario, pin) // asking changes nothing
		a.must(a.requests.Withdraw(t.Context(), anyone, tracking, code(mario), c))
		a.refused(mario, pin)
		a.stands(tracking, mario, ProgressClosed)
		a.must(a.requests.Withdraw(t.Context(), anyone, tracking, code(mario), c)) // pressed twice
		if list := a.went(NoticeCancelled, 1); list[0].To.Reveal() != "+393491112223" {
			t.Error("the word that it is over went elsewhere")
		}
		if list := a.went(NoticeWithdrawn, 1); list[0].To.Reveal() != "+393401234567" {
			t.Error("the contact on file was not told")
		}
		if n := a.count("audit_events WHERE type IN ('enrolment.withdrawal-asked', 'enrolment.ended', 'pin.discarded') AND actor_kind = 'anonymous'"); n != 3 {
			t.Errorf("%d events, want that it was asked for, the PIN's end and the request's", n)
		}
		a.wants("once it is over", a.requests.AskToWithdraw(t.Context(), anyone, tracking, code(mario)), ErrUnknownRequest)
	})
}

// A letter that waits is called back, and a call that is owed is not made.
func TestWithdrawOnTheWay(t *testing.T) {
	eachApplicants(t, func(_ *testing.T, a *applicants) {
		_, abroad := a.emigrant()
		a.calls(1)
		a.withdraws(abroad, samantha)
		a.calls(0)
		a.stands(abroad, samantha, ProgressClosed)

		early := a.asks(application(franco))
		a.proves(early)
		a.withdraws(early, franco) // before anybody has looked whose it is
		a.stands(early, franco, ProgressClosed)

		a.person(mario)
		in := application(mario)
		in.Phone, in.Contacts.Mobile = "+390612345679", a.mobile("+393490000071")
		tracking := a.asks(in)
		a.proves(tracking)
		a.fails[delivery.Post] = errors.New("out of paper")
		a.works()
		a.stands(tracking, mario, ProgressPart1)
		a.withdraws(tracking, mario)
		delete(a.fails, delivery.Post)
		a.shift(2 * day)
		a.deliver()
		a.went(delivery.PINHalf2, 0)
		a.is(mario, credentials.None)
	})
}

// R19: a request that was rejected can be taken back like one that is worked on,
// with the same messages: nobody learns who has a PIN by trying.
func TestR19WithdrawRejected(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		a.active(mario)
		for i, cf := range []string{mario, stranger} {
			in := application(cf)
			in.Contacts.Mobile = a.mobile([]string{"+393490000081", "+393490000082"}[i])
			tracking := a.requested(in)
			a.stands(tracking, cf, ProgressProcessing)
			c := a.withdrawalCode(tracking, cf)
			a.must(a.requests.Withdraw(t.Context(), anyone, tracking, code(cf), c))
			a.stands(tracking, cf, ProgressClosed)
			a.must(a.requests.Withdraw(t.Context(), anyone, tracking, code(cf), c))
			a.went(WithdrawalCode, i+1)
			a.went(NoticeCancelled, i+1)
		}
		a.went(NoticeWithdrawn, 0)
		a.is(mario, credentials.Active)
		if n := a.count("enrolments WHERE reply IS NOT NULL"); n != 0 {
			t.Error("the contact of a request that was taken back is kept")
		}
	})
}

// The contact of a rejected request is kept sealed, and no longer than it takes
// until the request looks over.
func TestRepliesAtRest(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		a.active(mario)
		a.requested(application(mario))
		if a.count("enrolments WHERE reply IS NOT NULL") != 1 || a.count("enrolments WHERE data IS NOT NULL") != 0 {
			t.Fatal("a rejected request keeps its contact, and nothing else")
		}
		var kept []byte
		a.must(a.db.Read(t.Context()).Raw(`SELECT reply FROM enrolments`).Row().Scan(&kept))
		if strings.Contains(string(kept), "3491112223") {
			t.Error("the contact rests in the clear")
		}
		a.shift(17 * day)
		a.must(a.requests.Sweep(t.Context()))
		if n := a.count("enrolments WHERE reply IS NOT NULL"); n != 0 {
			t.Error("the contact is kept though the request looks over")
		}
	})
}

// Five wrong codes, in whatever order they arrive, and the right one no longer
// helps; a new code does, and of those a day sees three.
func TestWithdrawalCodes(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, x, y *database.DB) {
		ring := newRing(t)
		a, b := newApplicants(t, x, ring), newApplicants(t, y, ring)
		a.person(mario)
		tracking := a.requested(application(mario))
		try := func(n *applicants, c credentials.Code) error {
			return n.requests.Withdraw(context.WithoutCancel(t.Context()), anyone, tracking, code(mario), c)
		}
		a.wants("before any was sent", try(a, credentials.ParseCode("00000000")), credentials.ErrCodeWrong)
		right := a.withdrawalCode(tracking, mario)
		nodes := []*applicants{a, b}
		databasetest.Barrier(16, func(i int) {
			if err := try(nodes[i%2], credentials.ParseCode("00000000")); !errors.Is(err, credentials.ErrCodeWrong) {
				t.Errorf("a wrong code: %v", err)
			}
		})
		a.wants("the right code, too late", try(a, right), credentials.ErrCodeWrong)
		if n := a.count("audit_events WHERE type = 'enrolment.code-wrong'"); n != 5 {
			t.Errorf("%d codes were looked at, want 5", n)
		}
		old := a.withdrawalCode(tracking, mario)
		a.withdrawalCode(tracking, mario)
		a.wants("the code before", try(a, old), credentials.ErrCodeWrong)
		a.must(a.requests.AskToWithdraw(t.Context(), anyone, tracking, code(mario)))
		a.went(WithdrawalCode, 3)
		a.shift(25 * 60 * 60 * 1e9)
		last := a.withdrawalCode(tracking, mario)
		a.wants("somebody else's codice fiscale", a.requests.Withdraw(t.Context(), anyone, tracking, code(anna), last), credentials.ErrCodeWrong)
		a.must(try(a, last))
	})
}

// Withdrawn and used at the same moment: one of the two happens, wholly.
func TestWithdrawOrFirstAccess(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, x, y *database.DB) {
		ring := newRing(t)
		a, b := newApplicants(t, x, ring), newApplicants(t, y, ring)
		for round, cf := range []string{mario, franco, anna} {
			id := a.person(cf)
			in := application(cf)
			in.Contacts.Mobile = a.mobile("+39349000009" + string(rune('0'+round)))
			tracking := a.requested(in)
			first, withdrawal := a.first(id), a.withdrawalCode(tracking, cf)
			change, err := a.pins.StartChange(t.Context(), anyone, a.right(cf, first))
			a.must(err)
			shown, err := a.pins.Change(t.Context(), change)
			a.must(err)
			var used, back error
			databasetest.Barrier(2, func(i int) {
				ctx := context.WithoutCancel(t.Context())
				if i == 0 {
					_, used = a.pins.Confirm(ctx, anyone, change, first, shown.Candidate)
				} else {
					back = b.requests.Withdraw(ctx, anyone, tracking, code(cf), withdrawal)
				}
			})
			if (used == nil) == (back == nil) {
				t.Fatalf("first access: %v, withdrawal: %v", used, back)
			}
			want, state := ProgressClosed, credentials.ExpiredUnused
			if used == nil {
				want, state = ProgressDone, credentials.Active
			}
			a.stands(tracking, cf, want)
			a.is(cf, state)
		}
	})
}
