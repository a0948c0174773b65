package citizens

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm/clause"

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

// joined is a row of a person beside one of the contacts, if there is any.
type joined struct {
	Person   row `gorm:"embedded"`
	Kind     sql.NullString
	Value    []byte
	Verified sql.NullBool
}

// one reads a person and the contacts in one statement.
func (s *store) one(ctx context.Context, column string, values []any) (Citizen, error) {
	var found []joined
	err := s.db.Read(ctx).Table("citizens").
		Select("citizens.*, contacts.kind, contacts.value, contacts.verified").
		Joins("LEFT JOIN contacts ON contacts.citizen_id = citizens.id").
		Where(clause.IN{Column: clause.Column{Table: "citizens", Name: column}, Values: values}).
		Scan(&found).Error
	if err != nil {
		return Citizen{}, fmt.Errorf("read citizen: %w", err)
	}
	if len(found) == 0 {
		return Citizen{}, ErrUnknown
	}
	c, err := s.citizen(found[0].Person)
	if err != nil {
		return Citizen{}, err
	}
	for _, j := range found {
		if err := s.addContact(&c, j); err != nil {
			return Citizen{}, err
		}
	}
	return c, nil
}

// byID reads a person by id. What is no UUID names nobody, and PostgreSQL
// would refuse to compare it.
func (s *store) byID(ctx context.Context, id ID) (Citizen, error) {
	if uuid.Validate(string(id)) != nil {
		return Citizen{}, ErrUnknown
	}
	return s.one(ctx, "id", []any{id})
}

func (s *store) find(ctx context.Context, keys [][]byte) (ID, bool, error) {
	var ids []ID
	err := s.db.Read(ctx).Model(&row{}).Where("fiscal_code_key IN ?", keys).Pluck("id", &ids).Error
	if err != nil {
		return "", false, fmt.Errorf("find citizen: %w", err)
	}
	if len(ids) == 0 {
		return "", false, nil
	}
	return ids[0], true, nil
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
	if !j.Kind.Valid {
		return nil
	}
	kind := ContactKind(j.Kind.String)
	value, err := s.box.open(placeContact(kind), c.ID, j.Value)
	if err != nil {
		return err
	}
	c.Contacts.set(kind, Contact{Value: ContactValue{kind: kind, value: value}, Verified: j.Verified.Bool})
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
