package keys

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
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
	if useOf(alg) != useSignature {
		return "", fmt.Errorf("sign token: no signatures are made with %s", alg)
	}
	one, err := k.active(ctx, alg)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	signer, err := one.signer(typ)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	token, err := signer.compact(payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

// signer signs tokens of one kind, for many at a time. All of them begin with
// the same header, which is written once.
type signer struct {
	jose.Signer
	header string
}

// compact is RFC 7515 §7.1.
func (s signer) compact(payload []byte) (string, error) {
	jws, err := s.Sign(payload)
	if err != nil {
		return "", err
	}
	const dots = 2
	text := make([]byte, 0, len(s.header)+dots+(len(payload)+len(jws.Signatures[0].Signature)+dots)*4/3)
	text = append(append(text, s.header...), '.')
	text = append(base64.RawURLEncoding.AppendEncode(text, payload), '.')
	return string(base64.RawURLEncoding.AppendEncode(text, jws.Signatures[0].Signature)), nil
}

// signer is made once for each kind.
func (one *key) signer(typ string) (signer, error) {
	if made, ok := one.signers.Load(typ); ok {
		if s, ok := made.(signer); ok {
			return s, nil
		}
	}
	opts := &jose.SignerOptions{}
	if typ != "" {
		opts = opts.WithType(jose.ContentType(typ))
	}
	made, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(one.alg),
		Key:       jose.JSONWebKey{Key: one.private, KeyID: one.kid},
	}, opts)
	if err != nil {
		return signer{}, err
	}
	first, err := made.Sign(nil)
	if err != nil {
		return signer{}, err
	}
	text, err := first.CompactSerialize()
	if err != nil {
		return signer{}, err
	}
	s := signer{Signer: made}
	s.header, _, _ = strings.Cut(text, ".")
	one.signers.Store(typ, s)
	return s, nil
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
