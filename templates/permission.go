package templates

import (
	"html/template"
	"strings"
	"time"
)

// Permission is one thing that a service asks to be allowed to do (RFC 9396):
// a sentence, and what it says beyond the sentence.
type Permission struct {
	Sentence Phrase
	Further  []PermissionField
}

// PermissionField is one field of a permission with its name.
type PermissionField struct {
	Label Text
	Value Phrase
}

// Phrase is a text in each language, of our words and of values that a service
// has filled in; a language that is missing falls back to Italian.
type Phrase map[string][]Piece

// Piece is a part of a phrase. A value is set off, so that none can pass for
// words of ours.
type Piece struct {
	Text  string
	Value bool
	Kind  PieceKind
}

// PieceKind says how a value is written in a language.
type PieceKind string

// The kinds.
const (
	PiecePlain   PieceKind = ""        // as it is
	PieceDay     PieceKind = "day"     // 2026-11-18
	PieceDecimal PieceKind = "decimal" // 12.50
)

// phrase is a phrase as HTML.
func (w *words) phrase(p Phrase) (template.HTML, error) {
	pieces, ok := p[w.language]
	if !ok {
		pieces = p[fallback]
	}
	var b strings.Builder
	for _, piece := range pieces {
		text, err := w.piece(piece)
		if err != nil {
			return "", err
		}
		if piece.Value {
			text = "<strong>" + text + "</strong>"
		}
		b.WriteString(string(text))
	}
	return template.HTML(b.String()), nil //nolint:gosec // each piece was escaped
}

func (w *words) piece(p Piece) (template.HTML, error) {
	text := p.Text
	switch p.Kind {
	case PiecePlain:
	case PieceDecimal:
		mark, err := w.say("decimal.mark")
		if err != nil {
			return "", err
		}
		text = strings.Replace(text, ".", mark, 1)
	case PieceDay:
		if day, err := time.Parse(time.DateOnly, text); err == nil {
			text, err = w.day(day)
			return element(day, time.DateOnly, text), err
		}
	}
	return template.HTML(template.HTMLEscapeString(text)), nil //nolint:gosec // escaped here
}
