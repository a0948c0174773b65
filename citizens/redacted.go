package citizens

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// unprinted is embedded by values that name or reach a person: logs, errors
// and encoders get a word in their place. Reveal, which each has, is the only
// way to the value, and easy to search for.
type unprinted struct{}

const redacted = "[redacted]"

var errPrinted = errors.New("a personal value is never encoded: reveal it on purpose")

// String hides the value.
func (unprinted) String() string { return redacted }

// GoString hides the value from %#v.
func (unprinted) GoString() string { return redacted }

// Format hides the value from every verb, %x and %d too.
func (unprinted) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// LogValue hides the value from structured logs.
func (unprinted) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON refuses.
func (unprinted) MarshalJSON() ([]byte, error) { return nil, errPrinted }

// MarshalText refuses, also where the value is the key of a map.
func (unprinted) MarshalText() ([]byte, error) { return nil, errPrinted }
