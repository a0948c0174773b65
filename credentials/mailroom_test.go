package credentials

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
	"ente.example/idp/secrets"
	"ente.example/idp/templates"
)

// mailroom is a fixture whose messages are in the product's own words, and are
// kept as everybody's telephone and mailbox would keep them.
type mailroom struct {
	*fixture
	mu      sync.Mutex
	letters []delivery.Letter
	down    map[delivery.Channel]error
}

// Everybody's contacts, of three kinds.
const (
	mobile = "+393401234567"
	email  = "Mario.Rossi@posta.example"
	pec    = "mario.rossi@pec.example"

	card       = "80380000300123456789"
	cardExpiry = "2031-12-31"
)

// mailrooms runs fn on both databases, on one node.
func mailrooms(t *testing.T, fn func(t *testing.T, m *mailroom), options ...option) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) { fn(t, newMailroom(t, db, options...)) })
}

func newMailroom(t *testing.T, db *database.DB, options ...option) *mailroom {
	t.Helper()
	return newMailroomWith(t, db, newRing(t), options...)
}

// newMailroomWith is one of several nodes, which share the keys.
func newMailroomWith(t *testing.T, db *database.DB, ring *secrets.Ring, options ...option) *mailroom {
	t.Helper()
	m := &mailroom{down: map[delivery.Channel]error{}}
	words, err := templates.New(templates.Options{})
	if err != nil {
		t.Fatal(err)
	}
	outbox := func(d *Deps) {
		senders := map[delivery.Channel]delivery.Sender{}
		for _, c := range delivery.Channels() {
			senders[c] = m
		}
		d.Site = "http://localhost:8080"
		d.Outbox, err = delivery.New(delivery.Deps{
			DB: d.DB, Seal: ring.Seal, Open: ring.Open, Audit: d.Audit, Senders: senders, Policy: delivery.DefaultPolicy(),
			Words:    words.Mail,
			Accepted: func(ctx context.Context, r delivery.Receipt) error { return m.Accepted(ctx, r) },
			Failed:   func(ctx context.Context, r delivery.Receipt) error { return m.Failed(ctx, r) },
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	m.fixture = newFixture(t, db, ring, append([]option{outbox}, options...)...)
	return m
}

// Send makes the mailroom a transport.
func (m *mailroom) Send(ctx context.Context, l delivery.Letter) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.down[l.Channel]; err != nil {
		return err
	}
	m.letters = append(m.letters, l)
	return m.fixture.Send(ctx, l)
}

// got are the letters of one key that have arrived, in order.
func (m *mailroom) got(key delivery.MessageKey) []delivery.Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []delivery.Letter
	for _, l := range m.letters {
		if l.Key == key {
			list = append(list, l)
		}
	}
	return list
}

// last is the newest of them.
func (m *mailroom) last(key delivery.MessageKey) delivery.Letter {
	m.t.Helper()
	list := m.got(key)
	if len(list) == 0 {
		m.t.Fatalf("no %s has arrived", key)
	}
	return list[len(list)-1]
}

// keys are what has arrived, in order.
func (m *mailroom) keys() []delivery.MessageKey {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []delivery.MessageKey
	for _, l := range m.letters {
		list = append(list, l.Key)
	}
	return list
}

func (m *mailroom) forgetLetters() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.letters = nil
}

var (
	codeLine = regexp.MustCompile(`(?m)^([0-9]{8}|[0-9A-Z]{10})$`)
	linkLine = regexp.MustCompile(`(?m)^http://localhost:8080(/pin/[a-z/]+)\?t=([A-Za-z0-9_-]{43})$`)
)

func codeOf(l delivery.Letter) Code { return ParseCode(codeLine.FindString(l.Body.Reveal())) }

func linkOf(l delivery.Letter) Code {
	found := linkLine.FindStringSubmatch(l.Body.Reveal())
	if found == nil {
		return Code{}
	}
	return NewLink(found[2])
}

// everyone's contacts as an import has them.
func withContacts() []string {
	return []string{"mobile=" + mobile, "email=" + email, "pec=" + pec, "health_card_number=" + card, "health_card_expiry=" + cardExpiry}
}

func contacts(values ...string) []citizens.ContactValue {
	var list []citizens.ContactValue
	for _, v := range values {
		kind := citizens.Mobile
		if strings.Contains(v, "@") {
			kind = citizens.Email
		}
		if strings.Contains(v, "@pec.") {
			kind = citizens.PEC
		}
		c, err := citizens.ParseContact(kind, v)
		if err != nil {
			panic(err)
		}
		list = append(list, c)
	}
	return list
}

// round lets the workers look and the transports take.
func (m *mailroom) round() {
	m.t.Helper()
	m.must(m.WorkProcedures(m.t.Context()))
	m.deliver()
}

func (m *mailroom) start(cf string, values ...string) {
	m.t.Helper()
	m.must(m.StartRecovery(m.t.Context(), anyone, Recovery{FiscalCode: code(cf), Contacts: contacts(values...)}))
	m.round()
}

func (m *mailroom) confirm(cf string, code_, link Code) error {
	return m.ConfirmRecovery(m.t.Context(), anyone, Proof{FiscalCode: code(cf), Code: code_, Link: link})
}

// mailed begins a recovery and hands its code and link out.
func (m *mailroom) mailed(cf string) (code_, link Code) {
	m.t.Helper()
	m.start(cf, mobile, email)
	l := m.last(RecoveryCode)
	return codeOf(l), linkOf(l)
}

// confirmed is a recovery whose parts have arrived.
func (m *mailroom) confirmed(cf string) PIN {
	m.t.Helper()
	code_, link := m.mailed(cf)
	m.must(m.confirm(cf, code_, link))
	m.deliver()
	id, _, err := m.citizens.Find(m.t.Context(), code(cf))
	m.must(err)
	return m.first(id)
}

// at is where a person's newest request stands.
func (m *mailroom) at(want step) {
	m.t.Helper()
	var got string
	m.must(m.db.Read(m.t.Context()).Raw(`SELECT state FROM pin_procedures ORDER BY created_at DESC, id DESC LIMIT 1`).Scan(&got).Error)
	if got != string(want) {
		m.t.Errorf("the request is %s, want %s", got, want)
	}
}

func (m *mailroom) wantNone(keys ...delivery.MessageKey) {
	m.t.Helper()
	for _, k := range keys {
		if n := len(m.got(k)); n > 0 {
			m.t.Errorf("%d letters %s, want none", n, k)
		}
	}
}
