package templates

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"regexp"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	parser "github.com/nicksnyder/go-i18n/v2/i18n/template"
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
	if tag, ok := s.first(header); ok {
		return tag
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

// first is the language that a header begins with, when it is shipped and wished
// for without reserve, as most browsers say it: nothing later goes before it.
func (s *Set) first(header string) (string, bool) {
	tag, _, _ := strings.Cut(header, ",")
	primary, region, _ := strings.Cut(tag, "-")
	if len(region) != 0 && len(region) != 2 {
		return "", false
	}
	for _, l := range s.languages {
		if l.Tag == primary {
			return l.Tag, true
		}
	}
	return "", false
}

// words speaks one language. Messages are plain text with {{.Places}} and
// **strong** stretches; they are said without the stars, or as HTML.
type words struct {
	language string
	fixed    map[string]string   // the messages that say the same each time: most of them
	placed   map[string]sentence // those that values stand in
	plain    *i18n.Localizer     // those whose form goes by a number, as text
	rich     *i18n.Localizer     // and as HTML
	figures  map[string]any      // of the installation, for every message that names them
}

func loadWords(tag string) (*words, error) {
	raw, err := catalogues.ReadFile("words/" + tag + ".json")
	if err != nil {
		return nil, fmt.Errorf("read words: %w", err)
	}
	file, err := i18n.ParseMessageFileBytes(raw, tag+".json", map[string]i18n.UnmarshalFunc{"json": json.Unmarshal})
	if err != nil {
		return nil, fmt.Errorf("read words %s: %w", tag, err)
	}
	w := &words{language: tag, fixed: map[string]string{}, placed: map[string]sentence{}}
	var varied []*i18n.Message
	for _, m := range file.Messages {
		if !w.keep(m) {
			varied = append(varied, m)
		}
	}
	if w.plain, err = localizer(tag, varied, unmarked); err != nil {
		return nil, err
	}
	w.rich, err = localizer(tag, varied, strengthen)
	return w, err
}

// keep takes a message that no number changes. The library makes a template of
// every other one, which takes its time when a node starts, and executes it each
// time that it is said.
func (w *words) keep(m *i18n.Message) bool {
	if m.Zero+m.One+m.Two+m.Few+m.Many != "" {
		return false
	}
	if !strings.Contains(m.Other, "{{") {
		w.fixed[m.ID] = m.Other
		return true
	}
	s, ok := newSentence(m.Other)
	if ok {
		w.placed[m.ID] = s
	}
	return ok
}

// localizer holds the messages of one catalogue after a change to each text. Its
// bundle knows one language only: a missing message is an error, not Italian.
func localizer(tag string, messages []*i18n.Message, change func(string) string) (*i18n.Localizer, error) {
	changed := make([]*i18n.Message, len(messages))
	for i, message := range messages {
		m := *message
		m.Zero, m.One, m.Two = change(m.Zero), change(m.One), change(m.Two)
		m.Few, m.Many, m.Other = change(m.Few), change(m.Many), change(m.Other)
		changed[i] = &m
	}
	bundle := i18n.NewBundle(language.Make(tag))
	if err := bundle.AddMessages(language.Make(tag), changed...); err != nil { // at once: it looks the language up each time
		return nil, fmt.Errorf("read words %s: %w", tag, err)
	}
	return i18n.NewLocalizer(bundle, tag), nil
}

func unmarked(s string) string { return strings.ReplaceAll(s, "**", "") }

// strengthen turns **words** into a strong element. The catalogue holds no other
// markup (a test sees to it), so what is left is text.
func strengthen(s string) string { return strong.ReplaceAllString(s, "<strong>$1</strong>") }

var strong = regexp.MustCompile(`\*\*(.+?)\*\*`)

// say is a message as text. Data are pairs of place and value; Count also
// chooses the plural.
func (w *words) say(key string, data ...any) (string, error) {
	if text, ok := w.fixed[key]; ok {
		return unmarked(text), nil
	}
	if s, ok := w.placed[key]; ok {
		return fill(s.plain, w.figures, key, data, asText)
	}
	return localize(w.plain, w.figures, key, data, func(v any) any { return v })
}

// html is a message as HTML. Values are escaped, unless they are HTML of ours
// already (a time element, a link).
func (w *words) html(key string, data ...any) (template.HTML, error) {
	if text, ok := w.fixed[key]; ok {
		return template.HTML(strengthen(text)), nil //nolint:gosec // our own message
	}
	if s, ok := w.placed[key]; ok {
		text, err := fill(s.rich, w.figures, key, data, asHTML)
		return template.HTML(text), err //nolint:gosec // our own message, with every value escaped
	}
	s, err := localize(w.rich, w.figures, key, data, func(v any) any {
		switch v.(type) {
		case template.HTML, string:
			return asHTML(v)
		default:
			return v // a number, by which the form is chosen
		}
	})
	return template.HTML(s), err //nolint:gosec // our own message, with every value escaped above
}

func localize(l *i18n.Localizer, figures map[string]any, key string, pairs []any, clean func(any) any) (string, error) {
	c := i18n.LocalizeConfig{MessageID: key, TemplateParser: &parser.TextParser{Option: "missingkey=error"}}
	data := maps.Clone(figures)
	if data == nil {
		data = map[string]any{}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return "", fmt.Errorf("message %s: %v is no placeholder", key, pairs[i])
		}
		data[name] = clean(pairs[i+1])
		if name == "Count" {
			c.PluralCount = pairs[i+1]
		}
	}
	c.TemplateData = data
	s, err := l.Localize(&c)
	if err != nil {
		return "", fmt.Errorf("message %s: %w", key, err)
	}
	return s, nil
}
