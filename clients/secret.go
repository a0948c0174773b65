package clients

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Secret is a client secret in the clear. It exists between its making and the
// one answer that shows it; only its digest is stored.
type Secret struct{ text string }

// newSecret makes 256 bits. Their digest needs no slow hash: there is nothing
// to guess.
func newSecret() Secret {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return Secret{text: base64.RawURLEncoding.EncodeToString(b[:])}
}

// IsZero reports whether there is no secret (public clients, private_key_jwt).
func (s Secret) IsZero() bool { return s.text == "" }

// Reveal is for the answer that shows a new secret, once.
func (s Secret) Reveal() string { return s.text }

func (Secret) String() string             { return "[client secret]" }
func (Secret) GoString() string           { return "[client secret]" }
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[client secret]")) }
func (Secret) LogValue() slog.Value       { return slog.StringValue("[client secret]") }
func (Secret) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a client secret is never encoded")
}

// digest is the SHA-256 of a secret. It opens nothing, but has no business in
// a log either.
type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

func (digest) String() string             { return "[digest]" }
func (digest) GoString() string           { return "[digest]" }
func (digest) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[digest]")) }

// storedSecret is one secret of a client. EndsAt is zero for the current one;
// rotated ones end on the database's clock.
type storedSecret struct {
	Digest digest
	EndsAt time.Time
}

func (s storedSecret) current() bool { return s.EndsAt.IsZero() }

// matchSecret looks through all of a client's secrets, however many match, and
// compares once even when there is none: an unknown client costs what a known
// one does.
func matchSecret(stored []storedSecret, secret string) (found storedSecret, ok bool) {
	given := digestOf(secret)
	if len(stored) == 0 {
		subtle.ConstantTimeCompare(given[:], make([]byte, sha256.Size))
		return storedSecret{}, false
	}
	for _, s := range stored {
		if subtle.ConstantTimeCompare(given[:], s.Digest[:]) == 1 {
			found, ok = s, true
		}
	}
	return found, ok
}
