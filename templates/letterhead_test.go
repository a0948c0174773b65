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
	for lang, day := range map[string]string{"it": "19 novembre 2026", "en": "19 November 2026", "xx": "19 novembre 2026"} {
		from, about, err := s.Letterhead(lang, "0189", at)
		if err != nil || about != day+"\n0189" {
			t.Errorf("%s: %q %v, want %q and the number", lang, about, err, day)
		}
		if want := Sample().Name.In(lang) + "\nVia dell’Esempio 1, 00100 Roma"; from != want {
			t.Errorf("%s: %q, want %q", lang, from, want)
		}
	}
}
