// Package secrets keeps the installation's key files: made once by
// `idp secrets init`, read at start, and handed out as ready primitives, each
// for one purpose. Every key has its own file, so that a file may be taken
// from one node and not from another, and so that no key serves two ends.
//
// The files are Tink keysets in clear JSON, mode 0400: each key in one has an
// id, which is what makes rotation possible. They belong in no database and
// in no backup of one. The package imports nothing of ours.
package secrets

import (
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/signature"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Name is a key's purpose and its file's name.
type Name string

// The keys of an installation.
const (
	CitizensSeal  Name = "citizens-seal"  // personal data at rest
	CitizensIndex Name = "citizens-index" // finds a sealed value by its HMAC
	PINPepper     Name = "pin-pepper"     // first layer of a PIN's hash
	PINWrap       Name = "pin-wrap"       // last layer of a PIN's hash
	CandidateSeal Name = "candidate-seal" // a new PIN while it is shown
	RequestsSeal  Name = "requests-seal"  // what a request for a PIN says
	RequestsIndex Name = "requests-index" // finds its codes by their HMAC
	SigningWrap   Name = "signing-wrap"   // the tokens' signing keys at rest
	Throttle      Name = "throttle"       // names of people in throttle rows
	Subject       Name = "subject"        // pairwise subjects: never rotates
	Refresh       Name = "refresh"        // the chain of refresh tokens
	AccessSeal    Name = "access-seal"    // access tokens by reference
	Forms         Name = "forms"          // form tokens
	AuditSign     Name = "audit-sign"     // checkpoints of the audit chain
)

// channels are those of the outbox; each has a key pair of its own, so that a
// node that only writes messages cannot read them.
var channels = []string{"sms", "email", "pec", "post"}

func outbox(channel string) Name { return Name("outbox-" + channel) }

// kinds says what each key is made of.
var kinds = map[Name]func() *tinkpb.KeyTemplate{
	CitizensSeal:   aead.AES256GCMKeyTemplate,
	PINWrap:        aead.AES256GCMKeyTemplate,
	CandidateSeal:  aead.AES256GCMKeyTemplate,
	SigningWrap:    aead.AES256GCMKeyTemplate,
	RequestsSeal:   aead.AES256GCMKeyTemplate,
	RequestsIndex:  prf.HMACSHA256PRFKeyTemplate,
	CitizensIndex:  prf.HMACSHA256PRFKeyTemplate,
	PINPepper:      prf.HMACSHA256PRFKeyTemplate,
	Throttle:       prf.HMACSHA256PRFKeyTemplate,
	Subject:        prf.HMACSHA256PRFKeyTemplate,
	Refresh:        prf.HMACSHA256PRFKeyTemplate,
	Forms:          prf.HMACSHA256PRFKeyTemplate,
	AccessSeal:     aead.XChaCha20Poly1305KeyTemplate, // one for each of many tokens: its nonces never run out
	AuditSign:      signature.ECDSAP256KeyTemplate,
	"outbox-sms":   hybrid.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM_Key_Template,
	"outbox-email": hybrid.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM_Key_Template,
	"outbox-pec":   hybrid.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM_Key_Template,
	"outbox-post":  hybrid.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM_Key_Template,
}

// Ring holds the keys of an installation, ready for use. It is safe for
// concurrent use and prints as its type.
type Ring struct {
	aeads    map[Name]tink.AEAD
	prfs     map[Name]*prf.Set
	seals    map[string]tink.HybridEncrypt
	opens    map[string]tink.HybridDecrypt
	signer   tink.Signer
	verifier tink.Verifier
}

func (*Ring) String() string { return "[keys]" }

// GoString keeps %#v from printing key material.
func (*Ring) GoString() string { return "[keys]" }

// New makes fresh keys in memory, for tests.
func New() (*Ring, error) {
	handles := map[Name]*keyset.Handle{}
	for name, template := range kinds {
		h, err := keyset.NewHandle(template())
		if err != nil {
			return nil, fmt.Errorf("make key %s: %w", name, err)
		}
		handles[name] = h
	}
	return assemble(handles, nil)
}

// AEAD is the cipher of that name. Asking for a key of another kind is a
// fault in the program, hence the panic.
func (r *Ring) AEAD(n Name) tink.AEAD { return must(r.aeads, n) }

// PRF is the keyed HMAC-SHA-256 of that name, all its keys by id.
func (r *Ring) PRF(n Name) *prf.Set { return must(r.prfs, n) }

// Seal encrypts for a channel of the outbox; every node has it.
func (r *Ring) Seal(channel string) tink.HybridEncrypt { return must(r.seals, channel) }

// Open decrypts for a channel, on nodes that hold its private key.
func (r *Ring) Open(channel string) (tink.HybridDecrypt, bool) {
	o, ok := r.opens[channel]
	return o, ok
}

// AuditSigner signs checkpoints of the audit chain (ES256).
func (r *Ring) AuditSigner() tink.Signer { return r.signer }

// AuditVerifier checks them.
func (r *Ring) AuditVerifier() tink.Verifier { return r.verifier }

func must[K ~string, V any](m map[K]V, k K) V {
	v, ok := m[k]
	if !ok {
		panic("no key is named " + string(k))
	}
	return v
}

// assemble turns key handles into primitives. A channel may come as a public
// key alone.
func assemble(handles map[Name]*keyset.Handle, public map[string]*keyset.Handle) (*Ring, error) {
	r := &Ring{
		aeads: map[Name]tink.AEAD{}, prfs: map[Name]*prf.Set{},
		seals: map[string]tink.HybridEncrypt{}, opens: map[string]tink.HybridDecrypt{},
	}
	for name, h := range handles {
		if err := r.add(name, h); err != nil {
			return nil, fmt.Errorf("key %s: %w", name, err)
		}
	}
	for channel, h := range public {
		var err error
		if r.seals[channel], err = hybrid.NewHybridEncrypt(h); err != nil {
			return nil, fmt.Errorf("public key of %s: %w", outbox(channel), err)
		}
	}
	return r, nil
}

func (r *Ring) add(name Name, h *keyset.Handle) (err error) {
	switch name {
	case CitizensSeal, PINWrap, CandidateSeal, SigningWrap, RequestsSeal, AccessSeal:
		r.aeads[name], err = aead.New(h)
	case AuditSign:
		err = r.addSigner(h)
	case "outbox-sms", "outbox-email", "outbox-pec", "outbox-post":
		err = r.addChannel(string(name[len("outbox-"):]), h)
	default:
		r.prfs[name], err = prf.NewPRFSet(h)
	}
	return err
}

func (r *Ring) addSigner(h *keyset.Handle) (err error) {
	if r.signer, err = signature.NewSigner(h); err != nil {
		return err
	}
	public, err := h.Public()
	if err != nil {
		return err
	}
	r.verifier, err = signature.NewVerifier(public)
	return err
}

func (r *Ring) addChannel(channel string, h *keyset.Handle) (err error) {
	if r.opens[channel], err = hybrid.NewHybridDecrypt(h); err != nil {
		return err
	}
	public, err := h.Public()
	if err != nil {
		return err
	}
	r.seals[channel], err = hybrid.NewHybridEncrypt(public)
	return err
}
