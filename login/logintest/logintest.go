// Package logintest gives tests a sign-in that is real from the form to the
// database: the pages over HTTP, registries, PINs, a browser with cookies. Only
// hashes are cheap and letters stay in memory. The provider is not in it: where
// a page goes back to /authorize, a test looks at the redirect.
package logintest

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/delivery"
	"ente.example/idp/login"
	"ente.example/idp/secrets"
	"ente.example/idp/templates"
	"ente.example/idp/throttle"
	"ente.example/idp/web"
)

// ACR is the level of a sign-in with the PIN alone.
const ACR = "https://www.spid.gov.it/SpidL1"

// The people of every house. Anna has the least that the registry asks for.
const (
	Mario = "RSSMRA80A01H501U"
	Anna  = "BNCNMR72H55F839M"
)

const people = `fiscal_code,given_name,family_name,sex,birth_date,birth_place,residence_street,residence_postal_code,residence_locality,residence_region,residence_country,italian_document,category,health_card_number,health_card_expiry,mobile,email,pec,deceased_on
` + Mario + `,Mario,Rossi,M,1980-01-01,H501,Leopoldstr. 1,80802,München,,DE,no,,,,,mario@posta.example,,
` + Anna + `,Anna Maria,Bianchi,,,,Via Roma 1,,Napoli,,IT,,,,,,anna@posta.example,,
`

// House is one node.
type House struct {
	t            testing.TB
	DB           *database.DB
	Echo         *echo.Echo
	Server       *httptest.Server
	Audit        *audit.Log
	Citizens     *citizens.Registry
	Clients      *clients.Registry
	Credentials  *credentials.Service
	Interactions *login.Interactions
	Sessions     *login.Sessions

	// Tried, where a test sets it, runs at the end of every try at a PIN, before
	// the page goes on with what came of it.
	Tried func()

	templates *templates.Set
	outbox    *delivery.Outbox
	mu        sync.Mutex
	letters   []delivery.Letter
}

// New builds a node over db, with its people, and serves it.
func New(t testing.TB, db *database.DB) *House {
	t.Helper()
	ring := must(secrets.New())(t)
	h := &House{t: t, DB: db, templates: must(templates.New(templates.Options{}))(t)}
	h.Audit = must(audit.New(audit.Deps{DB: db, Verifier: ring.AuditVerifier(), Node: "test"}))(t)
	h.Citizens = must(citizens.New(citizens.Deps{
		DB: db, Seal: ring.AEAD(secrets.CitizensSeal), Index: ring.PRF(secrets.CitizensIndex),
	}))(t)
	h.Clients = must(clients.New(clients.Deps{
		DB: db, Audit: h.Audit,
		Scopes: []string{"openid", "profile", "email", "phone", "address", "fiscal_code", "pin", "offline_access"},
	}))(t)
	h.Interactions = must(login.NewInteractions(db))(t)
	h.Sessions = must(login.NewSessions(login.SessionsDeps{DB: db, Audit: h.Audit}))(t)
	h.credentials(ring)
	h.serve(ring)
	report, err := h.Citizens.Import(t.Context(), strings.NewReader(people), citizens.ImportOptions{})
	if err != nil || len(report.Bad) > 0 {
		t.Fatalf("import: %v, %v", err, report.Bad)
	}
	return h
}

// must gives the value, or ends the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Send is every transport: what is sent stays with the test.
func (h *House) Send(_ context.Context, l delivery.Letter) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.letters = append(h.letters, l)
	return nil
}

// Letters are those of one key that have arrived, in order.
func (h *House) Letters(key delivery.MessageKey) []delivery.Letter {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []delivery.Letter
	for _, l := range h.letters {
		if l.Key == key {
			list = append(list, l)
		}
	}
	return list
}

