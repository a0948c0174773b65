package clients

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

const maxDocument = 256 << 10 // bytes of one client

// Decode reads one client document. Unknown members are refused by name: a
// misspelt `redirect_uri` must not register a client without one.
func Decode(r io.Reader) (Document, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return Document{}, fmt.Errorf("read client metadata: %w", err)
	}
	if len(data) > maxDocument {
		return Document{}, invalid("document", "is larger than %d bytes", maxDocument)
	}
	return decode(data, false)
}

// DecodeList reads what export writes: an array of client documents.
func DecodeList(r io.Reader) ([]Document, error) {
	var entries []json.RawMessage
	dec := json.NewDecoder(r)
	if err := dec.Decode(&entries); err != nil {
		return nil, invalid("document", "is not a JSON array of clients")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("document", "goes on after its end")
	}
	docs := make([]Document, 0, len(entries))
	for i, entry := range entries {
		d, err := decode(entry, false)
		if err != nil {
			return nil, fmt.Errorf("client %d: %w", i+1, err)
		}
		docs = append(docs, d)
	}
	return docs, nil
}

func decode(data []byte, lenient bool) (Document, error) {
	kept, err := knownMembers(data, lenient)
	if err != nil {
		return Document{}, err
	}
	var d Document
	var wrong *json.UnmarshalTypeError
	switch err := json.Unmarshal(kept, &d); {
	case errors.As(err, &wrong):
		field := wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:]
		return Document{}, invalid(field, "cannot be a JSON %s", wrong.Value)
	case err != nil:
		return Document{}, invalid("document", "cannot be read: %v", err)
	}
	return d, nil
}

// knownMembers checks the names of an object's members, to the letter and each
// once (encoding/json takes any case, and the last of several), and returns
// the object. Lenient leaves out what it does not know.
func knownMembers(data []byte, lenient bool) ([]byte, error) {
	names := memberNames(reflect.TypeFor[Document]())
	kept := map[string]json.RawMessage{}
	err := eachMember(data, func(name string, value json.RawMessage) error {
		_, twice := kept[name]
		known := slices.Contains(names, name) || translates(name)
		switch {
		case twice:
			return invalid(name, "is there twice")
		case lenient && !known:
			return nil
		case name == "client_secret":
			return invalid(name, "is made by this server and never given to it")
		case !known:
			return invalid("document", "has an unknown member %.60q", name)
		}
		kept[name] = value
		return nil
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(kept)
}

// eachMember walks the members of one JSON object.
func eachMember(data []byte, member func(string, json.RawMessage) error) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return invalid("document", "is not a JSON object")
	}
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err == nil {
			err = dec.Decode(&value)
		}
		if err != nil {
			return invalid("document", "is not JSON")
		}
		if err := member(fmt.Sprint(name), value); err != nil {
			return err
		}
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('}') {
		return invalid("document", "is not JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return invalid("document", "goes on after its end")
	}
	return nil
}

// memberNames lists the JSON names of a struct, embedded ones included.
func memberNames(t reflect.Type) []string {
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}
