package enrolment

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
)

const day = 24 * time.Hour

// R10–R14, R22–R25: from the request to the first access. The first half goes
// to the contact that was proved, the second to the archive's address, and the
// PIN begins with both.
func TestR14FromRequestToFirstAccess(t *testing.T) {
	eachApplicants(t, func(_ *testing.T, a *applicants) {
		id := a.person(mario, "email=vecchia@posta.example")
		tracking := a.asks(application(mario))
		a.stands(tracking, mario, ProgressToProve)
		a.works()
		a.is(mario, credentials.None) // nothing before the contact is proved
		a.proves(tracking)
		a.stands(tracking, mario, ProgressProcessing)
		a.works()
		a.stands(tracking, mario, ProgressPart2)
		half1, half2 := a.went(delivery.PINHalf1, 1), a.went(delivery.PINHalf2, 1)
		if got := half1[0]; got.Channel != delivery.SMS || got.To.Reveal() != "+393491112223" {
			a.t.Errorf("the first half went by %s", got.Channel)
		}
		if got := half2[0]; got.Channel != delivery.Post || !strings.HasPrefix(got.To.Reveal(), "Via Roma 1") {
			a.t.Errorf("the second half went by %s, want to the archive's address by post", got.Channel)
		}
		a.reports(tracking, delivery.LetterPosted)
		a.stands(tracking, mario, ProgressPosted)
		if v := a.right(mario, a.first(id)); v.Kind != credentials.Ordinario {
			a.t.Errorf("R12: the PIN is %s", v.Kind)
		}
		a.change(mario, a.first(id))
		a.stands(tracking, mario, ProgressDone)
		who, err := a.citizens.ByID(a.t.Context(), id)
		a.must(err)
		if c := who.Contacts; c.Mobile.Value.Reveal() != "+393491112223" || !c.Mobile.Verified || c.Email.Value.Reveal() != "io@posta.example" || c.Email.Verified {
			a.t.Error("the contacts of the request do not count, or not as what was proved")
		}
		if n := a.count("enrolments WHERE data IS NOT NULL OR due_at IS NOT NULL"); n != 0 {
			a.t.Error("what was typed is kept after the end")
		}
		a.went(NoticeMade, 2) // to the mobile and the e-mail that were on file
	})
}

// R13, R15, R7, R10, R19: what becomes of a request.
func TestR13Outcomes(t *testing.T) {
	t.Parallel()
	good := checked{known: true, same: true}
	with := func(change func(*checked)) checked {
		c := good
		change(&c)
		return c
	}
	for _, c := range []struct {
		name string
		in   checked
		want ruling
		why  string
	}{
		{"match", good, ruledApprove, ""},
		{"no match", with(func(c *checked) { c.same = false }), ruledCall, whyAddress},
		{"archive away", with(func(c *checked) { c.unavailable, c.same = true, false }), ruledAgain, whyArchive},
		{"archive away, vouched", with(func(c *checked) { c.unavailable, c.vouched = true, true }), ruledAgain, whyArchive},
		{"abroad", with(func(c *checked) { c.abroad = true }), ruledCall, whyAbroad},
		{"abroad, vouched", with(func(c *checked) { c.abroad, c.vouched, c.same = true, true, false }), ruledApprove, ""},
		{"data differ", with(func(c *checked) { c.mismatch = true }), ruledCall, whyData},
		{"no address on file", with(func(c *checked) { c.sendable = credentials.ErrNoAddress }), ruledCall, whyNoAddress},
		{"no address on file, vouched", with(func(c *checked) { c.sendable, c.vouched = credentials.ErrNoAddress, true }), ruledCall, whyNoAddress},
		{"moved", with(func(c *checked) { c.moved = true }), ruledCall, whyMoved},
		{"a letter lately", with(func(c *checked) { c.letter = true }), ruledCall, whyLetter},
		{"moved and a letter lately, vouched", with(func(c *checked) { c.moved, c.letter, c.vouched = true, true, true }), ruledApprove, ""},
		{"no post", with(func(c *checked) { c.sendable = credentials.ErrNoPost }), ruledCall, whyNoPost},
		{"unknown", checked{}, ruledReject, whyUnknown},
		{"excluded", with(func(c *checked) { c.excluded, c.vouched = true, true }), ruledReject, whyExcluded},
		{"minor", with(func(c *checked) { c.minor = true }), ruledReject, whyMinor},
		{"has a PIN", with(func(c *checked) { c.live = true }), ruledReject, whyHasPIN},
		{"has a PIN and is excluded", with(func(c *checked) { c.live, c.excluded = true, true }), ruledReject, whyHasPIN},
		{"a PIN on its way", with(func(c *checked) { c.pending, c.vouched = true, true }), ruledReject, whyPending},
	} {
		if got, why := c.in.decide(); got != c.want || why != c.why {
			t.Errorf("%s: %s %q, want %s %q", c.name, got, why, c.want, c.why)
		}
	}
}

