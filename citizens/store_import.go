package citizens

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm/clause"

	"ente.example/idp/database"
)

// lock lets one import write at a time: two that met the same people in another
// order would wait for each other for ever. Readers, and rows elsewhere that
// point at people, go on. SQLite has one writer anyway.
func (s *store) lock(ctx context.Context) error {
	if s.db.Dialect() != database.Postgres {
		return nil
	}
	err := s.db.Write(ctx).Exec("LOCK TABLE citizens IN SHARE ROW EXCLUSIVE MODE").Error
	if err != nil {
		return fmt.Errorf("wait for other imports: %w", err)
	}
	return nil
}

// people are the rows that a batch touches, and what became of them.
type people struct {
	box      *box
	byKey    map[string]*row
	changed  map[ID]*row
	contacts map[contactID]contactRow
	rekeyed  []*row // found by a key that rotation has retired

	imported, updated int
	deceased          []ID
}

type contactID struct {
	citizen ID
	kind    ContactKind
}

// load reads those of the batch that the registry knows, in one statement.
func (s *store) load(ctx context.Context, batch []entry) (*people, error) {
	p := &people{
		box: s.box, byKey: map[string]*row{},
		changed: map[ID]*row{}, contacts: map[contactID]contactRow{},
	}
	var keys [][]byte
	for _, e := range batch {
		keys = append(keys, s.box.codeKeys(e.code)...)
	}
	var known []row
	if err := s.db.Write(ctx).Where("fiscal_code_key IN ?", keys).Find(&known).Error; err != nil {
		return nil, fmt.Errorf("read known citizens: %w", err)
	}
	for i := range known {
		p.byKey[string(known[i].FiscalCodeKey)] = &known[i]
	}
	return p, nil
}

// merge brings one row of the file into the batch. A bad row changes nothing.
func (p *people) merge(e entry, now time.Time) error {
	keys := p.box.codeKeys(e.code)
	old := p.known(keys)
	next, err := p.start(old, e, now)
	if err != nil {
		return err
	}
	e.apply(&next)
	if old != nil && !old.residence().staysAs(next.residence()) {
		next.ResidenceChangedAt = &now
	}
	if err := next.check(); err != nil {
		return err
	}
	if old != nil && !bytes.Equal(old.FiscalCodeKey, keys[0]) {
		p.rekeyed = append(p.rekeyed, &next)
	}
	next.FiscalCodeKey, next.UpdatedAt = keys[0], now
	if err := p.seal(&next, e, now); err != nil {
		return err
	}
	if old == nil {
		p.imported++
	} else {
		p.updated++
		if old.DeceasedOn.IsZero() && !next.DeceasedOn.IsZero() {
			p.deceased = append(p.deceased, next.ID)
		}
	}
	p.byKey[string(keys[0])], p.changed[next.ID] = &next, &next
	return nil
}

func (p *people) known(keys [][]byte) *row {
	for _, k := range keys {
		if r := p.byKey[string(k)]; r != nil {
			return r
		}
	}
	return nil
}

// start returns the row to change: a copy of the known one, or that of a new
// person, who must have a name.
func (p *people) start(old *row, e entry, now time.Time) (row, error) {
	if old != nil {
		return *old, nil
	}
	switch {
	case e.given == "":
		return row{}, &badRowError{colGivenName + ": is obligatory"}
	case e.family == "":
		return row{}, &badRowError{colFamilyName + ": is obligatory"}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return row{}, fmt.Errorf("make an id: %w", err)
	}
	r := row{ID: ID(id.String()), Category: Ordinary, CreatedAt: now}
	r.FiscalCode, err = p.box.close(placeFiscalCode, r.ID, e.code.Reveal())
	return r, err
}

