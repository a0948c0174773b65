package delivery

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/secrets"
)

const (
	somebody = "01890000-0000-7000-8000-000000000001"
	half     = "58204417"
	number   = "+393409988776"
)

// transport is a Sender at a true edge: it keeps what it got and answers as
// the test says.
type transport struct {
	mu      sync.Mutex
	answer  func(n int) error // n is 1 for the first letter
	letters []Letter
}

func (s *transport) Send(_ context.Context, l Letter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters = append(s.letters, l)
	if s.answer == nil {
		return nil
	}
	return s.answer(len(s.letters))
}

func (s *transport) got() []Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Letter(nil), s.letters...)
}

func failing(int) error { return errors.New("gateway timeout") }

type fixture struct {
	*Outbox
	t        *testing.T
	sender   *transport
	mu       sync.Mutex
	accepted []Receipt
	failed   []Receipt
	hook     error // what the hooks answer
}

func words(_, key, channel string, data map[string]string) (string, string, error) {
	return "Soggetto di " + key, "La prima parte per " + channel + ":\n" + data["Half"] + "\nsaluti\n", nil
}

func newRing(t *testing.T) *secrets.Ring {
	t.Helper()
	ring, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func newFixture(t *testing.T, db *database.DB, ring *secrets.Ring) *fixture {
	t.Helper()
	log, err := audit.New(audit.Deps{DB: db, Verifier: ring.AuditVerifier()})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, sender: &transport{}}
	f.Outbox, err = New(Deps{
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		DB:     db, Seal: ring.Seal, Open: ring.Open, Audit: log, Words: words, Policy: DefaultPolicy(),
		Senders: map[Channel]Sender{SMS: f.sender, Email: f.sender},
		Accepted: func(_ context.Context, r Receipt) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.accepted = append(f.accepted, r)
			return f.hook
		},
		Failed: func(_ context.Context, r Receipt) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.failed = append(f.failed, r)
			return f.hook
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func sms(ref string) Message {
	return Message{
		Key: PINHalf1, Channel: SMS, Citizen: somebody, To: NewRecipient(number), Name: "Mario Rossi", Language: "it",
		Words: Words{"Half": half}, Ref: ref,
	}
}

func (f *fixture) enqueue(m ...Message) {
	f.t.Helper()
	err := f.db.InTx(f.t.Context(), func(ctx context.Context) error { return f.Enqueue(ctx, m...) })
	if err != nil {
		f.t.Fatal(err)
	}
}

// works hands over what is due, once, and says how many messages were claimed.
func (f *fixture) works(want int) {
	f.t.Helper()
	got, err := f.work(f.t.Context(), SMS)
	if err != nil {
		f.t.Fatal(err)
	}
	if got != want {
		f.t.Errorf("the worker took %d messages, want %d", got, want)
	}
}

// rows prints every row of the table, bodies in hex and in clear.
func (f *fixture) rows() string {
	f.t.Helper()
	var list []delivery
	if err := f.db.Read(f.t.Context()).Raw(`SELECT * FROM deliveries ORDER BY id`).Scan(&list).Error; err != nil {
		f.t.Fatal(err)
	}
	var b strings.Builder
	for _, d := range list {
		b.WriteString(d.State + " " + d.Channel + " " + d.Message + " " + string(d.Body) + "\n")
	}
	return b.String()
}

func (f *fixture) count(where string) int {
	f.t.Helper()
	var n int
	if err := f.db.Read(f.t.Context()).Raw(`SELECT count(*) FROM ` + where).Row().Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

func each(t *testing.T, fn func(t *testing.T, f *fixture)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) { fn(t, newFixture(t, db, newRing(t))) })
}
