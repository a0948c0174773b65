package provider

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

// The algorithms that this provider signs with. Each has its own key, so that
// the key alone decides the algorithm a signature is checked with.
const (
	ES256 = "ES256" // access tokens, and the ID tokens of clients that ask for it
	RS256 = "RS256" // the default of id_token_signed_response_alg
	PS256 = "PS256"
	EdDSA = "EdDSA"
)

// Algorithms lists what there is a key for.
func Algorithms() []string { return []string{RS256, PS256, ES256, EdDSA} }

// A key's life. Only an active key signs; pending, active and retiring ones are
// published; a retired one still proves an old id_token_hint; a revoked one
// proves nothing.
const (
	keyPending  = "pending"
	keyActive   = "active"
	keyRetiring = "retiring"
	keyRetired  = "retired"
	keyRevoked  = "revoked"
)

// Errors of the key ring.
var (
	// ErrUnknownKey is returned for a kid that does not exist or is revoked.
	ErrUnknownKey = errors.New("no such signing key")
	// ErrKeysStale is returned when the database could not be asked for so
	// long that a key may have been revoked without this node knowing.
	ErrKeysStale = errors.New("signing keys are out of date")
)

// KeyPolicy says how long keys live and how long others may remember them. The
// zero value of a field means its default.
type KeyPolicy struct {
	CacheLifetime time.Duration // max-age of the JWKS; 15 minutes
	TokenLifetime time.Duration // the longest life of a token we sign; 10 minutes
	Skew          time.Duration // tolerance for clocks and slow nodes; 1 minute
	Rotation      time.Duration // age at which an active key is replaced; 90 days
	Remember      time.Duration // how long a retired key still proves a hint; 400 days
	Poll          time.Duration // how often the database is asked; 2 seconds
}

func (p KeyPolicy) withDefaults() KeyPolicy {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&p.CacheLifetime, 15*time.Minute)
	or(&p.TokenLifetime, 10*time.Minute)
	or(&p.Skew, time.Minute)
	or(&p.Rotation, 90*24*time.Hour)
	or(&p.Remember, 400*24*time.Hour)
	or(&p.Poll, 2*time.Second)
	p.Poll = min(p.Poll, max(p.Skew/8, 10*time.Millisecond)) // whoever lags behind is what the skew is for
	return p
}

// beforeUse is how long a key is published before it signs: whoever cached the
// JWKS a moment before its publication has fetched it again by then.
func (p KeyPolicy) beforeUse() time.Duration { return p.CacheLifetime + p.Skew }

// afterUse is how long a key stays published after its last signature.
func (p KeyPolicy) afterUse() time.Duration { return p.TokenLifetime + p.CacheLifetime + p.Skew }

// KeyDeps is what a KeyRing needs.
type KeyDeps struct {
	DB     *database.DB
	Wrap   tink.AEAD // seals private keys at rest
	Audit  *audit.Log
	Policy KeyPolicy
	Logger *slog.Logger // told when the database cannot be followed; optional
}

// KeyRing holds the signing keys of every node: rows in the database, followed
// from memory. Signing and verifying never wait for the database.
type KeyRing struct {
	store    *keyStore
	db       *database.DB
	wrap     tink.AEAD
	audit    *audit.Log
	policy   KeyPolicy
	log      *slog.Logger
	generate func(alg string) (crypto.Signer, error)

	snap    atomic.Pointer[snapshot]
	loading sync.Mutex    // one reader of the database at a time; guards the rest
	tried   time.Time     // when a request last asked for a read
	failed  error         // how that went
	again   time.Duration // between two of them
}

// NewKeyRing makes a key ring. It holds no key until Ensure or Load.
func NewKeyRing(d KeyDeps) (*KeyRing, error) {
	if d.DB == nil || d.Wrap == nil || d.Audit == nil {
		return nil, errors.New("provider: KeyDeps needs DB, Wrap and Audit")
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	k := &KeyRing{
		store: &keyStore{db: d.DB}, db: d.DB, wrap: d.Wrap, audit: d.Audit,
		policy: d.Policy.withDefaults(), log: d.Logger, generate: generateKey, again: time.Second,
	}
	k.snap.Store(emptySnapshot())
	return k, nil
}

// Load reads the keys into memory. A key that signs, or soon will, and cannot
// be unsealed is an error: the secrets folder is not this database's.
func (k *KeyRing) Load(ctx context.Context) error {
	k.loading.Lock()
	defer k.loading.Unlock()
	return k.load(ctx)
}

// load needs k.loading held. It never waits long: others wait for it.
func (k *KeyRing) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	asked := time.Now() // before reading: what is read may change meanwhile
	rows, now, err := k.store.all(ctx)
	if err != nil {
		return fmt.Errorf("load signing keys: %w", err)
	}
	s, err := k.snapshotOf(rows, k.snap.Load())
	if err != nil {
		return fmt.Errorf("load signing keys: %w", err)
	}
	s.asked, s.now = asked, now
	k.snap.Store(s)
	return nil
}

// current is what this node knows, asked for anew when Run has not done so
// lately: a revoked key is gone within two polls even on a node whose Run lags.
func (k *KeyRing) current(ctx context.Context) (*snapshot, error) {
	age := time.Since(k.snap.Load().asked)
	if age <= 2*k.policy.Poll {
		return k.snap.Load(), nil
	}
	stale := age > k.staleAfter()
	err := k.reload(ctx, stale)
	if err != nil && stale {
		return nil, fmt.Errorf("%w: %w", ErrKeysStale, err)
	}
	return k.snap.Load(), nil
}

// reload loads, unless that was tried a moment ago: a database that is down,
// or a flood of made-up kids, costs one statement a second. Who need not wait
// for another's attempt does not.
func (k *KeyRing) reload(ctx context.Context, wait bool) error {
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
func (k *KeyRing) staleAfter() time.Duration { return max(k.policy.Skew/2, 4*k.policy.Poll) }

// Active is the key that signs with alg now.
func (k *KeyRing) Active(ctx context.Context, alg string) (kid string, signer crypto.Signer, err error) {
	s, err := k.current(ctx)
	if err != nil {
		return "", nil, err
	}
	key, ok := s.active[alg]
	if !ok {
		return "", nil, fmt.Errorf("%w: none is active for %s", ErrUnknownKey, alg)
	}
	return key.kid, key.private, nil
}
