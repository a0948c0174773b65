package citizens

import (
	"regexp"
	"strings"
	"time"
)

// The form of a codice fiscale, 0-based: letters of the surname at 0-2 and of
// the name at 3-5, year 6-7, month 8, day 9-10, place 11-14, check letter 15.
const (
	yearAt  = 6
	monthAt = 8
	dayAt   = 9
	placeAt = 11
	checkAt = 15

	// womenDays is added to the day of birth of women.
	womenDays = 40

	months = "ABCDEHLMPRST"
	// omocodia: the letter at index n stands for the digit n.
	omocodia = "LMNPQRSTUV"
)

// digitPlaces are the seven positions that hold digits, and the only ones
// where a letter of omocodia may stand.
var digitPlaces = [...]int{6, 7, 9, 10, 12, 13, 14}

// A triple is consonants, then vowels, then the filler X (a consonant too).
// The rest of the form is what the characters alone can decide.
var (
	triple = regexp.MustCompile(`^[B-DF-HJ-NP-TV-Z]*[AEIOU]*X*$`)
	rest   = regexp.MustCompile(`^[0-9L-NP-V]{2}[A-Z][0-9L-NP-V]{2}[A-Z][0-9L-NP-V]{3}[A-Z]$`)
)

// checkDefinitive returns what is wrong with a code of 16 characters, or "".
// The check letter comes last: it is computed on the code as written, and a
// code with a right one can still name 30 February.
func checkDefinitive(code string) FiscalCodeProblem {
	if !triple.MatchString(code[:3]) || !triple.MatchString(code[3:yearAt]) || !rest.MatchString(code[yearAt:]) {
		return FiscalCodeCharacter
	}
	p := plain(code)
	month := strings.IndexByte(months, p[monthAt]) + 1
	if month == 0 {
		return FiscalCodeMonth
	}
	day := number(p[dayAt:placeAt])
	if day > womenDays {
		day -= womenDays
	}
	// 2000 stands for the year 00 of any century: 1900 cannot be told from it.
	if d := (Date{2000 + number(p[yearAt:monthAt]), time.Month(month), day}); !d.exists() {
		return FiscalCodeDay
	}
	if place := p[placeAt:checkAt]; place[0] > 'M' && place[0] != 'Z' || place[1:] == "000" {
		return FiscalCodePlace
	}
	if checkLetter(code[:checkAt]) != code[checkAt] {
		return FiscalCodeCheck
	}
	return ""
}

// plain returns the first 15 characters with omocodia undone.
func plain(code string) string {
	p := []byte(code[:checkAt])
	for _, i := range digitPlaces {
		if n := strings.IndexByte(omocodia, p[i]); n >= 0 {
			p[i] = '0' + byte(n)
		}
	}
	return string(p)
}

// oddValues are the weights of characters in odd places (counted from one),
// for 0-9 and A-J alike, then K-Z.
var oddValues = [26]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}

func checkLetter(code string) byte {
	sum := 0
	for i := range len(code) {
		value := int(code[i] - 'A')
		if code[i] <= '9' {
			value = int(code[i] - '0')
		}
		if i%2 == 0 {
			value = oddValues[value]
		}
		sum += value
	}
	return 'A' + byte(sum%26)
}

// checkProvisional checks a code of 11 digits, which has the check digit of a
// partita IVA.
func checkProvisional(code string) FiscalCodeProblem {
	sum := 0
	for i := range provisionalLength - 1 {
		value := int(code[i] - '0')
		if i%2 == 1 {
			value *= 2
			if value > 9 {
				value -= 9
			}
		}
		sum += value
	}
	if byte((10-sum%10)%10) != code[provisionalLength-1]-'0' {
		return FiscalCodeCheck
	}
	return ""
}

func number(digits string) int {
	n := 0
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
	}
	return n
}

// definitive reports whether birth, sex and place can be read out of the code.
func (f FiscalCode) definitive() bool { return len(f.code) == definitiveLength }

// BirthDate reads the day of birth. The code has no century: of the days it
// may mean, this is the latest that is not after today. A declared date wins
// over it. It reports false for a provisional code.
func (f FiscalCode) BirthDate(today Date) (Date, bool) {
	if !f.definitive() {
		return Date{}, false
	}
	d := f.shortBirth()
	for d.Year += today.Year - today.Year%100; d.Year > 0; d.Year -= 100 {
		if d.exists() && !d.After(today) {
			return d, true
		}
	}
	return Date{}, false
}

// shortBirth is the day of birth with a year of two digits.
func (f FiscalCode) shortBirth() Date {
	p := plain(f.code)
	return Date{
		Year:  number(p[yearAt:monthAt]),
		Month: time.Month(strings.IndexByte(months, p[monthAt]) + 1),
		Day:   number(p[dayAt:placeAt]) % womenDays,
	}
}

// Sex reads the sex; it is empty for a provisional code.
func (f FiscalCode) Sex() Sex {
	switch {
	case !f.definitive():
		return ""
	case number(plain(f.code)[dayAt:placeAt]) > womenDays:
		return Female
	}
	return Male
}

// Place reads the Belfiore code of the place of birth; it is empty for a
// provisional code.
func (f FiscalCode) Place() string {
	if !f.definitive() {
		return ""
	}
	return plain(f.code)[placeAt:]
}
