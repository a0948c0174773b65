package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
)

// ErrBadToken is returned for all that is not a token signed by us.
var ErrBadToken = errors.New("not a token of this issuer")

// maxToken bounds what is looked at: ours are about one KiB.
const maxToken = 16 << 10

// maxDepth bounds the nesting of claims; ours stay far below.
const maxDepth = 16

// Header is all that the header of a token of ours may say. Where a key comes
// from (jku, x5u, jwk), compression and the like are not among it.
type Header struct {
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	Typ string `json:"typ,omitempty"`
}

// Sign signs claims with the active key of alg; typ says in the header what
// kind of token it is, and may be empty.
func (k *Set) Sign(ctx context.Context, alg, typ string, claims any) (string, error) {
	token, _, err := k.SignNamed(ctx, alg, typ, claims)
	return token, err
}

// SignNamed is Sign for who will ask Trusts about the token: it tells its header too.
func (k *Set) SignNamed(ctx context.Context, alg, typ string, claims any) (token string, h Header, err error) {
	if useOf(alg) != useSignature {
		return "", h, fmt.Errorf("sign token: no signatures are made with %s", alg)
	}
	one, err := k.active(ctx, alg)
	if err != nil {
		return "", h, fmt.Errorf("sign token: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", h, fmt.Errorf("sign token: %w", err)
	}
	h = Header{Alg: one.alg, Kid: one.kid, Typ: typ}
	if token, err = one.compact(h, payload); err != nil {
		return "", h, fmt.Errorf("sign token: %w", err)
	}
	return token, h, nil
}

// compact is RFC 7515 §7.1. A jose.Signer would read and write the header as
// JSON several times for each token.
func (one *key) compact(h Header, payload []byte) (string, error) {
	header, err := json.Marshal(h)
	if err != nil {
		return "", err
	}
	const dots, shortSignature = 2, 86 // ES256's and EdDSA's
	b64 := base64.RawURLEncoding
	text := make([]byte, 0, b64.EncodedLen(len(header))+b64.EncodedLen(len(payload))+dots+shortSignature)
	text = b64.AppendEncode(append(b64.AppendEncode(text, header), '.'), payload)
	signature, err := one.signer.SignPayload(text, jose.SignatureAlgorithm(one.alg))
	if err != nil {
		return "", err
	}
	return string(b64.AppendEncode(append(text, '.'), signature)), nil
}

// signerOf signs as RFC 7518 has it with a private key.
func signerOf(private crypto.Signer) jose.OpaqueSigner {
	return cryptosigner.Opaque(saltedAsHashed{private})
}

// saltedAsHashed makes the salt of PS256 as long as its hash (RFC 7518 §3.5),
// which go-jose does for its own signers only.
type saltedAsHashed struct{ crypto.Signer }

// Sign implements crypto.Signer.
func (s saltedAsHashed) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if pss, ok := opts.(*rsa.PSSOptions); ok {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: pss.Hash}
	}
	return s.Signer.Sign(random, digest, opts)
}

// Verify checks that token is of typ and was signed by a key of ours that has
// not been revoked, and returns its claims. The key named by kid decides the
// algorithm, not the token. Times, issuer and audience are the caller's.
// ErrBadToken says no; any other error says that it cannot be known now.
func (k *Set) Verify(ctx context.Context, token, typ string) ([]byte, Header, error) {
	h, err := readHeader(token)
	if err != nil || h.Typ != typ {
		return nil, Header{}, ErrBadToken
	}
	key, err := k.proving(ctx, h)
	if err != nil {
		return nil, Header{}, err
	}
	if key == nil {
		return nil, Header{}, ErrBadToken
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(key.alg)})
	if err != nil {
		return nil, Header{}, ErrBadToken
	}
	claims, err := jws.Verify(key.public.Key)
	if err != nil || !Shallow(claims) {
		return nil, Header{}, ErrBadToken
	}
	return claims, h, nil
}

// Trusts reports whether a token that Verify has found good, whose header it
// gave, would still be: it asks all that Verify asks of the key, and nothing of
// the token. An error says that it cannot be known now.
func (k *Set) Trusts(ctx context.Context, h Header) (bool, error) {
	key, err := k.proving(ctx, h)
	return key != nil, err
}

// proving is the key that decides on a token with this header; nil for none.
func (k *Set) proving(ctx context.Context, h Header) (*key, error) {
	key, err := k.find(ctx, h.Kid)
	if err != nil || key == nil || key.alg != h.Alg || useOf(key.alg) != useSignature {
		return nil, err
	}
	return key, nil
}

// find is the key of that kid; nil if there is none. A kid never seen may be one
// that another node has just made.
func (k *Set) find(ctx context.Context, kid string) (*key, error) {
	s, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	if key, ok := s.byKid[kid]; ok {
		return key, nil
	}
	if err := k.reload(ctx, true); err != nil {
		return nil, err
	}
	return k.snap.Load().byKid[kid], nil
}

// readHeader reads the header strictly, before anything else is parsed. What it
// lets through is spelled as we spell it: one token, one text.
func readHeader(token string) (h Header, err error) {
	if len(token) > maxToken || strings.Count(token, ".") != 2 {
		return h, ErrBadToken
	}
	var raw []byte
	for i, part := range strings.Split(token, ".") {
		decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || strings.ContainsAny(part, "\r\n") { // which the decoder skips
			return h, ErrBadToken
		}
		if i == 0 {
			raw = decoded
		}
	}
	if len(raw) > 512 || !Shallow(raw) {
		return h, ErrBadToken
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil || d.More() {
		return Header{}, ErrBadToken
	}
	return h, nil
}

// Shallow reports whether JSON nests no deeper than 16 levels: what others sign
// is looked at before a parser recurses into it. Of what is no JSON it may say
// either: the parser will refuse it.
func Shallow(raw []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(raw) && depth <= maxDepth; i++ {
		switch c := raw[i]; {
		case c == '\\': // escapes what follows; outside of a text the parser refuses it
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return depth <= maxDepth
}