// R13: an archive that is away approves nobody; when it is back, the request
// goes on, and when it is not, somebody calls.
func TestR13ArchiveAway(t *testing.T) {
	eachApplicants(t, func(_ *testing.T, a *applicants) {
		a.person(mario)
		a.person(franco)
		a.away = true
		first := a.requested(application(mario))
		a.stands(first, mario, ProgressProcessing)
		a.is(mario, credentials.None)
		a.away = false
		a.works()
		a.is(mario, credentials.None) // not before the pause is over
		a.shift(2 * time.Minute)
		a.works()
		a.is(mario, credentials.Issued)

		a.away = true
		in := application(franco)
		in.Phone, in.Contacts.Mobile = "+390698765432", a.mobile("+393490000001")
		second := a.requested(in)
		a.shift(3*day + time.Hour)
		a.must(a.requests.Sweep(a.t.Context()))
		a.is(franco, credentials.None)
		if got := a.reasonOf(second); got != whyArchive || a.count("callbacks WHERE state = 'queued'") != 1 {
			a.t.Errorf("reason %q, want a call because %s", got, whyArchive)
		}
	})
}

func (a *applicants) mobile(number string) citizens.Contact {
	a.t.Helper()
	v, err := citizens.ParseContact(citizens.Mobile, number)
	a.must(err)
	return citizens.Contact{Value: v}
}

// R19: whoever sends a request learns nothing; the person concerned does, at
// the contacts on file.
func TestR19AnswersAreTheSame(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		a.person(anna)
		a.active(mario)
		before := len(a.letters)
		for _, c := range []struct {
			name, cf string
			notice   delivery.MessageKey
		}{
			{"unknown", stranger, ""}, {"has a PIN", mario, NoticeHasPIN},
		} {
			in := application(c.cf)
			in.Contacts.Mobile = a.mobile("+3934900000" + map[string]string{stranger: "11", mario: "12"}[c.cf])
			tracking := a.asks(in)
			if tracking.Len() != trackingLength {
				t.Errorf("%s: no tracking code", c.name)
			}
			a.stands(tracking, c.cf, ProgressToProve)
			a.proves(tracking)
			a.works()
			a.stands(tracking, c.cf, ProgressProcessing)
			a.shift(16 * day)
			a.must(a.requests.Sweep(t.Context()))
			a.stands(tracking, c.cf, ProgressClosed)
		}
		a.went(NoticeHasPIN, 1)
		for _, l := range a.letters[before:] {
			if l.Key == delivery.PINHalf1 || l.Key == NoticeHasPIN && l.To.Reveal() != "+393401234567" {
				t.Errorf("%s went where it should not", l.Key)
			}
		}
		a.is(mario, credentials.Active)
	})
}

// R19: a second request while one is open never stacks, and its tracking code
// tells nothing; the same form sent twice is one request.
func TestR19RepeatedRequests(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		a.person(mario)
		in := application(mario)
		in.Residence.Street = "Via Milano 1"
		first := a.requested(in)
		again := in
		again.Contacts.Mobile = a.mobile("+393490000021")
		second := a.requested(again)
		a.stands(first, mario, ProgressProcessing)
		a.stands(second, mario, ProgressProcessing)
		if got := a.reasonOf(second); got != whyOpen {
			t.Errorf("the second was rejected because %q, want %q", got, whyOpen)
		}
		if list := a.went(NoticeOpen, 1); len(list) == 1 && list[0].To.Reveal() != "+393401234567" {
			t.Error("the notice went to whoever asked")
		}
		if n := a.count("callbacks WHERE state <> 'closed'"); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
		twice, err := a.requests.Submit(t.Context(), anyone, again, "form 2")
		a.must(err)
		if !credentials.Match([]byte(twice.Reveal()), [][]byte{[]byte(second.Reveal())}) || a.count("enrolments") != 2 {
			t.Error("the same form sent twice is two requests")
		}
	})
}

// A day's limit holds for the person and for the contact; beyond it the answer
// is the same and nothing is sent.
func TestRequestsInADay(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		for range 5 {
			a.asks(application(mario))
		}
		a.went(ContactCode, 3)
		for _, cf := range []string{anna, franco} { // the same contact
			a.asks(application(cf))
		}
		a.went(ContactCode, 3)
		a.shift(25 * time.Hour)
		a.asks(application(mario))
		a.went(ContactCode, 4)
	})
}

