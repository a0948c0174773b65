package contacts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
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
	"ente.example/idp/templates"
	"ente.example/idp/throttle"
)

const (
	mario = "RSSMRA80A01H501U"
	anna  = "BNCNMR72H55F839M"

	oldMobile = "+393401234567"
	oldMail   = "mario.rossi@posta.example"
	newMobile = "+393497654321"
	newMail   = "m.rossi@nuova.example"
	newPEC    = "mario.rossi@pec.example"

	day = 24 * time.Hour
)

// fixture is one node, with the PIN's own room below it, in the product's own
// words. Its transports keep what they get.
type fixture struct {
	*Service
	t       testing.TB
	pins    *credentials.Service
	mu      sync.Mutex
	letters []delivery.Letter
	rejects map[delivery.Channel]bool
	pinOf   map[citizens.ID]credentials.PIN
}

var operator = audit.Actor{Kind: audit.Operator, ID: "rita"}

type option func(*Deps)

func certified(d *Deps) { d.Receipts = true }

// each runs fn on both databases, on one node.
func each(t *testing.T, fn func(t *testing.T, f *fixture), options ...option) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) { fn(t, newFixture(t, db, newRing(t), options...)) })
}

// two runs fn with two nodes on one database.
func two(t *testing.T, fn func(t *testing.T, a, b *fixture), options ...option) {
	t.Helper()
	databasetest.Two(t, func(t *testing.T, one, other *database.DB) {
		ring := newRing(t)
		fn(t, newFixture(t, one, ring, options...), newFixture(t, other, ring, options...))
	})
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
	f := &fixture{t: t, rejects: map[delivery.Channel]bool{}, pinOf: map[citizens.ID]credentials.PIN{}}
	d := Deps{DB: db, Seal: ring.AEAD(secrets.RequestsSeal), Keys: ring.PRF(secrets.RequestsIndex), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	var err error
	d.Audit, err = audit.New(audit.Deps{DB: db, Verifier: ring.AuditVerifier()})
	f.must(err)
	d.Citizens, err = citizens.New(citizens.Deps{DB: db, Seal: ring.AEAD(secrets.CitizensSeal), Index: ring.PRF(secrets.CitizensIndex)})
	f.must(err)
	d.Outbox = f.outboxOf(db, ring, d.Audit)
	f.pins = f.pinsOf(d, ring)
	d.Pins, d.Notify = f.pins, f.pins.Warn
	for _, o := range options {
		o(&d)
	}
	f.Service, err = New(d)
	f.must(err)
	return f
}

func (f *fixture) outboxOf(db *database.DB, ring *secrets.Ring, log *audit.Log) *delivery.Outbox {
	words, err := templates.New(templates.Options{})
	f.must(err)
	senders := map[delivery.Channel]delivery.Sender{}
	for _, c := range delivery.Channels() {
		senders[c] = f
	}
	o, err := delivery.New(delivery.Deps{
		DB: db, Seal: ring.Seal, Open: ring.Open, Audit: log, Senders: senders, Policy: delivery.DefaultPolicy(), Words: words.Mail,
		Accepted: func(ctx context.Context, r delivery.Receipt) error { return f.pins.Accepted(ctx, r) },
		Failed: func(ctx context.Context, r delivery.Receipt) error {
			return errors.Join(f.pins.Failed(ctx, r), f.Failed(ctx, r))
		},
	})
	f.must(err)
	return o
}

func (f *fixture) pinsOf(d Deps, ring *secrets.Ring) *credentials.Service {
	guard, err := throttle.New(throttle.Deps{DB: d.DB, Key: ring.PRF(secrets.Throttle), Policy: throttle.DefaultPolicy()})
	f.must(err)
	hasher, err := credentials.NewHasher(credentials.HasherDeps{DB: d.DB, Cost: credentials.Cost{Memory: 8, Passes: 1, Threads: 1}, Queue: 5000})
	f.must(err)
	policy := credentials.DefaultPolicy()
	pins, err := credentials.New(credentials.Deps{
		DB: d.DB, Citizens: d.Citizens, Throttle: guard, Outbox: d.Outbox, Audit: d.Audit, Pepper: ring.PRF(secrets.PINPepper),
		Wrap: ring.AEAD(secrets.PINWrap), Candidates: ring.AEAD(secrets.CandidateSeal), Hasher: hasher, Policy: policy,
		Eligibility: citizens.Open, Logger: d.Logger,
		Ended: func(ctx context.Context, id citizens.ID, why credentials.Reason) error {
			return f.Ended(ctx, id, why)
		},
		Reported: func(ctx context.Context, id citizens.ID) error { return f.Contest(ctx, id) },
	})
	f.must(err)
	return pins
}

// Send makes the fixture a transport.
func (f *fixture) Send(_ context.Context, l delivery.Letter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rejects[l.Channel] {
		return delivery.ErrRejected
	}
	f.letters = append(f.letters, l)
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

// imports puts somebody into the registry, or changes him there.
func (f *fixture) imports(cf string, cells map[string]string) citizens.ID {
	f.t.Helper()
	row := map[string]string{
		"fiscal_code": cf, "given_name": "Mario", "family_name": "Rossi", "residence_street": "Via Roma 1",
		"residence_postal_code": "00100", "residence_locality": "Roma", "residence_country": "IT",
	}
	for k, v := range cells {
		row[k] = v
	}
	var line []string
	for _, c := range citizens.CSVColumns() {
		line = append(line, row[c])
	}
	file := strings.Join(citizens.CSVColumns(), ",") + "\n" + strings.Join(line, ",") + "\n"
	report, err := f.citizens.Import(f.t.Context(), strings.NewReader(file), citizens.ImportOptions{Deceased: f.pins.Bereave})
	f.must(err)
	if len(report.Bad) > 0 {
		f.t.Fatalf("import: %+v", report.Bad)
	}
	id, _, err := f.citizens.Find(f.t.Context(), code(cf))
	f.must(err)
	return id
}

// person is somebody with a PIN in use and these contacts, as kind and value.
func (f *fixture) person(cf string, contacts ...string) citizens.ID {
	f.t.Helper()
	cells := map[string]string{}
	for i := 0; i < len(contacts); i += 2 {
		cells[contacts[i]] = contacts[i+1]
	}
	id := f.imports(cf, cells)
	f.must(f.pins.Issue(f.t.Context(), operator, code(cf), credentials.Ordinario))
	f.deliver()
	first := f.find(delivery.PINHalf1, halfLine) + f.find(delivery.PINHalf2, halfLine)
	pin, err := credentials.ParsePIN(first)
	f.must(err)
	v, err := f.pins.Verify(f.t.Context(), citizen(id), code(cf), pin)
	f.must(err)
	change, err := f.pins.StartChange(f.t.Context(), citizen(id), v)
	f.must(err)
	c, err := f.pins.Change(f.t.Context(), change)
	f.must(err)
	_, err = f.pins.Confirm(f.t.Context(), citizen(id), change, pin, c.Candidate)
	f.must(err)
	f.pinOf[id] = c.Candidate
	f.deliver()
	f.forget()
	return id
}

func citizen(id citizens.ID) audit.Actor {
	return audit.Actor{Kind: audit.Citizen, ID: string(id), Request: audit.Request{IP: "192.0.2.1"}}
}

// verified is a right PIN, as a page has it that asks for it again.
func (f *fixture) verified(cf string, id citizens.ID) credentials.Verified {
	f.t.Helper()
	v, err := f.pins.Verify(f.t.Context(), citizen(id), code(cf), f.pinOf[id])
	f.must(err)
	return v
}

func value(s string) citizens.ContactValue {
	kind := citizens.Mobile
	if strings.Contains(s, "@") {
		kind = citizens.Email
	}
	if strings.Contains(s, "@pec.") {
		kind = citizens.PEC
	}
	return kindly(kind, s)
}

func kindly(kind citizens.ContactKind, s string) citizens.ContactValue {
	v, err := citizens.ParseContact(kind, s)
	if err != nil {
		panic(err)
	}
	return v
}

func (f *fixture) asks(id citizens.ID, v citizens.ContactValue) Change {
	f.t.Helper()
	c, err := f.Ask(f.t.Context(), citizen(id), f.verified(mario, id), v, "it")
	f.must(err)
	f.deliver()
	return c
}

func (f *fixture) deliver() {
	f.t.Helper()
	f.must(f.outbox.Flush(f.t.Context()))
}

func (f *fixture) shift(d time.Duration) {
	f.t.Helper()
	databasetest.Shift(f.t, f.db, d)
}

func (f *fixture) sweep() {
	f.t.Helper()
	f.must(f.Sweep(f.t.Context()))
	f.deliver()
}

var (
	halfLine = regexp.MustCompile(`(?m)^[0-9]{8}$`)
	linkLine = regexp.MustCompile(`(?m)^http://localhost:8080/account/contacts/confirm\?t=([A-Za-z0-9_-]{43})$`)
)

// find is what a pattern finds in the newest letter of a key that has it; "" if
// none has.
func (f *fixture) find(key delivery.MessageKey, pattern *regexp.Regexp) string {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range slices.Backward(f.letters) {
		if l.Key != key {
			continue
		}
		if found := pattern.FindStringSubmatch(l.Body.Reveal()); found != nil {
			return found[len(found)-1]
		}
	}
	return ""
}

// code is the one that the last message has brought, link its link.
func (f *fixture) code() credentials.Code {
	return credentials.ParseCode(f.find(ContactCode, halfLine))
}
func (f *fixture) link() credentials.Code { return credentials.NewLink(f.find(ContactCode, linkLine)) }

// told are the recipients of the letters of a key, sorted.
func (f *fixture) told(key delivery.MessageKey) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, l := range f.letters {
		if l.Key == key {
			list = append(list, l.To.Reveal())
		}
	}
	slices.Sort(list)
	return list
}

func (f *fixture) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.letters = nil
}

