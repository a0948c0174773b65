package keys

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys/keystest"
)

// cachingVerifier is a relying party that believes max-age: it never fetches
// the JWKS before that, not even for a kid it does not know.
type cachingVerifier struct {
	keys    jose.JSONWebKeySet
	fetched time.Time
	held    []heldToken // verified once, and again until they expire
}

type heldToken struct {
	token   string
	expires time.Time
}

func (v *cachingVerifier) fetch(k *Set, now time.Time) error {
	if now.Sub(v.fetched) < k.policy.CacheLifetime {
		return nil
	}
	v.fetched, v.keys = now, jose.JSONWebKeySet{}
	return json.Unmarshal(k.snap.Load().jwks, &v.keys)
}

func (v *cachingVerifier) verify(token string) error {
	algs := []jose.SignatureAlgorithm{ES256, RS256}
	jws, err := jose.ParseSignedCompact(token, algs)
	if err != nil {
		return err
	}
	keys := v.keys.Key(jws.Signatures[0].Header.KeyID)
	if len(keys) != 1 {
		return fmt.Errorf("kid %s is in no cache", jws.Signatures[0].Header.KeyID)
	}
	_, err = jws.Verify(keys[0].Key.(crypto.PublicKey))
	return err
}

// round is what one relying party does in half a minute: fetch if it must, take
// a fresh token from one node, check those it still holds.
func (v *cachingVerifier) round(t *testing.T, signer, publisher *Set, now time.Time, alg string) error {
	if err := v.fetch(publisher, now); err != nil {
		return err
	}
	token, err := signer.Sign(t.Context(), alg, accessToken, map[string]any{"sub": "x"})
	if err != nil {
		return err
	}
	v.held = append(v.held, heldToken{token, now.Add(signer.policy.TokenLifetime)})
	for len(v.held) > 0 && now.After(v.held[0].expires) {
		v.held = v.held[1:]
	}
	return errors.Join(v.verify(token), v.verify(v.held[0].token)) // the newest and the oldest
}

// Two nodes, one of them half a minute behind; twenty relying parties that
// cache the JWKS to the last second of its max-age; five rotations.
func TestRotationsNeverFailAVerification(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		wrap := keystest.AEAD(t)
		nodes := []*Set{ensured(t, a, wrap), ensured(t, b, wrap)}
		for _, k := range nodes {
			k.policy.Poll = time.Hour // this test polls by hand
		}
		verifiers := make([]cachingVerifier, 20)
		start, err := a.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rotations, step := 0, 0
		for now := start; rotations < 5 || states(t, nodes[0], ES256)[stateRetiring] > 0; now = now.Add(30 * time.Second) {
			if states(t, nodes[0], ES256)[statePending] == 0 && rotations < 5 {
				rotations++
				rotateUnderLoad(t, nodes)
			}
			tend(t, nodes[0])
			if step%2 == 0 {
				tend(t, nodes[1])
			}
			if errs := oneRound(t, nodes, verifiers, now, step); errs != nil {
				t.Fatalf("after %s: %v", now.Sub(start), errs)
			}
			databasetest.Shift(t, a, 30*time.Second)
			step++
		}
	})
}

func rotateUnderLoad(t *testing.T, nodes []*Set) {
	t.Helper()
	var mu sync.Mutex
	var errs error
	databasetest.Barrier(8, func(i int) {
		_, err := nodes[i%2].Rotate(t.Context(), operator(), []string{ES256, RS256}[i/2%2])
		_, signing := nodes[i%2].Sign(t.Context(), ES256, accessToken, struct{}{})
		mu.Lock()
		defer mu.Unlock()
		errs = errors.Join(errs, err, signing)
	})
	if errs != nil {
		t.Fatal(errs)
	}
}

func oneRound(t *testing.T, nodes []*Set, verifiers []cachingVerifier, now time.Time, step int) error {
	errs := make([]error, len(verifiers))
	databasetest.Barrier(len(verifiers), func(i int) {
		// they start one after the other, so that their caches end at different times
		if step < i {
			return
		}
		errs[i] = verifiers[i].round(t, nodes[(i+step)%2], nodes[i%2], now, []string{ES256, RS256}[i%2])
	})
	return errors.Join(errs...)
}