// apply writes what the file says over what the registry says; sealed values
// are not here.
func (e entry) apply(r *row) {
	overwrite(&r.GivenName, e.given)
	overwrite(&r.FamilyName, e.family)
	overwrite(&r.Sex, e.sex)
	overwrite(&r.BirthDate, e.birth)
	overwrite(&r.BirthPlace, e.birthPlace)
	overwrite(&r.ResidenceStreet, e.residence.Street)
	overwrite(&r.ResidencePostalCode, e.residence.PostalCode)
	overwrite(&r.ResidenceLocality, e.residence.Locality)
	overwrite(&r.ResidenceRegion, e.residence.Region)
	overwrite(&r.ResidenceCountry, e.residence.Country)
	overwrite(&r.Category, e.category)
	overwrite(&r.HealthCardExpiry, e.cardExpiry)
	overwrite(&r.DeceasedOn, e.deceased)
	if e.document != nil {
		r.ItalianDocument = *e.document
	}
	if !e.card.IsZero() {
		r.HealthCardNumber = []byte{} // seal fills it; check wants to know
	}
}

func overwrite[T comparable](field *T, value T) {
	var empty T
	if value != empty {
		*field = value
	}
}

// check refuses what no single cell shows.
func (r *row) check() error {
	switch {
	case !r.DeceasedOn.IsZero() && !r.BirthDate.IsZero() && r.DeceasedOn.Before(r.BirthDate):
		return &badRowError{colDeceasedOn + ": is before " + colBirthDate}
	case !r.HealthCardExpiry.IsZero() && r.HealthCardNumber == nil:
		return &badRowError{colCardExpiry + ": there is no " + colCardNumber}
	}
	return nil
}

func (p *people) seal(r *row, e entry, now time.Time) (err error) {
	if !e.card.IsZero() {
		r.HealthCardKey = p.box.key(indexCard, e.card.Reveal())
		if r.HealthCardNumber, err = p.box.close(placeCard, r.ID, e.card.Reveal()); err != nil {
			return err
		}
	}
	for _, kind := range ContactKinds() {
		c := e.contacts.Of(kind)
		if c.IsZero() {
			continue
		}
		sealed, err := p.box.close(placeContact(kind), r.ID, c.Value.Reveal())
		if err != nil {
			return err
		}
		p.contacts[contactID{r.ID, kind}] = contactRow{
			CitizenID: r.ID, Kind: kind, Value: sealed, ValueKey: p.box.contactKey(c.Value),
			Verified: c.Verified, CreatedAt: now, UpdatedAt: now,
		}
	}
	return nil
}

// save writes the batch: people in one statement, their contacts in another.
func (s *store) save(ctx context.Context, p *people) error {
	rows := make([]*row, 0, len(p.changed))
	for _, r := range p.changed {
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return nil
	}
	if err := s.db.Write(ctx).Clauses(citizenUpsert).Create(rows).Error; err != nil {
		return fmt.Errorf("write citizens: %w", err)
	}
	for _, r := range p.rekeyed {
		if err := s.db.Write(ctx).Model(r).UpdateColumn("fiscal_code_key", r.FiscalCodeKey).Error; err != nil {
			return fmt.Errorf("write key of citizen: %w", err)
		}
	}
	return s.saveContacts(ctx, p)
}

func (s *store) saveContacts(ctx context.Context, p *people) error {
	contacts := make([]contactRow, 0, len(p.contacts))
	for _, c := range p.contacts {
		contacts = append(contacts, c)
	}
	if len(contacts) == 0 {
		return nil
	}
	if err := s.db.Write(ctx).Clauses(contactUpsert).Create(contacts).Error; err != nil {
		return fmt.Errorf("write contacts: %w", err)
	}
	return nil
}

// On conflict a row takes every value but those of its birth. The key by which
// it is found stays out: naming a unique column, PostgreSQL would lock the row
// against everyone who inserts something that refers to the person.
var (
	citizenUpsert = clause.OnConflict{
		Columns: []clause.Column{{Name: "id"}},
		DoUpdates: clause.AssignmentColumns([]string{
			"given_name", "family_name", "sex", "birth_date", "birth_place",
			"residence_street", "residence_postal_code", "residence_locality", "residence_region", "residence_country",
			"residence_changed_at", "italian_document", "category", "health_card_key", "health_card_number", "health_card_expiry",
			"deceased_on", "updated_at",
		}),
	}
	contactUpsert = clause.OnConflict{
		Columns:   []clause.Column{{Name: "citizen_id"}, {Name: "kind"}},
		DoUpdates: clause.AssignmentColumns([]string{"value_key", "value", "verified", "updated_at"}),
	}
)
