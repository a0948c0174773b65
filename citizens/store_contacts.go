package citizens

import (
	"context"
	"errors"
	"fmt"

	"ente.example/idp/database"
)

// ErrNoTransaction says that contacts were to change on their own, without what
// makes them change.
var ErrNoTransaction = errors.New("citizens: contacts change in the transaction of their cause")

// ReplaceContacts makes these the contacts of a person, in the caller's
// transaction: what is not among them is forgotten (R52).
func (r *Registry) ReplaceContacts(ctx context.Context, id ID, contacts Contacts) error {
	if !database.Inside(ctx) {
		return ErrNoTransaction
	}
	now, err := r.db.Now(ctx)
	if err != nil {
		return fmt.Errorf("replace contacts: %w", err)
	}
	if err := r.store.replaceContacts(ctx, id, contacts, contactRow{CitizenID: id, CreatedAt: now, UpdatedAt: now}); err != nil {
		return fmt.Errorf("replace contacts: %w", err)
	}
	return nil
}

// replaceContacts locks the person's row first, as an import does.
func (s *store) replaceContacts(ctx context.Context, id ID, contacts Contacts, blank contactRow) error {
	if err := s.db.Write(ctx).Model(&row{}).Where("id = ?", id).UpdateColumn("updated_at", blank.UpdatedAt).Error; err != nil {
		return err
	}
	for _, kind := range ContactKinds() {
		c := contacts.Of(kind)
		if c.IsZero() {
			if err := s.db.Write(ctx).Where("citizen_id = ? AND kind = ?", id, kind).Delete(&contactRow{}).Error; err != nil {
				return err
			}
			continue
		}
		sealed, err := s.box.close(placeContact(kind), id, c.Value.Reveal())
		if err != nil {
			return err
		}
		blank.Kind, blank.Value, blank.ValueKey, blank.Verified = kind, sealed, s.box.contactKey(c.Value), c.Verified
		if err := s.db.Write(ctx).Clauses(contactUpsert).Create(&blank).Error; err != nil {
			return err
		}
	}
	return nil
}
