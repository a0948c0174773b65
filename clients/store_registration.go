package clients

import (
	"context"
	"database/sql"
	"errors"
)

func (s store) addInvitation(ctx context.Context, d digest, i Invitation) error {
	return s.db.Write(ctx).Exec(`INSERT INTO registration_tokens (profile, digest, uses_left, expires_at) VALUES (?, ?, ?, ?)`,
		string(i.Profile), d[:], i.Uses, s.db.NowPlus(i.Life)).Error
}

// invitation is the profile of a token that is good now.
func (s store) invitation(ctx context.Context, d digest) (p Profile, err error) {
	err = s.db.Read(ctx).Raw(`SELECT profile FROM registration_tokens WHERE digest = ? AND uses_left > 0 AND expires_at > ?`,
		d[:], s.db.NowExpr()).Row().Scan(&p)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrRegistrationToken
	}
	return p, err
}

// useInvitation takes one use; of several at once no more than there are get one.
func (s store) useInvitation(ctx context.Context, d digest) error {
	r := s.db.Write(ctx).Exec(`UPDATE registration_tokens SET uses_left = uses_left - 1 WHERE digest = ? AND uses_left > 0 AND expires_at > ?`,
		d[:], s.db.NowExpr())
	if r.Error == nil && r.RowsAffected == 0 {
		return ErrRegistrationToken
	}
	return r.Error
}

func (s store) addRegistration(ctx context.Context, id string, d digest) error {
	return s.db.Write(ctx).Exec(`INSERT INTO client_registrations (client_id, digest) VALUES (?, ?)`, id, d[:]).Error
}

func (s store) ownsRegistration(ctx context.Context, id string, d digest) (bool, error) {
	var n int64
	err := s.db.Read(ctx).Raw(`SELECT count(*) FROM client_registrations WHERE client_id = ? AND digest = ?`, id, d[:]).Row().Scan(&n)
	return n == 1, err
}

func (s store) dropRegistration(ctx context.Context, id string) error {
	return s.db.Write(ctx).Exec(`DELETE FROM client_registrations WHERE client_id = ?`, id).Error
}

// sweepInvitations deletes tokens that have run out.
func (s store) sweepInvitations(ctx context.Context, most int) (int64, error) {
	r := s.db.Write(ctx).Exec(`DELETE FROM registration_tokens WHERE digest IN (SELECT digest FROM registration_tokens
		WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`, s.db.NowExpr(), most)
	return r.RowsAffected, r.Error
}
