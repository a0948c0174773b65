package templates

import (
	"testing"
	"time"
)

func TestLetterhead(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Institution: Sample()})
	if err != nil {
		t.Fatal(err)
	}
	// nearly midnight in Greenwich is the next day in Rome
	at := time.Date(2026, 11, 18, 23, 30, 0, 0, time.UTC)
	for lang, want := range map[string]string{
		"it": "19 novembre 2026\nLettera 0189", "en": "19 November 2026\nLetter 0189", "xx": "19 novembre 2026\nLettera 0189",
	} {
		from, about, err := s.Letterhead(lang, "0189", at)
		if err != nil || about != want {
			t.Errorf("%s: %q %v, want %q", lang, about, err, want)
		}
		if want := Sample().Name.In(lang) + "\nVia dell’Esempio 1, 00100 Roma"; from != want {
			t.Errorf("%s: %q, want %q", lang, from, want)
		}
	}
}
