// Package keystest spares tests what keys cost to make.
package keystest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Generate makes a key for alg in no time: RSA ones are far too short for use.
func Generate(alg string) (crypto.Signer, error) {
	switch {
	case alg == "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case strings.HasPrefix(alg, "E"):
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		return rsa.GenerateKey(rand.Reader, 1024)
	}
}

// AEAD seals keys with a key of its own.
func AEAD(t testing.TB) tink.AEAD {
	t.Helper()
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	a, err := aead.New(h)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
