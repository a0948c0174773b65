package citizens

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"ente.example/idp/database"
)

// store owns the tables citizens and contacts. Whoever writes both rows of a
// person writes citizens first: with a fixed order writers wait, and never for
// each other.
type store struct {
	db  *database.DB
	box *box
}

// row is one person; Key columns are the keyed HMACs of what is sealed beside.
type row struct {
	ID                  ID
	FiscalCodeKey       []byte
	FiscalCode          []byte
	GivenName           string
	FamilyName          string
	Sex                 Sex
	BirthDate           Date
	BirthPlace          string
	ResidenceStreet     string
	ResidencePostalCode string
	ResidenceLocality   string
	ResidenceRegion     string
	ResidenceCountry    string
	ItalianDocument     bool
	Category            Category
	HealthCardKey       []byte
	HealthCardNumber    []byte
	HealthCardExpiry    Date
	DeceasedOn          Date
	CreatedAt           time.Time
	UpdatedAt           time.Time
	ResidenceChangedAt  *time.Time
}

func (r row) residence() Address {
	return Address{
		Street: r.ResidenceStreet, PostalCode: r.ResidencePostalCode,
		Locality: r.ResidenceLocality, Region: r.ResidenceRegion, Country: r.ResidenceCountry,
	}
}

func (row) TableName() string { return "citizens" }

// contactRow is one contact of a person.
type contactRow struct {
	CitizenID ID
	Kind      ContactKind
	ValueKey  []byte
	Value     []byte
	Verified  bool
	CreatedAt time.Time
	UpdatedAt time.Time
}

func (contactRow) TableName() string { return "contacts" }

// selectPerson is what is read of a person and one of the contacts, if there is any.
const selectPerson = `SELECT p.id, p.fiscal_code, p.given_name, p.family_name, p.sex, p.birth_date, p.birth_place,
	p.residence_street, p.residence_postal_code, p.residence_locality, p.residence_region, p.residence_country,
	p.italian_document, p.category, p.health_card_number, p.health_card_expiry, p.deceased_on,
	p.created_at, p.updated_at, p.residence_changed_at, c.kind, c.value, c.verified
	FROM citizens p LEFT JOIN contacts c ON c.citizen_id = p.id WHERE `

// joined is a row of selectPerson.
type joined struct {
	person   row
	kind     *string
	value    []byte
	verified *bool
}

// scan shows the driver texts as texts: a type of ours costs it a search each time.
func (j *joined) scan(r database.Row) error {
	p := &j.person
	return r.Scan((*string)(&p.ID), &p.FiscalCode, &p.GivenName, &p.FamilyName, (*string)(&p.Sex), &p.BirthDate, &p.BirthPlace,
		&p.ResidenceStreet, &p.ResidencePostalCode, &p.ResidenceLocality, &p.ResidenceRegion, &p.ResidenceCountry,
		&p.ItalianDocument, (*string)(&p.Category), &p.HealthCardNumber, &p.HealthCardExpiry, &p.DeceasedOn,
		&p.CreatedAt, &p.UpdatedAt, &p.ResidenceChangedAt, &j.kind, &j.value, &j.verified)
}

// Asked is a person whom a statement of ours asks for, once it has been answered.
type Asked struct {
	citizen Citizen
	found   bool
}

// Citizen is the person, or ErrUnknown.
func (a *Asked) Citizen() (Citizen, error) {
	if !a.found {
		return Citizen{}, ErrUnknown
	}
	return a.citizen, nil
}

// asking reads a person and the contacts in one statement.
func (s *store) asking(where string, key any) (*Asked, database.Query) {
	a := &Asked{}
	return a, database.Query{Text: selectPerson + where, Args: []any{key}, Each: func(r database.Row) error {
		var j joined
		if err := j.scan(r); err != nil {
			return err
		}
		if !a.found { // the others differ by the contact alone
			person, err := s.citizen(j.person)
			if err != nil {
				return err
			}
			a.citizen, a.found = person, true
		}
		return s.addContact(&a.citizen, j)
	}}
}

// askingRules reads what AskingRules tells of the one person with code f, whose
// keys these are.
func (s *store) askingRules(f FiscalCode, keys []any) (*Asked, database.Query) {
	const q = `SELECT id, birth_date, residence_country, italian_document, category, deceased_on FROM citizens WHERE fiscal_code_key IN ?`
	a := &Asked{}
	return a, database.Query{Text: q, Args: []any{keys}, Each: func(r database.Row) error {
		c := Citizen{FiscalCode: f}
		var died Date
		err := r.Scan((*string)(&c.ID), &c.BirthDate, &c.Residence.Country, &c.ItalianDocument, (*string)(&c.Category), &died)
		if !died.IsZero() {
			c.DeceasedOn = &died
		}
		a.citizen, a.found = c, true
		return err
	}}
}

func (s *store) one(ctx context.Context, where string, key any) (Citizen, error) {
	a, read := s.asking(where, key)
	if err := s.db.Reader(ctx).All(read.Text, read.Args, read.Each); err != nil {
		return Citizen{}, fmt.Errorf("read citizen: %w", err)
	}
	return a.Citizen()
}

// byID reads a person by id. What is no UUID names nobody, and PostgreSQL
// would refuse to compare it.
func (s *store) byID(ctx context.Context, id ID) (Citizen, error) {
	if uuid.Validate(string(id)) != nil {
		return Citizen{}, ErrUnknown
	}
	return s.one(ctx, "p.id = ?", string(id))
}

func (s *store) find(ctx context.Context, keys [][]byte) (id ID, found bool, err error) {
	found, err = s.db.Reader(ctx).One("SELECT id FROM citizens WHERE fiscal_code_key IN ?", []any{anys(keys)}, &id)
	if err != nil {
		return "", false, fmt.Errorf("find citizen: %w", err)
	}
	return id, found, nil
}

// citizen opens what a row seals.
func (s *store) citizen(r row) (Citizen, error) {
	code, err := s.box.open(placeFiscalCode, r.ID, r.FiscalCode)
	if err != nil {
		return Citizen{}, err
	}
	c := Citizen{
		ID: r.ID, FiscalCode: FiscalCode{code: code},
		GivenName: r.GivenName, FamilyName: r.FamilyName,
		Sex: r.Sex, BirthDate: r.BirthDate, BirthPlace: r.BirthPlace,
		Residence:       r.residence(),
		ItalianDocument: r.ItalianDocument, Category: r.Category,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}
	if r.ResidenceChangedAt != nil {
		at := r.ResidenceChangedAt.UTC()
		c.ResidenceChangedAt = &at
	}
	if !r.DeceasedOn.IsZero() {
		c.DeceasedOn = &r.DeceasedOn
	}
	if r.HealthCardNumber == nil {
		return c, nil
	}
	card, err := s.box.open(placeCard, r.ID, r.HealthCardNumber)
	c.HealthCard = &HealthCard{Number: CardNumber{digits: card}, Expiry: r.HealthCardExpiry}
	return c, err
}

func (s *store) addContact(c *Citizen, j joined) error {
	if j.kind == nil {
		return nil
	}
	kind := ContactKind(*j.kind)
	value, err := s.box.open(placeContact(kind), c.ID, j.value)
	if err != nil {
		return err
	}
	c.Contacts.set(kind, Contact{Value: ContactValue{kind: kind, value: value}, Verified: *j.verified})
	return nil
}

// Places of sealed values, as their associated data name them.
const (
	placeFiscalCode = "citizens/fiscal_code"
	placeCard       = "citizens/health_card_number"
)

func placeContact(kind ContactKind) string { return "contacts/" + string(kind) }

func anys[T any](values []T) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all
}
