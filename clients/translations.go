package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// Translations are members of Metadata that people read, in other languages (RFC
// 7591 §2.2), each under the name a document has it under: "client_name#it". A
// tag keeps the case it came in; tags that differ in nothing else are one.
type Translations map[string]string

const (
	maxTranslations = 150 // six members in the 24 languages of the Union, and some
	maxTag          = 35  // characters, as RFC 5646 §4.4.1 asks to allow for
)

// shownMember is a member that people read, and where Metadata keeps it.
type shownMember struct {
	name string
	text *string
}

// shown are the members that may be said in several languages.
func (m *Metadata) shown() []shownMember {
	return []shownMember{
		{"client_name", &m.ClientName}, {"purpose", &m.Purpose}, {"client_uri", &m.ClientURI},
		{"logo_uri", &m.LogoURI}, {"policy_uri", &m.PolicyURI}, {"tos_uri", &m.TosURI},
	}
}

// translates reports whether name is that of a member in a language.
func translates(name string) bool {
	_, _, tagged := strings.Cut(name, "#")
	return tagged && isShown(shownName(name))
}

func isShown(name string) bool {
	return slices.ContainsFunc((&Metadata{}).shown(), func(s shownMember) bool { return s.name == name })
}

// shownName is a member's name without its language.
func shownName(name string) string {
	name, _, _ = strings.Cut(name, "#")
	return name
}

// In is the client as somebody sees it who reads a language: each member in the
// language that matches best, else without one, else in any.
func (c Client) In(tag string) Client {
	if len(c.Translations) == 0 {
		return c
	}
	for _, s := range c.shown() {
		*s.text = c.Translations.best(s.name, *s.text, tag)
	}
	return c
}

func (t Translations) best(member, untagged, wanted string) string {
	var tags []language.Tag
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if shownName(name) == member {
			tags = append(tags, language.Make(strings.TrimPrefix(name, member+"#")))
			texts = append(texts, t[name])
		}
	}
	if len(tags) == 0 {
		return untagged
	}
	_, i, sure := language.NewMatcher(tags).Match(language.Make(wanted))
	switch {
	case sure >= language.High:
		return texts[i]
	case untagged != "":
		return untagged
	}
	return texts[0]
}

// normalised leaves out what says nothing, and what stands around the edges.
func (t Translations) normalised() Translations {
	out := Translations{}
	for name, text := range t {
		if member := shownName(name); member == "client_name" || member == "purpose" {
			text = oneLine(text)
		}
		if text != "" {
			out[name] = text
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// checkShown holds what people are shown to its rules, in every language alike.
func checkShown(d Document) error {
	for _, s := range d.shown() {
		if err := checkShownText(s.name, *s.text); err != nil {
			return invalid(s.name, "%v", err)
		}
	}
	if len(d.Translations) > maxTranslations {
		return invalid("document", "has more than %d members in languages", maxTranslations)
	}
	tags := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(d.Translations)) {
		if err := checkTag(name); err != nil {
			return err
		}
		if err := checkShownText(shownName(name), d.Translations[name]); err != nil {
			return invalid(name, "%v", err)
		}
		same := strings.ToLower(name)
		if tags[same] {
			return invalid(name, "is there twice")
		}
		tags[same] = true
	}
	return nil
}

// checkTag wants a tag of BCP 47 whose parts are registered. The member is named
// without it: it is not fit to be printed.
func checkTag(name string) error {
	member, tag, _ := strings.Cut(name, "#")
	if !translates(name) {
		return invalid("document", "has an unknown member %.60q", name)
	}
	if _, err := language.Parse(tag); err != nil || len(tag) > maxTag || strings.ContainsFunc(tag, notInTag) {
		return invalid(member, "is in no language that there is: %.60q", tag)
	}
	return nil
}

// notInTag tells what the parser is more patient with than BCP 47.
func notInTag(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

func checkShownText(member, text string) error {
	switch {
	case text == "":
		return nil
	case member == "client_name":
		return readable(text, 100)
	case member == "purpose":
		return readable(text, 500)
	}
	return checkPage(text)
}

// MarshalJSON writes the translations beside the members that they translate.
func (d Document) MarshalJSON() ([]byte, error) {
	type plain Document
	return joined(plain(d), d.Translations)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (d *Document) UnmarshalJSON(data []byte) error {
	type plain Document
	if err := json.Unmarshal(data, (*plain)(d)); err != nil {
		return err //nolint:wrapcheck // it names the member that is wrong
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("decode client metadata: %w", err)
	}
	d.Translations = nil
	for name, value := range all {
		if !translates(name) {
			continue
		}
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
				wrong.Field = shownName(name)
			}
			return err //nolint:wrapcheck // as above
		}
		if d.Translations == nil {
			d.Translations = Translations{}
		}
		d.Translations[name] = text
	}
	return nil
}

// joined is one JSON object of the members of two; nil has none.
func joined(a, b any) ([]byte, error) {
	left, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode client metadata: %w", err)
	}
	right, err := json.Marshal(b)
	switch {
	case err != nil:
		return nil, fmt.Errorf("encode client metadata: %w", err)
	case string(right) == "null", string(right) == "{}":
		return left, nil
	case string(left) == "{}":
		return right, nil
	}
	return append(append(left[:len(left)-1], ','), right[1:]...), nil
}
