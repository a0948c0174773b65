package provider

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/prf"
)

// A refresh token is
//
//	"rt_" + base64url(key id 4 | grant id 16 | generation 4 | secret 32 | tag 16)
//
// The tag proves that we made it: garbage is refused without a look at the
// database, and any older genuine one is known for a replay although no history
// is kept. The next secret follows from this one under the same key, so that a
// retry gets the same successor; the database holds only the secret's SHA-256,
// so that neither it nor the key alone forges a token.
const (
	refreshPrefix = "rt_"
	secretSize    = 32
	tagSize       = 16
	refreshSize   = 4 + 16 + 4 + secretSize + tagSize
)

// refreshToken is one generation of a family. It must not be printed.
type refreshToken struct {
	keyID      uint32
	grant      string // the family: the id of its grant
	generation uint32
	secret     [secretSize]byte
}

func (refreshToken) String() string       { return "[refresh token]" }
func (refreshToken) GoString() string     { return "[refresh token]" }
func (refreshToken) LogValue() slog.Value { return slog.StringValue("[refresh token]") }

// Format keeps every verb from printing the secret.
func (refreshToken) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[refresh token]")) }

// hash is what the database keeps of the token.
func (t refreshToken) hash() []byte {
	h := sha256.Sum256(t.secret[:])
	return h[:]
}

func (t refreshToken) equals(generation uint32, hash []byte) bool {
	return t.generation == generation && subtle.ConstantTimeCompare(t.hash(), hash) == 1
}

// newRefreshToken starts a family.
func newRefreshToken(keys *prf.Set, grant string) refreshToken {
	t := refreshToken{keyID: keys.PrimaryID, grant: grant, generation: 1}
	_, _ = rand.Read(t.secret[:]) // never fails
	return t
}

// next is the one successor that this token can have.
func (t refreshToken) next(keys *prf.Set) (refreshToken, error) {
	n := refreshToken{keyID: t.keyID, grant: t.grant, generation: t.generation + 1}
	body, err := n.body()
	if err != nil {
		return refreshToken{}, err
	}
	secret, err := compute(keys, t.keyID, "next", append(body[:24:24], t.secret[:]...), secretSize)
	if err != nil {
		return refreshToken{}, err
	}
	copy(n.secret[:], secret)
	return n, nil
}

// reveal is the token as the client gets it.
func (t refreshToken) reveal(keys *prf.Set) (string, error) {
	body, err := t.body()
	if err != nil {
		return "", err
	}
	tag, err := compute(keys, t.keyID, "tag", body, tagSize)
	if err != nil {
		return "", err
	}
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(append(body, tag...)), nil
}

func (t refreshToken) body() ([]byte, error) {
	id, err := uuid.Parse(t.grant)
	if err != nil {
		return nil, fmt.Errorf("grant id: %w", err)
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, refreshSize), t.keyID)
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint32(b, t.generation)
	return append(b, t.secret[:]...), nil
}

// openRefresh reads a token that we made; false for anything else.
func (p *Provider) openRefresh(token string) (refreshToken, bool) {
	return openRefreshToken(p.refreshKey, token)
}

func openRefreshToken(keys *prf.Set, token string) (refreshToken, bool) {
	rest, ok := strings.CutPrefix(token, refreshPrefix)
	if !ok || len(rest) != base64.RawURLEncoding.EncodedLen(refreshSize) {
		return refreshToken{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil {
		return refreshToken{}, false
	}
	body, tag := b[:refreshSize-tagSize], b[refreshSize-tagSize:]
	t := refreshToken{keyID: binary.BigEndian.Uint32(body), grant: uuid.UUID(body[4:20]).String(), generation: binary.BigEndian.Uint32(body[20:24])}
	copy(t.secret[:], body[24:])
	want, err := compute(keys, t.keyID, "tag", body, tagSize)
	if err != nil || subtle.ConstantTimeCompare(want, tag) != 1 {
		return refreshToken{}, false
	}
	return t, true
}

// compute is the keyed function behind tags and successors. Each purpose has
// its own label; a key that has left the key set makes its tokens unreadable.
func compute(keys *prf.Set, keyID uint32, label string, input []byte, size uint32) ([]byte, error) {
	f, ok := keys.PRFs[keyID]
	if !ok {
		return nil, fmt.Errorf("no refresh key %d", keyID)
	}
	out, err := f.ComputePRF(append([]byte("refresh/v1/"+label+"\x00"), input...), size)
	if err != nil {
		return nil, fmt.Errorf("compute %s: %w", label, err)
	}
	return out, nil
}
