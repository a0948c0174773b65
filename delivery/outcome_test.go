package delivery

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery/deliverytest"
)

// reports is a fixture whose outbox hears what transports tell afterwards.
type reports struct {
	*fixture
	*Outcomes
	told []Outcome
	deny error // what the hook answers
}

func newReports(t *testing.T, f *fixture) *reports {
	t.Helper()
	r := &reports{fixture: f}
	var mu sync.Mutex
	var err error
	r.Outcomes, err = NewOutcomes(OutcomesDeps{DB: f.db, Audit: f.audit, Outbox: f.Outbox, Hook: func(_ context.Context, o Outcome) error {
		mu.Lock()
		defer mu.Unlock()
		r.told = append(r.told, o)
		return r.deny
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const delivery1 = deliverytest.Delivery

func numbered(m Message, id string) Message { m.ID = id; return m }

func TestOutcomeIsToldOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		r := newReports(t, f)
		f.enqueue(numbered(sms("credential"), delivery1))
		f.works(1)
		report := Report{Delivery: delivery1, Channel: SMS, Result: SMSDelivered}
		for _, want := range []bool{true, false, false} {
			if got, err := r.Record(t.Context(), report); err != nil || got != want {
				t.Fatalf("Record: %v %v, want %v", got, err, want)
			}
		}
		if len(r.told) != 1 || r.told[0].Ref != "credential" || r.told[0].Key != PINHalf1 || r.told[0].Result != SMSDelivered || r.told[0].At.IsZero() {
			t.Errorf("told %+v, want one delivered half with its time", r.told)
		}
		if n := f.count("audit_events WHERE type = 'message.reported' AND outcome = 'success' AND subject = '" + somebody + "'"); n != 1 {
			t.Errorf("%d audit events, want 1", n)
		}
		report.Result = SMSFailed // a later failure reopens what was accepted
		if got, err := r.Record(t.Context(), report); err != nil || !got || !r.told[1].Result.Lost() {
			t.Errorf("the failure: %v %v %+v, want it told", got, err, r.told)
		}
	})
}

func TestOutcomeWithoutItsConsequenceIsNotKept(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		r := newReports(t, f)
		f.enqueue(numbered(sms("c"), delivery1))
		f.works(1)
		r.deny = errors.New("the rules are down")
		if _, err := r.Record(t.Context(), Report{Delivery: delivery1, Channel: SMS, Result: SMSFailed}); !errors.Is(err, r.deny) {
			t.Fatalf("Record: %v, want the hook's error", err)
		}
		if n := f.count("delivery_outcomes"); n != 0 {
			t.Errorf("%d outcomes kept, want none", n)
		}
		r.deny = nil
		if fresh, err := r.Record(t.Context(), Report{Delivery: delivery1, Channel: SMS, Result: SMSFailed}); err != nil || !fresh {
			t.Errorf("told again: %v %v, want it recorded", fresh, err)
		}
	})
}

// A node died between hand-over and record: the transport's own word stops the
// second copy.
func TestOutcomeOfAMessageThatStillWaits(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		r := newReports(t, f)
		f.enqueue(numbered(sms("c"), delivery1))
		if _, err := r.Record(t.Context(), Report{Delivery: delivery1, Channel: SMS, Result: SMSDelivered}); err != nil {
			t.Fatal(err)
		}
		if len(f.accepted) != 1 || len(r.told) != 1 {
			t.Errorf("%d accepted and %d told, want one each", len(f.accepted), len(r.told))
		}
		f.works(0)
	})
}

func TestOutcomeOfNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		r := newReports(t, f)
		waiting := numbered(sms("c"), delivery1)
		waiting.Held = true
		f.enqueue(waiting)
		for _, report := range []Report{
			{Delivery: delivery1, Channel: SMS, Result: SMSDelivered}, // given to nobody yet
			{Delivery: delivery1, Channel: PEC, Result: PECDelivered}, // another channel's
			{Delivery: "01890000-0000-7000-8000-0000000000ff", Channel: SMS, Result: SMSDelivered},
			{Delivery: "' OR true --", Channel: SMS, Result: SMSDelivered},
		} {
			if _, err := r.Record(t.Context(), report); !errors.Is(err, ErrUnknownDelivery) {
				t.Errorf("%+v: %v, want ErrUnknownDelivery", report, err)
			}
		}
		if _, err := r.Record(t.Context(), Report{Delivery: delivery1, Channel: SMS, Result: LetterPosted}); err == nil {
			t.Error("an SMS was posted")
		}
		if len(r.told) != 0 {
			t.Errorf("told %+v, want nothing", r.told)
		}
	})
}

func TestOutcomeToldByManyAtOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, newRing(t))
		r := newReports(t, f)
		f.enqueue(numbered(sms("c"), delivery1))
		var mu sync.Mutex
		fresh := 0
		databasetest.Barrier(8, func(int) {
			got, err := r.Record(t.Context(), Report{Delivery: delivery1, Channel: SMS, Result: SMSDelivered, At: time.Unix(1_800_000_000, 0)})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if got {
				fresh++
			}
		})
		if fresh != 1 || len(r.told) != 1 || len(f.accepted) != 1 {
			t.Errorf("%d new, %d told, %d accepted; want one each", fresh, len(r.told), len(f.accepted))
		}
	})
}

// The rows go with their delivery.
func TestOutcomesAreForgottenWithTheirDelivery(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		r := newReports(t, f)
		f.enqueue(numbered(sms("c"), delivery1))
		f.works(1)
		if _, err := r.Record(t.Context(), Report{Delivery: delivery1, Channel: SMS, Result: SMSDelivered}); err != nil {
			t.Fatal(err)
		}
		databasetest.Shift(t, f.db, DefaultPolicy().Keep+time.Hour)
		if err := f.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := f.count("delivery_outcomes"); n != 0 {
			t.Errorf("%d outcomes left, want none", n)
		}
	})
}
