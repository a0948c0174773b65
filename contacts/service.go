package contacts

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/delivery"
)

// Deps are what a Service is made of. All are needed but Receipts, Site, Policy
// and Logger.
type Deps struct {
	DB       *database.DB
	Citizens *citizens.Registry
	Pins     *credentials.Service
	Outbox   *delivery.Outbox
	Audit    *audit.Log
	Seal     tink.AEAD // the contacts of a change, at rest
	Keys     *prf.Set  // HMACs of codes, links and targets
	// Notify tells a person something at the contacts on file, and at these
	// too, in the caller's transaction (credentials.Service.Warn: each of a few
	// changes in a day is told, or the last would hide behind the others).
	Notify func(ctx context.Context, who citizens.Citizen, key delivery.MessageKey, words delivery.Words, also ...citizens.Contact) error
	// Receipts says that the provider's receipts of PEC are read here. Without
	// them nobody could ever prove a PEC address as the rule wants, and the code
	// alone does.
	Receipts bool
	Site     string
	Policy   Policy
	Logger   *slog.Logger
}

// Service changes contacts. It is safe for concurrent use on any number of
// nodes.
//
// Whoever writes several of them writes a person, a PIN, a change in this order,
// so that nobody waits for each other.
type Service struct {
	db       *database.DB
	citizens *citizens.Registry
	pins     *credentials.Service
	outbox   *delivery.Outbox
	audit    *audit.Log
	seal     tink.AEAD
	keys     *prf.Set
	notify   func(ctx context.Context, who citizens.Citizen, key delivery.MessageKey, words delivery.Words, also ...citizens.Contact) error
	receipts bool
	site     string
	policy   Policy
	log      *slog.Logger
	store    store
	italy    *time.Location
}

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Citizens == nil || d.Pins == nil || d.Outbox == nil || d.Audit == nil || d.Seal == nil || d.Keys == nil || d.Notify == nil {
		return nil, errors.New("contacts: DB, Citizens, Pins, Outbox, Audit, Seal, Keys and Notify are needed")
	}
	if d.Policy == (Policy{}) {
		d.Policy = DefaultPolicy()
	}
	if !d.Policy.valid() {
		return nil, errors.New("contacts: every figure of the policy must be positive")
	}
	if d.Site == "" {
		d.Site = "http://localhost:8080"
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	italy, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		return nil, fmt.Errorf("contacts: %w", err)
	}
	return &Service{
		db: d.DB, citizens: d.Citizens, pins: d.Pins, outbox: d.Outbox, audit: d.Audit, seal: d.Seal, keys: d.Keys,
		notify: d.Notify, receipts: d.Receipts, site: strings.TrimSuffix(d.Site, "/"), policy: d.Policy, log: d.Logger,
		store: store{db: d.DB, keep: d.Policy.Keep}, italy: italy,
	}, nil
}

// pair is what a change is about: the new contact, none for a removal, and the
// one that counts when it is asked for, if there is any.
type pair struct{ value, replaces citizens.ContactValue }

// sealedPair is a pair at rest, only while it is sealed.
type sealedPair struct {
	Value    string `json:"value,omitempty"`
	Replaces string `json:"replaces,omitempty"`
}

func (s *Service) close(id ID, p pair) ([]byte, error) {
	plain, err := json.Marshal(sealedPair{Value: p.value.Reveal(), Replaces: p.replaces.Reveal()})
	if err != nil {
		return nil, errors.New("a change cannot be encoded") // err could quote it
	}
	defer clear(plain)
	sealed, err := s.seal.Encrypt(plain, place(id))
	return sealed, wrap("seal a change", err)
}

func (s *Service) open(r row) (pair, error) {
	plain, err := s.seal.Decrypt(r.Data, place(r.ID))
	if err != nil {
		return pair{}, fmt.Errorf("unseal change %s: %w", r.ID, err)
	}
	defer clear(plain)
	var at sealedPair
	if json.Unmarshal(plain, &at) != nil {
		return pair{}, fmt.Errorf("change %s cannot be read", r.ID) // the cause could quote it
	}
	var p pair
	for text, to := range map[string]*citizens.ContactValue{at.Value: &p.value, at.Replaces: &p.replaces} {
		if text == "" {
			continue
		}
		if *to, err = citizens.ParseContact(r.Kind, text); err != nil {
			return pair{}, fmt.Errorf("read change %s: %w", r.ID, err)
		}
	}
	return p, nil
}

