package credentials

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"ente.example/idp/citizens"
)

// Alphabet is what generated PINs are made of.
type Alphabet string

// The alphabets of C1.
const (
	Digits Alphabet = "digits"
	Hex    Alphabet = "hex"
)

const hexadecimal = "0123456789ABCDEF"

func (a Alphabet) valid() bool { return a == Digits || a == Hex }

func (a Alphabet) characters() string {
	if a == Hex {
		return hexadecimal
	}
	return hexadecimal[:10]
}

// generate draws PINs until one is not weak. About one in a thousand is, so
// the space shrinks by nothing that matters.
func generate(a Alphabet, length int, c citizens.Citizen, today citizens.Date) (PIN, error) {
	shun := personal(c, today)
	for {
		s, err := draw(a, length)
		if err != nil {
			return PIN{}, err
		}
		if !weakPIN(s, shun) {
			return PIN{s}, nil
		}
	}
}

func draw(a Alphabet, length int) (string, error) { return drawFrom(a.characters(), length) }

// drawFrom takes characters from the system's randomness without bias: a byte
// beyond the last whole multiple of the alphabet is thrown away.
func drawFrom(set string, length int) (string, error) {
	limit := 256 - 256%len(set)
	out, buf := make([]byte, 0, length), make([]byte, 2*length)
	for len(out) < length {
		if _, err := rand.Read(buf); err != nil {
			return "", fmt.Errorf("draw characters: %w", err)
		}
		for _, b := range buf {
			if int(b) < limit && len(out) < length {
				out = append(out, set[int(b)%len(set)])
			}
		}
	}
	return string(out), nil
}

// weakPIN judges a PIN of 16 by its halves as well: each must hold on its own
// while the other is known.
func weakPIN(s string, shun []string) bool {
	if len(s) == initialLength {
		a, b := s[:workingLength], s[workingLength:]
		return a == b || a == reverse(b) || weak(a, shun) || weak(b, shun) || contains(s, shun)
	}
	return weak(s, shun)
}

// weak recognises what a guesser tries first (pin-rules §5.1).
func weak(s string, shun []string) bool {
	return fewDistinct(s) || longestRun(s, 0) >= 4 || longestRun(s, 1) >= 5 || longestRun(s, -1) >= 5 ||
		periodic(s) || paired(s) || s == reverse(s) || contains(s, shun)
}

// fewDistinct: three different characters or less, as in 11221122.
func fewDistinct(s string) bool {
	seen := map[byte]bool{}
	for i := range len(s) {
		seen[s[i]] = true
	}
	return len(seen) <= 3
}

// longestRun is the length of the longest stretch in which each character is
// the one before plus step: 0 for repetitions, +1 and -1 for 34567 and EDCBA.
func longestRun(s string, step int) int {
	longest, run := 1, 1
	for i := 1; i < len(s); i++ {
		if strings.IndexByte(hexadecimal, s[i]) == strings.IndexByte(hexadecimal, s[i-1])+step {
			run++
		} else {
			run = 1
		}
		longest = max(longest, run)
	}
	return longest
}

// periodic: one piece of half the length, or less, over and over.
func periodic(s string) bool {
	for n := 1; n <= len(s)/2; n++ {
		if len(s)%n == 0 && strings.Repeat(s[:n], len(s)/n) == s {
			return true
		}
	}
	return false
}

// paired: every character twice, as in 11335577.
func paired(s string) bool {
	for i := 0; i+1 < len(s); i += 2 {
		if s[i] != s[i+1] {
			return false
		}
	}
	return true
}

func reverse(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

func contains(s string, shun []string) bool {
	for _, w := range shun {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// personal lists what a PIN must not contain because it can be known about its
// owner: the birth date however written, and stretches of the codice fiscale.
func personal(c citizens.Citizen, today citizens.Date) []string {
	var shun []string
	if c.BirthDate != (citizens.Date{}) {
		shun = append(shun, dateForms(c.BirthDate)...)
	}
	if read, ok := c.FiscalCode.BirthDate(today); ok && read != c.BirthDate {
		shun = append(shun, dateForms(read)...)
	}
	code := c.FiscalCode.Reveal()
	return append(append(shun, stretches(code)...), stretches(onlyDigits(code))...)
}

func dateForms(d citizens.Date) []string {
	t := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
	var forms []string
	for _, layout := range []string{"020106", "010206", "060102", "060201", "02012006", "01022006", "20060102", "20060201"} {
		forms = append(forms, t.Format(layout))
	}
	return forms
}

// stretches are the pieces of five characters of a code that a PIN could have.
func stretches(code string) []string {
	const size = 5
	var list []string
	for i := 0; i+size <= len(code); i++ {
		if piece := code[i : i+size]; strings.Trim(piece, hexadecimal) == "" {
			list = append(list, piece)
		}
	}
	return list
}

func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}
