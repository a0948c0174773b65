package clients

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// A distinguished name as RFC 4514 writes it, which is how a client registers
// the subject of its certificate (RFC 8705 §2.1.2). Names are compared
// attribute by attribute and to the letter: what a directory would call the
// same is not the same here.

const maxSubject = 1000 // characters of a name

var errSubject = errors.New("is not a distinguished name (RFC 4514)")

// attribute is one type and value of a name.
type attribute struct {
	kind  string // an object identifier with dots
	value string
}

// attributeTypes are RFC 4514 §3, and what certificates have beside it.
func attributeTypes() map[string]string {
	return map[string]string{
		"CN": "2.5.4.3", "L": "2.5.4.7", "ST": "2.5.4.8", "O": "2.5.4.10", "OU": "2.5.4.11", "C": "2.5.4.6", "STREET": "2.5.4.9",
		"DC": "0.9.2342.19200300.100.1.25", "UID": "0.9.2342.19200300.100.1.1",
		"SERIALNUMBER": "2.5.4.5", "POSTALCODE": "2.5.4.17", "ORGANIZATIONIDENTIFIER": "2.5.4.97",
		"EMAILADDRESS": "1.2.840.113549.1.9.1", "SN": "2.5.4.4", "GIVENNAME": "2.5.4.42",
	}
}

// subjectOf is the name in a certificate, its parts in the order of the text:
// the last first.
func subjectOf(raw []byte) ([][]attribute, error) {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &sequence); err != nil || len(rest) > 0 {
		return nil, errSubject
	}
	var name [][]attribute
	for _, set := range slices.Backward(sequence) {
		var part []attribute
		for _, a := range set {
			text, ok := a.Value.(string)
			if !ok {
				return nil, errSubject
			}
			part = append(part, attribute{a.Type.String(), text})
		}
		name = append(name, sorted(part))
	}
	return name, nil
}

// sorted puts the attributes of one part in an order: they are a set.
func sorted(part []attribute) []attribute {
	slices.SortFunc(part, func(a, b attribute) int {
		return strings.Compare(a.kind+"\x00"+a.value, b.kind+"\x00"+b.value)
	})
	return part
}

// parseSubject reads RFC 4514.
func parseSubject(text string) ([][]attribute, error) {
	if text == "" || len(text) > maxSubject || !utf8.ValidString(text) {
		return nil, errSubject
	}
	var name [][]attribute
	var part []attribute
	for {
		one, end, rest, err := parseAttribute(text)
		if err != nil {
			return nil, err
		}
		part = append(part, one)
		if end != '+' {
			name, part = append(name, sorted(part)), nil
		}
		if end == 0 {
			return name, nil
		}
		text = rest
	}
}

// parseAttribute reads up to the next comma or plus; end is 0 at the text's end.
func parseAttribute(text string) (one attribute, end byte, rest string, err error) {
	kind, text, found := strings.Cut(text, "=")
	kind = strings.TrimSpace(kind)
	if known, ok := attributeTypes()[strings.ToUpper(kind)]; ok {
		kind = known
	} else if !found || kind == "" || strings.Trim(kind, "0123456789.") != "" {
		return one, 0, "", errSubject
	}
	text = strings.TrimLeft(text, " ")
	raw, end, rest, err := parseValue(text)
	if err != nil {
		return one, 0, "", err
	}
	if hexed, ok := strings.CutPrefix(text, "#"); ok {
		raw, err = hexString(hexed[:len(hexed)-len(rest)-min(int(end), 1)])
	}
	return attribute{kind, raw}, end, rest, err
}

// parseValue takes the escapes of RFC 4514 §2.4 away, and the blanks around
// that are not escaped.
func parseValue(text string) (value string, end byte, rest string, err error) {
	var b bytes.Buffer
	blanks := 0 // at the end, not escaped
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == ',' || c == '+':
			b.Truncate(b.Len() - blanks)
			return b.String(), c, text[i+1:], valid(b.String())
		case c == 0 || strings.IndexByte(`"<>;`, c) >= 0:
			return "", 0, "", errSubject
		case c == '\\':
			taken, plain := unescape(text[i+1:])
			if taken == 0 {
				return "", 0, "", errSubject
			}
			b.WriteByte(plain)
			i, blanks = i+taken, 0
			continue
		}
		b.WriteByte(c)
		if blanks++; c != ' ' {
			blanks = 0
		}
	}
	b.Truncate(b.Len() - blanks)
	return b.String(), 0, "", valid(b.String())
}

func valid(value string) error {
	if value == "" || !utf8.ValidString(value) {
		return errSubject
	}
	return nil
}

// unescape reads what follows a backslash: one special character, or two
// hexadecimal digits. Zero taken is neither.
func unescape(text string) (taken int, plain byte) {
	if text != "" && strings.IndexByte(` "#+,;<=>\`, text[0]) >= 0 {
		return 1, text[0]
	}
	if len(text) >= 2 {
		if b, err := hex.DecodeString(text[:2]); err == nil {
			return 2, b[0]
		}
	}
	return 0, 0
}

// hexString is a value that is written as its encoding.
func hexString(text string) (string, error) {
	raw, err := hex.DecodeString(strings.TrimRight(text, " "))
	if err != nil {
		return "", errSubject
	}
	var value any
	rest, err := asn1.Unmarshal(raw, &value)
	s, ok := value.(string)
	if err != nil || len(rest) > 0 || !ok || valid(s) != nil {
		return "", errSubject
	}
	return s, nil
}

func sameSubject(a, b [][]attribute) bool {
	return slices.EqualFunc(a, b, slices.Equal[[]attribute])
}