func (f *fixture) proves(id citizens.ID, kind citizens.ContactKind) {
	f.t.Helper()
	f.must(f.Prove(f.t.Context(), citizen(id), id, kind, f.code()))
	f.deliver()
}

// cools brings a new contact as far as its pause.
func (f *fixture) cools(id citizens.ID, v citizens.ContactValue) Change {
	f.t.Helper()
	c := f.asks(id, v)
	f.proves(id, v.Kind())
	f.is(c.ID, Cooling, "")
	return c
}

func (f *fixture) is(id ID, state State, why Reason) {
	f.t.Helper()
	r, found, err := f.store.byID(f.t.Context(), id)
	f.must(err)
	if !found || r.State != state || r.Reason != why {
		f.t.Errorf("the change is %q %q (found: %v), want %q %q", r.State, r.Reason, found, state, why)
	}
}

// counts says which contact of a kind counts; "" for none.
func (f *fixture) counts(id citizens.ID, kind citizens.ContactKind, want string) {
	f.t.Helper()
	who, err := f.citizens.ByID(f.t.Context(), id)
	f.must(err)
	c := who.Contacts.Of(kind)
	if c.Value.Reveal() != want || !c.IsZero() && !c.Verified {
		f.t.Errorf("the contact of kind %s is %q, verified %v; want %q", kind, c.Value.Reveal(), c.Verified, want)
	}
}

func (f *fixture) number(from string, args ...any) int {
	f.t.Helper()
	var n int
	f.must(f.db.Read(f.t.Context()).Raw(`SELECT count(*) FROM `+from, args...).Row().Scan(&n))
	return n
}

func (f *fixture) recorded(want int, types ...audit.Type) {
	f.t.Helper()
	if n := f.number(`audit_events WHERE type IN ?`, types); n != want {
		f.t.Errorf("%d events %v, want %d", n, types, want)
	}
}

func (f *fixture) entry(id citizens.ID, kind citizens.ContactKind) Entry {
	f.t.Helper()
	list, err := f.List(f.t.Context(), id)
	f.must(err)
	for _, e := range list {
		if e.Kind == kind {
			return e
		}
	}
	panic(fmt.Sprintf("no entry %s", kind))
}
