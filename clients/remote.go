package clients

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

// How long a fetched JWK set is believed, whatever its server says, and how
// often a server may be asked: an assertion with an invented kid must not make
// us knock at a client's door.
const (
	keysFloor   = time.Minute
	keysCeiling = time.Hour
	keysPause   = 10 * time.Second // between two fetches of one address
	maxKeySets  = 1000             // in memory
)

// remoteKeys is the memory of JWK sets behind jwks_uri.
type remoteKeys struct {
	fetch func(ctx context.Context, uri string) (fetched, error)
	group singleflight.Group

	mu   sync.Mutex
	sets map[string]keySet
}

// keySet is what was last fetched from one address.
type keySet struct {
	keys   []jose.JSONWebKey
	err    error     // of the last fetch
	next   time.Time // no fetch before
	fresh  time.Time // no fetch needed before, for a kid that is known
	usable time.Time // until then, even when fetches fail
}

func newRemoteKeys(fetch func(context.Context, string) (fetched, error)) *remoteKeys {
	return &remoteKeys{fetch: fetch, sets: map[string]keySet{}}
}

// find answers from memory when it can. An unknown kid asks the server again,
// at most once in keysPause.
func (r *remoteKeys) find(ctx context.Context, uri, kid string, fit func(jose.JSONWebKey) bool) ([]jose.JSONWebKey, error) {
	now := time.Now()
	set := r.known(uri)
	if found := set.pick(kid, fit, now); !set.wants(now, len(found) > 0) {
		return set.answer(found)
	}
	set, err := r.refresh(ctx, uri)
	if err != nil {
		return nil, err
	}
	return set.answer(set.pick(kid, fit, time.Now()))
}

func (s keySet) pick(kid string, fit func(jose.JSONWebKey) bool, now time.Time) []jose.JSONWebKey {
	if now.After(s.usable) {
		return nil
	}
	return pick(s.keys, kid, fit)
}

// wants decides whether to fetch.
func (s keySet) wants(now time.Time, found bool) bool {
	return !now.Before(s.next) && (!found || !now.Before(s.fresh))
}

// answer prefers keys that are still usable over the news that the last fetch
// went wrong.
func (s keySet) answer(found []jose.JSONWebKey) ([]jose.JSONWebKey, error) {
	if len(found) == 0 && s.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeys, s.err)
	}
	return found, nil
}

func (r *remoteKeys) known(uri string) keySet {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sets[uri]
}

// refresh fetches once for all who wait. The fetch does not end with the one
// request that began it.
func (r *remoteKeys) refresh(ctx context.Context, uri string) (keySet, error) {
	done := r.group.DoChan(uri, func() (any, error) {
		known := r.known(uri)
		if time.Now().Before(known.next) {
			return known, nil // another has just been there
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		answer, err := r.fetch(ctx, uri)
		return r.keep(uri, answer, err), nil
	})
	select {
	case <-ctx.Done():
		return keySet{}, fmt.Errorf("wait for keys: %w", ctx.Err())
	case result := <-done:
		return result.Val.(keySet), nil
	}
}

// keep remembers the outcome of a fetch. After a failed one the keys known
// before stay usable up to the ceiling.
func (r *remoteKeys) keep(uri string, answer fetched, err error) keySet {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	set := r.sets[uri]
	set.next, set.err = now.Add(keysPause), err
	if err == nil {
		var keys []jose.JSONWebKey
		if keys, set.err = usableKeys(answer.body); set.err == nil {
			set.keys = keys
			set.fresh = now.Add(min(max(answer.maxAge, keysFloor), keysCeiling))
			set.usable = now.Add(keysCeiling)
		}
	}
	if len(r.sets) >= maxKeySets {
		maps.DeleteFunc(r.sets, func(_ string, s keySet) bool { return now.After(s.fresh) })
	}
	if len(r.sets) >= maxKeySets {
		clear(r.sets)
	}
	r.sets[uri] = set
	return set
}