// Five wrong codes end a request, in whatever order they arrive, and the right
// one no longer helps; what is wrong looks like what does not exist.
func TestFiveWrongCodes(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, x, y *database.DB) {
		ring := newRing(t)
		a, b := newApplicants(t, x, ring), newApplicants(t, y, ring)
		a.person(mario)
		tracking := a.asks(application(mario))
		right := a.codeFor(tracking)
		nodes := []*applicants{a, b}
		databasetest.Barrier(24, func(i int) {
			err := nodes[i%2].requests.Prove(context.WithoutCancel(t.Context()), anyone, tracking, credentials.ParseCode("00000000"))
			if !errors.Is(err, credentials.ErrCodeWrong) {
				t.Errorf("a wrong code: %v", err)
			}
		})
		a.wants("the right code, too late", a.requests.Prove(t.Context(), anyone, tracking, right), credentials.ErrCodeWrong)
		a.wants("no such request", a.requests.Prove(t.Context(), anyone, credentials.ParseCode("ABCDABCDABCD"), right), credentials.ErrCodeWrong)
		if n := a.count("audit_events WHERE type = 'enrolment.code-wrong'"); n != 5 {
			t.Errorf("%d codes were looked at, want 5", n)
		}
		a.stands(tracking, mario, ProgressClosed)
	})
}

// Many confirmations, many workers, two nodes: one PIN, one pair of halves.
func TestOnePINOfManyConfirmations(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, x, y *database.DB) {
		ring := newRing(t)
		a, b := newApplicants(t, x, ring), newApplicants(t, y, ring)
		a.person(mario)
		one, other := application(mario), application(mario)
		other.Contacts.Mobile = a.mobile("+393490000031")
		t1, t2 := a.asks(one), a.asks(other)
		c1, c2 := a.codeFor(t1), a.codeFor(t2)
		nodes := []*applicants{a, b}
		databasetest.Barrier(4, func(i int) {
			n, ctx := nodes[i%2], context.WithoutCancel(t.Context())
			tracking, c := t1, c1
			if i >= 2 {
				tracking, c = t2, c2
			}
			if err := n.requests.Prove(ctx, anyone, tracking, c); err != nil {
				t.Errorf("prove: %v", err)
			}
		})
		databasetest.Barrier(6, func(i int) {
			if err := nodes[i%2].requests.Work(context.WithoutCancel(t.Context())); err != nil {
				t.Errorf("work: %v", err)
			}
		})
		a.shift(3 * time.Minute)
		a.works()
		if n := a.count("credentials"); n != 1 {
			t.Errorf("%d PINs, want 1", n)
		}
		if n := a.count("enrolments WHERE state NOT IN ('rejected', 'part2_handed')"); n != 0 {
			t.Errorf("%d requests are neither handed over nor rejected", n)
		}
		a.went(delivery.PINHalf1, 1)
		a.went(delivery.PINHalf2, 1)
	})
}

// R10, §3.8: what the pages refuse is refused here too.
func TestR10Refusals(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		for name, c := range map[string]struct {
			change func(*Application)
			want   error
		}{
			"provisional": {func(in *Application) { in.FiscalCode = code(provisional(1)) }, citizens.ErrProvisional},
			"minor":       {func(in *Application) { in.Declared.BirthDate = citizens.Date{Year: 2020, Month: 1, Day: 1} }, ErrMinor},
			"no contact":  {func(in *Application) { in.Channel = delivery.PEC }, ErrChannelOff},
			"no phone":    {func(in *Application) { in.Phone = "" }, ErrNoCallPhone},
		} {
			in := application(mario)
			c.change(&in)
			_, err := a.requests.Submit(t.Context(), anyone, in, name)
			a.wants(name, err, c.want)
		}
		if n := a.count("enrolments"); n != 0 {
			t.Errorf("%d requests were kept", n)
		}
	})
}

// §5.2: nothing that was typed rests in the clear.
func TestRequestsAtRest(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		a.person(mario)
		in := application(mario)
		in.Residence.Street = "Via Segreta 99"
		a.requested(in)
		for _, table := range []string{"enrolments", "callbacks"} {
			rows, err := a.db.Read(t.Context()).Raw(`SELECT * FROM ` + table).Rows()
			a.must(err)
			columns, err := rows.Columns()
			a.must(err)
			for rows.Next() {
				cells := make([]any, len(columns))
				for i := range cells {
					cells[i] = new([]byte)
				}
				if err := rows.Scan(cells...); err != nil {
					t.Fatal(err)
				}
				for i, c := range cells {
					for _, secret := range []string{mario, "Segreta", "12345678", "3491112223", "io@posta"} {
						if strings.Contains(string(*c.(*[]byte)), secret) {
							t.Errorf("%s.%s holds %s", table, columns[i], secret)
						}
					}
				}
			}
			a.must(rows.Err())
			a.must(rows.Close())
		}
	})
}