// Deliver lets the workers do what waits for them.
func (h *House) Deliver() {
	h.t.Helper()
	if err := h.Credentials.WorkProcedures(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	if err := h.outbox.Flush(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// NewPIN is the first PIN that has arrived last, put together from its parts.
func (h *House) NewPIN() string {
	h.t.Helper()
	pin := ""
	for _, key := range []delivery.MessageKey{delivery.PINHalf1, delivery.PINHalf2} {
		list := h.Letters(key)
		if len(list) == 0 {
			h.t.Fatalf("no %s has arrived", key)
		}
		pin += half.FindString(list[len(list)-1].Body.Reveal())
	}
	return pin
}

// half is where a part of a PIN stands alone on its line.
var half = regexp.MustCompile(`(?m)^[0-9A-F]{8}$`)

func (h *House) credentials(ring *secrets.Ring) {
	guard := must(throttle.New(throttle.Deps{DB: h.DB, Key: ring.PRF(secrets.Throttle), Policy: throttle.DefaultPolicy()}))(h.t)
	hasher := must(credentials.NewHasher(credentials.HasherDeps{
		DB: h.DB, Cost: credentials.Cost{Memory: 8, Passes: 1, Threads: 1},
	}))(h.t)
	h.outbox = must(delivery.New(delivery.Deps{
		DB: h.DB, Seal: ring.Seal, Open: ring.Open, Audit: h.Audit, Policy: delivery.DefaultPolicy(), Words: h.templates.Mail,
		Logger:   slog.New(slog.NewTextHandler(h.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		Senders:  map[delivery.Channel]delivery.Sender{delivery.SMS: h, delivery.Email: h, delivery.PEC: h, delivery.Post: h},
		Accepted: func(ctx context.Context, r delivery.Receipt) error { return h.Credentials.Accepted(ctx, r) },
		Failed:   func(ctx context.Context, r delivery.Receipt) error { return h.Credentials.Failed(ctx, r) },
	}))(h.t)
	h.Credentials = must(credentials.New(credentials.Deps{
		DB: h.DB, Citizens: h.Citizens, Throttle: guard, Outbox: h.outbox, Audit: h.Audit, Hasher: hasher,
		Pepper: ring.PRF(secrets.PINPepper), Wrap: ring.AEAD(secrets.PINWrap), Candidates: ring.AEAD(secrets.CandidateSeal),
		Policy: credentials.DefaultPolicy(), Eligibility: citizens.Open,
		Observe: func(string, bool) {
			if h.Tried != nil {
				h.Tried()
			}
		},
		Changed: h.Sessions.EndElsewhere,
		Ended: func(ctx context.Context, id citizens.ID, why credentials.Reason) error {
			return h.Sessions.EndCitizen(ctx, id, string(why))
		},
	}))(h.t)
}

func (h *House) serve(ring *secrets.Ring) {
	h.Server = httptest.NewUnstartedServer(nil)
	issuer := h.Issuer()
	pages := must(web.New(web.Options{
		Templates: h.templates, Issuer: issuer, Forms: ring.PRF(secrets.Forms),
		Logger: slog.New(slog.DiscardHandler), Unavailable: database.IsUnavailable,
	}))(h.t)
	h.Echo = pages.Echo
	must(login.New(login.Deps{
		DB: h.DB, Interactions: h.Interactions, Sessions: h.Sessions, Credentials: h.Credentials,
		Citizens: h.Citizens, Clients: h.Clients, Issuer: issuer, ACR: ACR,
	}))(h.t).Mount(h.Echo)
	h.Server.Config.Handler = h.Echo
	h.Server.Start()
	h.t.Cleanup(h.Server.Close)
}

// Issuer is the address of this node.
func (h *House) Issuer() string { return "http://" + h.Server.Listener.Addr().String() }

// Client registers a service, by a document of metadata.
func (h *House) Client(d clients.Document) clients.Client {
	h.t.Helper()
	if d.RedirectURIs == nil {
		d.RedirectURIs = []string{"https://estratto-conto.ente.example/cb"}
	}
	if d.ClientName == "" {
		d.ClientName = "Estratto conto"
	}
	return must(h.Clients.Register(h.t.Context(), audit.Actor{Kind: audit.Operator}, d))(h.t).Client
}

// FiscalCode parses one that is right.
func (h *House) FiscalCode(s string) citizens.FiscalCode {
	h.t.Helper()
	return must(citizens.ParseFiscalCode(s))(h.t)
}

// Citizen finds one of the people.
func (h *House) Citizen(fiscalCode string) citizens.Citizen {
	h.t.Helper()
	return must(h.Citizens.ByFiscalCode(h.t.Context(), h.FiscalCode(fiscalCode)))(h.t)
}

// FirstPIN issues a PIN and returns its 16 characters, out of the two letters.
func (h *House) FirstPIN(fiscalCode string) string {
	h.t.Helper()
	if err := h.Credentials.Issue(h.t.Context(), audit.Actor{Kind: audit.Operator}, h.FiscalCode(fiscalCode), credentials.Ordinario); err != nil {
		h.t.Fatal(err)
	}
	h.Deliver()
	return h.NewPIN()
}

// PIN is a working PIN: issued, and changed as at the first access.
func (h *House) PIN(fiscalCode string) string {
	h.t.Helper()
	ctx, by := h.t.Context(), audit.Actor{Kind: audit.Citizen}
	first := must(credentials.ParsePIN(h.FirstPIN(fiscalCode)))(h.t)
	verified := must(h.Credentials.Verify(ctx, by, h.FiscalCode(fiscalCode), first))(h.t)
	id := must(h.Credentials.StartChange(ctx, by, verified))(h.t)
	change := must(h.Credentials.Change(ctx, id))(h.t)
	must(h.Credentials.Confirm(ctx, by, id, first, change.Candidate))(h.t)
	return change.Candidate.Reveal()
}

// Outbox is where this node's messages leave.
func (h *House) Outbox() *delivery.Outbox { return h.outbox }
