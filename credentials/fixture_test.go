package credentials

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
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

// light makes hashes that cost nothing, for tests that are not about cost.
var light = Cost{Memory: 8, Passes: 1, Threads: 1}

// never is no PIN that is ever generated.
var never = PIN{"00000000"}

type fixture struct {
	*Service
	t       testing.TB
	ring    *secrets.Ring
	mu      sync.Mutex
	box     map[citizens.ID]map[delivery.MessageKey]string // the halves as they arrived
	ends    []Reason
	fails   map[delivery.Channel]error
	senders map[delivery.Channel]delivery.Sender // the outbox's own map
	seen    atomic.Int64                         // tries that were looked at
}

type option func(*Deps)

func cost(c Cost) option { return func(d *Deps) { d.Hasher = mustHasher(d.DB, c) } }

func mustHasher(db *database.DB, c Cost) *Hasher {
	h, err := NewHasher(HasherDeps{DB: db, Cost: c, Queue: 5000})
	if err != nil {
		panic(err)
	}
	return h
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
	f := &fixture{t: t, ring: ring, box: map[citizens.ID]map[delivery.MessageKey]string{}, fails: map[delivery.Channel]error{},
		senders: map[delivery.Channel]delivery.Sender{}}
	d := Deps{
		DB: db, Pepper: ring.PRF(secrets.PINPepper), Wrap: ring.AEAD(secrets.PINWrap), Candidates: ring.AEAD(secrets.CandidateSeal),
		Hasher: mustHasher(db, light), Policy: DefaultPolicy(), Eligibility: citizens.Open,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Ended: func(_ context.Context, _ citizens.ID, why Reason) error {
			f.ends = append(f.ends, why)
			return nil
		},
		Observe: func(result string, _ bool) {
			if result != "waiting" {
				f.seen.Add(1)
			}
		},
	}
	var err error
	if d.Audit, err = audit.New(audit.Deps{DB: db, Verifier: ring.AuditVerifier()}); err != nil {
		t.Fatal(err)
	}
	d.Citizens, err = citizens.New(citizens.Deps{DB: db, Seal: ring.AEAD(secrets.CitizensSeal), Index: ring.PRF(secrets.CitizensIndex)})
	if err != nil {
		t.Fatal(err)
	}
	d.Throttle, err = throttle.New(throttle.Deps{DB: db, Key: ring.PRF(secrets.Throttle), Policy: throttle.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	d.Outbox = f.newOutbox(d)
	for _, o := range options {
		o(&d)
	}
	if f.Service, err = New(d); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) newOutbox(d Deps) *delivery.Outbox {
	f.t.Helper()
	for _, c := range delivery.Channels() {
		f.senders[c] = f
	}
	o, err := delivery.New(delivery.Deps{
		DB: d.DB, Seal: f.ring.Seal, Open: f.ring.Open, Audit: d.Audit, Senders: f.senders, Policy: delivery.DefaultPolicy(),
		Words: func(_, key, channel string, data map[string]string) (string, string, error) {
			return key, "parte\n" + data["Half"] + data["Code"] + "\n" + data["Tracking"] + "\n", nil
		},
		Accepted: func(ctx context.Context, r delivery.Receipt) error { return f.Accepted(ctx, r) },
		Failed:   func(ctx context.Context, r delivery.Receipt) error { return f.Failed(ctx, r) },
	})
	if err != nil {
		f.t.Fatal(err)
	}
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
	if f.box[l.Citizen] == nil {
		f.box[l.Citizen] = map[delivery.MessageKey]string{}
	}
	f.box[l.Citizen][l.Key] = halfLine.FindString(l.Body.Reveal())
	return nil
}

// each runs fn on both databases, on one node.
func each(t *testing.T, fn func(t *testing.T, f *fixture), options ...option) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) { fn(t, newFixture(t, db, newRing(t), options...)) })
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

const header = "fiscal_code,given_name,family_name,residence_street,residence_postal_code,residence_locality,residence_country,category,mobile,email,pec,deceased_on,health_card_number,health_card_expiry\n"

// person puts somebody into the registry; fields, as "column=value", differ
// from an ordinary resident in Italy with a mobile number.
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

// provisional is the n-th valid code of eleven digits: people enough for a
// property test.
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

var (
	staff  = audit.Actor{Kind: audit.Operator, ID: "root"}
	anyone = audit.Actor{Kind: audit.Anonymous, Request: audit.Request{IP: "192.0.2.1"}}
)

func (f *fixture) issue(cf string) {
	f.t.Helper()
	f.must(f.Issue(f.t.Context(), staff, code(cf), Ordinario))
}

func (f *fixture) deliver() {
	f.t.Helper()
	f.must(f.outbox.Flush(f.t.Context()))
}

// first is the PIN of 16 as its owner puts it together.
func (f *fixture) first(id citizens.ID) PIN {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	pin, err := ParsePIN(f.box[id][delivery.PINHalf1] + f.box[id][delivery.PINHalf2])
	f.must(err)
	return pin
}

// issued is a person with a first PIN in hand.
func (f *fixture) issued(cf string, fields ...string) PIN {
	f.t.Helper()
	id := f.person(cf, fields...)
	f.issue(cf)
	f.deliver()
	return f.first(id)
}

// active is a person with a working PIN.
func (f *fixture) active(cf string, fields ...string) PIN {
	f.t.Helper()
	pin := f.change(cf, f.issued(cf, fields...))
	f.deliver() // the notices of it
	return pin
}

// change goes through the change procedure and returns the new PIN.
func (f *fixture) change(cf string, old PIN) PIN {
	f.t.Helper()
	v := f.right(cf, old)
	id, err := f.StartChange(f.t.Context(), anyone, v)
	f.must(err)
	c, err := f.Change(f.t.Context(), id)
	f.must(err)
	_, err = f.Confirm(f.t.Context(), anyone, id, old, c.Candidate)
	f.must(err)
	return c.Candidate
}

func (f *fixture) try(cf string, pin PIN) (Verified, error) {
	return f.Verify(context.WithoutCancel(f.t.Context()), anyone, code(cf), pin)
}

func (f *fixture) right(cf string, pin PIN) Verified {
	f.t.Helper()
	v, err := f.try(cf, pin)
	f.must(err)
	return v
}

func (f *fixture) refused(cf string, pin PIN) {
	f.t.Helper()
	_, err := f.try(cf, pin)
	f.wants("try", err, ErrRefused)
}

func (f *fixture) waits(what, cf string, pin PIN) {
	f.t.Helper()
	_, err := f.try(cf, pin)
	var w *WaitingError
	if !errors.As(err, &w) {
		f.t.Errorf("%s: %v, want a wait", what, err)
	}
}

func (f *fixture) state(cf string) State {
	f.t.Helper()
	s, err := f.Status(f.t.Context(), code(cf))
	f.must(err)
	return s.State
}

func (f *fixture) is(cf string, want State) {
	f.t.Helper()
	if got := f.state(cf); got != want {
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
