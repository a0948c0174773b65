// Package keys is about the provider's own keys, those that it signs with and
// those that others encrypt to: how they are made once whatever the number of
// nodes, sealed at rest, published, rotated, revoked and forgotten. It owns
// provider_keys. It knows algorithms, JWS and JWE, and nothing of OpenID Connect:
// what a token says, and when it ends, is provider's.
package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// A key's life. Only an active key signs; pending, active and retiring ones are
// published; a retired one still proves an old id_token_hint; a revoked one
// proves nothing. One that others encrypt to opens as soon as it is published,
// and retiring, when it no longer is; retired, it is erased.
const (
	statePending  = "pending"
	stateActive   = "active"
	stateRetiring = "retiring"
	stateRetired  = "retired"
	stateRevoked  = "revoked"
)

// Errors of a Set.
var (
	// ErrUnknown is returned for a kid that does not exist or is revoked.
	ErrUnknown = errors.New("no such key")
	// ErrStale is returned when the database could not be asked for so
	// long that a key may have been revoked without this node knowing.
	ErrStale = errors.New("the provider's keys are out of date")
)

// Policy says how long keys live and how long others may remember them. The
// zero value of a field means its default.
type Policy struct {
	CacheLifetime  time.Duration // max-age of the JWKS; 15 minutes
	TokenLifetime  time.Duration // the longest life of a token we sign; 10 minutes
	SealedLifetime time.Duration // how long before it is sent something may have been encrypted; 1 hour
	Skew           time.Duration // tolerance for clocks and slow nodes; 1 minute
	Rotation       time.Duration // age at which an active key is replaced; 90 days
	Remember       time.Duration // how long a retired key still proves a hint; 400 days
	Poll           time.Duration // how often the database is asked; 2 seconds
}

func (p Policy) withDefaults() Policy {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&p.CacheLifetime, 15*time.Minute)
	or(&p.TokenLifetime, 10*time.Minute)
	or(&p.SealedLifetime, time.Hour)
	or(&p.Skew, time.Minute)
	or(&p.Rotation, 90*24*time.Hour)
	or(&p.Remember, 400*24*time.Hour)
	or(&p.Poll, 2*time.Second)
	p.Poll = min(p.Poll, max(p.Skew/8, 10*time.Millisecond)) // whoever lags behind is what the skew is for
	return p
}

// beforeUse is how long a key is published before it signs: whoever cached the
// JWKS a moment before its publication has fetched it again by then.
func (p Policy) beforeUse() time.Duration { return p.CacheLifetime + p.Skew }

// afterUse is how long a key stays published after its last signature, and how
// long one that others encrypt to opens after it was last published.
func (p Policy) afterUse(alg string) time.Duration {
	life := p.TokenLifetime
	if useOf(alg) == useEncryption {
		life = p.SealedLifetime
	}
	return life + p.CacheLifetime + p.Skew
}

// Deps is what a Set needs.
type Deps struct {
	DB       *database.DB
	Wrap     tink.AEAD // seals private keys at rest
	Audit    *audit.Log
	Policy   Policy
	Logger   *slog.Logger                            // told when the database cannot be followed; optional
	Generate func(alg string) (crypto.Signer, error) // makes private keys; nil makes RSA ones of 3072 bits. For tests
}

// Set holds the provider's keys of every node: rows in the database, followed
// from memory. Signing, verifying and decrypting never wait for the database.
type Set struct {
	store    *store
	db       *database.DB
	wrap     tink.AEAD
	audit    *audit.Log
	policy   Policy
	log      *slog.Logger
	generate func(alg string) (crypto.Signer, error)

	snap    atomic.Pointer[snapshot]
	loading sync.Mutex    // one reader of the database at a time; guards the rest
	tried   time.Time     // when a request last asked for a read
	failed  error         // how that went
	again   time.Duration // between two of them
}