// place binds what is sealed to its row.
func place(id ID) []byte { return []byte("contact_changes/data/" + string(id)) }

// secretsOf are a new code and, in a mail, a link, with what is kept of them.
type secretsOf struct {
	code, link       string
	codeKey, linkKey []byte
}

const codeDigits = 8

// draw makes the code of a change, and the link of a mail; PEC has none, because
// a mail scanner of its own provider would open it.
func (s *Service) draw(id ID, kind citizens.ContactKind) (d secretsOf, err error) {
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(codeDigits), nil)
	n, err := rand.Int(rand.Reader, most)
	if err != nil {
		return d, fmt.Errorf("draw a code: %w", err)
	}
	d.code = fmt.Sprintf("%0*d", codeDigits, n)
	d.codeKey = s.codeKeys(id, credentials.ParseCode(d.code))[0]
	if kind == citizens.Email {
		raw := make([]byte, 32)
		if _, err := rand.Read(raw); err != nil {
			return d, fmt.Errorf("draw a link: %w", err)
		}
		d.link = base64.RawURLEncoding.EncodeToString(raw)
		d.linkKey = s.linkKeys(credentials.NewLink(d.link))[0]
	}
	return d, nil
}

// codeKeys bind a code to its change: eight digits are the same elsewhere often
// enough.
func (s *Service) codeKeys(id ID, c credentials.Code) [][]byte {
	return s.keyed("code|" + string(id) + "|" + c.Reveal())
}

func (s *Service) linkKeys(c credentials.Code) [][]byte {
	if c.IsZero() {
		return nil
	}
	return s.keyed("link|" + c.Reveal())
}

// targetKeys name a number or an address without telling it, whatever kind of
// contact it is.
func (s *Service) targetKeys(v citizens.ContactValue) [][]byte {
	return s.keyed("target|" + strings.ToLower(v.Reveal()))
}

func (s *Service) keyed(text string) [][]byte {
	return credentials.Digests{Keys: s.keys, Label: "contact/v1|"}.Of(text)
}

func newID() (ID, error) {
	id, err := uuid.NewV7()
	return ID(id.String()), wrap("make an id", err)
}

// event is an audit event about a change.
func (r row) event(t audit.Type, by audit.Actor) audit.Event {
	return audit.Event{Type: t, Outcome: audit.Succeeded, Actor: by, Subject: r.CitizenID, Reason: string(r.Reason),
		Details: map[string]string{"request": string(r.ID), "kind": string(r.Kind), "state": string(r.State)}}
}

// change is what the owner may see of a row.
func (r row) change(p pair) Change {
	return Change{
		ID: r.ID, Citizen: r.CitizenID, Kind: r.Kind, Removal: r.Removal, State: r.State, Reason: r.Reason, Value: p.value,
		ByOperator: r.AskedBy == byOperator, CodeRight: r.State == Asked && !r.CodeAt.IsZero(),
		AskedAt: r.CreatedAt.Time, EndedAt: r.EndedAt.Time, DueAt: r.DueAt.Time,
	}
}

// end brings a change to its end, with its record, and hands it back; false when
// somebody else has ended it meanwhile.
func (s *Service) end(ctx context.Context, by audit.Actor, r row, to State, why Reason) (row, bool, error) {
	r, moved, err := s.store.end(ctx, r.ID, to, why)
	if err != nil || !moved {
		return row{}, false, err
	}
	if to == Effective {
		return r, true, s.audit.Record(ctx, r.event(audit.ContactEffective, by))
	}
	e := r.event(audit.ContactEnded, by)
	e.Outcome = audit.Refused
	return r, true, s.audit.Record(ctx, e)
}
