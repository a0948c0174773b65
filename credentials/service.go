package credentials

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/delivery"
	"ente.example/idp/throttle"
)

// Deps are what a Service is made of. All are needed but Observe and Logger.
type Deps struct {
	DB          *database.DB
	Citizens    *citizens.Registry
	Throttle    *throttle.Guard
	Outbox      *delivery.Outbox
	Audit       *audit.Log
	Pepper      *prf.Set  // first layer of a PIN's hash
	Wrap        tink.AEAD // last layer
	Candidates  tink.AEAD // seals a new PIN while it is shown
	Hasher      *Hasher
	Policy      Policy
	Eligibility citizens.Eligibility // zero is citizens.Current
	// Ended runs in the transaction that ends or suspends somebody's PIN: what
	// was built on it, sessions and grants, must end too.
	Ended func(ctx context.Context, id citizens.ID, why Reason) error
	// FirstAccess runs in the transaction in which somebody's first PIN gives way
	// to the one that he uses: a request for a PIN ends with it. Nil for nothing.
	FirstAccess func(ctx context.Context, id citizens.ID, first ID) error
	// Changed runs in the transaction in which somebody's PIN gives way to the one
	// that he has copied: who is in with the old one elsewhere than where that
	// change is made is so no more. Nil for nothing.
	Changed func(ctx context.Context, id citizens.ID, in ChangeID) error
	// Reported runs in the transaction of a "that was not me": what else of that
	// person is under way, a change of contacts, is contested with the PIN. Nil
	// for nothing.
	Reported func(ctx context.Context, id citizens.ID) error
	// Site is the address of the pages, for the links in messages; the zero
	// value is the one of a machine that serves itself.
	Site string
	// Observe counts tries ("right", "wrong", "waiting") and new waits.
	Observe func(result string, locked bool)
	Logger  *slog.Logger
}

// Service is the life of PINs. It is safe for concurrent use.
type Service struct {
	db          *database.DB
	citizens    *citizens.Registry
	throttle    *throttle.Guard
	outbox      *delivery.Outbox
	audit       *audit.Log
	candidates  tink.AEAD
	hasher      *Hasher
	policy      Policy
	eligibility citizens.Eligibility
	ended       func(ctx context.Context, id citizens.ID, why Reason) error
	firstAccess func(ctx context.Context, id citizens.ID, first ID) error
	changed     func(ctx context.Context, id citizens.ID, in ChangeID) error
	reported    func(ctx context.Context, id citizens.ID) error
	observe     func(result string, locked bool)
	log         *slog.Logger
	store       store
	vault       vault
	italy       *time.Location
	site        string
	// wake is nudged after a commit on this node, so that a request does not
	// wait for the next poll.
	wake chan struct{}
}

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Citizens == nil || d.Throttle == nil || d.Outbox == nil || d.Audit == nil || d.Pepper == nil ||
		d.Wrap == nil || d.Candidates == nil || d.Hasher == nil || d.Ended == nil {
		return nil, errors.New("credentials: DB, Citizens, Throttle, Outbox, Audit, Pepper, Wrap, Candidates, Hasher and Ended are needed")
	}
	if !d.Policy.valid() {
		return nil, errors.New("credentials: the policy's figures must be positive, and the alphabet digits or hex")
	}
	if d.Eligibility == "" {
		d.Eligibility = citizens.Current
	}
	if d.FirstAccess == nil {
		d.FirstAccess = func(context.Context, citizens.ID, ID) error { return nil }
	}
	if d.Changed == nil {
		d.Changed = func(context.Context, citizens.ID, ChangeID) error { return nil }
	}
	if d.Reported == nil {
		d.Reported = func(context.Context, citizens.ID) error { return nil }
	}
	if d.Observe == nil {
		d.Observe = func(string, bool) {}
	}
	if d.Site == "" {
		d.Site = "http://localhost:8080"
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	italy, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	return &Service{
		db: d.DB, citizens: d.Citizens, throttle: d.Throttle, outbox: d.Outbox, audit: d.Audit, candidates: d.Candidates,
		hasher: d.Hasher, policy: d.Policy, eligibility: d.Eligibility, ended: d.Ended, firstAccess: d.FirstAccess,
		changed: d.Changed, reported: d.Reported, observe: d.Observe, log: d.Logger,
		italy: italy, store: store{db: d.DB, profile: d.Eligibility, keep: d.Policy.Keep},
		vault: vault{pepper: d.Pepper, wrap: d.Wrap, hasher: d.Hasher},
		site:  strings.TrimSuffix(d.Site, "/"), wake: make(chan struct{}, 1),
	}, nil
}

// Kind is the kind of the PIN with which a person can sign in now, as services
// are told: for some days after a recovery it is ordinario, whatever it was.
func (s *Service) Kind(ctx context.Context, id citizens.ID) (Kind, bool, error) {
	c, found, err := s.store.live(ctx, id)
	if err != nil {
		return "", false, fmt.Errorf("read the kind of a PIN: %w", err)
	}
	if !found || !c.SuspendedAt.IsZero() {
		return "", false, nil
	}
	return c.kind(), true, nil
}

// Status tells staff about the PIN that can sign in, else about the newest.
func (s *Service) Status(ctx context.Context, fc citizens.FiscalCode) (Status, error) {
	who, err := s.citizens.ByFiscalCode(ctx, fc)
	if err != nil {
		return Status{}, fmt.Errorf("read the state of a PIN: %w", err)
	}
	return s.StatusOf(ctx, who)
}

// StatusOf is Status for somebody who has been looked up already, as citizens
// are for their own area.
func (s *Service) StatusOf(ctx context.Context, who citizens.Citizen) (Status, error) {
	c, found, err := s.store.shown(ctx, who.ID)
	if err != nil {
		return Status{}, fmt.Errorf("read the state of a PIN: %w", err)
	}
	until, waits, err := s.throttle.Until(ctx, []byte(who.ID))
	if err != nil {
		return Status{}, fmt.Errorf("read the state of a PIN: %w", err)
	}
	st := Status{State: None}
	if found {
		st = s.status(c, who)
	}
	if waits {
		st.WaitingUntil = &until
	}
	return st, nil
}

func (s *Service) status(c credential, who citizens.Citizen) Status {
	st := Status{State: s.policy.state(c, who, s.italy, c.Now.Time), Kind: c.Kind, ChangedAt: c.ChangedAt.Ptr(), DueAt: c.DueAt.Ptr(), DismissalAt: c.DismissalAt.Ptr()}
	if c.State == Active {
		due := s.policy.due(c.ChangedAt.Time, who.Category, s.italy)
		st.DueAt = &due
	}
	live := st.State == Issued || st.State == Active || st.State == ChangeDue
	if _, excluded := s.eligibility.Excludes(who, c.IssuedAt.Ptr(), c.Now.Time); excluded && live && c.shutOut(who, s.eligibility) {
		st.State = Dismissed
	}
	return st
}
