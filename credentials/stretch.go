//go:build !bench

package credentials

import "golang.org/x/crypto/argon2"

// Measuring reports whether this build is the one of `make bench`, which keeps
// PINs without Argon2id and is for measurements on one machine alone.
const Measuring = false

// stretch makes each guess at a PIN cost what the installation wants it to.
func stretch(secret, salt []byte, cost Cost) []byte {
	return argon2.IDKey(secret, salt, cost.Passes, cost.Memory, cost.Threads, hashLength)
}
