package enrolment

import (
	"context"
	"errors"
	"testing"
	"time"

	"ente.example/idp/credentials"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
)

// R20: no half is sent again; both die and two new ones leave, once, and only
// when the letter is late.
func TestR20NotArrived(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		id := a.person(mario)
		tracking := a.requested(application(mario))
		lost := a.first(id)
		a.wants("too early", a.requests.NotArrived(t.Context(), anyone, tracking, code(mario)), ErrUnknownRequest)
		a.shift(22 * day)
		got, err := a.requests.Track(t.Context(), tracking, code(mario))
		a.must(err)
		if !got.MayReissue {
			t.Fatal("the letter is late, and nothing can be done about it")
		}
		databasetest.Barrier(4, func(int) {
			err := a.requests.NotArrived(context.WithoutCancel(t.Context()), anyone, tracking, code(mario))
			if err != nil && !errors.Is(err, ErrUnknownRequest) {
				t.Errorf("not arrived: %v", err)
			}
		})
		a.refused(mario, lost)
		a.works()
		a.went(delivery.PINHalf1, 2)
		a.went(delivery.PINHalf2, 2)
		a.refused(mario, lost)
		a.right(mario, a.first(id))
		a.shift(22 * day)
		a.must(a.requests.NotArrived(t.Context(), anyone, tracking, code(mario)))
		a.works()
		a.went(delivery.PINHalf1, 2) // now somebody calls
		if got := a.reasonOf(tracking); got != whyNotArrived {
			t.Errorf("reason %q, want %q", got, whyNotArrived)
		}
		a.is(mario, credentials.ExpiredUnused)
	})
}

// R21: a letter that comes back kills both halves and has somebody call.
func TestR21ReturnedMail(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		id := a.person(mario)
		tracking := a.requested(application(mario))
		pin := a.first(id)
		a.right(mario, pin)
		a.reports(tracking, delivery.LetterReturned)
		a.refused(mario, pin)
		a.is(mario, credentials.ExpiredUnused)
		a.stands(tracking, mario, ProgressProcessing)
		a.reports(tracking, delivery.LetterReturned) // the print service says so twice
		if n := a.count("callbacks WHERE state = 'queued'"); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

// A half that no transport takes ends the PIN and has somebody call; before the
// first half is out, nothing is printed.
func TestUndeliverableHalf(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		a.person(mario)
		tracking := a.asks(application(mario))
		a.proves(tracking)
		a.fails[delivery.SMS] = delivery.ErrRejected
		a.works()
		a.went(delivery.PINHalf2, 0)
		a.stands(tracking, mario, ProgressProcessing)
		if got := a.reasonOf(tracking); got != whyUndelivered {
			t.Errorf("reason %q, want %q", got, whyUndelivered)
		}
	})
}

// A request follows its PIN wherever that goes.
func TestRequestFollowsItsPIN(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		a.person(mario)
		first := a.requested(application(mario))
		a.must(a.pins.Revoke(t.Context(), staff, code(mario), "lost"))
		a.stands(first, mario, ProgressPart2) // until somebody looks
		in := application(mario)
		in.Contacts.Mobile = a.mobile("+393490000041")
		second := a.requested(in) // R52: at once, though a letter has just left
		a.stands(first, mario, ProgressClosed)
		a.stands(second, mario, ProgressPart2)
		a.is(mario, credentials.Issued)
		a.shift(61 * day)
		a.must(a.pins.Sweep(t.Context()))
		a.must(a.requests.Sweep(t.Context()))
		a.stands(second, mario, ProgressClosed)
		a.went(NoticeEnded, 1)
	})
}

// §2.6: what a transport tells after the hand-over reopens a request: both
// halves die, somebody calls, and two new ones leave.
func TestR21LaterFailureReopens(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		id := a.person(mario)
		tracking := a.requested(application(mario))
		lost := a.first(id)
		a.right(mario, lost)
		for range 2 { // the gateway says so twice
			a.tells(tracking, delivery.PINHalf1, delivery.SMS, delivery.SMSFailed)
		}
		a.refused(mario, lost)
		a.stands(tracking, mario, ProgressProcessing)
		if got := a.reasonOf(tracking); got != whyUndelivered {
			t.Errorf("reason %q, want %q", got, whyUndelivered)
		}
		a.approves(a.calls(1)[0].ID)
		a.stands(tracking, mario, ProgressPart2)
		a.refused(mario, lost)
		a.right(mario, a.first(id))
	})
}

// A failure that is told too late harms nobody: the PIN is in use, or the
// request is over.
func TestLateFailureOfAUsedPIN(t *testing.T) {
	eachApplicants(t, func(_ *testing.T, a *applicants) {
		id := a.person(mario)
		tracking := a.requested(application(mario))
		inUse := a.change(mario, a.first(id))
		a.reports(tracking, delivery.LetterReturned)
		a.right(mario, inUse)
		a.stands(tracking, mario, ProgressDone)
		a.calls(0)
	})
}

// R22: before both halves are out the PIN is as wrong as any other.
func TestR22HalfIsNoPIN(t *testing.T) {
	eachApplicants(t, func(_ *testing.T, a *applicants) {
		id := a.person(mario)
		tracking := a.asks(application(mario))
		a.proves(tracking)
		a.fails[delivery.Post] = errors.New("out of paper")
		a.works()
		a.stands(tracking, mario, ProgressPart1)
		a.is(mario, credentials.PendingDelivery)
		half := a.box[id][delivery.PINHalf1]
		for _, typed := range []string{half, half + half, half + "00000000"} {
			pin, err := credentials.ParsePIN(typed)
			a.must(err)
			a.refused(mario, pin)
		}
		delete(a.fails, delivery.Post)
		a.shift(2 * time.Hour)
		a.deliver()
		a.right(mario, a.first(id))
	})
}
