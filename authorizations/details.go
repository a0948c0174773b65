package authorizations

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of a request. Details travel in every access token, and so in a header
// that servers cut at eight kilobytes.
const (
	MaxDetails = 8
	MaxLength  = 3 << 10 // bytes of all, as they were sent and as they are encoded
	maxDepth   = 4
)

// InvalidError is what is wrong with authorization_details. It is for the
// service's developers and repeats nothing that was sent.
type InvalidError struct{ Reason string }

func (e *InvalidError) Error() string { return "authorization_details " + e.Reason }

func invalid(reason string) error { return &InvalidError{reason} }

// Detail is one authorization that is asked for or granted: a JSON object with
// a type.
type Detail map[string]any

// Details are those of one request.
type Details []Detail

// Type is the name of the detail's type.
func (d Detail) Type() string {
	name, _ := d["type"].(string)
	return name
}

// at is the value at a path, nil for none.
func (d Detail) at(path string) any {
	name, below, nested := strings.Cut(path, ".")
	if !nested {
		return d[name]
	}
	inner, _ := d[name].(map[string]any)
	return inner[below]
}

// Locations are the resources that the detail is for; none leaves that open.
func (d Detail) Locations() []string {
	list, _ := d["locations"].([]any)
	uris := make([]string, 0, len(list))
	for _, entry := range list {
		if uri, ok := entry.(string); ok {
			uris = append(uris, uri)
		}
	}
	return uris
}

// Encode is the details in one form, whatever order they were sent in; empty
// for none.
func (all Details) Encode() string {
	if len(all) == 0 {
		return ""
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "" // made of what JSON was read into
	}
	return string(text)
}

