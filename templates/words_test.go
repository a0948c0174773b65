package templates

import (
	"encoding/json"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// catalogue is the raw file of one language: each key with its forms.
func catalogue(t *testing.T, tag string) map[string]map[string]string {
	t.Helper()
	raw, err := catalogues.ReadFile("words/" + tag + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var entries map[string]any
	if err := json.Unmarshal(raw, &entries); err != nil {
		t.Fatal(err)
	}
	c := map[string]map[string]string{}
	for key, entry := range entries {
		switch e := entry.(type) {
		case string:
			c[key] = map[string]string{"other": e}
		case map[string]any:
			c[key] = map[string]string{}
			for form, text := range e {
				c[key][form] = text.(string)
			}
		}
	}
	return c
}

func TestEveryKeyInEveryLanguage(t *testing.T) {
	t.Parallel()
	want := slices.Sorted(maps.Keys(catalogue(t, fallback)))
	for _, l := range shipped() {
		got := slices.Sorted(maps.Keys(catalogue(t, l.Tag)))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("keys of %s differ from %s (-%[2]s +%[1]s):\n%[3]s", l.Tag, fallback, diff)
		}
		for key, forms := range catalogue(t, l.Tag) {
			for form, text := range forms {
				if strings.TrimSpace(text) == "" {
					t.Errorf("%s: %s (%s) is empty", l.Tag, key, form)
				}
			}
		}
	}
}

func TestSamePlaceholdersAndForms(t *testing.T) {
	t.Parallel()
	holes := func(text string) []string {
		found := regexp.MustCompile(`{{\.\w+}}`).FindAllString(text, -1)
		slices.Sort(found)
		return slices.Compact(found)
	}
	source := catalogue(t, fallback)
	for _, l := range shipped() {
		for key, forms := range catalogue(t, l.Tag) {
			if diff := cmp.Diff(slices.Sorted(maps.Keys(source[key])), slices.Sorted(maps.Keys(forms))); diff != "" {
				t.Errorf("%s: plural forms of %s: %s", l.Tag, key, diff)
			}
			if diff := cmp.Diff(holes(source[key]["other"]), holes(forms["other"])); diff != "" {
				t.Errorf("%s: placeholders of %s: %s", l.Tag, key, diff)
			}
		}
	}
}

// Words carry no markup but **strong**: html() trusts them.
func TestWordsHoldNoMarkup(t *testing.T) {
	t.Parallel()
	for _, l := range shipped() {
		for key, forms := range catalogue(t, l.Tag) {
			for _, text := range forms {
				if strings.ContainsAny(text, "<>&") || strings.Count(text, "**")%2 != 0 {
					t.Errorf("%s: %s = %q", l.Tag, key, text)
				}
			}
		}
	}
}

// Everything in the catalogue is said somewhere.
func TestEveryKeyIsUsed(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, glob := range []string{"pages/*.html"} {
		names, err := fs.Glob(sources, glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			raw, err := sources.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(raw)
		}
	}
	// Keys that are put together from a value: by whom is written beside.
	made := []string{
		`^letter\.`,                                         // Letterhead
		`^mail\.`,                                           // Mail
		`^claim\.`,                                          // label, value
		`^(month|weekday)\.`,                                // day, reopens, openDays
		`^(when|duration|desk)\.`, `^date$`, `^day\.first$`, // functions.go
		`^decimal\.mark$`,                                                                           // permission.go
		`^error\.(request|server)\.`,                                                                // error.html, by problem
		`^field\.`,                                                                                  // summary, field-error
		`^(neutral|done)\.`,                                                                         // neutral.html, done.html, by procedure
		`^device-done\.(allowed|denied|over)\.`,                                                     // device-done.html, by end
		`^alternative\.`,                                                                            // login.html
		`^pin-lost\.(used|contacts|card)`,                                                           // pin-lost.html, by question
		`^request\.(hint|step|slot|half)\.`, `^request\.(person|residence|contacts|review)\.title$`, // pin-request.html
		`^area\.(page|contact)\.`,                                                           // layout.html, account.html
		`^track\.state\.`,                                                                   // pin-track.html
		`^contacts\.(set|remove|prove|field|failed)\.`, `^contacts\.(too-many|last|over)\.`, // account-contacts.html, by step, kind, reason, problem
	}
	for key := range catalogue(t, fallback) {
		used := strings.Contains(source.String(), `"`+key+`"`)
		for _, m := range made {
			used = used || regexp.MustCompile(m).MatchString(key)
		}
		if !used {
			t.Errorf("nothing says %s", key)
		}
	}
}

// The words for people that the house does not use.
func TestTone(t *testing.T) {
	t.Parallel()
	banned := regexp.MustCompile(`(?i)\b(utente|credenzial\w*|autentic\w*|login|clicc\w*|selezion\w*|digit(a|are)|inser(isci|ire)|error[ei]|valido correttamente|obbligatori\w*|si prega|purtroppo|ops|smarrimento|ripristin\w*|richiedente|istanza|password segreta)\b|!`)
	for key, forms := range catalogue(t, "it") {
		for _, text := range forms {
			if word := banned.FindString(text); word != "" {
				t.Errorf("%s says %q", key, word)
			}
		}
	}
}

// What somebody has typed is a value: neither a place for another, nor markup.
func TestValuesAreNoWords(t *testing.T) {
	t.Parallel()
	w, err := loadWords("it")
	if err != nil {
		t.Fatal(err)
	}
	evil := `<b>**{{.Clock}}**`
	for key, m := range catalogue(t, "it") {
		if text := m["other"]; strings.Count(text, "{{") != 1 || !strings.Contains(text, "{{.Service}}") {
			continue
		}
		if got, err := w.say(key, "Service", evil); err != nil || !strings.Contains(got, evil) {
			t.Errorf("%s says %q, %v", key, got, err)
		}
		if got, err := w.html(key, "Service", evil); err != nil || !strings.Contains(string(got), `&lt;b&gt;**{{.Clock}}**`) {
			t.Errorf("%s says %q, %v", key, got, err)
		}
		if got, err := w.say(key); err == nil {
			t.Errorf("%s says %q without data, want an error", key, got)
		}
	}
	if got, err := w.html("silent"); err == nil {
		t.Errorf("said %q, want an error", got)
	}
}

// A header that begins with what is shipped is not gone through, and says the same.
func TestAcceptTakesTheFirst(t *testing.T) {
	t.Parallel()
	s := &Set{languages: shipped()}
	for header, want := range map[string]string{
		"": "it", "en": "en", "en-GB": "en", "en-GB,it;q=0.9": "en", "it-IT,it;q=0.9,en-US;q=0.8": "it",
		"en;q=0.5,it": "it", "de-AT,en;q=0.8,it;q=0.7": "en", "de": "it", "en-Latn-GB,it;q=0.1": "en", "english": "en",
	} {
		if got := s.Accept(header); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}
