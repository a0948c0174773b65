package templates

import (
	"html/template"
	"strings"
)

// swift are functions for pages that are being folded; none that is written can call them.
func swift() template.FuncMap {
	return template.FuncMap{
		"escaped": escaped,
		"address": address,
		"plain":   asText,
		"marked":  func(v any) template.HTML { return template.HTML(asHTML(v)) }, //nolint:gosec // escaped there
	}
}

// escaped is a string as html/template writes it into text, the title or a quoted
// attribute. Most hold nothing that it would change; the others it escapes itself.
func escaped(s string) (string, error) {
	if !strings.ContainsAny(s, "\x00\"&'+<>") {
		return s, nil
	}
	return execute(textPlace, s)
}

// address is a string as html/template writes it where an attribute is an
// address. Of the usual ones it changes nothing.
func address(s string) (string, error) {
	if isUsual(s) {
		return s, nil
	}
	const before, after = len(`<a href="`), len(`">`)
	element, err := execute(addressPlace, s)
	if err != nil {
		return "", err
	}
	return element[before : len(element)-after], nil
}

// isUsual tells addresses whose scheme html/template lets through, of characters
// that stand for themselves in an address and in HTML.
func isUsual(s string) bool {
	if !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "https://") {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && strings.IndexByte("-._~/:?=#", c) < 0 {
			return false
		}
	}
	return true
}

// What html/template itself escapes a string in.
var (
	textPlace    = template.Must(template.New("text").Parse(`{{.}}`))
	addressPlace = template.Must(template.New("address").Parse(`<a href="{{.}}">`))
)

func execute(place *template.Template, s string) (string, error) {
	var b strings.Builder
	err := place.Execute(&b, s)
	return b.String(), err
}
