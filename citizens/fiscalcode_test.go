package citizens

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// today is when the vectors are read: the century of a birth depends on it.
var today = Date{2026, 11, 22}

// vectors are the people of the rules' §3.9, by their number there.
var vectors = []struct {
	id, family, given string
	sex               Sex
	born              Date
	place, code       string
}{
	{"V1", "Rossi", "Mario", Male, Date{1980, 1, 1}, "H501", "RSSMRA80A01H501U"},
	{"V2", "Rossi", "Franco", Male, Date{1980, 12, 31}, "F205", "RSSFNC80T31F205U"},
	{"V3", "Bianchi", "Anna Maria", Female, Date{1972, 6, 15}, "F839", "BNCNMR72H55F839M"},
	{"V5", "D'Amico", "Gianfranco", Male, Date{1985, 8, 9}, "G273", "DMCGFR85M09G273S"},
	{"V7", "Miller", "Samantha", Female, Date{1982, 9, 25}, "Z404", "MLLSNT82P65Z404U"},
	{"V8", "Popescu", "Ion", Male, Date{1990, 10, 10}, "Z129", "PPSNIO90R10Z129Z"},
	{"V10", "O", "Eva", Female, Date{1999, 11, 30}, "Z213", "OXXVEA99S70Z213V"},
	{"V11", "Niccolò", "Zoë", Female, Date{2010, 5, 4}, "D612", "NCCZOE10E44D612J"},
	{"V12", "Aiello", "Ugo", Male, Date{1901, 4, 30}, "C351", "LLAGUO01D30C351B"},
	{"V14", "García Márquez", "José Luis", Male, Date{1977, 2, 28}, "Z600", "GRCJLS77B28Z600Y"},
	{"V16", "Marano", "Lucio", Male, Date{1993, 8, 6}, "H501", "MRNLCU93M06H501M"},
	{"V17", "Moreno", "Luca", Male, Date{1993, 8, 6}, "H501", "MRNLCU93M06H501M"},
}

func parse(t *testing.T, s string) FiscalCode {
	t.Helper()
	f, err := ParseFiscalCode(s)
	if err != nil {
		t.Fatalf("ParseFiscalCode(%q): %v", s, err)
	}
	return f
}

func TestVectorsAreReadAndAgreeWithTheirPeople(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.id, func(t *testing.T) {
			f := parse(t, v.code)
			born, ok := f.BirthDate(today)
			if v.id == "V12" { // 1901 or 2001: the code cannot tell, the guess is the later
				v.born.Year = 2001
			}
			if !ok || born != v.born {
				t.Errorf("born %v, want %v", born, v.born)
			}
			if f.Sex() != v.sex || f.Place() != v.place {
				t.Errorf("sex %q, place %q; want %q, %q", f.Sex(), f.Place(), v.sex, v.place)
			}
			if f.Omocode() || f.Provisional() {
				t.Errorf("omocode %t, provisional %t; want neither", f.Omocode(), f.Provisional())
			}
			declared := Declared{v.given, v.family, v.sex, v.born, v.place}
			if got := f.Mismatches(declared); got != nil {
				t.Errorf("mismatches %v, want none", got)
			}
		})
	}
}

func TestPublishedCodesAreValid(t *testing.T) {
	for _, code := range []string{
		"RSSMRA79B11C566R", "RSSFNC80T31F205U", "MRTMTT91D08F205J", "MLLSNT82P65Z404U", "RSSMRA85M01H501Q", "RSSMRA85T10A562S",
		"RSSMRA00B29H501Y", // 29 February of a year 00
	} {
		parse(t, code)
	}
	if _, err := ParseFiscalCode("RSSMRA85M01H501Z"); err == nil {
		t.Error("RSSMRA85M01H501Z has the wrong letter, and is accepted")
	}
}

