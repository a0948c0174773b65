package enrolment

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
)

var (
	rita = audit.Actor{Kind: audit.Operator, ID: "rita"}
	ugo  = audit.Actor{Kind: audit.Operator, ID: "ugo"}
)

// emigrant is somebody who lives in Munich and has asked for a PIN: the one who
// is always called.
func (a *applicants) emigrant() (citizens.ID, credentials.Code) {
	a.t.Helper()
	id := a.person(samantha, "residence_street=Musterstr. 12", "residence_postal_code=80331", "residence_locality=München", "residence_country=DE")
	in := application(samantha)
	in.Residence = citizens.Address{Street: "Musterstraße 12", PostalCode: "80331", Locality: "Muenchen", Country: "DE"}
	in.Phone, in.Slot = "+498912345678", Morning
	return id, a.requested(in)
}

func (a *applicants) calls(want int) []Call {
	a.t.Helper()
	list, err := a.requests.Calls().List(a.t.Context())
	a.must(err)
	if len(list) != want {
		a.t.Fatalf("%d calls, want %d", len(list), want)
	}
	return list
}

func (a *applicants) takes(by audit.Actor, id string) Call {
	a.t.Helper()
	c, err := a.requests.Calls().Assign(a.t.Context(), by, id)
	a.must(err)
	return c
}

func (a *applicants) closes(by audit.Actor, id string, how CallOutcome) {
	a.t.Helper()
	a.must(a.requests.Calls().Close(a.t.Context(), by, id, how, "a note"))
}

// R15, §2.2: who lives abroad is called, masked in the list, with the slot by
// his own clock; approved, both halves leave, the letter to the archive's
// address.
func TestR15CallAndApprove(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		id, tracking := a.emigrant()
		a.stands(tracking, samantha, ProgressProcessing)
		c := a.calls(1)[0]
		if c.Name != "Cognome N." || c.Phone != "+49 *** ** 78" || c.Zone.String() != "Europe/Berlin" || c.Slot != Morning || c.Reasons[0] != whyAbroad {
			t.Errorf("the call is %+v", c)
		}
		if h := c.Window.From.In(c.Zone).Hour(); h < 9 || h >= 13 {
			t.Errorf("the window begins at %s, want in the morning", c.Window.From.In(c.Zone))
		}
		a.wants("close without taking", a.requests.Calls().Close(t.Context(), rita, c.ID, CallApproved, ""), ErrNotYours)
		if got := a.takes(rita, c.ID); got.Phone != "+498912345678" {
			t.Error("whoever calls does not see the number")
		}
		_, err := a.requests.Calls().Assign(t.Context(), ugo, c.ID)
		a.wants("another operator", err, ErrCallTaken)
		a.wants("another operator closes", a.requests.Calls().Close(t.Context(), ugo, c.ID, CallApproved, ""), ErrNotYours)
		a.closes(rita, c.ID, CallApproved)
		a.wants("twice", a.requests.Calls().Close(t.Context(), rita, c.ID, CallApproved, ""), ErrNoCall)
		a.works()
		a.stands(tracking, samantha, ProgressPart2)
		if half := a.went(delivery.PINHalf2, 1); !strings.HasPrefix(half[0].To.Reveal(), "Musterstr. 12") {
			t.Error("the letter does not go to the archive's address")
		}
		a.right(samantha, a.first(id))
		a.calls(0)
		if n := a.count("callbacks WHERE phone IS NOT NULL"); n != 0 {
			t.Error("the number is kept after the call")
		}
	})
}

func TestR15Reject(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		_, tracking := a.emigrant()
		c := a.takes(rita, a.calls(1)[0].ID)
		a.wants("without a reason", a.requests.Calls().Close(t.Context(), rita, c.ID, CallRejected, " "), credentials.ErrNoReason)
		a.closes(rita, c.ID, CallRejected)
		a.works()
		a.went(delivery.PINHalf1, 0)
		a.stands(tracking, samantha, ProgressProcessing) // as anybody's who was rejected
		a.shift(16 * day)
		a.stands(tracking, samantha, ProgressClosed)
	})
}

// R15: three attempts at other times, then a word to the contact.
func TestR15Unreachable(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		_, tracking := a.emigrant()
		id := a.calls(1)[0].ID
		for i, how := range []CallOutcome{NoAnswer, Voicemail, WrongPerson} {
			taken := a.takes(rita, id)
			a.closes(rita, id, how)
			if i == 2 {
				break
			}
			if next := a.calls(1)[0]; !next.Window.From.After(taken.CreatedAt.Add(2*time.Hour)) || next.Attempts != i+1 || next.State != CallQueued {
				t.Errorf("after %s: %+v", how, next)
			}
		}
		a.calls(0)
		a.stands(tracking, samantha, ProgressClosed)
		if list := a.went(NoticeEnded, 1); list[0].To.Reveal() != "+393491112223" {
			t.Error("the notice went elsewhere")
		}
	})
}

