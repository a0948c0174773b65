package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// rsaBits is what ASVS 11.2.3 asks for.
const rsaBits = 3072

// key is one key in memory. private is nil unless it may sign or decrypt.
type key struct {
	kid, alg, state string
	public          jose.JSONWebKey
	private         crypto.Signer
	signer          jose.OpaqueSigner
}

// snapshot is all that a node knows about the keys at one moment. It is never
// changed, only replaced.
type snapshot struct {
	active map[string]*key // by algorithm
	byKid  map[string]*key // all that verify or decrypt
	due    []row           // those whose next state may be near
	jwks   []byte          // rendered before anybody asks
	asked  time.Time       // this node's clock, before the database was read
	now    time.Time       // the database's clock then
}

func emptySnapshot() *snapshot {
	return &snapshot{active: map[string]*key{}, byKid: map[string]*key{}}
}

// snapshotOf turns rows into keys. Private keys that the last snapshot had
// already are not unsealed again.
func (k *Set) snapshotOf(rows []row, last *snapshot) (*snapshot, error) {
	s := emptySnapshot()
	var published []jose.JSONWebKey
	for _, r := range rows {
		s.due = append(s.due, r)
		if r.State == stateRevoked {
			continue
		}
		one, err := k.open(r, last.byKid[r.Kid])
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", r.Kid, err)
		}
		s.byKid[r.Kid] = one
		if r.State == stateActive {
			s.active[r.Alg] = one
		}
		if r.published() {
			published = append(published, one.public)
		}
	}
	var err error
	if s.jwks, err = json.Marshal(jose.JSONWebKeySet{Keys: published}); err != nil {
		return nil, fmt.Errorf("encode the public keys: %w", err)
	}
	return s, nil
}

// published reports whether services are told of the key.
func (r row) published() bool {
	switch r.State {
	case statePending, stateActive:
		return true
	case stateRetiring:
		return useOf(r.Alg) == useSignature
	default:
		return false
	}
}

// usable reports whether the private part is needed.
func (r row) usable() bool {
	switch r.State {
	case statePending, stateActive:
		return true
	case stateRetiring:
		return useOf(r.Alg) == useEncryption
	default:
		return false
	}
}

func (k *Set) open(r row, known *key) (*key, error) {
	if known == nil || known.kid != r.Kid || known.alg != r.Alg {
		var err error
		if known, err = k.prove(r); err != nil {
			return nil, err
		}
	}
	one := &key{kid: r.Kid, alg: r.Alg, state: r.State, public: known.public}
	if !r.usable() {
		return one, nil
	}
	if one.private, one.signer = known.private, known.signer; one.private != nil {
		return one, nil
	}
	var err error
	if one.private, err = k.unseal(r); err != nil {
		return nil, err
	}
	one.signer = signerOf(one.private)
	return one, nil
}

// prove reads a public key that this program made: whoever can only write to
// the table cannot add one, nor exchange one under its kid.
func (k *Set) prove(r row) (*key, error) {
	if _, err := k.wrap.Decrypt(r.Proof, provenFor(r.Kid, r.Alg)); err != nil {
		return nil, errors.New("it was not made with this secrets folder")
	}
	one := &key{kid: r.Kid, alg: r.Alg}
	if err := one.public.UnmarshalJSON([]byte(r.PublicJWK)); err != nil {
		return nil, fmt.Errorf("read its public part: %w", err)
	}
	kid, err := thumbprint(one.public)
	if err != nil || kid != r.Kid || one.public.KeyID != r.Kid || one.public.Algorithm != namedAlg(r.Alg) || one.public.Use != useOf(r.Alg) || !one.public.IsPublic() {
		return nil, errors.New("its public part belongs to another key")
	}
	return one, nil
}

// seal and unseal bind a private key to its kid and algorithm: whoever can
// write to the table cannot move a key to another row.
func (k *Set) seal(kid, alg string, private crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	defer clear(der)
	return k.wrap.Encrypt(der, sealedFor(kid, alg))
}

func (k *Set) unseal(r row) (crypto.Signer, error) {
	der, err := k.wrap.Decrypt(r.Sealed, sealedFor(r.Kid, r.Alg))
	if err != nil {
		return nil, errors.New("it cannot be unsealed with this secrets folder")
	}
	defer clear(der)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("its private part cannot be read")
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("its private part is of no kind that is known")
	}
	return private, nil
}

func sealedFor(kid, alg string) []byte { return []byte("signing-key/v1|" + kid + "|" + alg) }

func provenFor(kid, alg string) []byte { return []byte("public-key/v1|" + kid + "|" + alg) }

// generate makes a private key for alg. RSA takes a second or so: never in
// a transaction.
func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case RS256, PS256, RSAOAEP:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case ES256, ECDHES:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("no keys of algorithm %q", alg)
}

// publicKey is the public part as it is published.
func publicKey(alg string, private crypto.Signer) (jose.JSONWebKey, error) {
	j := jose.JSONWebKey{Key: private.Public(), Algorithm: namedAlg(alg), Use: useOf(alg)}
	var err error
	j.KeyID, err = thumbprint(j)
	return j, err
}

// thumbprint names a key after itself (RFC 7638), so that no two keys ever
// share a kid.
func thumbprint(j jose.JSONWebKey) (string, error) {
	sum, err := j.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("name key: %w", err)
	}
	return typable(base64.RawURLEncoding.EncodeToString(sum)), nil
}

// typable keeps a name from looking like a flag to who types it after a command.
func typable(name string) string {
	if strings.HasPrefix(name, "-") {
		return "k" + name
	}
	return name
}
