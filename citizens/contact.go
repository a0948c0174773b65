package citizens

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// ContactKind is one of the three ways to reach a person. A telephone for
// call-backs is not one of them: nothing secret is sent there.
type ContactKind string

// The kinds of contact.
const (
	Mobile ContactKind = "mobile"
	Email  ContactKind = "email"
	PEC    ContactKind = "pec"
)

// ContactKinds lists every kind, in the order in which pages and files show them.
func ContactKinds() []ContactKind { return []ContactKind{Mobile, Email, PEC} }

// Contacts are a person's contacts that count: one of each kind at most. A zero
// Contact means that there is none.
type Contacts struct{ Mobile, Email, PEC Contact }

// Of returns the contact of a kind; it is zero if there is none.
func (c Contacts) Of(kind ContactKind) Contact {
	switch kind {
	case Mobile:
		return c.Mobile
	case Email:
		return c.Email
	case PEC:
		return c.PEC
	}
	return Contact{}
}

func (c *Contacts) set(kind ContactKind, to Contact) {
	switch kind {
	case Mobile:
		c.Mobile = to
	case Email:
		c.Email = to
	case PEC:
		c.PEC = to
	}
}

// IsZero reports whether the person cannot be reached at all.
func (c Contacts) IsZero() bool { return c == Contacts{} }

// Contact is a way to reach a person. Verified says that the person or the
// institution has proved it.
type Contact struct {
	Value    ContactValue
	Verified bool
}

// IsZero reports whether there is no such contact.
func (c Contact) IsZero() bool { return c.Value.IsZero() }

// ContactValue is a telephone number in E.164 or a mail address. It does not
// print: see Reveal and Masked.
type ContactValue struct {
	unprinted
	kind  ContactKind
	value string
}

// Refusals of a contact, for pages to choose their words by. None carries the
// input.
var (
	ErrPhone         = errors.New("not a telephone number: write it with the country's prefix, as in +393401234567")
	ErrNotMobile     = errors.New("not a mobile number: a message cannot reach it")
	ErrMailAddress   = errors.New("not a mail address: write it as in name@example.org")
	errInternational = errors.New("not in E.164: write + and the country's prefix, as in +393401234567")
)

// ParseContact reads a contact as people type it. A number without + or 00 is
// Italian. Numbers that are surely no mobile are refused; where the numbering
// plan does not tell, they pass.
func ParseContact(kind ContactKind, s string) (ContactValue, error) {
	var value string
	var err error
	switch kind {
	case Mobile:
		value, err = parseMobile(s)
	case Email, PEC:
		value, err = parseMail(s)
	default:
		err = fmt.Errorf("no such kind of contact: %q", string(kind))
	}
	if err != nil {
		return ContactValue{}, err
	}
	return ContactValue{kind: kind, value: value}, nil
}

func parseMobile(s string) (string, error) {
	n, err := parsePhone(s)
	if err != nil {
		return "", err
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE, phonenumbers.UNKNOWN:
		return phonenumbers.Format(n, phonenumbers.E164), nil
	default:
		return "", ErrNotMobile
	}
}

func parsePhone(s string) (*phonenumbers.PhoneNumber, error) {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(s, "00"); ok {
		s = "+" + rest
	}
	if strings.IndexFunc(s, notOfPhones) >= 0 {
		return nil, ErrPhone // the parser would read letters as keys
	}
	n, err := phonenumbers.Parse(s, "IT")
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return nil, ErrPhone
	}
	return n, nil
}

func notOfPhones(r rune) bool {
	return (r < '0' || r > '9') && !strings.ContainsRune("+ -./()\u00a0", r)
}

// ParsePhone reads any telephone number, a landline too, for somebody to call
// back. It returns E.164.
func ParsePhone(s string) (string, error) {
	n, err := parsePhone(s)
	if err != nil {
		return "", err
	}
	return phonenumbers.Format(n, phonenumbers.E164), nil
}

// mailAddress is an address that every mail system carries: an ASCII dot-atom
// before the at, host labels with a dot after it.
var mailAddress = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+)*` +
	`@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// parseMail lowers the domain only: a mailbox may tell case apart, and mail
// goes to the address as it was given. Comparison ignores case (R36).
func parseMail(s string) (string, error) {
	s = strings.TrimSpace(s)
	at := strings.LastIndexByte(s, '@')
	if len(s) > 254 || at > 64 || !mailAddress.MatchString(s) {
		return "", ErrMailAddress
	}
	return s[:at] + strings.ToLower(s[at:]), nil
}

// IsZero reports whether there is no value.
func (v ContactValue) IsZero() bool { return v.value == "" }

// Kind says what the value is.
func (v ContactValue) Kind() ContactKind { return v.kind }

// Reveal returns the number or address to which a message goes.
func (v ContactValue) Reveal() string { return v.value }

// Same reports whether two values reach the same place (R36). A mail address
// and a PEC address that are equal are the same: together they are one contact,
// not two (R11).
func (v ContactValue) Same(o ContactValue) bool {
	return !v.IsZero() && v.canonical() == o.canonical()
}

func (v ContactValue) canonical() string { return strings.ToLower(v.value) }

// Masked lets the owner recognise the value and nobody learn it:
// +49 *** *** 12 34, m***@p***.example.
func (v ContactValue) Masked() string {
	switch {
	case v.IsZero():
		return ""
	case v.kind == Mobile:
		return maskPhone(v.value)
	}
	local, domain, _ := strings.Cut(v.value, "@")
	return local[:1] + "***@" + domain[:1] + "***" + domain[strings.LastIndexByte(domain, '.'):]
}

func maskPhone(e164 string) string {
	prefix := "+"
	if n, err := phonenumbers.Parse(e164, ""); err == nil {
		prefix = fmt.Sprintf("+%d", n.GetCountryCode())
	}
	end := e164[len(e164)-4:]
	return prefix + " *** *** " + end[:2] + " " + end[2:]
}