func TestR1InputIsNormalised(t *testing.T) {
	for _, input := range []string{
		"rss mra 80a01 h501 u", " rss mra 80a01 h501 u ", "RSSMRA80A01H501U", "\tRssMra80a01h501u\r\n", "RSS\u00a0MRA\u00a080A01\u00a0H501\u00a0U",
	} {
		if got := parse(t, input).Reveal(); got != "RSSMRA80A01H501U" {
			t.Errorf("%q is read as %s", input, got)
		}
	}
}

func TestInvalidCodes(t *testing.T) {
	for code, want := range map[string]FiscalCodeProblem{
		"":                         FiscalCodeLength,
		"RSSMRA80A01H501A":         FiscalCodeCheck,
		"RSSMRA08A01H501U":         FiscalCodeCheck,
		"RSSMRA80A01H501":          FiscalCodeLength,
		"RSSMRA80A01H501UU":        FiscalCodeLength,
		"RSSMRA80F01H501G":         FiscalCodeMonth,
		"RSSMRA80A00H501V":         FiscalCodeDay,
		"RSSMRA80A32H501C":         FiscalCodeDay,
		"RSSMRA80A40H501Z":         FiscalCodeDay,
		"RSSMRA80A72H501G":         FiscalCodeDay,
		"RSSMRA80B30H501X":         FiscalCodeDay,
		"RSSMRA80D71H501H":         FiscalCodeDay,
		"RSSMRA81B29H501R":         FiscalCodeDay,
		"RSSMRA80A01N501A":         FiscalCodePlace,
		"RSSMRA80A01Z000B":         FiscalCodePlace,
		"RSSMRA8OA01H501I":         FiscalCodeCharacter,
		"RSSMRA80A01H50WQ":         FiscalCodeCharacter,
		"R5SMRA80A01H501H":         FiscalCodeCharacter,
		"ARSMRA80A01H501M":         FiscalCodeCharacter,
		"RSSMRA80A01H5015":         FiscalCodeCharacter,
		"RSSMRÀ80A01H501U":         FiscalCodeCharacter,
		"R\u017fSMRA80A01H501U":    FiscalCodeCharacter, // long s: a capital S, said ToUpper
		"RSS-MRA-80A01-H501":       FiscalCodeLength,
		strings.Repeat("A", 1<<16): FiscalCodeLength,
	} {
		_, err := ParseFiscalCode(code)
		var refused *FiscalCodeError
		if !errors.As(err, &refused) {
			t.Errorf("%.40q: got %v, want a refusal", code, err)
		} else if refused.Problem != want {
			t.Errorf("%.40q: got %q, want %q", code, refused.Problem, want)
		} else if code != "" && strings.Contains(err.Error(), code) {
			t.Errorf("%.40q: the refusal repeats the input", code)
		}
	}
}

func TestOmocodiaReadsAsThePlainCode(t *testing.T) {
	for code, of := range map[string]string{
		"RSSMRA80A01H50MM": "RSSMRA80A01H501U",
		"RSSMRA80A01H5LMX": "RSSMRA80A01H501U",
		"RSSMRA80A0MH50ME": "RSSMRA80A01H501U",
		"RSSMRAU0A01H501R": "RSSMRA80A01H501U",
		"RSSMRAULALMHRLMD": "RSSMRA80A01H501U",
		"BNCNMR72H55F83VB": "BNCNMR72H55F839M",
	} {
		f, plain := parse(t, code), parse(t, of)
		if !f.Omocode() {
			t.Errorf("%s is not seen to be omocodic", code)
		}
		if f.Reveal() != code || f == plain {
			t.Errorf("%s must stay what it is: it is another person's than %s", code, of)
		}
		born, _ := f.BirthDate(today)
		want, _ := plain.BirthDate(today)
		if born != want || f.Sex() != plain.Sex() || f.Place() != plain.Place() {
			t.Errorf("%s reads %v %s %s, want as %s", code, born, f.Sex(), f.Place(), of)
		}
	}
}

