package credentials

import (
	"context"
	"fmt"
)

// Hold says once more that a verified PIN still opens something, in the
// transaction that builds on it: between the verification and that transaction
// it may have been suspended or revoked, which ends all that is there by then
// and cannot end what comes after. Holding the row orders the two: an end that
// arrives later waits, and finds what was built.
//
// ErrRefused says that it came too late, in the same word as every refusal.
func (s *Service) Hold(ctx context.Context, v Verified) error {
	ok, err := s.store.hold(ctx, v.Credential)
	if err != nil {
		return fmt.Errorf("hold a PIN: %w", err)
	}
	if !ok {
		return ErrRefused
	}
	return nil
}

// hold changes nothing: it is an UPDATE for the sake of its lock, which both
// databases know how to take that way.
func (s store) hold(ctx context.Context, id ID) (bool, error) {
	r := s.db.Write(ctx).Exec(`UPDATE credentials SET state = state WHERE id = ? AND suspended_at IS NULL AND state = 'active'`, id)
	return r.RowsAffected == 1, r.Error
}
