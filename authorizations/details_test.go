package authorizations

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/templates"
)

const (
	goodPayment = `{"type": "` + payment + `", "amount": {"value": "12.50"}, "payee": "Comune di Roma", "day": "2026-12-01"}`
	goodRecords = `{"type": "` + records + `", "actions": ["read", "add"], "locations": ["https://archivio.example/api"], "year": 2025}`
)

// changed is a good detail in which one text stands for another.
func changed(good, old, now string) string { return strings.Replace(good, old, now, 1) }

func TestParse(t *testing.T) {
	t.Parallel()
	types := exampleTypes(t)
	details, err := types.Parse(" [" + goodPayment + ",\n" + goodRecords + "]")
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"amount":{"value":"12.50"},"day":"2026-12-01","payee":"Comune di Roma","type":"` + payment + `"},` +
		`{"actions":["read","add"],"locations":["https://archivio.example/api"],"type":"` + records + `","year":2025}]`
	if diff := cmp.Diff(want, details.Encode()); diff != "" {
		t.Error(diff)
	}
	again, err := Decode(details.Encode())
	if err != nil || !cmp.Equal(details, again) {
		t.Errorf("read again: %v, %v", again, err)
	}
	if diff := cmp.Diff([]string{payment, records}, details.Types()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"https://archivio.example/api"}, details.Locations()); diff != "" {
		t.Error(diff)
	}
	if got := details.For([]string{"https://else.example"}); len(got) != 1 || got[0].Type() != payment {
		t.Errorf("for somebody else: %v", got)
	}
	if none, err := Decode(""); none != nil || err != nil || none.Encode() != "" {
		t.Errorf("nothing is %v, %v", none, err)
	}
}

func TestDetailsThatAreRefused(t *testing.T) {
	t.Parallel()
	types := exampleTypes(t)
	for name, text := range map[string]string{
		"no JSON":            `[{"type"`,
		"no array":           goodPayment,
		"a text":             `"x"`,
		"empty":              `[]`,
		"no objects":         `["` + payment + `"]`,
		"more behind":        `[` + goodPayment + `] []`,
		"too many":           `[` + strings.Repeat(goodRecords+",", MaxDetails) + goodRecords + `]`,
		"too long":           `[` + goodPayment + strings.Repeat(" ", MaxLength) + `]`,
		"long once escaped":  `[` + goodRecords + strings.Repeat(`,`+changed(goodPayment, `"payee"`, `"reason": "`+strings.Repeat("<", 140)+`", "payee"`), 4) + `]`,
		"no type":            `[{"actions": ["read"]}]`,
		"type of no text":    `[{"type": 1}]`,
		"unknown type":       `[{"type": "other"}]`,
		"unknown field":      `[` + changed(goodPayment, `"payee"`, `"extra": 1, "payee"`) + `]`,
		"RFC's but not its":  `[` + changed(goodPayment, `"payee"`, `"actions": ["x"], "payee"`) + `]`,
		"unknown inner":      `[` + changed(goodPayment, `"value"`, `"type": "x", "value"`) + `]`,
		"missing":            `[` + changed(goodPayment, `, "payee": "Comune di Roma"`, ``) + `]`,
		"missing inner":      `[` + changed(goodPayment, `{"value": "12.50"}`, `{}`) + `]`,
		"twice":              `[` + changed(goodPayment, `"payee"`, `"payee": "Mario", "payee"`) + `]`,
		"twice by escape":    `[` + changed(goodPayment, `"payee"`, `"p\u0061yee": "Mario", "payee"`) + `]`,
		"null":               `[` + changed(goodPayment, `"Comune di Roma"`, `null`) + `]`,
		"number for text":    `[` + changed(goodPayment, `"Comune di Roma"`, `12`) + `]`,
		"object for text":    `[` + changed(goodPayment, `"Comune di Roma"`, `{"a": 1}`) + `]`,
		"list for text":      `[` + changed(goodPayment, `"Comune di Roma"`, `["a"]`) + `]`,
		"text for object":    `[` + changed(goodPayment, `{"value": "12.50"}`, `"12.50"`) + `]`,
		"empty text":         `[` + changed(goodPayment, `Comune di Roma`, ` `) + `]`,
		"long text":          `[` + changed(goodPayment, `Comune di Roma`, strings.Repeat("x", 71)) + `]`,
		"two lines":          `[` + changed(goodPayment, `Comune di Roma`, `Comune\ndi Roma`) + `]`,
		"turned around":      `[` + changed(goodPayment, `Comune di Roma`, `Comune \u202e amoR`) + `]`,
		"invisible":          `[` + changed(goodPayment, `Comune di Roma`, `Comune\u200b`) + `]`,
		"half a character":   `[` + changed(goodPayment, `Comune di Roma`, `\ud800`) + `]`,
		"decimal as number":  `[` + changed(goodPayment, `"12.50"`, `12.50`) + `]`,
		"negative":           `[` + changed(goodPayment, `12.50`, `-12.50`) + `]`,
		"comma":              `[` + changed(goodPayment, `12.50`, `12,50`) + `]`,
		"no day":             `[` + changed(goodPayment, `2026-12-01`, `2026-02-30`) + `]`,
		"boolean as text":    `[` + changed(goodPayment, `"payee"`, `"recurring": "true", "payee"`) + `]`,
		"unknown value":      `[` + changed(goodRecords, `"add"`, `"delete"`) + `]`,
		"no value":           `[` + changed(goodRecords, `["read", "add"]`, `[]`) + `]`,
		"the same value":     `[` + changed(goodRecords, `"add"`, `"read"`) + `]`,
		"a number in a list": `[` + changed(goodRecords, `"add"`, `1`) + `]`,
		"a list in a list":   `[` + changed(goodRecords, `"add"`, `["add"]`) + `]`,
		"text for list":      `[` + changed(goodRecords, `["read", "add"]`, `"read"`) + `]`,
		"fraction":           `[` + changed(goodRecords, `2025`, `2025.5`) + `]`,
		"exponent":           `[` + changed(goodRecords, `2025`, `2e3`) + `]`,
		"long number":        `[` + changed(goodRecords, `2025`, strings.Repeat("9", 16)) + `]`,
		"deep":               `[` + changed(goodPayment, `"Comune di Roma"`, strings.Repeat(`[`, 200)+strings.Repeat(`]`, 200)) + `]`,
	} {
		_, err := types.Parse(text)
		if _, ok := errors.AsType[*InvalidError](err); !ok {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "Mario") || strings.Contains(err.Error(), "extra")) {
			t.Errorf("%s: repeats what was sent: %v", name, err)
		}
	}
}

// Less than what was granted is covered, anything else is not.
func TestCover(t *testing.T) {
	t.Parallel()
	types := exampleTypes(t)
	parse := func(text string) Details {
		d, err := types.Parse("[" + text + "]")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	granted := parse(goodPayment + "," + goodRecords)
	for name, c := range map[string]struct {
		asked string
		want  bool
	}{
		"all":            {goodRecords + "," + goodPayment, true},
		"one":            {goodPayment, true},
		"one twice":      {goodPayment + "," + goodPayment, false}, // the citizen has allowed one payment
		"a list in two":  {changed(goodRecords, `, "add"`, ``) + "," + changed(goodRecords, `"read", `, ``), false},
		"shorter list":   {changed(goodRecords, `, "add"`, ``), true},
		"other order":    {changed(goodRecords, `"read", "add"`, `"add", "read"`), true},
		"other amount":   {changed(goodPayment, `12.50`, `1.50`), false},
		"other payee":    {changed(goodPayment, `Roma`, `Milano`), false},
		"one more field": {changed(goodPayment, `"payee"`, `"reason": "x", "payee"`), false},
		"a field less":   {changed(goodRecords, `, "year": 2025`, ``), false},
		"open where":     {changed(goodRecords, `"locations": ["https://archivio.example/api"], `, ``), false},
		"other year":     {changed(goodRecords, `2025`, `2024`), false},
		"one of two":     {goodPayment + "," + changed(goodRecords, `2025`, `2024`), false},
	} {
		if got := granted.Cover(parse(c.asked)); got != c.want {
			t.Errorf("%s: covered %t, want %t", name, got, c.want)
		}
	}
	narrow := changed(goodRecords, `, "add"`, ``)
	if !parse(goodRecords + "," + narrow).Cover(parse(narrow + "," + goodRecords)) {
		t.Error("what fits in one order is not found")
	}
	if !parse(goodPayment + "," + goodPayment).Cover(parse(goodPayment + "," + goodPayment)) {
		t.Error("two payments that were allowed are not covered")
	}
	if only := granted[1:].Cover(granted); only {
		t.Error("a detail that was not granted is covered")
	}
}

// What the sentence does not tell stands below it; values are told from words.
func TestPermissions(t *testing.T) {
	t.Parallel()
	types := exampleTypes(t)
	details, err := types.Parse(`[` + changed(goodPayment, `"payee"`, `"recurring": true, "reason": "<b>x</b>", "payee"`) + `,` + goodRecords + `]`)
	if err != nil {
		t.Fatal(err)
	}
	value := func(text string) templates.Piece { return templates.Piece{Text: text, Value: true} }
	words := func(text string) templates.Piece { return templates.Piece{Text: text} }
	want := []templates.Permission{
		{
			Sentence: templates.Phrase{
				"it": {
					words("Pagare "), {Text: "12.50", Value: true, Kind: templates.PieceDecimal}, words(" euro a "), value("Comune di Roma"),
					words(" entro il "), {Text: "2026-12-01", Value: true, Kind: templates.PieceDay}, words("."),
				},
				"en": {
					words("Pay "), {Text: "12.50", Value: true, Kind: templates.PieceDecimal}, words(" euros to "), value("Comune di Roma"),
					words(" by "), {Text: "2026-12-01", Value: true, Kind: templates.PieceDay}, words("."),
				},
			},
			Further: []templates.PermissionField{
				{
					Label: templates.Text{"it": "Causale", "en": "Reason for payment"},
					Value: templates.Phrase{"it": {value("<b>x</b>")}, "en": {value("<b>x</b>")}},
				},
				{
					Label: templates.Text{"it": "Ogni mese", "en": "Every month"},
					Value: templates.Phrase{"it": {value("sì")}, "en": {value("yes")}},
				},
			},
		},
		{
			Sentence: templates.Phrase{
				"it": {words("Nel tuo fascicolo: "), value("leggere i documenti"), words(", "), value("aggiungere documenti"), words(".")},
				"en": {words("In your file: "), value("read the documents"), words(", "), value("add documents"), words(".")},
			},
			Further: []templates.PermissionField{
				{
					Label: templates.Text{"it": "Dove", "en": "Where"},
					Value: templates.Phrase{"it": {value("archivio dell’ente")}, "en": {value("the institution’s archive")}},
				},
				{
					Label: templates.Text{"it": "Anno", "en": "Year"},
					Value: templates.Phrase{"it": {value("2025")}, "en": {value("2025")}},
				},
			},
		},
	}
	if diff := cmp.Diff(want, types.Permissions(details)); diff != "" {
		t.Error(diff)
	}
}

// Whatever is sent: it is refused, or it is kept as it was judged and shown
// whole.
func FuzzParse(f *testing.F) {
	types := exampleTypes(f)
	f.Add("[" + goodPayment + "]")
	f.Add("[" + goodPayment + "," + goodRecords + "]")
	f.Add(`[{"type": "` + records + `", "actions": ["read"], "datatypes": ["a", "b"], "year": 0}]`)
	f.Add(`[{"type": "\u0000", "a": [[[[]]]]}]`)
	f.Fuzz(func(t *testing.T, text string) {
		details, err := types.Parse(text)
		if err != nil {
			if _, ok := errors.AsType[*InvalidError](err); !ok {
				t.Fatalf("%q: %v is no refusal", text, err)
			}
			return
		}
		again, err := types.Parse(details.Encode())
		if err != nil {
			t.Fatalf("%q was taken, and then refused as %q: %v", text, details.Encode(), err)
		}
		if again.Encode() != details.Encode() || !details.Cover(again) || !again.Cover(details) {
			t.Fatalf("%q is %q and then %q", text, details.Encode(), again.Encode())
		}
		for i, p := range types.Permissions(details) {
			shown := len(p.Further)
			for _, piece := range p.Sentence["it"] {
				if piece.Value {
					shown++
				}
			}
			if shown < len(details[i])-1 {
				t.Fatalf("%q shows %d values of %d", details.Encode(), shown, len(details[i])-1)
			}
		}
	})
}