// variants returns every omocodic form of a code, itself first.
func variants(code string) []string {
	var all []string
	for mask := range 1 << len(digitPlaces) {
		c := []byte(code[:checkAt])
		for bit, i := range digitPlaces {
			if mask&(1<<bit) != 0 {
				c[i] = omocodia[c[i]-'0']
			}
		}
		all = append(all, string(c)+string(checkLetter(string(c))))
	}
	return all
}

func TestThe128VariantsAreValidAndDistinct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom(vectors).Draw(t, "vector")
		seen := map[FiscalCode]bool{}
		for _, code := range variants(v.code) {
			f, err := ParseFiscalCode(code)
			if err != nil {
				t.Fatalf("%s: %v", code, err)
			}
			seen[f] = true
			declared := Declared{v.given, v.family, v.sex, v.born, v.place}
			if got := f.Mismatches(declared); got != nil {
				t.Errorf("%s: mismatches %v", code, got)
			}
		}
		if len(seen) != 128 {
			t.Errorf("%d distinct codes, want 128", len(seen))
		}
	})
}

func TestEverySingleWrongCharacterIsCaught(t *testing.T) {
	code := vectors[0].code
	for i := range checkAt {
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" {
			sameKind := (c <= '9') == (code[i] <= '9')
			if wrong := code[:i] + string(c) + code[i+1:]; wrong != code && sameKind {
				if _, err := ParseFiscalCode(wrong); err == nil {
					t.Errorf("%s is accepted", wrong)
				}
			}
		}
	}
}

func TestProvisionalCodes(t *testing.T) {
	for _, code := range []string{"12345670017", "00000010801", "98765432103"} {
		f := parse(t, code)
		if _, ok := f.BirthDate(today); !f.Provisional() || f.Omocode() || ok || f.Sex() != "" || f.Place() != "" {
			t.Errorf("%s: a provisional code tells nothing of the person", code)
		}
		if _, err := ParseOwnFiscalCode(code); !errors.Is(err, ErrProvisional) {
			t.Errorf("%s: self-service got %v, want ErrProvisional", code, err)
		}
		if got := f.Mismatches(Declared{GivenName: "Mario", Sex: Male}); got != nil {
			t.Errorf("%s: mismatches %v, want none", code, got)
		}
		for last := range 10 {
			wrong := code[:10] + fmt.Sprint(last)
			if _, err := ParseFiscalCode(wrong); wrong != code && err == nil {
				t.Errorf("%s is accepted", wrong)
			}
		}
	}
	if _, err := ParseOwnFiscalCode(vectors[0].code); err != nil {
		t.Errorf("self-service refuses a definitive code: %v", err)
	}
}

