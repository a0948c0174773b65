package credentials

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
)

// The lengths of R2: the posted PIN and the one in use.
const (
	initialLength = 16
	workingLength = 8
)

// PIN is 8 or 16 characters, in normal form. It does not print.
type PIN struct{ characters string }

// ParsePIN reads a PIN as people type and paste it: in either alphabet and
// case, with spaces and hyphens, an O for a zero, an I or an L for a one
// (decision 9, C1). Anything else, and any other length, is ErrMalformed.
func ParsePIN(s string) (PIN, error) {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsSpace(r) || unicode.Is(unicode.Dash, r) || r == '\u00ad' {
			continue
		}
		c, ok := character(r)
		if !ok || b.Len() == initialLength {
			return PIN{}, ErrMalformed
		}
		b.WriteByte(c)
	}
	if b.Len() != initialLength && b.Len() != workingLength {
		return PIN{}, ErrMalformed
	}
	return PIN{b.String()}, nil
}

func character(r rune) (byte, bool) {
	switch {
	case r >= '0' && r <= '9', r >= 'A' && r <= 'F':
		return byte(r), true
	case r >= 'a' && r <= 'f':
		return byte(r - 'a' + 'A'), true
	case r == 'O', r == 'o':
		return '0', true
	case r == 'I', r == 'i', r == 'L', r == 'l':
		return '1', true
	}
	return 0, false
}

// Reveal is the PIN in clear: for the page that shows a new one and for the
// hash, for nobody else.
func (p PIN) Reveal() string { return p.characters }

// IsZero reports whether there is no PIN, as after a failed ParsePIN.
func (p PIN) IsZero() bool { return p.characters == "" }

func (p PIN) equal(q PIN) bool {
	return !p.IsZero() && subtle.ConstantTimeCompare([]byte(p.characters), []byte(q.characters)) == 1
}

// halves are what goes out over two channels.
func (p PIN) halves() (first, second string) {
	return p.characters[:workingLength], p.characters[workingLength:]
}

const redacted = "[PIN]"

func (PIN) String() string { return redacted }

// GoString covers %#v.
func (PIN) GoString() string { return redacted }

// LogValue covers slog.
func (PIN) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format covers %x and the like, which would look inside.
func (PIN) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

var errEncoded = errors.New("a PIN is never encoded")

// MarshalJSON refuses: whoever wants a PIN written says so with Reveal.
func (PIN) MarshalJSON() ([]byte, error) { return nil, errEncoded }

// MarshalText refuses likewise.
func (PIN) MarshalText() ([]byte, error) { return nil, errEncoded }
