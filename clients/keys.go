package clients

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

const (
	maxKeys    = 20 // each may be tried against an assertion without kid
	maxRSABits = 8192
	minRSABits = 2048
)

// ErrKeys is what Keys answers when a client's jwks_uri cannot be read now.
var ErrKeys = errors.New("keys of the client cannot be read")

// Keys returns the client's public keys that could have made a signature with
// this kid: those of that name, else those without a name; all of them for an
// empty kid. None is an answer, not an error. It may go to the network and
// must not be called with a transaction open.
func (r *Registry) Keys(ctx context.Context, c Client, kid string) ([]jose.JSONWebKey, error) {
	return r.keysOf(ctx, c, kid, Verifies)
}

// keysOf are the client's keys of a name that are fit for something.
func (r *Registry) keysOf(ctx context.Context, c Client, kid string, fit func(jose.JSONWebKey) bool) ([]jose.JSONWebKey, error) {
	if c.JWKSURI == "" {
		return pick(c.keys, kid, fit), nil
	}
	return r.remote.find(ctx, c.JWKSURI, kid, fit)
}

func pick(keys []jose.JSONWebKey, kid string, fit func(jose.JSONWebKey) bool) []jose.JSONWebKey {
	var named, unnamed []jose.JSONWebKey
	for _, k := range keys {
		switch {
		case !fit(k):
		case kid == "" || k.KeyID == kid:
			named = append(named, k)
		case k.KeyID == "":
			unnamed = append(unnamed, k)
		}
	}
	if len(named) > 0 {
		return named
	}
	return unnamed
}

// parseKeys reads a JWK set and keeps the public keys it understands; others
// are skipped, as RFC 7517 §5 asks. A private or a symmetric key condemns the
// whole set: whoever published it has lost it.
func parseKeys(data []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(data) > maxFetched || json.Unmarshal(data, &set) != nil || set.Keys == nil {
		return nil, errors.New("is not a JWK set")
	}
	if len(set.Keys) > maxKeys {
		return nil, errors.New("has too many keys")
	}
	keys := []jose.JSONWebKey{}
	for _, raw := range set.Keys {
		if secretKey(raw) {
			return nil, errors.New("contains a private or symmetric key: send public keys only, and replace this one")
		}
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) == nil && k.IsPublic() && k.Valid() && sound(k) && readable(k.KeyID+k.Algorithm+k.Use, 300) == nil {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// sound leaves out RSA keys that are none: with them nothing can be encrypted,
// and whatever is signed proves nothing.
func sound(k jose.JSONWebKey) bool {
	key, ok := k.Key.(*rsa.PublicKey)
	return !ok || key.E > 1 && key.E%2 == 1 && key.N.Bit(0) == 1
}

// secretKey looks for every member of RFC 7518 that must not be published,
// whatever the case: a parser that is less strict than ours may read it.
func secretKey(raw json.RawMessage) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return false
	}
	for name, value := range members {
		name := string(bytes.ToLower([]byte(name)))
		if slices.Contains([]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}, name) {
			return true
		}
		if name == "kty" && string(value) == `"oct"` {
			return true
		}
	}
	return false
}

// Verifies reports whether a key can check a signature we accept. A key
// without `use` is for any use.
func Verifies(k jose.JSONWebKey) bool {
	if k.Use != "" && k.Use != "sig" {
		return false
	}
	var algs []string
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return false
		}
		algs = []string{"RS256", "PS256"}
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return false
		}
		algs = []string{"ES256"}
	case ed25519.PublicKey:
		algs = []string{"EdDSA"}
	}
	return len(algs) > 0 && (k.Algorithm == "" || slices.Contains(algs, k.Algorithm))
}

// signatureKeys are those of a set that can check a signature.
func signatureKeys(data []byte) ([]jose.JSONWebKey, error) {
	keys, err := parseKeys(data)
	return slices.DeleteFunc(keys, func(k jose.JSONWebKey) bool { return !Verifies(k) }), err
}

// canonicalKeys is a JWK set with only what was understood of it, so that the
// same keys are the same text however a database stores JSON.
func canonicalKeys(jwks json.RawMessage) json.RawMessage {
	keys, err := parseKeys(jwks)
	if jwks == nil || err != nil {
		return nil
	}
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		return nil
	}
	return data
}

// parsedKeys is usableKeys for metadata that was checked when it came in.
func parsedKeys(jwks json.RawMessage) []jose.JSONWebKey {
	if jwks == nil {
		return nil
	}
	keys, _ := usableKeys(jwks)
	return keys
}

func checkKeys(d Document) error {
	if d.JWKS == nil {
		return nil
	}
	if d.JWKSURI != "" {
		return invalid("jwks", "and jwks_uri exclude each other")
	}
	keys, err := signatureKeys(d.JWKS)
	switch {
	case err != nil:
		return invalid("jwks", "%v", err)
	case d.TokenEndpointAuthMethod == AuthPrivateKeyJWT && !slices.ContainsFunc(keys, d.signs):
		return invalid("jwks", "has no key fit for private_key_jwt: RSA of %d bits or more, P-256 or Ed25519, with use sig or none", minRSABits)
	}
	return nil
}

// signs reports whether an assertion the document allows can be made with k.
func (d Document) signs(k jose.JSONWebKey) bool {
	k.Algorithm = cmp.Or(d.TokenEndpointAuthSigningAlg, k.Algorithm)
	return Verifies(k) && (k.Algorithm == "" || slices.Contains(d.Profile.Algorithms(), k.Algorithm))
}
