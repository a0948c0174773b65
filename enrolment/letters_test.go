package enrolment

import (
	"errors"
	"testing"

	"ente.example/idp/credentials"
	"ente.example/idp/delivery"
)

// approves takes a call and approves what it is about.
func (a *applicants) approves(call string) {
	a.t.Helper()
	a.takes(rita, call)
	a.closes(rita, call, CallApproved)
	a.works()
}

// §5.5: one letter a person in thirty days, if it came to nothing; the next
// waits for a call. At an office nothing waits.
func TestOneLetterAMonth(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		a.person(mario)
		a.stands(a.requested(application(mario)), mario, ProgressPart2)
		a.must(a.requests.Cancel(t.Context(), staff, code(mario), "a test"))
		a.shift(29 * day)
		in := application(mario)
		in.Contacts.Mobile = a.mobile("+393490000102")
		tracking := a.requested(in)
		if got := a.reasonOf(tracking); got != whyLetter {
			t.Errorf("reason %q, want %q", got, whyLetter)
		}
		a.calls(1)
		a.went(delivery.PINHalf2, 1)
		a.must(a.requests.Cancel(t.Context(), staff, code(mario), "a test"))
		a.must(a.pins.Issue(t.Context(), staff, code(mario), credentials.Ordinario))
		a.deliver()
		a.went(delivery.PINHalf2, 2)
		a.must(a.pins.Revoke(t.Context(), staff, code(mario), "a test"))
		a.shift(31 * day)
		in.Contacts.Mobile = a.mobile("+393490000101")
		a.stands(a.requested(in), mario, ProgressPart2)
		a.went(delivery.PINHalf2, 3)
	})
}

// §5.5: a letter that was called back in time was none.
func TestALetterCalledBackIsNone(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		a.person(mario)
		tracking := a.asks(application(mario))
		a.proves(tracking)
		a.fails[delivery.Post] = errors.New("out of paper")
		a.works()
		a.must(a.requests.Cancel(t.Context(), staff, code(mario), "a test"))
		delete(a.fails, delivery.Post)
		in := application(mario)
		in.Contacts.Mobile = a.mobile("+393490000111")
		a.stands(a.requested(in), mario, ProgressPart2)
		a.went(delivery.PINHalf2, 1)
	})
}

// §5.5: a residence that an import has just changed is a matter for a call, and
// one that it only writes otherwise is not.
func TestAResidenceJustChanged(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		a.person(franco)
		a.person(franco, "residence_street=V. Roma n. 1")
		in := application(franco)
		in.Phone, in.Contacts.Mobile = "+390612345678", a.mobile("+393490000121")
		a.stands(a.requested(in), franco, ProgressPart2)

		a.person(mario)
		a.shift(100 * day)
		id := a.person(mario, "residence_street=Via Milano 9")
		in = application(mario)
		in.Residence.Street = "Via Milano 9"
		tracking := a.requested(in)
		if got := a.reasonOf(tracking); got != whyMoved {
			t.Errorf("reason %q, want %q", got, whyMoved)
		}
		a.approves(a.calls(1)[0].ID) // who has been asked may live there
		a.right(mario, a.first(id))

		a.person(anna)
		a.person(anna, "residence_street=Via Milano 9")
		a.shift(31 * day)
		in = application(anna)
		in.Residence.Street, in.Contacts.Mobile = "Via Milano 9", a.mobile("+393490000131")
		a.stands(a.requested(in), anna, ProgressPart2)
	})
}