// New makes a set. It holds no key until Ensure or Load.
func New(d Deps) (*Set, error) {
	if d.DB == nil || d.Wrap == nil || d.Audit == nil {
		return nil, errors.New("keys: Deps needs DB, Wrap and Audit")
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Generate == nil {
		d.Generate = generate
	}
	k := &Set{
		store: &store{db: d.DB}, db: d.DB, wrap: d.Wrap, audit: d.Audit,
		policy: d.Policy.withDefaults(), log: d.Logger, generate: d.Generate, again: time.Second,
	}
	k.snap.Store(emptySnapshot())
	return k, nil
}

// Load reads the keys into memory. A key that signs, or soon will, and cannot
// be unsealed is an error: the secrets folder is not this database's.
func (k *Set) Load(ctx context.Context) error {
	k.loading.Lock()
	defer k.loading.Unlock()
	return k.load(ctx)
}

// load needs k.loading held. It never waits long: others wait for it.
func (k *Set) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	asked := time.Now() // before reading: what is read may change meanwhile
	rows, now, err := k.store.all(ctx)
	if err != nil {
		return fmt.Errorf("load the provider's keys: %w", err)
	}
	s, err := k.snapshotOf(rows, k.snap.Load())
	if err != nil {
		return fmt.Errorf("load the provider's keys: %w", err)
	}
	s.asked, s.now = asked, now
	k.snap.Store(s)
	return nil
}

// current is what this node knows, asked for anew when Run has not done so
// lately: a revoked key is gone within two polls even on a node whose Run lags.
func (k *Set) current(ctx context.Context) (*snapshot, error) {
	age := time.Since(k.snap.Load().asked)
	if age <= 2*k.policy.Poll {
		return k.snap.Load(), nil
	}
	stale := age > k.staleAfter()
	err := k.reload(ctx, stale)
	if err != nil && stale {
		return nil, fmt.Errorf("%w: %w", ErrStale, err)
	}
	return k.snap.Load(), nil
}

// reload loads, unless that was tried a moment ago: a database that is down,
// or a flood of made-up kids, costs one statement a second. Who need not wait
// for another's attempt does not.
func (k *Set) reload(ctx context.Context, wait bool) error {
	if wait {
		k.loading.Lock()
	} else if !k.loading.TryLock() {
		return nil
	}
	defer k.loading.Unlock()
	if time.Since(k.tried) >= k.again {
		k.failed = k.load(context.WithoutCancel(ctx))
		k.tried = time.Now()
	}
	return k.failed
}

// loadTimeout bounds one look at the database.
const loadTimeout = 3 * time.Second

// staleAfter is how long a node that cannot reach the database goes on signing
// and verifying. It is shorter than the skew that published keys are kept for.
func (k *Set) staleAfter() time.Duration { return max(k.policy.Skew/2, 4*k.policy.Poll) }

// Active names the key that is in use for alg now.
func (k *Set) Active(ctx context.Context, alg string) (kid string, err error) {
	one, err := k.active(ctx, alg)
	if err != nil {
		return "", err
	}
	return one.kid, nil
}

func (k *Set) active(ctx context.Context, alg string) (*key, error) {
	s, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	one, ok := s.active[alg]
	if !ok {
		return nil, fmt.Errorf("%w: none is active for %s", ErrUnknown, alg)
	}
	return one, nil
}

// TokenLifetime is how long a token may live that a key signs at its last moment.
func (k *Set) TokenLifetime() time.Duration { return k.policy.TokenLifetime }

// Published is the JWKS as JSON, and how long it may be cached. A node that has
// lost the database answers with what it last knew, but briefly: a newer key,
// or a revocation, may exist that it has not heard of.
func (k *Set) Published(ctx context.Context) (jwks []byte, maxAge time.Duration) {
	recent := func(s *snapshot) bool { return time.Since(s.asked) <= 2*k.policy.Poll }
	s := k.snap.Load()
	if recent(s) {
		return s.jwks, k.policy.CacheLifetime
	}
	_ = k.reload(ctx, false) // how it went shows in what is known afterwards
	if s = k.snap.Load(); recent(s) {
		return s.jwks, k.policy.CacheLifetime
	}
	return s.jwks, k.policy.Poll
}
