package templates

import (
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed words/*.json
var catalogues embed.FS

// fallback is the language the others are translated from.
const fallback = "it"

// Language is one the pages are shipped in.
type Language struct {
	Tag  string // it
	Code string // ITA
	Name string // Italiano, in the language itself
}

// shipped lists the languages that are whole. A new one needs its catalogue and a line here.
func shipped() []Language {
	return []Language{
		{Tag: "it", Code: "ITA", Name: "Italiano"},
		{Tag: "en", Code: "ENG", Name: "English"},
	}
}

// Languages are those that pages and messages can be had in.
func (s *Set) Languages() []Language { return s.languages }

// Match finds the first shipped language in a list such as ui_locales
// ("de-AT en"). Anything that is not shipped is passed over, and nothing that a
// request says is kept or looked up.
func (s *Set) Match(locales string) (string, bool) {
	const enough = 20 // a longer wish list is not a wish
	for i, tag := range strings.Fields(locales) {
		if i == enough {
			break
		}
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		for _, l := range s.languages {
			if l.Tag == primary {
				return l.Tag, true
			}
		}
	}
	return "", false
}

// Accept is the best shipped language for an Accept-Language header; Italian when
// the header asks for none of them.
func (s *Set) Accept(header string) string {
	const enough = 300 // parsing is superlinear; no browser sends more
	if len(header) > enough {
		return fallback
	}
	wished, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return fallback
	}
	for _, tag := range wished {
		base, _ := tag.Base()
		for _, l := range s.languages {
			if l.Tag == base.String() {
				return l.Tag
			}
		}
	}
	return fallback
}

// words speaks one language. Messages are plain text with {{.Placeholders}} and
// **strong** stretches; they are said without the stars, or as HTML.
type words struct {
	language string
	messages map[string]message
	figures  map[string]string // of the installation, for every message that names them
}

// message is a text, and the others that stand for it where a number asks for
// them: in a catalogue a string, or an object of CLDR's plural forms.
type message struct {
	other string
	forms map[plural.Form]string
}

// messageOf reads a message of a catalogue.
func messageOf(entry any) (message, error) {
	var m message
	switch e := entry.(type) {
	case string:
		m.other = e
	case map[string]any:
		m.forms = map[plural.Form]string{}
		for i, name := range []string{"other", "zero", "one", "two", "few", "many"} { // as plural numbers them
			m.forms[plural.Form(i)], _ = e[name].(string)
		}
		m.other = m.forms[plural.Other]
	}
	if m.other == "" {
		return message{}, errors.New("no text")
	}
	return m, nil
}

// in is the text for so many.
func (m message) in(tag string, count int) string {
	return cmp.Or(m.forms[plural.Cardinal.MatchPlural(language.Make(tag), count, 0, 0, 0, 0)], m.other)
}

func loadWords(tag string) (*words, error) {
	raw, err := catalogues.ReadFile("words/" + tag + ".json")
	if err != nil {
		return nil, fmt.Errorf("read words: %w", err)
	}
	var entries map[string]any
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, fmt.Errorf("read words %s: %w", tag, err)
	}
	w := &words{language: tag, messages: make(map[string]message, len(entries))}
	for key, entry := range entries {
		if w.messages[key], err = messageOf(entry); err != nil {
			return nil, fmt.Errorf("read words %s: %s: %w", tag, key, err)
		}
	}
	return w, nil
}

// say is a message as text. Data are pairs of placeholder and value; Count also
// chooses the plural.
func (w *words) say(key string, data ...any) (string, error) {
	text, err := w.find(key, data)
	if err != nil {
		return "", err
	}
	return w.fill(key, strings.ReplaceAll(text, "**", ""), data, func(v any) string { return fmt.Sprint(v) })
}

// html is a message as HTML. Values are escaped, unless they are HTML of ours
// already (a time element, a link).
func (w *words) html(key string, data ...any) (template.HTML, error) {
	text, err := w.find(key, data)
	if err != nil {
		return "", err
	}
	text, err = w.fill(key, strengthen(text), data, func(v any) string {
		if ours, ok := v.(template.HTML); ok {
			return string(ours)
		}
		return template.HTMLEscapeString(fmt.Sprint(v))
	})
	return template.HTML(text), err //nolint:gosec // our own message, with every value escaped above
}

// strengthen turns **words** into a strong element. The catalogue holds no other
// markup (a test sees to it), so what is left is text.
func strengthen(text string) string {
	for strings.Contains(text, "**") {
		text = strings.Replace(text, "**", "<strong>", 1)
		text = strings.Replace(text, "**", "</strong>", 1)
	}
	return text
}

// find is the text of a message for these data. One that is missing is an error,
// and not another language's.
func (w *words) find(key string, data []any) (string, error) {
	m, ok := w.messages[key]
	if !ok {
		return "", fmt.Errorf("no message %s in %s", key, w.language)
	}
	count, ok := given(data, "Count")
	if !ok {
		return m.other, nil
	}
	n, ok := count.(int)
	if !ok {
		return "", fmt.Errorf("message %s: %v is no count", key, count)
	}
	return m.in(w.language, n), nil
}

// fill puts the data in the places that the text has for them. A place that
// nothing is known for is an error, so that nobody gets half a sentence.
func (w *words) fill(key, text string, data []any, clean func(any) string) (string, error) {
	before, rest, more := strings.Cut(text, "{{.")
	if !more {
		return text, nil
	}
	var b strings.Builder
	for ; more; before, rest, more = strings.Cut(rest, "{{.") {
		var name string
		name, rest, _ = strings.Cut(rest, "}}")
		v, ok := given(data, name)
		if !ok {
			v, ok = w.figures[name]
		}
		if !ok {
			return "", fmt.Errorf("message %s: nothing for %s", key, name)
		}
		b.WriteString(before)
		b.WriteString(clean(v))
	}
	b.WriteString(before)
	return b.String(), nil
}

// given is the value of that name among pairs of name and value.
func given(data []any, name string) (any, bool) {
	for i := 0; i+1 < len(data); i += 2 {
		if data[i] == name {
			return data[i+1], true
		}
	}
	return nil, false
}
