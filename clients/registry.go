package clients

import (
	"context"
	"errors"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/authorizations"
	"ente.example/idp/database"
)

// What the registry answers when it does not answer with a client.
var (
	ErrUnknown  = errors.New("no such client")
	ErrDisabled = errors.New("client is disabled")
)

// DefaultSecretOverlap is how long a rotated secret stays valid unless the
// policy says otherwise.
const DefaultSecretOverlap = 24 * time.Hour

// Policy holds the registry's parameters; zero values are the safe defaults.
type Policy struct {
	SecretOverlap time.Duration // clients.secret_overlap
	// CacheFor is how long memory is believed before the database is asked
	// whether anything changed: 5 s, so that a change is seen within 10 s.
	CacheFor time.Duration
	Fetch    FetchPolicy
}

// Deps is what the registry needs.
type Deps struct {
	DB     *database.DB
	Audit  *audit.Log
	Policy Policy
	Scopes []string // every scope that exists
	// Authorizations are the types of authorization that exist; nil for none.
	Authorizations *authorizations.Types
	// Publishers are those whose software statements count, and Issuer who those
	// have to be for, if they are for somebody.
	Publishers []Publisher
	Issuer     string
	// Ended runs in the transaction that disables a client: what it was granted
	// must end too. Nil for nothing.
	Ended func(ctx context.Context, id string) error
}

// Registry is the registry of relying parties.
type Registry struct {
	db      *database.DB
	audit   *audit.Log
	policy  Policy
	rules   rules
	store   store
	cache   *cache
	fetch   *fetcher
	remote  *remoteKeys
	objects *remoteObjects
	ended   func(ctx context.Context, id string) error

	publishers []Publisher
	issuer     string
}

// New returns a registry over the database's clients.
func New(d Deps) (*Registry, error) {
	if d.DB == nil || d.Audit == nil || len(d.Scopes) == 0 {
		return nil, errors.New("clients: database, audit and scopes are required")
	}
	if d.Policy.SecretOverlap < 0 || d.Policy.CacheFor < 0 {
		return nil, errors.New("clients: a duration is negative")
	}
	if d.Policy.SecretOverlap == 0 {
		d.Policy.SecretOverlap = DefaultSecretOverlap
	}
	if d.Policy.CacheFor == 0 {
		d.Policy.CacheFor = 5 * time.Second
	}
	if d.Ended == nil {
		d.Ended = func(context.Context, string) error { return nil }
	}
	fetcher := newFetcher(d.Policy.Fetch)
	rules := rules{scopes: d.Scopes, authorizations: d.Authorizations, loopback: d.Policy.Fetch.Loopback}
	if err := rules.checkPublishers(d.Publishers); err != nil {
		return nil, err
	}
	return &Registry{
		db: d.DB, audit: d.Audit, policy: d.Policy,
		rules:   rules,
		store:   store{db: d.DB},
		cache:   newCache(d.Policy.CacheFor),
		fetch:   fetcher,
		remote:  newRemoteKeys(fetcher.get),
		objects: &remoteObjects{read: fetcher.object},
		ended:   d.Ended,

		publishers: d.Publishers, issuer: d.Issuer,
	}, nil
}
