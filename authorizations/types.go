// Package authorizations is what services may ask a citizen's leave for in
// detail (RFC 9396): the types of authorization that the operator describes in
// a file, what a request of such a type may hold, and the words in which it is
// put to the citizen.
//
// It keeps nothing and knows neither clients nor people: which client may use
// which type is the registry's, what was granted is the provider's.
package authorizations

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"ente.example/idp/templates"
)

// Types are the types of authorization there are. A nil *Types has none.
type Types struct{ list []kind }

// kind is a type as the file describes it.
type kind struct {
	Type   string         `json:"type"`
	Text   templates.Text `json:"text"` // with {field} where a value goes
	Fields []field        `json:"fields"`
	// ForClients: a client may have it for itself, with no citizen to ask.
	ForClients bool `json:"client_credentials"`
}

// field is one member of a detail. What is not among the fields of its type is
// refused, and what is, is shown: in the sentence, or under its label.
type field struct {
	Name     string                    `json:"name"`
	Kind     string                    `json:"kind"`
	Required bool                      `json:"required"`
	Most     int                       `json:"most"` // characters of a text, entries of a list; 0: the default
	Values   map[string]templates.Text `json:"values"`
	Label    templates.Text            `json:"label"`
	Fields   []field                   `json:"fields"` // of an object
}

// The kinds of fields.
const (
	kindText    = "text"
	kindTexts   = "texts"
	kindInteger = "integer"
	kindDecimal = "decimal" // a string of digits with a point: 12.50
	kindBoolean = "boolean"
	kindDate    = "date" // YYYY-MM-DD
	kindObject  = "object"
)

func kinds() []string {
	return []string{kindText, kindTexts, kindInteger, kindDecimal, kindBoolean, kindDate, kindObject}
}

// Bounds of a types file and of what a text or a list may hold.
const (
	maxFile     = 256 << 10
	maxTypes    = 50
	maxFields   = 20
	maxName     = 200 // characters of a type's name
	defaultText = 140
	mostText    = 500
	defaultList = 5
	mostList    = 20
	maxSentence = 500
)

// Load reads a types file. What would be a hole on the consent page is refused
// here, at the start.
func Load(file string) (*Types, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read authorization types: %w", err)
	}
	t, err := parseTypes(raw)
	if err != nil {
		return nil, fmt.Errorf("authorization types %s: %w", file, err)
	}
	return t, nil
}

func parseTypes(raw []byte) (*Types, error) {
	if len(raw) > maxFile {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxFile)
	}
	var doc struct {
		Types []kind `json:"types"`
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file goes on after its end")
	}
	if len(doc.Types) == 0 || len(doc.Types) > maxTypes {
		return nil, fmt.Errorf("types: there must be one at least and %d at most", maxTypes)
	}
	t := &Types{list: doc.Types}
	for i := range t.list {
		if err := t.list[i].complete(); err != nil {
			return nil, fmt.Errorf("type %q: %w", t.list[i].Type, err)
		}
		if slices.Contains(t.names(t.list[:i]), t.list[i].Type) {
			return nil, fmt.Errorf("type %q is there twice", t.list[i].Type)
		}
	}
	return t, nil
}

// Names lists the types, in the order of the file.
func (t *Types) Names() []string {
	if t == nil {
		return nil
	}
	return t.names(t.list)
}

func (*Types) names(list []kind) []string {
	names := make([]string, 0, len(list))
	for _, k := range list {
		names = append(names, k.Type)
	}
	return names
}

// Has reports whether there is a type of this name.
func (t *Types) Has(name string) bool { return t.find(name) != nil }

// ForClients reports whether a client may have an authorization of this type
// for itself, which no citizen is asked about.
func (t *Types) ForClients(name string) bool {
	k := t.find(name)
	return k != nil && k.ForClients
}

func (t *Types) find(name string) *kind {
	if t == nil {
		return nil
	}
	for i := range t.list {
		if t.list[i].Type == name {
			return &t.list[i]
		}
	}
	return nil
}

// complete checks a type and fills in what it leaves out.
func (k *kind) complete() error {
	switch {
	case k.Type == "" || len(k.Type) > maxName || strings.ContainsFunc(k.Type, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fmt.Errorf("type must be a name or a URI of %d ASCII characters at most, without spaces", maxName)
	case k.Text["it"] == "":
		return errors.New("text has no \"it\"")
	}
	if err := completeFields(k.Fields, true); err != nil {
		return err
	}
	for language, text := range k.Text {
		if err := k.checkSentence(text); err != nil {
			return fmt.Errorf("text in %q: %w", language, err)
		}
	}
	return k.checkShown(k.Fields, "")
}

var fieldName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,59}$`)

func completeFields(fields []field, outer bool) error {
	if len(fields) > maxFields {
		return fmt.Errorf("there are more than %d fields", maxFields)
	}
	for i := range fields {
		f := &fields[i]
		if !fieldName.MatchString(f.Name) || outer && f.Name == "type" {
			return fmt.Errorf("field %q cannot have that name", f.Name)
		}
		if slices.ContainsFunc(fields[:i], func(o field) bool { return o.Name == f.Name }) {
			return fmt.Errorf("field %q is there twice", f.Name)
		}
		if err := f.complete(outer); err != nil {
			return fmt.Errorf("field %q: %w", f.Name, err)
		}
	}
	return nil
}

// common are the fields that RFC 9396 §2.2 defines, and what they are there.
func common(name string) string {
	switch name {
	case "locations", "actions", "datatypes", "privileges":
		return kindTexts
	case "identifier":
		return kindText
	}
	return ""
}

func (f *field) complete(outer bool) error {
	if defined := common(f.Name); outer && defined != "" {
		if f.Kind != "" && f.Kind != defined {
			return fmt.Errorf("RFC 9396 defines it as %s", defined)
		}
		f.Kind = defined
	}
	switch {
	case !slices.Contains(kinds(), f.Kind):
		return fmt.Errorf("kind must be one of %s", strings.Join(kinds(), ", "))
	case f.Kind == kindObject && !outer:
		return errors.New("an object within an object is not supported")
	case (f.Kind == kindObject) != (len(f.Fields) > 0):
		return errors.New("fields belong to an object, and an object needs some")
	case len(f.Label) > 0 && f.Label["it"] == "":
		return errors.New("label has no \"it\"")
	case f.Kind == kindObject:
		return completeFields(f.Fields, false)
	}
	if err := f.checkValues(); err != nil {
		return err
	}
	return f.fillMost()
}

// checkValues wants every value that there may be in words; a boolean has two.
func (f *field) checkValues() error {
	switch f.Kind {
	case kindText, kindTexts:
	case kindBoolean:
		if len(f.Values) != 2 || f.Values["true"] == nil || f.Values["false"] == nil {
			return errors.New("a boolean needs values for true and for false: they are its words")
		}
	default:
		if len(f.Values) > 0 {
			return errors.New("values belong to text, texts and boolean")
		}
	}
	for value, words := range f.Values {
		if words["it"] == "" || !readable(value, mostText) {
			return fmt.Errorf("value %q has no words in \"it\", or cannot be shown", value)
		}
	}
	return nil
}

func (f *field) fillMost() error {
	standard, most := 0, 0
	switch f.Kind {
	case kindText:
		standard, most = defaultText, mostText
	case kindTexts:
		standard, most = defaultList, mostList
	}
	if f.Most < 0 || f.Most > most {
		return fmt.Errorf("most can be %d here, and not less than 0", most)
	}
	if f.Most == 0 {
		f.Most = standard
	}
	return nil
}
