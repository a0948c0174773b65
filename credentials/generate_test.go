package credentials

import (
	"strings"
	"testing"
	"time"

	"ente.example/idp/citizens"
)

var today = citizens.Date{Year: 2026, Month: time.March, Day: 1}

func marioRossi() citizens.Citizen {
	return citizens.Citizen{FiscalCode: code(mario), BirthDate: citizens.Date{Year: 1980, Month: time.January, Day: 23}}
}

func TestWeak(t *testing.T) {
	t.Parallel()
	shun := personal(marioRossi(), today)
	for pin, why := range map[string]string{
		"00000000": "one character", "11221122": "few characters", "12121212": "few characters", "12341234": "repeated",
		"75757575": "repeated", "48311384": "palindrome", "11335577": "pairs", "58222247": "a run", "12345678": "ascending",
		"87654321": "descending", "90345671": "ascending inside", "98765013": "descending inside", "5ABCDE39": "ascending in hex",
		"0FEDCB42": "descending in hex", "23011980": "birth date", "19800123": "birth date", "01231980": "birth date",
		"57230180": "birth date short", "80012346": "birth date short", "01018042": "birth date of the code",
		"9780A013": "a stretch of the code", "48001547": "digits of the code", "01501937": "digits of the code",
	} {
		if len(pin) == workingLength && !weakPIN(pin, shun) {
			t.Errorf("%s (%s) is not found weak", pin, why)
		}
	}
	for _, pin := range []string{"58204417", "90316628", "C0FFE412", "27394860", "12347890"} {
		if weakPIN(pin, shun) {
			t.Errorf("%s is found weak", pin)
		}
	}
	for _, pin := range []string{"5820441758204417", "5820441771440285", "5820441712345678", "1234567858204417", "5820230119804417"} {
		if !weakPIN(pin, shun) {
			t.Errorf("%s is not found weak", pin)
		}
	}
}

// A generator that threw much away would shrink the space it draws from.
func TestGenerate(t *testing.T) {
	t.Parallel()
	who, shun := marioRossi(), personal(marioRossi(), today)
	for _, a := range []Alphabet{Digits, Hex} {
		counts, thrown := map[rune]int{}, 0
		const n = 20_000
		for range n {
			s, err := draw(a, workingLength)
			if err != nil {
				t.Fatal(err)
			}
			if weakPIN(s, shun) {
				thrown++
			}
			for _, c := range s {
				counts[c]++
			}
			p, err := generate(a, initialLength, who, today)
			if err != nil || len(p.Reveal()) != initialLength || weakPIN(p.Reveal(), shun) || strings.Trim(p.Reveal(), a.characters()) != "" {
				t.Fatalf("generated a bad PIN of %s, %v", a, err)
			}
		}
		if thrown > n*2/100 {
			t.Errorf("%s: %d of %d are weak, want less than 2 %%", a, thrown, n)
		}
		chi, expected := 0.0, float64(n*workingLength)/float64(len(a.characters()))
		for _, c := range a.characters() {
			d := float64(counts[c]) - expected
			chi += d * d / expected
		}
		if chi > 60 { // one in a hundred million for 15 degrees of freedom, fewer for 9
			t.Errorf("%s: chi-square %.1f over %v, want an even draw", a, chi, counts)
		}
	}
}

func TestGenerateForSomebodyWithoutFacts(t *testing.T) {
	t.Parallel()
	p, err := generate(Digits, workingLength, citizens.Citizen{}, today)
	if err != nil || len(p.Reveal()) != workingLength {
		t.Errorf("generate = %d characters, %v, want 8", len(p.Reveal()), err)
	}
}
