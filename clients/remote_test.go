package clients

import (
	"context"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// publisher is a client's server with its JWK set.
type publisher struct {
	mu      sync.Mutex
	body    []byte
	maxAge  time.Duration
	err     error
	slow    time.Duration
	fetches atomic.Int64
}

func (p *publisher) fetch(ctx context.Context, _ string) (fetched, error) {
	p.fetches.Add(1)
	if p.slow > 0 {
		select {
		case <-ctx.Done():
			return fetched{}, ctx.Err()
		case <-time.After(p.slow):
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return fetched{body: p.body, maxAge: p.maxAge}, p.err
}

func (p *publisher) publish(t *testing.T, kids ...string) {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, kid := range kids {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: ecKey(t, elliptic.P256()).Public(), KeyID: kid})
	}
	body, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.body, p.err = body, nil
}

// expect asks for a kid and says how many fetches that may have made so far.
func (p *publisher) expect(t *testing.T, r *remoteKeys, kid string, found bool, fetches int64) {
	t.Helper()
	keys, err := r.find(t.Context(), "https://a.example/jwks", kid, Verifies)
	if (len(keys) > 0) != found || (found && err != nil) {
		t.Errorf("find(%q) = %d keys, %v, want found %v", kid, len(keys), err, found)
	}
	if got := p.fetches.Load(); got != fetches {
		t.Errorf("after %q: %d fetches, want %d", kid, got, fetches)
	}
}

func TestRemoteKeysAreCachedBetweenFloorAndCeiling(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ maxAge, fresh time.Duration }{
		"nothing said":     {0, keysFloor},
		"less than floor":  {time.Second, keysFloor},
		"between":          {10 * time.Minute, 10 * time.Minute},
		"more than enough": {1000 * time.Hour, keysCeiling},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &publisher{maxAge: test.maxAge}
			p.publish(t, "1")
			r := newRemoteKeys(p.fetch)
			p.expect(t, r, "1", true, 1)
			time.Sleep(test.fresh - time.Millisecond)
			p.expect(t, r, "1", true, 1)
			time.Sleep(time.Millisecond)
			p.expect(t, r, "1", true, 2)
			if t.Failed() {
				t.Log(name)
			}
		})
	}
}

func TestUnknownKidAsksAgainButNotAtWill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{}
		p.publish(t, "1")
		r := newRemoteKeys(p.fetch)
		p.expect(t, r, "1", true, 1)
		for range 100 {
			p.expect(t, r, "invented", false, 1)
		}
		p.publish(t, "1", "2")
		time.Sleep(keysPause)
		p.expect(t, r, "2", true, 2)
		for range 100 {
			p.expect(t, r, "invented", false, 2)
		}
	})
}

func TestManyWaitForOneFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{slow: time.Second}
		p.publish(t, "1")
		r := newRemoteKeys(p.fetch)
		var waiting sync.WaitGroup
		for range 50 {
			waiting.Go(func() {
				if keys, err := r.find(t.Context(), "https://a.example/jwks", "1", Verifies); err != nil || len(keys) != 1 {
					t.Errorf("find = %d keys, %v", len(keys), err)
				}
			})
		}
		waiting.Wait()
		if got := p.fetches.Load(); got != 1 {
			t.Errorf("%d fetches, want 1", got)
		}
	})
}

// TestManyWaitForOneRequestObject: nobody can have a client's server asked for
// the same in any number of connections.
func TestManyWaitForOneRequestObject(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var fetches atomic.Int64
		r := &remoteObjects{read: func(ctx context.Context, _ string) (fetched, error) {
			fetches.Add(1)
			select {
			case <-time.After(time.Second):
				return fetched{body: []byte("a.b.c")}, nil
			case <-ctx.Done():
				return fetched{}, ctx.Err()
			}
		}}
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, err := r.find(impatient, "https://a.example/object"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("find = %v", err)
			}
		})
		for range 50 {
			waiting.Go(func() {
				if got, err := r.find(t.Context(), "https://a.example/object"); err != nil || string(got.body) != "a.b.c" {
					t.Errorf("find = %q, %v", got.body, err)
				}
			})
		}
		waiting.Wait()
		if got := fetches.Load(); got != 1 {
			t.Errorf("%d fetches, want 1", got)
		}
	})
}

// TestFetchOutlivesWhoBeganIt: one impatient request does not spoil it for the
// others.
func TestFetchOutlivesWhoBeganIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{slow: 2 * time.Second}
		p.publish(t, "1")
		r := newRemoteKeys(p.fetch)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.find(ctx, "https://a.example/jwks", "1", Verifies); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("find = %v", err)
		}
		p.expect(t, r, "1", true, 1)
	})
}

func TestKeysOutliveAFailingServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{}
		p.publish(t, "1")
		r := newRemoteKeys(p.fetch)
		p.expect(t, r, "1", true, 1)
		p.mu.Lock()
		p.err = errors.New("away")
		p.mu.Unlock()
		time.Sleep(keysFloor)
		p.expect(t, r, "1", true, 2)
		p.expect(t, r, "1", true, 2) // and it is left alone for a while
		time.Sleep(keysCeiling)
		p.expect(t, r, "1", false, 3)
		if _, err := r.find(t.Context(), "https://a.example/jwks", "1", Verifies); !errors.Is(err, ErrKeys) {
			t.Errorf("find = %v, want ErrKeys", err)
		}
		p.publish(t, "1")
		time.Sleep(keysPause)
		p.expect(t, r, "1", true, 4)
	})
}

func TestPublishedPrivateKeyCondemnsTheSet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		private := publicKeys(t, jose.JSONWebKey{Key: ecKey(t, elliptic.P256()), KeyID: "1"})
		r := newRemoteKeys((&publisher{body: []byte(private)}).fetch)
		if _, err := r.find(t.Context(), "https://a.example/jwks", "1", Verifies); !errors.Is(err, ErrKeys) {
			t.Errorf("find = %v, want ErrKeys", err)
		}
	})
}

func TestRemoteMemoryIsBounded(t *testing.T) {
	t.Parallel()
	r := newRemoteKeys(nil)
	for i := range 3 * maxKeySets {
		r.keep(string(rune(i+1)), fetched{body: []byte(`{"keys":[]}`)}, nil)
	}
	if len(r.sets) > maxKeySets {
		t.Errorf("%d sets in memory", len(r.sets))
	}
}
