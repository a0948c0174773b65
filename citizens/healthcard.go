package citizens

import (
	"crypto/subtle"
	"errors"
	"strings"
	"unicode"
)

// HealthCard is the current tessera sanitaria, as the registry received it: a
// new card replaces the old one, and only the current one matches. Expiry is
// zero if the registry does not know it, and such a card matches nothing.
type HealthCard struct {
	Number CardNumber
	Expiry Date
}

// CardNumber is the number on the back of a tessera sanitaria, field 8. It does
// not print: see Reveal and Masked.
type CardNumber struct {
	unprinted
	digits string
}

const (
	cardDigits = 20
	cardPrefix = "80380" // health, Italy
)

var (
	// ErrCardNumber refuses a number. It does not carry it.
	ErrCardNumber = errors.New("not a health card number: 20 digits")
	// ErrCardExpired refuses a card whose last day has passed.
	ErrCardExpired = errors.New("the health card has expired")
)

// ParseCardNumber reads a card number; spaces may stand anywhere. No check
// digit is enforced, because no rule for one is published.
func ParseCardNumber(s string) (CardNumber, error) {
	digits := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	if len(digits) != cardDigits || !isDigits(digits) {
		return CardNumber{}, ErrCardNumber
	}
	return CardNumber{digits: digits}, nil
}

// CardWarning is something odd about a card that refuses nobody.
type CardWarning string

const (
	// CardPrefixOdd says that the number does not begin as Italian cards do.
	CardPrefixOdd CardWarning = "prefix"
	// CardExpiryFar says that the card would be valid longer than any is issued for.
	CardExpiryFar CardWarning = "expiry"
)

// Check looks at the card alone: what is odd, and ErrCardExpired after its last
// day. Whether it is this person's card, Matches says.
func (h HealthCard) Check(today Date) ([]CardWarning, error) {
	if h.Expiry.Before(today) {
		return nil, ErrCardExpired
	}
	var odd []CardWarning
	if !strings.HasPrefix(h.Number.digits, cardPrefix) {
		odd = append(odd, CardPrefixOdd)
	}
	if h.Expiry.After(today.AddMonths(6*12 + 1)) {
		odd = append(odd, CardExpiryFar)
	}
	return odd, nil
}

// Matches reports whether both are the same card, number and expiry. The time
// it takes tells nothing about the number.
func (h HealthCard) Matches(o HealthCard) bool {
	number := subtle.ConstantTimeCompare([]byte(h.Number.digits), []byte(o.Number.digits)) == 1
	return number && h.Expiry == o.Expiry && !h.Number.IsZero() && !h.Expiry.IsZero()
}

// IsZero reports whether there is no number.
func (n CardNumber) IsZero() bool { return n.digits == "" }

// Reveal returns the 20 digits.
func (n CardNumber) Reveal() string { return n.digits }

// Masked shows that there is a card, and its last four digits.
func (n CardNumber) Masked() string {
	if n.IsZero() {
		return ""
	}
	return strings.Repeat("*", cardDigits-4) + n.digits[cardDigits-4:]
}
