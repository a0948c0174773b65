package enrolment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
	"ente.example/idp/secrets"
	"ente.example/idp/throttle"
)

// Codes of people (pin-rules §3.9) and of one whom nobody knows.
const (
	mario    = "RSSMRA80A01H501U"
	franco   = "RSSFNC80T31F205U"
	anna     = "BNCNMR72H55F839M"
	samantha = "MLLSNT82P65Z404U"
	stranger = "RSSMRA80A01H50MM"
)

var (
	staff  = audit.Actor{Kind: audit.Operator, ID: "root"}
	anyone = audit.Actor{Kind: audit.Anonymous, Request: audit.Request{IP: "192.0.2.1"}}
)

// fixture is a house with people, PINs and everybody's letter box.
type fixture struct {
	t        testing.TB
	ring     *secrets.Ring
	db       *database.DB
	audit    *audit.Log
	citizens *citizens.Registry
	outbox   *delivery.Outbox
	pins     *credentials.Service
	requests *Requests

	mu      sync.Mutex
	box     map[citizens.ID]map[delivery.MessageKey]string // the halves as they arrived
	letters []delivery.Letter                              // all of them, as they left
	fails   map[delivery.Channel]error
	senders map[delivery.Channel]delivery.Sender // the outbox's own map
}

type option func(*credentials.Deps)

func eligible(e citizens.Eligibility) option {
	return func(d *credentials.Deps) { d.Eligibility = e }
}