// §2.5: ten working days, then it is over, whoever has it.
func TestCallsExpire(t *testing.T) {
	eachApplicants(t, func(_ *testing.T, a *applicants) {
		_, tracking := a.emigrant()
		a.takes(rita, a.calls(1)[0].ID)
		a.shift(17 * day)
		a.must(a.requests.Sweep(a.t.Context()))
		a.calls(0)
		a.stands(tracking, samantha, ProgressClosed)
		a.went(NoticeEnded, 1)
	})
}

// §2.5: half an hour, then somebody else may take it.
func TestAssignmentsTimeOut(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		_, _ = a.emigrant()
		id := a.calls(1)[0].ID
		a.takes(rita, id)
		a.shift(31 * time.Minute)
		if c := a.calls(1)[0]; c.State != CallQueued || c.Operator != "" {
			t.Errorf("the call is still %s of %q", c.State, c.Operator)
		}
		a.wants("too late", a.requests.Calls().Close(t.Context(), rita, id, CallApproved, ""), ErrNotYours)
		a.takes(ugo, id)
		a.shift(31 * time.Minute)
		a.must(a.requests.Sweep(t.Context()))
		if n := a.count("callbacks WHERE state = 'queued' AND operator = ''"); n != 1 {
			t.Error("the sweep did not take the call back")
		}
		if n := a.count("enrolments WHERE state = 'call_queued'"); n != 1 {
			t.Error("the request is not back in the queue")
		}
	})
}

// §2.5: who fails the questions twice waits a day.
func TestIdentityFailures(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		_, _ = a.emigrant()
		id := a.calls(1)[0].ID
		for range 2 {
			a.takes(rita, id)
			a.closes(rita, id, IdentityFailed)
		}
		_, err := a.requests.Calls().Assign(t.Context(), ugo, id)
		a.wants("at once", err, ErrOwnIdentity)
		a.shift(4 * day) // over a week-end too
		a.takes(ugo, id)
	})
}

// §5.9: one open call a person and a telephone; new reasons are added, and
// somebody else at the same number waits.
func TestOneCallAPersonAndATelephone(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		who, _ := a.emigrant()
		a.must(a.requests.Calls().Queue(t.Context(), staff, Task{Citizen: who, Phone: "+498912345678", Reason: "asked for a contact"}))
		a.must(a.requests.Calls().Queue(t.Context(), staff, Task{Citizen: who, Phone: "+498912345678", Reason: "asked for a contact"}))
		if c := a.calls(1)[0]; len(c.Reasons) != 2 {
			t.Errorf("reasons are %q, want two", c.Reasons)
		}
		a.person(mario)
		in := application(mario)
		in.Phone, in.Residence.Street, in.Contacts.Mobile = "+498912345678", "Via Milano 3", a.mobile("+393490000051")
		tracking := a.requested(in)
		a.calls(1)
		a.stands(tracking, mario, ProgressProcessing)
		id := a.calls(1)[0].ID
		a.takes(rita, id)
		a.closes(rita, id, CallRejected)
		a.shift(2 * time.Hour)
		a.works()
		if c := a.calls(1)[0]; c.Reasons[0] != whyAddress {
			t.Errorf("the next at the telephone is called because %q", c.Reasons)
		}
	})
}

// What would make the approval vain is said before it is given.
func TestApprovalInVain(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		id, _ := a.emigrant()
		c := a.takes(rita, a.calls(1)[0].ID)
		a.sql("UPDATE citizens SET residence_street = '' WHERE id = ?", id)
		a.wants("no address", a.requests.Calls().Close(t.Context(), rita, c.ID, CallApproved, ""), credentials.ErrNoAddress)
		a.sql("UPDATE citizens SET residence_street = 'Musterstr. 12' WHERE id = ?", id)
		a.must(a.pins.Issue(t.Context(), staff, code(samantha), credentials.Ordinario))
		a.wants("a PIN on its way", a.requests.Calls().Close(t.Context(), rita, c.ID, CallApproved, ""), credentials.ErrPending)
		a.must(a.pins.Revoke(t.Context(), staff, code(samantha), "a test"))
		a.closes(rita, c.ID, CallApproved)
	})
}

// Many operators, two nodes: each call is one operator's, and each of two due
// calls finds one.
func TestManyOperators(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, x, y *database.DB) {
		ring := newRing(t)
		a, b := newApplicants(t, x, ring), newApplicants(t, y, ring)
		_, _ = a.emigrant()
		a.sql("UPDATE callbacks SET not_before = created_at")
		nodes, won := []*applicants{a, b}, make([]bool, 12)
		databasetest.Barrier(len(won), func(i int) {
			by := audit.Actor{Kind: audit.Operator, ID: string(rune('a' + i))}
			_, err := nodes[i%2].requests.Calls().Assign(context.WithoutCancel(t.Context()), by, "")
			if won[i] = err == nil; err != nil && !errors.Is(err, ErrCallTaken) && !errors.Is(err, ErrNothingDue) {
				t.Errorf("take: %v", err)
			}
		})
		n := 0
		for _, w := range won {
			if w {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d operators have the call, want 1", n)
		}
	})
}
