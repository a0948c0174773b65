// Package login signs a citizen in: the form for codice fiscale and PIN, the
// forced change of a PIN, the choice of account, sign-out, the sessions that
// come of it, and the interactions that carry a service's request, or a
// citizen's way into the own area, through these pages.
//
// Its pages never decide what comes next: each goes Onward, to package provider,
// or back to the interaction's ResumeURL, where provider decides, or selfservice
// for the own area. It knows the rules (credentials, citizens, clients, audit) and
// web; consent, selfservice and provider build on it. It owns the tables interactions and sessions.
package login

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// SessionID names a session. It is no secret: it is the sid that services see.
type SessionID string

// newSecret is 256 random bits, for an address or a cookie.
func newSecret() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// digest is what the database keeps of a secret that a browser holds. The
// label keeps one kind of secret from passing for another.
func digest(label, secret string) []byte {
	h := sha256.Sum256([]byte("login/" + label + "/v1:" + secret))
	return h[:]
}
