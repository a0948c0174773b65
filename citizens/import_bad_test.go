package citizens_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ente.example/idp/citizens"
)

// badRows are rows, and the reasons for which they are refused.
var badRows = []struct{ name, row, reason string }{
	{"no code", ",Mario,Rossi,,,,,,,,,,,,,,,,", "fiscal_code: is obligatory"},
	{"no name", anna + ",,Bianchi,,,,,,,,,,,,,,,,", "given_name: is obligatory"},
	{"no surname", anna + ",Anna,  ,,,,,,,,,,,,,,,,", "family_name: is obligatory"},
	{"check letter", "RSSMRA80A01H501A,Mario,Rossi,,,,,,,,,,,,,,,,", "fiscal_code: not a codice fiscale: the check character does not match"},
	{"sex", anna + ",A,B,X,,,,,,,,,,,,,,,", "sex: must be M or F"},
	{"date", anna + ",A,B,,01/02/1980,,,,,,,,,,,,,,", "birth_date: not a date: write YYYY-MM-DD"},
	{"no such date", anna + ",A,B,,1981-02-29,,,,,,,,,,,,,,", "birth_date: not a date: write YYYY-MM-DD"},
	{"born tomorrow", anna + ",A,B,,2999-01-01,,,,,,,,,,,,,,", "birth_date: is in the future"},
	{"place", anna + ",A,B,,,Roma,,,,,,,,,,,,,", "birth_place: not a Belfiore code, as in H501"},
	{"country", anna + ",A,B,,,,,,,,Italia,,,,,,,,", "residence_country: not a country code of ISO 3166, as in DE"},
	{"document", anna + ",A,B,,,,,,,,,si,,,,,,,", "italian_document: must be yes or no"},
	{"category", anna + ",A,B,,,,,,,,,,admin,,,,,,", "category: must be citizen or intermediary"},
	{"card", anna + ",A,B,,,,,,,,,,,8038,2030-01-01,,,,", "health_card_number: not a health card number: 20 digits"},
	{"expiry alone", anna + ",A,B,,,,,,,,,,,,2030-01-01,,,,", "health_card_expiry: there is no health_card_number"},
	{"national number", anna + ",A,B,,,,,,,,,,,,,3401234567,,,", "mobile: not in E.164: write + and the country's prefix, as in +393401234567"},
	{"landline", anna + ",A,B,,,,,,,,,,,,,+390669821,,,", "mobile: not a mobile number: a message cannot reach it"},
	{"mail", anna + ",A,B,,,,,,,,,,,,,,mario at posta,,", "email: not a mail address: write it as in name@example.org"},
	{"dead before born", anna + ",A,B,,1980-01-01,,,,,,,,,,,,,,1979-01-01", "deceased_on: is before birth_date"},
	{"dead tomorrow", anna + ",A,B,,,,,,,,,,,,,,,,2999-01-01", "deceased_on: is in the future"},
	{"two at once", anna + ",A,B,X,,,,,,,,maybe,,,,,,,", "sex: must be M or F; italian_document: must be yes or no"},
	{"too few cells", anna + ",A,B", "has 3 cells, the header 19"},
	{"too many cells", anna + ",A,B,,,,,,,,,,,,,,,,,", "has 20 cells, the header 19"},
	{"quotation mark", anna + `,A"na,B,,,,,,,,,,,,,,,,`, "a quotation mark stands where none may, or is not closed"},
	{"not UTF-8", anna + ",A\xff,B,,,,,,,,,,,,,,,,", "given_name: is not UTF-8"},
	{"control character", anna + ",A\x00,B,,,,,,,,,,,,,,,,", "given_name: has a control character"},
	{"very long", anna + "," + strings.Repeat("A", 201) + ",B,,,,,,,,,,,,,,,,", "given_name: is longer than 200 characters"},
}

func TestBadRowsAreNamedByLineAndNothingIsImported(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		rows, want := rowMario, []citizens.BadLine(nil)
		for i, b := range badRows {
			rows += b.row + "\n"
			want = append(want, citizens.BadLine{Line: i + 3, Reason: b.reason})
		}
		report, err := f.registry.Import(f.Context(), strings.NewReader(header+rows), citizens.ImportOptions{})
		if !errors.Is(err, citizens.ErrBadRows) {
			f.Errorf("got %v, want ErrBadRows", err)
		}
		if diff := cmp.Diff(citizens.ImportReport{Bad: want}, report, cmpopts.EquateEmpty()); diff != "" {
			f.Errorf("(-want +got)\n%s", diff)
		}
		if n := f.people(); n != 0 {
			f.Errorf("%d people imported, want none", n)
		}
	})
}

func TestSkipBadImportsTheRest(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		rows := badRows[0].row + "\n\n" + rowMario + badRows[4].row + "\n"
		report := f.imports(rows, citizens.ImportOptions{SkipBad: true})
		want := citizens.ImportReport{Imported: 1, Bad: []citizens.BadLine{{2, badRows[0].reason}, {5, badRows[4].reason}}}
		if diff := cmp.Diff(want, report, cmpopts.EquateEmpty()); diff != "" {
			f.Errorf("(-want +got)\n%s", diff)
		}
		f.person(mario)
	})
}

func TestALineIsCountedWhereItsRowBegins(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		rows := mario + ",Mario,\"Ro\nssi\",,,,,,,,,,,,,,,,\n" + badRows[4].row + "\n"
		report, _ := f.registry.Import(f.Context(), strings.NewReader(header+rows), citizens.ImportOptions{})
		want := []citizens.BadLine{{2, "family_name: has a control character"}, {4, badRows[4].reason}}
		if diff := cmp.Diff(want, report.Bad, cmpopts.EquateEmpty()); diff != "" {
			f.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestAFileThatIsNoCitizensCSVIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		for name, c := range map[string]struct{ file, want string }{
			"empty":          {"", "line 1: the header is missing"},
			"no header":      {rowMario, "line 1: no such column"},
			"unknown column": {strings.Replace(header, "pec", "fax", 1) + rowMario, `line 1: no such column: "fax"`},
			"twice":          {strings.Replace(header, "pec", "email", 1) + rowMario, "line 1: column email stands twice"},
			"missing":        {"fiscal_code,given_name\n" + mario + ",Mario\n", "line 1: column family_name is missing"},
			"endless row":    {header + rowMario + `"` + strings.Repeat("A,", 64<<10), "after line 2: a row is longer"},
		} {
			report, err := f.registry.Import(f.Context(), strings.NewReader(c.file), citizens.ImportOptions{SkipBad: true})
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, citizens.ErrBadRows) {
				f.Errorf("%s: got %v, want %q", name, err, c.want)
			}
			if diff := cmp.Diff(citizens.ImportReport{}, report, cmpopts.EquateEmpty()); diff != "" {
				f.Errorf("%s: (-want +got)\n%s", name, diff)
			}
		}
		if n := f.people(); n != 0 {
			f.Errorf("%d people imported, want none", n)
		}
	})
}
