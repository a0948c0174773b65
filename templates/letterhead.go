package templates

import (
	"fmt"
	"strings"
	"time"
)

// Letterhead is what stands on a letter around its text: who writes, one line
// each, the name first; and the day and the letter's number, by which the print
// service and returned mail name it.
func (s *Set) Letterhead(lang, number string, at time.Time) (from, about string, err error) {
	w, ok := s.words[lang]
	if !ok {
		w = s.words[fallback]
	}
	day, err := w.day(at.In(rome()))
	if err != nil {
		return "", "", fmt.Errorf("words of a letterhead: %w", err)
	}
	from = strings.TrimRight(s.institution.Name.In(w.language)+"\n"+s.institution.PostalAddress, "\n")
	label, err := w.say("letter.number", "Number", number)
	if err != nil {
		return "", "", fmt.Errorf("words of a letterhead: %w", err)
	}
	return from, day + "\n" + label, nil
}
