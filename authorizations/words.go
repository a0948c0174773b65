package authorizations

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"ente.example/idp/templates"
)

// A sentence holds the names of fields in braces, those of an object's with a
// point: "Pagare {amount.value} euro a {payee}".

// segment is a part of a sentence: our words, or the path of a field.
type segment struct{ text, path string }

func segments(sentence string) ([]segment, error) {
	var all []segment
	for rest := sentence; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		if strings.Contains(before, "}") {
			return nil, errors.New("a brace is closed that was not opened")
		}
		if before != "" {
			all = append(all, segment{text: before})
		}
		if !found {
			break
		}
		path, behind, closed := strings.Cut(after, "}")
		if !closed || path == "" {
			return nil, errors.New("a brace is open, or holds nothing")
		}
		all = append(all, segment{path: path})
		rest = behind
	}
	return all, nil
}

// checkSentence wants each name in the sentence to be a field that is always
// there: a sentence with a hole says something else.
func (k *kind) checkSentence(text string) error {
	if utf8.RuneCountInString(text) > maxSentence {
		return fmt.Errorf("it has more than %d characters", maxSentence)
	}
	parts, err := segments(text)
	if err != nil {
		return err
	}
	for _, s := range parts {
		if s.path == "" {
			continue
		}
		f := k.always(s.path)
		if f == nil {
			return fmt.Errorf("{%s} is no field that is always there", s.path)
		}
		if f.Kind == kindObject {
			return fmt.Errorf("{%s} is an object: name one of its fields", s.path)
		}
	}
	return nil
}

// always is the field at a path, if it and what it lies in are required.
func (k *kind) always(path string) *field {
	name, below, nested := strings.Cut(path, ".")
	f := named(k.Fields, name)
	if f != nil && f.Required && nested {
		f = named(f.Fields, below)
	}
	if f == nil || !f.Required {
		return nil
	}
	return f
}

func named(fields []field, name string) *field {
	for i := range fields {
		if fields[i].Name == name {
			return &fields[i]
		}
	}
	return nil
}

// checkShown wants a label for every field that the sentence of some language
// leaves out: a citizen must not allow what the page does not show.
func (k *kind) checkShown(fields []field, prefix string) error {
	for _, f := range fields {
		path := prefix + f.Name
		if f.Kind == kindObject {
			if err := k.checkShown(f.Fields, path+"."); err != nil {
				return err
			}
			continue
		}
		if len(f.Label) == 0 && !k.told(path) {
			return fmt.Errorf("field %q is not in the text of every language and has no label: citizens would not see it", path)
		}
	}
	return nil
}

// told reports whether the sentences of all languages name a field.
func (k *kind) told(path string) bool {
	for _, text := range k.Text {
		if !strings.Contains(text, "{"+path+"}") {
			return false
		}
	}
	return true
}

// Permissions puts details into words, in every language that their types
// have. The details are those of Parse.
func (t *Types) Permissions(all Details) []templates.Permission {
	var permissions []templates.Permission
	for _, d := range all {
		if k := t.find(d.Type()); k != nil {
			permissions = append(permissions, k.permission(d))
		}
	}
	return permissions
}

func (k *kind) permission(d Detail) templates.Permission {
	p := templates.Permission{Sentence: templates.Phrase{}}
	for language, text := range k.Text {
		parts, err := segments(text)
		if err != nil {
			continue // was looked at when the file was read
		}
		for _, s := range parts {
			if s.path == "" {
				p.Sentence[language] = append(p.Sentence[language], templates.Piece{Text: s.text})
				continue
			}
			if f := k.always(s.path); f != nil {
				p.Sentence[language] = append(p.Sentence[language], f.pieces(d.at(s.path), language)...)
			}
		}
	}
	p.Further = k.further(k.Fields, d, "")
	return p
}

// further are the fields that the sentence does not tell.
func (k *kind) further(fields []field, d Detail, prefix string) []templates.PermissionField {
	var rows []templates.PermissionField
	for _, f := range fields {
		path := prefix + f.Name
		value := d.at(path)
		switch {
		case value == nil, k.told(path):
		case f.Kind == kindObject:
			rows = append(rows, k.further(f.Fields, d, path+".")...)
		default:
			phrase := templates.Phrase{}
			for _, language := range k.languages() {
				phrase[language] = f.pieces(value, language)
			}
			rows = append(rows, templates.PermissionField{Label: f.Label, Value: phrase})
		}
	}
	return rows
}

func (k *kind) languages() []string { return slices.Sorted(maps.Keys(k.Text)) }

// pieces is a value as it is shown.
func (f *field) pieces(value any, language string) []templates.Piece {
	one := func(text string) templates.Piece {
		if words, ok := f.Values[text]; ok {
			text = words.In(language)
		}
		return templates.Piece{Text: text, Value: true}
	}
	switch v := value.(type) {
	case []any:
		var all []templates.Piece
		for i, entry := range v {
			if i > 0 {
				all = append(all, templates.Piece{Text: ", "})
			}
			text, _ := entry.(string)
			all = append(all, one(text))
		}
		return all
	case bool:
		return []templates.Piece{one(strconv.FormatBool(v))}
	case json.Number:
		return []templates.Piece{one(v.String())}
	case string:
		p := one(v)
		switch f.Kind {
		case kindDate:
			p.Kind = templates.PieceDay
		case kindDecimal:
			p.Kind = templates.PieceDecimal
		}
		return []templates.Piece{p}
	}
	return nil
}
