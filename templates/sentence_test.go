package templates

import (
	"html/template"
	"testing"

	"github.com/nicksnyder/go-i18n/v2/i18n"
)

// A message that was taken apart says what the library would have said.
func TestSentencesSayWhatTheLibrarySays(t *testing.T) {
	t.Parallel()
	for _, l := range shipped() {
		w, err := loadWords(l.Tag)
		if err != nil {
			t.Fatal(err)
		}
		var messages []*i18n.Message
		for key, m := range catalogue(t, l.Tag) {
			if _, ok := w.placed[key]; ok {
				messages = append(messages, &i18n.Message{ID: key, Other: m["other"]})
			}
		}
		if len(messages) < 50 {
			t.Errorf("%s: %d messages with places", l.Tag, len(messages))
		}
		comparePlaces(t, w, messages, unmarked, func(v any) any { return v }, w.say)
		comparePlaces(t, w, messages, strengthen, func(v any) any { return asHTML(v) }, func(key string, data ...any) (string, error) {
			h, err := w.html(key, data...)
			return string(h), err
		})
	}
}

// comparePlaces says messages both ways, with each of some values in turn.
func comparePlaces(t *testing.T, w *words, messages []*i18n.Message, change func(string) string, clean func(any) any, say func(string, ...any) (string, error)) {
	t.Helper()
	library, err := localizer(w.language, messages, change)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{`<b>"d'Aversa"</b> & **{{.Clock}}** + 1`, template.HTML(`<a href="/a?b&amp;c">qui</a>`), 3, ""} {
		for _, m := range messages {
			pairs := []any{"Count", 3}
			for _, p := range w.placed[m.ID].plain {
				if p.place != "" && p.place != "Count" {
					pairs = append(pairs, p.place, "not the last", p.place, v)
				}
			}
			want, err := localize(library, w.figures, m.ID, pairs, clean)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := say(m.ID, pairs...); err != nil || got != want {
				t.Errorf("%s: %s: %q, %v; want %q", w.language, m.ID, got, err, want)
			}
		}
	}
}

func TestOnlyPlacesAreTakenApart(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": true, "a {{.Day}} b": true, "{{.Day}}{{.Clock}}": true,
		"{{ .Day }}": false, "{{.Day | html}}": false, "{{if .Day}}x{{end}}": false, "{{.Day": false, "{{.}}": false, "{{.A.B}}": false,
	} {
		if _, got := newSentence(text); got != want {
			t.Errorf("%q: taken apart %v, want %v", text, got, want)
		}
	}
}
