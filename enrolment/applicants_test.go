package enrolment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
	"ente.example/idp/secrets"
)

// applicants is a house in which people ask for a PIN.
type applicants struct {
	*fixture
	away  bool // the archive does not answer
	forms int
}

// Residence makes it the archive as well, which may be away.
func (a *applicants) Residence(ctx context.Context, id citizens.ID) (citizens.Address, error) {
	if a.away {
		return citizens.Address{}, errors.New("the archive is away")
	}
	who, err := a.citizens.ByID(ctx, id)
	return who.Residence, err
}

func newApplicants(t testing.TB, db *database.DB, ring *secrets.Ring, options ...option) *applicants {
	t.Helper()
	a := &applicants{fixture: newFixture(t, db, ring, options...)}
	var err error
	a.requests, err = New(Deps{
		DB: db, Citizens: a.citizens, Outbox: a.outbox, Audit: a.audit, Pins: a.pins,
		Seal: ring.AEAD(secrets.RequestsSeal), Index: ring.PRF(secrets.RequestsIndex), Archive: a,
	})
	a.must(err)
	return a
}

func eachApplicants(t *testing.T, fn func(t *testing.T, a *applicants), options ...option) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) { fn(t, newApplicants(t, db, newRing(t), options...)) })
}

// application is what the person of f.person types: resident in Rome, first
// half by SMS to a number of his own.
func application(cf string) Application {
	email, err := citizens.ParseContact(citizens.Email, "io@posta.example")
	if err != nil {
		panic(err)
	}
	mobile, err := citizens.ParseContact(citizens.Mobile, "+393491112223")
	if err != nil {
		panic(err)
	}
	return Application{
		FiscalCode: code(cf), Residence: citizens.Address{Street: "V. Roma, 1", PostalCode: "00100", Locality: "ROMA", Country: "IT"},
		Phone: "+390612345678", Channel: delivery.SMS, Language: "it",
		Contacts: citizens.Contacts{Mobile: citizens.Contact{Value: mobile}, Email: citizens.Contact{Value: email}},
	}
}

// asks submits a request and returns its tracking code.
func (a *applicants) asks(in Application) credentials.Code {
	a.t.Helper()
	a.forms++
	tracking, err := a.requests.Submit(a.t.Context(), anyone, in, fmt.Sprint("form ", a.forms))
	a.must(err)
	return tracking
}

// codeFor is the code that the last message with this tracking code carried.
func (a *applicants) codeFor(tracking credentials.Code) credentials.Code {
	a.t.Helper()
	a.deliver()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := len(a.letters) - 1; i >= 0; i-- {
		if l := a.letters[i]; l.Key == ContactCode && strings.Contains(l.Body.Reveal(), GroupCode(tracking)) {
			return credentials.ParseCode(strings.Split(l.Body.Reveal(), "\n")[1])
		}
	}
	a.t.Fatal("no code was sent")
	return credentials.Code{}
}

func (a *applicants) proves(tracking credentials.Code) {
	a.t.Helper()
	a.must(a.requests.Prove(a.t.Context(), anyone, tracking, a.codeFor(tracking)))
}

// works has the worker look, and what follows delivered: the first half, and
// after it the letter.
func (a *applicants) works() {
	a.t.Helper()
	a.must(a.requests.Work(a.t.Context()))
	a.deliver()
	a.deliver()
}

// requests a PIN and proves the contact.
func (a *applicants) requested(in Application) credentials.Code {
	a.t.Helper()
	tracking := a.asks(in)
	a.proves(tracking)
	a.works()
	return tracking
}

func (a *applicants) progress(tracking credentials.Code, cf string) Progress {
	a.t.Helper()
	t, err := a.requests.Track(a.t.Context(), tracking, code(cf))
	a.must(err)
	return t.Progress
}

func (a *applicants) stands(tracking credentials.Code, cf string, want Progress) {
	a.t.Helper()
	if got := a.progress(tracking, cf); got != want {
		a.t.Errorf("the request is %s, want %s", got, want)
	}
}

// sent are the messages that went to one address, by key.
func (a *applicants) sent(key delivery.MessageKey) []delivery.Letter {
	a.deliver()
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []delivery.Letter
	for _, l := range a.letters {
		if l.Key == key {
			list = append(list, l)
		}
	}
	return list
}

func (a *applicants) went(key delivery.MessageKey, want int) []delivery.Letter {
	a.t.Helper()
	list := a.sent(key)
	if len(list) != want {
		a.t.Errorf("%d messages %s, want %d", len(list), key, want)
	}
	return list
}

func (a *applicants) reasonOf(tracking credentials.Code) string {
	a.t.Helper()
	var reason string
	a.must(a.db.Read(a.t.Context()).Raw(`SELECT reason FROM enrolments WHERE tracking_key IN ?`, a.requests.trackingKeys(tracking)).Row().Scan(&reason))
	return reason
}

// reports has the print service tell about the letter of a request.
func (a *applicants) reports(tracking credentials.Code, result delivery.Result) {
	a.t.Helper()
	a.tells(tracking, delivery.PINHalf2, delivery.Post, result)
}

// tells has a transport tell about a half of a request.
func (a *applicants) tells(tracking credentials.Code, half delivery.MessageKey, by delivery.Channel, result delivery.Result) {
	a.t.Helper()
	var pin credentials.ID
	a.must(a.db.Read(a.t.Context()).Raw(`SELECT COALESCE(CAST(credential_id AS text), '') FROM enrolments WHERE tracking_key IN ?`,
		a.requests.trackingKeys(tracking)).Row().Scan(&pin))
	o := delivery.Outcome{Receipt: delivery.Receipt{Key: half, Channel: by, Ref: string(pin)}, Result: result, At: a.now()}
	a.must(a.db.InTx(a.t.Context(), func(ctx context.Context) error { return a.requests.Outcome(ctx, o) }))
}

func (a *applicants) now() time.Time {
	now, err := a.db.Now(a.t.Context())
	a.must(err)
	return now
}
