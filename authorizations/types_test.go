package authorizations

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// example is the file that the documentation shows.
const example = "../docs/guides/authorization-types.json"

func exampleTypes(t testing.TB) *Types {
	t.Helper()
	types, err := Load(example)
	if err != nil {
		t.Fatal(err)
	}
	return types
}

const (
	payment = "https://pagamenti.example/authorizations/payment"
	records = "https://archivio.example/authorizations/records"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	types := exampleTypes(t)
	if diff := cmp.Diff([]string{payment, records}, types.Names()); diff != "" {
		t.Error(diff)
	}
	if types.ForClients(payment) || !types.ForClients(records) || types.ForClients("other") {
		t.Error("the wrong types are for clients")
	}
	var none *Types
	if len(none.Names()) > 0 || none.Has(payment) || none.ForClients(records) {
		t.Error("nothing has types")
	}
	if _, err := none.Parse(`[{"type": "` + payment + `"}]`); err == nil {
		t.Error("nothing takes a detail")
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.json")); err == nil {
		t.Error("a file that is not there is read")
	}
}

// Each fault is named at the start, with the type and the field it is in.
func TestTypesFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	one := func(text, fields string) string {
		return `{"types": [{"type": "t", "text": ` + text + `, "fields": [` + fields + `]}]}`
	}
	const it = `{"it": "Fare {what}."}`
	for name, c := range map[string]struct{ file, says string }{
		"no JSON":          {`{`, "unexpected EOF"},
		"more":             {`{"types": []} {}`, "goes on"},
		"nothing":          {`{"types": []}`, "one at least"},
		"unknown member":   {`{"types": [], "kinds": []}`, "kinds"},
		"no name":          {`{"types": [{"text": {"it": "x"}}]}`, "type must be"},
		"a name in words":  {`{"types": [{"type": "a b", "text": {"it": "x"}}]}`, "type must be"},
		"twice":            {`{"types": [{"type": "t", "text": {"it": "x"}}, {"type": "t", "text": {"it": "x"}}]}`, "twice"},
		"no Italian":       {one(`{"en": "x"}`, ``), `no "it"`},
		"hole":             {one(it, ``), "{what}"},
		"optional":         {one(it, `{"name": "what", "kind": "text"}`), "{what}"},
		"open brace":       {one(`{"it": "Fare {what"}`, `{"name": "what", "kind": "text", "required": true}`), "brace"},
		"closing brace":    {one(`{"it": "Fare what}"}`, ``), "brace"},
		"object as value":  {one(it, `{"name": "what", "kind": "object", "required": true, "fields": [{"name": "a", "kind": "text", "label": {"it": "A"}}]}`), "object"},
		"hidden":           {one(it, `{"name": "what", "kind": "text", "required": true}, {"name": "how", "kind": "text"}`), `"how"`},
		"hidden in one":    {one(`{"it": "Fare {what}.", "en": "Do it."}`, `{"name": "what", "kind": "text", "required": true}`), `"what"`},
		"hidden within":    {one(`{"it": "x"}`, `{"name": "o", "kind": "object", "fields": [{"name": "a", "kind": "text"}]}`), `"o.a"`},
		"no kind":          {one(`{"it": "x"}`, `{"name": "a", "label": {"it": "A"}}`), "kind must"},
		"RFC's own":        {one(`{"it": "x"}`, `{"name": "actions", "kind": "text", "label": {"it": "A"}}`), "RFC 9396"},
		"named type":       {one(`{"it": "x"}`, `{"name": "type", "kind": "text", "label": {"it": "A"}}`), `"type"`},
		"field twice":      {one(`{"it": "x"}`, `{"name": "a", "kind": "text", "label": {"it": "A"}}, {"name": "a", "kind": "text", "label": {"it": "A"}}`), "twice"},
		"too deep":         {one(`{"it": "x"}`, `{"name": "a", "kind": "object", "fields": [{"name": "b", "kind": "object", "fields": [{"name": "c", "kind": "text"}]}]}`), "within"},
		"fields of a text": {one(`{"it": "x"}`, `{"name": "a", "kind": "text", "fields": [{"name": "c", "kind": "text"}], "label": {"it": "A"}}`), "object"},
		"boolean":          {one(`{"it": "x"}`, `{"name": "a", "kind": "boolean", "label": {"it": "A"}}`), "true"},
		"values of a date": {one(`{"it": "x"}`, `{"name": "a", "kind": "date", "values": {"2026-01-01": {"it": "x"}}, "label": {"it": "A"}}`), "values"},
		"value wordless":   {one(`{"it": "x"}`, `{"name": "a", "kind": "text", "values": {"x": {"en": "x"}}, "label": {"it": "A"}}`), `"x"`},
		"label wordless":   {one(`{"it": "x"}`, `{"name": "a", "kind": "text", "label": {"en": "A"}}`), "label"},
		"too long texts":   {one(`{"it": "x"}`, `{"name": "a", "kind": "text", "most": 501, "label": {"it": "A"}}`), "500"},
		"too long a list":  {one(`{"it": "x"}`, `{"name": "actions", "most": 21, "label": {"it": "A"}}`), "20"},
		"most of a date":   {one(`{"it": "x"}`, `{"name": "a", "kind": "date", "most": 3, "label": {"it": "A"}}`), "most"},
		"too long":         {one(`{"it": "`+strings.Repeat("x", 501)+`"}`, ``), "501"},
		"too large":        {strings.Repeat(" ", maxFile) + `{}`, "larger"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "types.json")
			if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(file)
			if name == "too long" {
				c.says = "500"
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), file) {
				t.Errorf("got %v, want a word about %q and the file", err, c.says)
			}
		})
	}
}
