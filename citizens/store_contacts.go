package citizens

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

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

// Hold keeps anybody else from changing this person, or the contacts, until the
// caller's transaction is over: what is read after it stays so. ErrUnknown if
// there is nobody.
func (r *Registry) Hold(ctx context.Context, id ID) error {
	if !database.Inside(ctx) {
		return ErrNoTransaction
	}
	if uuid.Validate(string(id)) != nil {
		return ErrUnknown
	}
	q := r.db.Write(ctx).Exec(`UPDATE citizens SET updated_at = updated_at WHERE id = ?`, id)
	if q.Error != nil {
		return fmt.Errorf("hold a citizen: %w", q.Error)
	}
	if q.RowsAffected == 0 {
		return ErrUnknown
	}
	return nil
}

// SetContact makes this the person's contact of its kind, in the caller's
// transaction; the others stay.
func (r *Registry) SetContact(ctx context.Context, id ID, c Contact) error {
	if c.IsZero() {
		return errors.New("citizens: RemoveContact takes a contact off")
	}
	return r.changeContact(ctx, id, c.Value.Kind(), c)
}

// RemoveContact takes the person's contact of a kind off, in the caller's
// transaction.
func (r *Registry) RemoveContact(ctx context.Context, id ID, kind ContactKind) error {
	return r.changeContact(ctx, id, kind, Contact{})
}

func (r *Registry) changeContact(ctx context.Context, id ID, kind ContactKind, to Contact) error {
	if !database.Inside(ctx) {
		return ErrNoTransaction
	}
	now, err := r.db.Now(ctx)
	if err != nil {
		return fmt.Errorf("change a contact: %w", err)
	}
	err = r.store.touch(ctx, id, now)
	if err == nil {
		err = r.store.setContact(ctx, kind, to, contactRow{CitizenID: id, CreatedAt: now, UpdatedAt: now})
	}
	if err != nil {
		return fmt.Errorf("change a contact: %w", err)
	}
	return nil
}

// replaceContacts locks the person's row first, as an import does.
func (s *store) replaceContacts(ctx context.Context, id ID, contacts Contacts, blank contactRow) error {
	if err := s.touch(ctx, id, blank.UpdatedAt); err != nil {
		return err
	}
	for _, kind := range ContactKinds() {
		if err := s.setContact(ctx, kind, contacts.Of(kind), blank); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) touch(ctx context.Context, id ID, now time.Time) error {
	return s.db.Write(ctx).Model(&row{}).Where("id = ?", id).UpdateColumn("updated_at", now).Error
}

// setContact writes one contact into a blank row, or deletes it where there is
// none.
func (s *store) setContact(ctx context.Context, kind ContactKind, c Contact, blank contactRow) error {
	if c.IsZero() {
		return s.db.Write(ctx).Where("citizen_id = ? AND kind = ?", blank.CitizenID, kind).Delete(&contactRow{}).Error
	}
	sealed, err := s.box.close(placeContact(kind), blank.CitizenID, c.Value.Reveal())
	if err != nil {
		return err
	}
	blank.Kind, blank.Value, blank.ValueKey, blank.Verified = kind, sealed, s.box.contactKey(c.Value), c.Verified
	return s.db.Write(ctx).Clauses(contactUpsert).Create(&blank).Error
}
