package provider

import (
	"crypto/sha256"
	"sync"

	"ente.example/idp/provider/keys"
)

// Bounds of what a node remembers of tokens: some ten thousand of a KiB. A longer
// one than maxProven is checked anew each time.
const (
	provenRoom = 16 << 20
	maxProven  = 4 << 10
	provenCost = 512 // what an entry takes beside its text
)

// proven remembers, in this process alone, that the signature of an access token
// was found right, or was made here: services ask about the same token again and
// again while it lives, and at userinfo mostly right after they got it. It promises
// this of the very bytes that were checked or signed, which it knows by
// their SHA-256, and nothing else. Whether the key still counts, time, client,
// revocation, grant and binding are asked each time; a token that failed is not
// kept, so that to know of one here takes the token (docs/decisions/0036).
//
// It holds provenRoom bytes at most. Its older half is forgotten as the younger
// fills: a flood of good tokens costs the others one signature each.
type proven struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]*provenToken
	room       int // left in young
}

// provenToken is what a token says, read-only, and the header it came with.
type provenToken struct {
	claims accessClaims
	header keys.Header
}

func (p *proven) get(token [sha256.Size]byte, length int) (*provenToken, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if found, ok := p.young[token]; ok {
		return found, true
	}
	found, ok := p.old[token]
	if ok {
		delete(p.old, token)
		p.keep(token, found, length)
	}
	return found, ok
}

// add remembers a token that this node has signed.
func (p *proven) add(token string, t *provenToken) {
	if len(token) <= maxProven {
		p.put(sha256.Sum256([]byte(token)), t, len(token))
	}
}

// put remembers a token of that length, of which the caller has checked all that
// is in it.
func (p *proven) put(token [sha256.Size]byte, t *provenToken, length int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.young[token]; !ok {
		p.keep(token, t, length)
	}
}

// keep needs p.mu held.
func (p *proven) keep(token [sha256.Size]byte, t *provenToken, length int) {
	cost := length + provenCost
	if p.young == nil || p.room < cost {
		p.young, p.old, p.room = map[[sha256.Size]byte]*provenToken{}, p.young, provenRoom/2
	}
	p.young[token] = t
	p.room -= cost
}
