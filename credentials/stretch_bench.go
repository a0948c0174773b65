//go:build bench

package credentials

// Measuring reports whether this build is the one of `make bench`, which keeps
// PINs without Argon2id and is for measurements on one machine alone.
const Measuring = true

// stretch leaves the PIN at its keyed HMAC, so that what else a sign-in costs
// can be seen beside the hash. No ordinary build takes such a PIN for right.
func stretch(secret, _ []byte, _ Cost) []byte { return secret }
