package citizens

import (
	"errors"
	"strings"
	"unicode"
)

// FiscalCode is a codice fiscale whose form and check character are right,
// exactly as it was assigned. An omocodic code stays as it is, because two
// omocodic codes are two people; only what is read out of it (birth, sex,
// place) goes through the reverse mapping. It does not print: see Reveal.
//
// Authority is the decree of 23 December 1976; a right form says nothing about
// whether the Agenzia delle Entrate has assigned the code.
type FiscalCode struct {
	unprinted
	code string
}

const (
	definitiveLength  = 16
	provisionalLength = 11
)

// FiscalCodeProblem says what is wrong with a would-be codice fiscale, for a
// page to choose its words by.
type FiscalCodeProblem string

// What a check of the form can find.
const (
	FiscalCodeLength    FiscalCodeProblem = "length"
	FiscalCodeCharacter FiscalCodeProblem = "character"
	FiscalCodeMonth     FiscalCodeProblem = "month"
	FiscalCodeDay       FiscalCodeProblem = "day"
	FiscalCodePlace     FiscalCodeProblem = "place"
	FiscalCodeCheck     FiscalCodeProblem = "check"
)

// FiscalCodeError refuses an input. It never carries the input.
type FiscalCodeError struct{ Problem FiscalCodeProblem }

func (e *FiscalCodeError) Error() string {
	switch e.Problem {
	case FiscalCodeLength:
		return "not a codice fiscale: 16 characters, or 11 digits if provisional"
	case FiscalCodeCharacter:
		return "not a codice fiscale: a character does not belong where it is"
	case FiscalCodeMonth:
		return "not a codice fiscale: no month has this letter"
	case FiscalCodeDay:
		return "not a codice fiscale: the day does not exist"
	case FiscalCodePlace:
		return "not a codice fiscale: no place has this code"
	case FiscalCodeCheck:
		return "not a codice fiscale: the check character does not match"
	}
	return "not a codice fiscale"
}

// ErrProvisional refuses the 11-digit form where a person acts alone: bodies
// and companies have numbers of the same form, so only staff may enter one.
var ErrProvisional = errors.New("a provisional codice fiscale is not accepted here")

// ParseFiscalCode reads a codice fiscale as people type it: in either case and
// with spaces anywhere (R1). It accepts every omocodic variant and the
// provisional form of 11 digits.
func ParseFiscalCode(s string) (FiscalCode, error) {
	code, ok := normaliseFiscalCode(s)
	if !ok {
		return FiscalCode{}, &FiscalCodeError{FiscalCodeCharacter}
	}
	var problem FiscalCodeProblem
	switch {
	case len(code) == definitiveLength:
		problem = checkDefinitive(code)
	case len(code) == provisionalLength && isDigits(code):
		problem = checkProvisional(code)
	default:
		problem = FiscalCodeLength
	}
	if problem != "" {
		return FiscalCode{}, &FiscalCodeError{problem}
	}
	return FiscalCode{code: code}, nil
}

// ParseOwnFiscalCode reads what a person types about herself: as
// ParseFiscalCode, and a provisional code is refused with ErrProvisional.
func ParseOwnFiscalCode(s string) (FiscalCode, error) {
	f, err := ParseFiscalCode(s)
	if err == nil && f.Provisional() {
		return FiscalCode{}, ErrProvisional
	}
	return f, err
}

// normaliseFiscalCode drops spaces and raises letters. It looks at the
// characters before raising them: ToUpper would make an S of U+017F.
func normaliseFiscalCode(s string) (code string, ok bool) {
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
		case r > unicode.MaxASCII:
			return "", false
		case b.Len() > definitiveLength:
			return b.String(), true // too long whatever follows
		default:
			b.WriteRune(unicode.ToUpper(r))
		}
	}
	return b.String(), true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// IsZero reports whether there is no code at all.
func (f FiscalCode) IsZero() bool { return f.code == "" }

// Provisional reports whether this is the numeric form given while the
// definitive code is pending.
func (f FiscalCode) Provisional() bool { return len(f.code) == provisionalLength }

// Omocode reports whether letters stand for digits because somebody else's
// data give the same code.
func (f FiscalCode) Omocode() bool {
	return !f.IsZero() && !f.Provisional() && plain(f.code) != f.code[:definitiveLength-1]
}

// Reveal returns the code in capitals, without spaces.
func (f FiscalCode) Reveal() string { return f.code }

// Masked shows enough to tell two people on a screen apart.
func (f FiscalCode) Masked() string {
	if f.IsZero() {
		return ""
	}
	return f.code[:3] + strings.Repeat("*", len(f.code)-4) + f.code[len(f.code)-1:]
}