func TestMismatchesAreAList(t *testing.T) {
	v1 := parse(t, "RSSMRA80A01H501U")
	born := Date{1980, 1, 1}
	for name, c := range map[string]struct {
		declared Declared
		want     []Mismatch
	}{
		"Russo has the letters of Rossi": {Declared{"Mario", "Russo", Male, born, "H501"}, nil},
		"Maria has the letters of Mario": {Declared{"Maria", "Rossi", Female, born, "H501"}, []Mismatch{SexDiffers}},
		"another day":                    {Declared{"Mario", "Rossi", Male, Date{1980, 1, 2}, "H501"}, []Mismatch{BirthDateDiffers}},
		"Marta":                          {Declared{"Marta", "Rossi", Male, born, ""}, []Mismatch{GivenNameDiffers}},
		"Rosso Moira":                    {Declared{"Moira", "Rosso", "", born, ""}, []Mismatch{GivenNameDiffers}},
		"another century":                {Declared{"Mario", "Rossi", Male, Date{1880, 1, 1}, "h501"}, nil},
		"nothing declared":               {Declared{}, nil},
		"everything": {
			Declared{"Eva", "O", Female, Date{1981, 2, 3}, "F205"},
			[]Mismatch{FamilyNameDiffers, GivenNameDiffers, SexDiffers, BirthDateDiffers, BirthPlaceDiffers},
		},
	} {
		if diff := cmp.Diff(c.want, v1.Mismatches(c.declared)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestSpellingsOfANameAgree(t *testing.T) {
	for _, c := range []struct{ name, family string }{
		{"Müller", "MLL"}, {"Mueller", "MLL"}, {"D'AMICO", "DMC"}, {"De Rossi", "DRS"}, {"Weiß", "WSS"}, {"Łukasz", "LKS"},
		{"Çelik", "CLK"}, {"Öz", "ZOX"}, {"Oez", "ZOX"}, {"Öz", "ZOE"}, {"Ng", "NGX"}, {"Ægir", "GRA"}, {"Øre", "ROE"}, {"Fo", "FOX"},
	} {
		if !hasTriple(c.name, c.family, familyTriple) {
			t.Errorf("%s does not give %s", c.name, c.family)
		}
	}
	if !hasTriple("Anna", "XXX", givenTriple) {
		t.Error("XXX stands for a name that the office did not have")
	}
}

func TestPersonalValuesDoNotPrint(t *testing.T) {
	mobile, err := ParseContact(Mobile, "+393401234567")
	if err != nil {
		t.Fatal(err)
	}
	card, err := ParseCardNumber("80380000301234567890")
	if err != nil {
		t.Fatal(err)
	}
	for secret, v := range map[string]any{
		"RSSMRA80A01H501U":     parse(t, "RSSMRA80A01H501U"),
		"+393401234567":        mobile,
		"80380000301234567890": card,
	} {
		out := fmt.Sprintf("%v %+v %#v %s %q %d %x", v, v, v, v, v, v, v)
		out += fmt.Sprintf("%+v %#v", []any{v}, struct{ V any }{v})
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		if out += log.String(); strings.Contains(out, secret) || strings.Contains(out, fmt.Sprintf("%x", secret)) {
			t.Errorf("%T prints: %s", v, out)
		}
		if b, err := json.Marshal(map[string]any{"v": v}); err == nil {
			t.Errorf("%T is encoded: %s", v, b)
		}
	}
	c := Citizen{ID: "some-id", GivenName: "Mario", FiscalCode: parse(t, "RSSMRA80A01H501U")}
	if out := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(out, "Mario") || !strings.Contains(out, "some-id") {
		t.Errorf("a citizen prints as %s", out)
	}
	if b, err := json.Marshal(c); err == nil {
		t.Errorf("a citizen is encoded: %s", b)
	}
}

func FuzzParseFiscalCode(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.code)
	}
	f.Add("12345670017")
	f.Add(" rss mra 80a01 h501 u ")
	f.Add("RSSMRAULALMHRLMD")
	f.Fuzz(func(t *testing.T, s string) {
		code, err := ParseFiscalCode(s)
		if err != nil {
			var refused *FiscalCodeError
			if !errors.As(err, &refused) || !code.IsZero() {
				t.Fatalf("%q: got %v and %v", s, code, err)
			}
			return
		}
		if again, err := ParseFiscalCode(code.Reveal()); err != nil || again != code {
			t.Errorf("%q reads back as %v, %v", code.Reveal(), again, err)
		}
		if strings.Contains(code.Masked(), code.Reveal()) || len(code.Masked()) != len(code.Reveal()) {
			t.Errorf("%q is masked as %q", code.Reveal(), code.Masked())
		}
		if code.Provisional() {
			return
		}
		if born, ok := code.BirthDate(today); !ok || !born.exists() || born.After(today) {
			t.Errorf("%q: born %v, %t", code.Reveal(), born, ok)
		}
		if sex := code.Sex(); sex != Male && sex != Female {
			t.Errorf("%q: sex %q", code.Reveal(), sex)
		}
		if !placeCode.MatchString(code.Place()) {
			t.Errorf("%q: place %q", code.Reveal(), code.Place())
		}
	})
}
