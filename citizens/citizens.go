// Package citizens is the registry of people: who they are, where they live,
// how they can be reached, and whom an eligibility profile excludes.
//
// It owns the tables citizens and contacts. It knows the database and the keys
// handed to it, and nothing above: no PIN, no page, no protocol. What must
// follow from a change here (a death ends a PIN) is a function handed in by the
// caller, run in the same transaction.
//
// Codice fiscale, contacts and health card number are sealed columns, found by
// keyed HMAC; outside the database they travel in types that do not print.
package citizens

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// ErrUnknown says that no such person is in the registry. It names nobody, so
// that it can be logged.
var ErrUnknown = errors.New("unknown citizen")

// ID names a person for ever, also when the codice fiscale changes. It is a
// UUID: not secret, and the only thing by which logs name people.
type ID string

// Sex as the registry office records it.
type Sex string

// The two that codes and registries know.
const (
	Male   Sex = "M"
	Female Sex = "F"
)

// Category is assigned by the institution, never self-declared (R28).
type Category string

// The categories.
const (
	Ordinary     Category = "citizen"
	Intermediary Category = "intermediary"
)

// Address is where a person lives. Country is ISO 3166-1 alpha-2; the other
// fields are as the archive has them, because foreign addresses have no
// common form.
type Address struct {
	Street, PostalCode, Locality, Region, Country string
}

// IsZero reports whether nothing at all is known of the address.
func (a Address) IsZero() bool { return a == Address{} }

// Postal is the address as it stands on an envelope posted in Italy: abroad
// with the country in Italian capitals as its last line, at home without.
func (a Address) Postal() string {
	town := strings.Join(strings.Fields(a.PostalCode+" "+a.Locality+" "+a.Region), " ")
	lines := []string{a.Street, town}
	if a.Country != "" && a.Country != "IT" {
		lines = append(lines, countryName(a.Country))
	}
	return strings.Join(lines, "\n")
}

// countryName is the code itself for one that nobody knows.
func countryName(code string) string {
	region, err := language.ParseRegion(code)
	if err != nil {
		return code
	}
	return strings.ToUpper(display.Italian.Regions().Name(region))
}

// Citizen is one person. Fields that the registry does not know are zero.
type Citizen struct {
	ID                    ID
	FiscalCode            FiscalCode
	GivenName, FamilyName string
	Sex                   Sex
	BirthDate             Date
	BirthPlace            string // Belfiore code
	Residence             Address
	ItalianDocument       bool
	Category              Category
	HealthCard            *HealthCard
	Contacts              Contacts
	DeceasedOn            *Date
	// ResidenceChangedAt is when the registry last learnt of another residence;
	// nil while it knows the first one only.
	ResidenceChangedAt   *time.Time
	CreatedAt, UpdatedAt time.Time
}

// Declared returns what the registry says about the person in the form that
// FiscalCode.Mismatches compares.
func (c Citizen) Declared() Declared {
	return Declared{
		GivenName: c.GivenName, FamilyName: c.FamilyName,
		Sex: c.Sex, BirthDate: c.BirthDate, BirthPlace: c.BirthPlace,
	}
}

// String names the person by ID, wherever one prints by accident.
func (c Citizen) String() string { return "citizen " + string(c.ID) }

// GoString does as String.
func (c Citizen) GoString() string { return c.String() }

// LogValue is the ID: logs name people by nothing else.
func (c Citizen) LogValue() slog.Value { return slog.StringValue(string(c.ID)) }

// MarshalJSON refuses: Columns says what leaves, masked or revealed.
func (c Citizen) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a citizen is never encoded whole")
}