func newRing(t testing.TB) *secrets.Ring {
	t.Helper()
	ring, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func newFixture(t testing.TB, db *database.DB, ring *secrets.Ring, options ...option) *fixture {
	t.Helper()
	f := &fixture{t: t, db: db, ring: ring, box: map[citizens.ID]map[delivery.MessageKey]string{},
		fails: map[delivery.Channel]error{}, senders: map[delivery.Channel]delivery.Sender{}}
	var err error
	f.audit, err = audit.New(audit.Deps{DB: db, Verifier: ring.AuditVerifier()})
	f.must(err)
	f.citizens, err = citizens.New(citizens.Deps{DB: db, Seal: ring.AEAD(secrets.CitizensSeal), Index: ring.PRF(secrets.CitizensIndex)})
	f.must(err)
	f.outbox = f.newOutbox()
	guard, err := throttle.New(throttle.Deps{DB: db, Key: ring.PRF(secrets.Throttle), Policy: throttle.DefaultPolicy()})
	f.must(err)
	hasher, err := credentials.NewHasher(credentials.HasherDeps{DB: db, Cost: credentials.Cost{Memory: 8, Passes: 1, Threads: 1}, Queue: 5000})
	f.must(err)
	d := credentials.Deps{
		DB: db, Citizens: f.citizens, Throttle: guard, Outbox: f.outbox, Audit: f.audit, Hasher: hasher,
		Pepper: ring.PRF(secrets.PINPepper), Wrap: ring.AEAD(secrets.PINWrap), Candidates: ring.AEAD(secrets.CandidateSeal),
		Policy: credentials.DefaultPolicy(), Eligibility: citizens.Open, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Ended:    func(context.Context, citizens.ID, credentials.Reason) error { return nil },
		Reported: func(ctx context.Context, id citizens.ID) error { f.requests.Contest(ctx, id); return nil },
		FirstAccess: func(ctx context.Context, id citizens.ID, pin credentials.ID) error {
			return f.requests.FirstAccess(ctx, id, pin)
		},
	}
	for _, o := range options {
		o(&d)
	}
	f.pins, err = credentials.New(d)
	f.must(err)
	return f
}

func (f *fixture) newOutbox() *delivery.Outbox {
	f.t.Helper()
	for _, c := range delivery.Channels() {
		f.senders[c] = f
	}
	o, err := delivery.New(delivery.Deps{
		DB: f.db, Seal: f.ring.Seal, Open: f.ring.Open, Audit: f.audit, Senders: f.senders, Policy: delivery.DefaultPolicy(),
		Words: func(_, key, channel string, data map[string]string) (string, string, error) {
			return key, "parte\n" + data["Half"] + data["Code"] + "\n" + data["Tracking"] + "\n" + data["Link"] + "\n", nil
		},
		Accepted: func(ctx context.Context, r delivery.Receipt) error {
			if err := f.pins.Accepted(ctx, r); err != nil {
				return err
			}
			return f.requests.Accepted(ctx, r)
		},
		Failed: func(ctx context.Context, r delivery.Receipt) error {
			if err := f.pins.Failed(ctx, r); err != nil {
				return err
			}
			return f.requests.Failed(ctx, r)
		},
	})
	f.must(err)
	return o
}

var halfLine = regexp.MustCompile(`(?m)^[0-9A-F]{8}$`)

// Send makes the fixture a transport: everybody's phone, mailbox and letter box.
func (f *fixture) Send(_ context.Context, l delivery.Letter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fails[l.Channel]; err != nil {
		return err
	}
	f.letters = append(f.letters, l)
	if f.box[l.Citizen] == nil {
		f.box[l.Citizen] = map[delivery.MessageKey]string{}
	}
	f.box[l.Citizen][l.Key] = halfLine.FindString(l.Body.Reveal())
	return nil
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) wants(what string, got, want error) {
	f.t.Helper()
	if !errors.Is(got, want) {
		f.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func code(s string) citizens.FiscalCode {
	fc, err := citizens.ParseFiscalCode(s)
	if err != nil {
		panic(err)
	}
	return fc
}

const header = "fiscal_code,given_name,family_name,residence_street,residence_postal_code,residence_locality,residence_country,category,mobile,email,pec,birth_date,deceased_on\n"

// person puts somebody into the registry, or mends what it says; fields, as
// "column=value", differ from an ordinary resident in Italy with a mobile number.
func (f *fixture) person(cf string, fields ...string) citizens.ID {
	f.t.Helper()
	row := map[string]string{
		"fiscal_code": cf, "given_name": "Nome", "family_name": "Cognome", "residence_street": "Via Roma 1",
		"residence_postal_code": "00100", "residence_locality": "Roma", "residence_country": "IT", "mobile": "+393401234567",
	}
	for _, field := range fields {
		k, v, _ := strings.Cut(field, "=")
		row[k] = v
	}
	var cells []string
	for _, c := range strings.Split(strings.TrimSpace(header), ",") {
		cells = append(cells, row[c])
	}
	report, err := f.citizens.Import(f.t.Context(), strings.NewReader(header+strings.Join(cells, ",")+"\n"), citizens.ImportOptions{})
	f.must(err)
	if len(report.Bad) > 0 {
		f.t.Fatalf("import: %+v", report.Bad)
	}
	id, _, err := f.citizens.Find(f.t.Context(), code(cf))
	f.must(err)
	return id
}

func (f *fixture) deliver() {
	f.t.Helper()
	f.must(f.outbox.Flush(f.t.Context()))
}

// first is the PIN of 16 as its owner puts it together.
func (f *fixture) first(id citizens.ID) credentials.PIN {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	pin, err := credentials.ParsePIN(f.box[id][delivery.PINHalf1] + f.box[id][delivery.PINHalf2])
	f.must(err)
	return pin
}

// active is a person with a working PIN, who never asked for it here.
func (f *fixture) active(cf string, fields ...string) credentials.PIN {
	f.t.Helper()
	id := f.person(cf, fields...)
	f.must(f.pins.Issue(f.t.Context(), staff, code(cf), credentials.Ordinario))
	f.deliver()
	return f.change(cf, f.first(id))
}

// change goes through the change procedure and returns the new PIN.
func (f *fixture) change(cf string, old credentials.PIN) credentials.PIN {
	f.t.Helper()
	v := f.right(cf, old)
	id, err := f.pins.StartChange(f.t.Context(), anyone, v)
	f.must(err)
	c, err := f.pins.Change(f.t.Context(), id)
	f.must(err)
	_, err = f.pins.Confirm(f.t.Context(), anyone, id, old, c.Candidate)
	f.must(err)
	return c.Candidate
}

func (f *fixture) try(cf string, pin credentials.PIN) (credentials.Verified, error) {
	return f.pins.Verify(context.WithoutCancel(f.t.Context()), anyone, code(cf), pin)
}

func (f *fixture) right(cf string, pin credentials.PIN) credentials.Verified {
	f.t.Helper()
	v, err := f.try(cf, pin)
	f.must(err)
	return v
}

func (f *fixture) refused(cf string, pin credentials.PIN) {
	f.t.Helper()
	_, err := f.try(cf, pin)
	f.wants("try", err, credentials.ErrRefused)
}

func (f *fixture) stateOf(cf string) credentials.State {
	f.t.Helper()
	s, err := f.pins.Status(f.t.Context(), code(cf))
	f.must(err)
	return s.State
}

func (f *fixture) is(cf string, want credentials.State) {
	f.t.Helper()
	if got := f.stateOf(cf); got != want {
		f.t.Errorf("the PIN is %s, want %s", got, want)
	}
}

func (f *fixture) shift(d time.Duration) {
	f.t.Helper()
	databasetest.Shift(f.t, f.db, d)
}

func (f *fixture) count(from string, args ...any) int {
	f.t.Helper()
	var n int
	f.must(f.db.Read(f.t.Context()).Raw(`SELECT count(*) FROM `+from, args...).Row().Scan(&n))
	return n
}

func (f *fixture) sql(q string, args ...any) {
	f.t.Helper()
	f.must(f.db.Write(f.t.Context()).Exec(q, args...).Error)
}

// provisional is a valid code of eleven digits.
func provisional(n int) string {
	s := fmt.Sprintf("%07d001", n)
	sum := 0
	for i, r := range s {
		d := int(r - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return fmt.Sprintf("%s%d", s, (10-sum%10)%10)
}
