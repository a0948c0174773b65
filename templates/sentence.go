package templates

import (
	"fmt"
	"html/template"
	"strings"
)

// sentence is a message with places for values, taken apart: as text, and as HTML.
type sentence struct {
	plain, rich []part
}

// part is a stretch of a message as it is written, or the name of a place.
type part struct {
	text, place string
}

// newSentence takes a message apart; false when it holds more than places.
func newSentence(text string) (sentence, bool) {
	plain, ok := parts(unmarked(text))
	if !ok {
		return sentence{}, false
	}
	rich, ok := parts(strengthen(text))
	return sentence{plain: plain, rich: rich}, ok
}

func parts(text string) ([]part, bool) {
	var all []part
	for text != "" {
		before, rest, found := strings.Cut(text, "{{")
		if before != "" {
			all = append(all, part{text: before})
		}
		if !found {
			break
		}
		action, after, closed := strings.Cut(rest, "}}")
		name, isPlace := strings.CutPrefix(action, ".")
		if !closed || !isPlace || !isName(name) {
			return nil, false
		}
		all, text = append(all, part{place: name}), after
	}
	return all, true
}

func isName(s string) bool {
	other := func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }
	return s != "" && strings.IndexFunc(s, other) < 0
}

// fill says a message with a value in each place: of pairs, or of the installation's figures.
func fill(parts []part, figures map[string]any, key string, pairs []any, as func(any) string) (string, error) {
	var b strings.Builder
	for _, p := range parts {
		if p.place == "" {
			b.WriteString(p.text)
			continue
		}
		v, ok := valueOf(p.place, pairs)
		if !ok {
			if v, ok = figures[p.place]; !ok {
				return "", fmt.Errorf("message %s: no value for %s", key, p.place)
			}
		}
		b.WriteString(as(v))
	}
	return b.String(), nil
}

// valueOf finds a value among pairs of name and value; the last of a name counts.
func valueOf(name string, pairs []any) (any, bool) {
	for i := len(pairs)/2*2 - 2; i >= 0; i -= 2 {
		if pairs[i] == name {
			return pairs[i+1], true
		}
	}
	return nil, false
}

func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case template.HTML:
		return string(v)
	default:
		return fmt.Sprint(v)
	}
}

func asHTML(v any) string {
	switch v := v.(type) {
	case template.HTML:
		return string(v)
	default:
		return template.HTMLEscapeString(asText(v))
	}
}
