package keys

import (
	"context"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// maxSealed bounds what is decrypted: a token of maxToken bytes, encrypted.
const maxSealed = maxToken * 3 / 2

// Open decrypts what was encrypted to one of our keys (RFC 7516, compact form),
// in one of these ways. ErrBadToken is the one answer to whatever cannot be
// opened, and why is not said: who sent it could learn from the reasons. What
// comes out was written by anybody: only a signature inside says who by.
func (k *Set) Open(ctx context.Context, sealed string, algs []jose.KeyAlgorithm, encs []jose.ContentEncryption) ([]byte, error) {
	if len(sealed) > maxSealed || strings.ContainsAny(sealed, "\r\n") { // which the decoder skips
		return nil, ErrBadToken
	}
	jwe, err := jose.ParseEncryptedCompact(sealed, algs, encs)
	if err != nil {
		return nil, ErrBadToken
	}
	// What is compressed may be of any size when it is not, and tells of its
	// content by its length.
	if _, zipped := jwe.Header.ExtraHeaders["zip"]; zipped {
		return nil, ErrBadToken
	}
	one, err := k.find(ctx, jwe.Header.KeyID)
	if err != nil {
		return nil, err
	}
	if one == nil || one.private == nil || !one.opens(jwe.Header.Algorithm) {
		return nil, ErrBadToken
	}
	plain, err := jwe.Decrypt(one.private)
	if err != nil {
		return nil, ErrBadToken
	}
	return plain, nil
}

// opens reports whether a key is there to decrypt what was made with alg.
func (k *key) opens(alg string) bool {
	switch k.alg {
	case RSAOAEP:
		return alg == RSAOAEP
	case ECDHES:
		return slices.Contains([]string{ECDHES, "ECDH-ES+A256KW"}, alg)
	}
	return false
}
