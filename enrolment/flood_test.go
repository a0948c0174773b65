package enrolment

import (
	"context"
	"fmt"
	"testing"
	"time"

	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// pin-rules §5.9: however many requests come at once, on however many nodes,
// one telephone gets no more codes in a day than the policy says, whoever they
// are about; and nobody keeps another from asking by what is forgotten.
func TestManyRequestsAtOnceKeepTheLimit(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, x, y *database.DB) {
		ring := newRing(t)
		a, b := newApplicants(t, x, ring), newApplicants(t, y, ring)
		nodes, people := []*applicants{a, b}, []string{mario, franco, anna, samantha}
		databasetest.Barrier(16, func(i int) {
			in := application(people[i%len(people)])
			_, err := nodes[i%2].requests.Submit(context.WithoutCancel(t.Context()), anyone, in, fmt.Sprint("flood ", i))
			if err != nil {
				t.Errorf("submit: %v", err)
			}
		})
		if n := a.count("deliveries WHERE message = 'contact-code'"); n != 3 {
			t.Errorf("%d codes to one telephone, want 3", n)
		}
		if n := a.count("enrolments"); n != 3 {
			t.Errorf("%d requests are kept, want 3", n)
		}
	})
}

// Whoever asks for somebody else's PIN and takes it back, three times, does not
// ask once more unseen: requests are counted when they are sent, notices when
// something comes of them.
func TestEveryPINMadeIsTold(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		a.person(mario, "email=vecchia@posta.example")
		var asked []credentials.Code
		for range 3 {
			asked = append(asked, a.asks(application(mario)))
		}
		a.shift(23 * time.Hour)
		for i := range 4 {
			if i == 3 {
				a.shift(time.Hour + time.Minute)
				asked = append(asked, a.asks(application(mario)))
			}
			a.proves(asked[i])
			a.must(a.requests.Work(t.Context())) // made; no half has left
			if n := a.count("pin_notices WHERE message = 'notice-request-made'"); n != i+1 {
				t.Fatalf("%d notices of %d PINs", n, i+1)
			}
			if i < 3 {
				a.must(a.requests.Cancel(t.Context(), staff, code(mario), "taken back"))
			}
		}
	})
}