// Decode reads what Encode wrote, as it was judged then.
func Decode(text string) (Details, error) {
	if text == "" {
		return nil, nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var all Details
	if err := d.Decode(&all); err != nil {
		return nil, err
	}
	return all, nil
}

// Types lists the types of the details, each once.
func (all Details) Types() []string {
	var names []string
	for _, d := range all {
		if !slices.Contains(names, d.Type()) {
			names = append(names, d.Type())
		}
	}
	return names
}

// Locations lists what all details are for, each once.
func (all Details) Locations() []string {
	var uris []string
	for _, d := range all {
		for _, uri := range d.Locations() {
			if !slices.Contains(uris, uri) {
				uris = append(uris, uri)
			}
		}
	}
	return uris
}

// For keeps the details that concern an audience: those that name one of it,
// and those that name no location.
func (all Details) For(audience []string) Details {
	return all.Keep(func(d Detail) bool {
		where := d.Locations()
		return len(where) == 0 || slices.ContainsFunc(where, func(uri string) bool { return slices.Contains(audience, uri) })
	})
}

// Keep is the details that fit.
func (all Details) Keep(fit func(Detail) bool) Details {
	var kept Details
	for _, d := range all {
		if fit(d) {
			kept = append(kept, d)
		}
	}
	return kept
}

// Cover reports whether whoever was granted all of them was granted the asked
// ones too. A detail is covered by one that is the same, but for lists, which
// may be shorter, and each covers one: who was allowed a payment has not allowed
// it twice. It knows no more: what else one value is part of another, only the
// type's own rules could tell.
func (all Details) Cover(asked Details) bool {
	if len(asked) == 0 {
		return true
	}
	if len(asked) > len(all) {
		return false
	}
	for i, granted := range all { // few enough that every order can be tried
		if granted.covers(asked[0]) && slices.Delete(slices.Clone(all), i, i+1).Cover(asked[1:]) {
			return true
		}
	}
	return false
}

func (d Detail) covers(asked Detail) bool {
	if len(asked) != len(d) {
		return false
	}
	for name, want := range asked {
		have, ok := d[name]
		part, isList := want.([]any)
		whole, bothLists := have.([]any)
		switch {
		case !ok:
			return false
		case isList && bothLists:
			if slices.ContainsFunc(part, func(v any) bool { return !slices.Contains(whole, v) }) {
				return false
			}
		case !reflect.DeepEqual(want, have):
			return false
		}
	}
	return true
}

// Parse reads authorization_details as a request sends it: a JSON array of
// objects, each of a type that is there and with the fields that type has. What
// is wrong is an *InvalidError.
func (t *Types) Parse(text string) (Details, error) {
	if len(text) > MaxLength {
		return nil, invalid("is too long")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	value, err := strict(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("is not JSON")
	}
	list, ok := value.([]any)
	if !ok || len(list) == 0 || len(list) > MaxDetails {
		return nil, invalid("must be an array of one to eight objects")
	}
	all := make(Details, 0, len(list))
	for _, entry := range list {
		object, ok := entry.(map[string]any)
		if !ok {
			return nil, invalid("holds something else than objects")
		}
		if err := t.check(object); err != nil {
			return nil, err
		}
		all = append(all, object)
	}
	if len(all.Encode()) > MaxLength { // what JSON escapes has grown
		return nil, invalid("is too long")
	}
	return all, nil
}

// strict reads one value. A member that is there twice is refused: of two
// programs that read it one takes the first, the other the last.
func strict(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil || depth > maxDepth {
		return nil, invalid("is not JSON, or nested too deeply")
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := strict(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, closed(d)
	case json.Delim('{'):
		object := map[string]any{}
		for d.More() {
			name, err := d.Token()
			key, ok := name.(string)
			if _, twice := object[key]; err != nil || !ok || twice {
				return nil, invalid("is not JSON, or has a member twice")
			}
			if object[key], err = strict(d, depth+1); err != nil {
				return nil, err
			}
		}
		return object, closed(d)
	}
	return token, nil
}

func closed(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return invalid("is not JSON")
	}
	return nil
}

func (t *Types) check(object map[string]any) error {
	name, _ := object["type"].(string)
	k := t.find(name)
	if k == nil {
		return invalid("has no type, or one that does not exist")
	}
	return checkMembers(k.Fields, object, true)
}

func checkMembers(fields []field, object map[string]any, outer bool) error {
	for name := range object {
		if named(fields, name) == nil && (!outer || name != "type") {
			return invalid("has a field that its type does not have")
		}
	}
	for i := range fields {
		f := &fields[i]
		value, there := object[f.Name]
		if !there && f.Required {
			return invalid("is without " + f.Name)
		}
		if there && !f.takes(value) {
			return invalid("has a value that is not possible in " + f.Name)
		}
		if inner, ok := value.(map[string]any); ok {
			if err := checkMembers(f.Fields, inner, false); err != nil {
				return err
			}
		}
	}
	return nil
}

var (
	integer = regexp.MustCompile(`^(0|[1-9][0-9]{0,14})$`)
	decimal = regexp.MustCompile(`^(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?$`)
)

// takes reports whether the field can have this value; an object's own members
// are looked at after it.
func (f *field) takes(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		return f.Kind == kindObject
	case []any:
		return f.Kind == kindTexts && f.takesList(v)
	case bool:
		return f.Kind == kindBoolean
	case json.Number:
		return f.Kind == kindInteger && integer.MatchString(v.String())
	case string:
		return f.takesText(v)
	}
	return false
}

func (f *field) takesList(list []any) bool {
	if len(list) == 0 || len(list) > f.Most {
		return false
	}
	for i, entry := range list {
		text, ok := entry.(string)
		if !ok || !f.known(text) || !readable(text, mostText) || slices.Contains(list[:i], entry) {
			return false
		}
	}
	return true
}

func (f *field) takesText(text string) bool {
	switch f.Kind {
	case kindText:
		return f.known(text) && readable(text, f.Most)
	case kindDecimal:
		return decimal.MatchString(text)
	case kindDate:
		_, err := time.Parse(time.DateOnly, text)
		return err == nil
	}
	return false
}

func (f *field) known(text string) bool {
	_, listed := f.Values[text]
	return listed || len(f.Values) == 0
}

// readable is text that shows as what it is: on one line, with nothing that
// turns the writing direction or cannot be seen.
func readable(text string, most int) bool {
	return strings.TrimSpace(text) != "" && utf8.RuneCountInString(text) <= most && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError })
}
