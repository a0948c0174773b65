package citizens

import (
	"context"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"

	"ente.example/idp/database"
)

// Deps is what a Registry needs; every field is obligatory.
type Deps struct {
	DB *database.DB
	// Seal keeps codice fiscale, contacts and card numbers at rest.
	Seal tink.AEAD
	// Index finds what Seal hides, by keyed HMAC.
	Index *prf.Set
}

// Registry is the registry of people. It is safe for concurrent use.
type Registry struct {
	store *store
	box   *box
	db    *database.DB
}

// New returns a registry over a migrated database.
func New(d Deps) (*Registry, error) {
	if d.DB == nil || d.Seal == nil || d.Index == nil {
		return nil, errors.New("citizens: DB, Seal and Index are needed")
	}
	b, err := newBox(d.Seal, d.Index)
	if err != nil {
		return nil, fmt.Errorf("citizens: %w", err)
	}
	return &Registry{store: &store{db: d.DB, box: b}, box: b, db: d.DB}, nil
}

// ByID returns a person, or ErrUnknown.
func (r *Registry) ByID(ctx context.Context, id ID) (Citizen, error) {
	return r.store.byID(ctx, id)
}

// Asking is ByID as a statement to be sent with others, of whoever it is whose id
// the database finds. The person is there once the statement was answered.
func (r *Registry) Asking(id database.Subquery) (*Asked, database.Query) {
	return r.store.asking("p.id = ?", id)
}

// ByFiscalCode returns the person with this very code, or ErrUnknown: an
// omocodic variant is another person's.
func (r *Registry) ByFiscalCode(ctx context.Context, f FiscalCode) (Citizen, error) {
	return r.store.one(ctx, "p.fiscal_code_key IN ?", anys(r.box.codeKeys(f)))
}

// AskingRules looks the person with this very code up by a statement to be sent
// with others. It reads what rules ask of (Excludes, Category) and no more: the
// person has no name, contacts or card, and nothing was unsealed. The id is for
// what those others ask, NULL where there is nobody.
func (r *Registry) AskingRules(f FiscalCode) (database.Subquery, *Asked, database.Query) {
	keys := anys(r.box.codeKeys(f))
	asked, read := r.store.askingRules(f, keys)
	return database.Subquery{Text: "SELECT id FROM citizens WHERE fiscal_code_key IN ?", Args: []any{keys}}, asked, read
}

// Find returns the id of the person with this code, and whether there is one.
// It does the same work either way.
func (r *Registry) Find(ctx context.Context, f FiscalCode) (ID, bool, error) {
	return r.store.find(ctx, r.box.codeKeys(f))
}

// FiscalCodeKey is the keyed HMAC by which a code is known where the code
// itself must not be, of people in the registry and of everyone else alike.
func (r *Registry) FiscalCodeKey(f FiscalCode) []byte {
	return r.box.key(indexFiscalCode, f.Reveal())
}
