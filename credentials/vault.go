package credentials

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"

	"ente.example/idp/citizens"
)

const (
	hashLength  = 32
	saltLength  = 16
	hashVersion = 1
)

// vault turns PINs into what may rest in the database, in three layers. Eight
// digits can be tried through in hours at any cost of a hash, so the first is a
// key that is not in the database, the pepper. Argon2id makes each try of one
// who has that key too cost something. The wrap binds the result to its row,
// and can be renewed without the PIN.
type vault struct {
	pepper *prf.Set
	wrap   tink.AEAD
	hasher *Hasher
}

// secret is a PIN at rest.
type secret struct {
	Hash        []byte // wrapped
	Salt        []byte
	Memory      int64
	Passes      int64
	Threads     int64
	PepperKey   int64
	HashVersion int
}

func (s secret) cost() Cost {
	return Cost{Memory: uint32(s.Memory), Passes: uint32(s.Passes), Threads: uint8(s.Threads)}
}

// label says whose and which PIN a secret is: copied to another row, another
// person, kind or form, it does not unwrap.
type label struct {
	credential ID
	citizen    citizens.ID
	kind       Kind
	form       form
}

func (l label) bytes(version int) []byte {
	return []byte(strings.Join([]string{string(l.credential), string(l.citizen), string(l.kind), string(l.form), fmt.Sprint("v", version)}, "|"))
}

// keep makes the secret of a PIN, at the installation's cost.
func (v vault) keep(ctx context.Context, p *place, l label, pin PIN) (secret, error) {
	cost, err := v.hasher.Cost(ctx)
	if err != nil {
		return secret{}, err
	}
	s := secret{
		Salt: make([]byte, saltLength), Memory: int64(cost.Memory), Passes: int64(cost.Passes), Threads: int64(cost.Threads),
		PepperKey: int64(v.pepper.PrimaryID), HashVersion: hashVersion,
	}
	if _, err := rand.Read(s.Salt); err != nil {
		return secret{}, fmt.Errorf("draw a salt: %w", err)
	}
	sum, err := v.hash(ctx, p, l.citizen, s, pin)
	if err != nil {
		return secret{}, err
	}
	if s.Hash, err = v.wrap.Encrypt(sum, l.bytes(s.HashVersion)); err != nil {
		return secret{}, fmt.Errorf("wrap a PIN's hash: %w", err)
	}
	return s, nil
}

// matches compares a PIN with a secret. A secret that does not belong to its
// label is an error, since only somebody who writes into the database can have
// put it there; the hash is computed all the same.
func (v vault) matches(ctx context.Context, p *place, l label, s secret, pin PIN) (bool, error) {
	sum, err := v.hash(ctx, p, l.citizen, s, pin)
	if err == nil {
		err = v.fill(ctx, p, s)
	}
	if err != nil {
		return false, err
	}
	kept, err := v.wrap.Decrypt(s.Hash, l.bytes(s.HashVersion))
	if err != nil {
		return false, errForged
	}
	return subtle.ConstantTimeCompare(kept, sum) == 1, nil
}

// fill spends what a hash made at a lower cost than today's has saved: after
// the cost was raised, somebody who has not signed in since must not answer
// sooner than somebody unknown.
func (v vault) fill(ctx context.Context, p *place, s secret) error {
	now, err := v.hasher.Cost(ctx)
	if err != nil || !s.cost().Weaker(now) {
		return err
	}
	missing := now.Memory*now.Passes - s.cost().Memory*s.cost().Passes
	_, err = p.argon2(ctx, Cost{Memory: missing, Passes: 1, Threads: now.Threads}, s.Salt, s.Salt)
	return err
}

var errForged = errors.New("a PIN's hash does not belong to its row")

// burn takes as long as matches, for whom there is nothing to match.
func (v vault) burn(ctx context.Context, p *place, pin PIN) error {
	_, err := v.keep(ctx, p, label{citizen: nobody}, pin)
	return err
}

// stale reports whether a secret should be made anew while its PIN is at hand.
func (v vault) stale(ctx context.Context, s secret) (bool, error) {
	cost, err := v.hasher.Cost(ctx)
	if err != nil {
		return false, err
	}
	return s.cost().Weaker(cost) || s.PepperKey != int64(v.pepper.PrimaryID) || s.HashVersion < hashVersion, nil
}

func (v vault) hash(ctx context.Context, p *place, who citizens.ID, s secret, pin PIN) ([]byte, error) {
	key, ok := v.pepper.PRFs[uint32(s.PepperKey)]
	if !ok {
		return nil, fmt.Errorf("pepper key %d is not here", s.PepperKey)
	}
	inner, err := key.ComputePRF([]byte("pin/v1"+string(who)+pin.Reveal()), hashLength)
	if err != nil {
		return nil, fmt.Errorf("pepper a PIN: %w", err)
	}
	return p.argon2(ctx, s.cost(), inner, s.Salt)
}
