// Package enrolment is how somebody comes to a first PIN: the request for one
// (R10–R22), from the form to the first access, and the contact centre's queue
// of calls, which some requests need and others may use. It decides who gets a
// PIN and where its halves go; what a PIN is, and how it is made, handed over and
// taken back, is credentials' affair.
//
// It owns the tables enrolments and callbacks. It stands on credentials,
// delivery, audit and citizens, and nothing of theirs knows it: they call the
// functions that wiring hands them, FirstAccess, Accepted, Failed and Outcome.
package enrolment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// Archive is where the address comes from that a request is compared with and
// the second half is sent to (R13, R14). An error means that it cannot say now.
type Archive interface {
	Residence(ctx context.Context, id citizens.ID) (citizens.Address, error)
}

// Deps are what Requests are made of. Archive may be left out: the registry
// then says where people live. So may Hours, Policy and Logger.
type Deps struct {
	DB       *database.DB
	Citizens *citizens.Registry
	Outbox   *delivery.Outbox
	Audit    *audit.Log
	Pins     *credentials.Service
	Seal     tink.AEAD // what was typed, at rest
	Index    *prf.Set  // finds codes and telephones by their HMAC
	Archive  Archive
	Hours    Hours
	Policy   Policy
	Logger   *slog.Logger
}

// Requests are the requests for a first PIN, and the calls that come of them.
// They are safe for concurrent use on any number of nodes.
type Requests struct {
	db       *database.DB
	citizens *citizens.Registry
	outbox   *delivery.Outbox
	audit    *audit.Log
	pins     *credentials.Service
	seal     tink.AEAD
	index    credentials.Digests
	archive  Archive
	policy   Policy
	italy    *time.Location
	log      *slog.Logger
	store    requestStore
	calls    *Calls
	// wake is nudged after a commit on this node.
	wake chan struct{}
}

// New makes Requests.
func New(d Deps) (*Requests, error) {
	if d.DB == nil || d.Citizens == nil || d.Outbox == nil || d.Audit == nil || d.Pins == nil || d.Seal == nil || d.Index == nil {
		return nil, errors.New("enrolment: DB, Citizens, Outbox, Audit, Pins, Seal and Index are needed")
	}
	if d.Archive == nil {
		d.Archive = registryArchive{d.Citizens}
	}
	if d.Policy == (Policy{}) {
		d.Policy = DefaultPolicy()
	}
	if !d.Policy.valid() {
		return nil, errors.New("enrolment: every figure of the policy must be positive")
	}
	if len(d.Hours.Openings) == 0 {
		closed := d.Hours.Closed
		d.Hours = DefaultHours()
		d.Hours.Closed = closed
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	italy, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		return nil, fmt.Errorf("enrolment: %w", err)
	}
	q := &Requests{
		db: d.DB, citizens: d.Citizens, outbox: d.Outbox, audit: d.Audit, pins: d.Pins, seal: d.Seal, index: credentials.Digests{Keys: d.Index},
		archive: d.Archive, policy: d.Policy, italy: italy, log: d.Logger,
		store: requestStore{db: d.DB, keep: d.Policy.Keep}, wake: make(chan struct{}, 1),
	}
	q.calls = &Calls{
		db: d.DB, citizens: d.Citizens, audit: d.Audit, seal: d.Seal, index: q.index, hours: d.Hours, policy: d.Policy, italy: italy,
		store: callStore{db: d.DB, keep: d.Policy.Keep}, requests: q,
	}
	return q, nil
}

// Calls is the contact centre's queue.
func (q *Requests) Calls() *Calls { return q.calls }

// registryArchive is the archive of an institution that has imported it.
type registryArchive struct{ citizens *citizens.Registry }

// Residence says where the registry has a person live.
func (a registryArchive) Residence(ctx context.Context, id citizens.ID) (citizens.Address, error) {
	who, err := a.citizens.ByID(ctx, id)
	return who.Residence, err
}

func (q *Requests) nudge() {
	select {
	case q.wake <- struct{}{}:
	default: // one is waiting already
	}
}

// event is an audit event about a request.
func (r request) event(t audit.Type, by audit.Actor, why string) audit.Event {
	ev := audit.Event{Type: t, Outcome: audit.Succeeded, Actor: by, Subject: r.CitizenID, Reason: why,
		Details: map[string]string{"request": r.ID, "state": string(r.State)}}
	if r.CredentialID != "" {
		ev.Details["credential"] = string(r.CredentialID)
	}
	return ev
}

// Restricted reports whether not everybody may ask for a PIN (R7), so that
// pages can say who may.
func (q *Requests) Restricted() bool { return q.pins.Eligibility() != citizens.Open }

// nobody is the id under which messages go whose reader the registry does not
// know.
const nobody citizens.ID = "00000000-0000-0000-0000-000000000000"

var system = audit.Actor{Kind: audit.System}

// errRace says that somebody else has moved what was read.
var errRace = errors.New("somebody else was faster")

func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return id.String(), nil
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
