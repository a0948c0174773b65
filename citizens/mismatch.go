package citizens

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Declared is what somebody says about a person. Empty fields are not
// compared: nothing was declared.
type Declared struct {
	GivenName, FamilyName string // a woman's surname is the one of birth
	Sex                   Sex
	BirthDate             Date
	BirthPlace            string // Belfiore code
}

// Mismatch names one thing in which a codice fiscale and declared data differ.
type Mismatch string

// What can differ.
const (
	FamilyNameDiffers Mismatch = "family_name"
	GivenNameDiffers  Mismatch = "given_name"
	SexDiffers        Mismatch = "sex"
	BirthDateDiffers  Mismatch = "birth_date"
	BirthPlaceDiffers Mismatch = "birth_place"
)

// Mismatches compares the code with what was declared. It is a list and not a
// verdict: registries differ in the order of names and in later corrections,
// so a mismatch refuses nobody; and Rossi and Russo share their letters, so no
// mismatch proves nothing. A provisional code says nothing to compare.
func (f FiscalCode) Mismatches(d Declared) []Mismatch {
	if !f.definitive() {
		return nil
	}
	birth := f.shortBirth()
	var found []Mismatch
	check := func(m Mismatch, declared, same bool) {
		if declared && !same {
			found = append(found, m)
		}
	}
	check(FamilyNameDiffers, d.FamilyName != "", hasTriple(d.FamilyName, f.code[:3], familyTriple))
	check(GivenNameDiffers, d.GivenName != "", hasTriple(d.GivenName, f.code[3:yearAt], givenTriple))
	check(SexDiffers, d.Sex != "", d.Sex == f.Sex())
	check(BirthDateDiffers, !d.BirthDate.IsZero(), birth == Date{d.BirthDate.Year % 100, d.BirthDate.Month, d.BirthDate.Day})
	check(BirthPlaceDiffers, d.BirthPlace != "", strings.EqualFold(d.BirthPlace, f.Place()))
	return found
}

// hasTriple tries every spelling of a name. XXX stands for a name that the
// office did not have: people with a single name carry it.
func hasTriple(name, want string, of func(string) string) bool {
	if want == "XXX" {
		return true
	}
	return slices.ContainsFunc(spellings(name), func(s string) bool { return of(s) == want })
}

// spellings returns the Latin letters of a name: as they are with the marks
// dropped, and with German umlauts written out or contracted, because offices
// abroad and at home write Müller, Mueller and Muller for one person.
func spellings(name string) []string {
	upper := strings.ToUpper(name)
	dropped := letters(upper)
	return []string{
		dropped,
		letters(writtenOut.Replace(norm.NFC.String(upper))),
		contracted.Replace(dropped),
	}
}

var (
	writtenOut = strings.NewReplacer("Ä", "AE", "Ö", "OE", "Ü", "UE")
	contracted = strings.NewReplacer("AE", "A", "OE", "O", "UE", "U")
	// noMark are letters that Unicode does not decompose into a letter and a mark.
	noMark = strings.NewReplacer("ß", "SS", "ẞ", "SS", "Æ", "AE", "Œ", "OE", "Ø", "O", "Ł", "L", "Đ", "D", "Ð", "D", "Þ", "TH")
)

// letters keeps the letters A to Z of a name in capitals: marks, apostrophes,
// hyphens and spaces go.
func letters(upper string) string {
	return strings.Map(func(r rune) rune {
		if r < 'A' || r > 'Z' {
			return -1
		}
		return r
	}, noMark.Replace(norm.NFD.String(upper)))
}

// familyTriple returns the three letters of a surname.
func familyTriple(letters string) string {
	consonants, vowels := split(letters)
	return (consonants + vowels + "XXX")[:3]
}

// givenTriple returns the three letters of a name, which skips the second of
// four or more consonants.
func givenTriple(letters string) string {
	consonants, vowels := split(letters)
	if len(consonants) >= 4 {
		consonants = consonants[:1] + consonants[2:]
	}
	return (consonants + vowels + "XXX")[:3]
}

func split(letters string) (consonants, vowels string) {
	var c, v strings.Builder
	for _, r := range letters {
		if strings.ContainsRune("AEIOU", r) {
			v.WriteRune(r)
		} else {
			c.WriteRune(r)
		}
	}
	return c.String(), v.String()
}

// fold is how names of places and people are compared in a search: capitals
// without marks, words apart by one space.
func fold(s string) string {
	words := strings.FieldsFunc(noMark.Replace(norm.NFD.String(strings.ToUpper(s))), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsPunct(r)
	})
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, strings.Join(words, " "))
}
