package clients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"ente.example/idp/database"
)

// store is the registry's tables.
type store struct{ db *database.DB }

// clientRow is a client. Metadata holds the whole document but for what the
// other columns say.
type clientRow struct {
	ID        string `gorm:"primaryKey"`
	Metadata  string
	Disabled  bool
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

func (clientRow) TableName() string { return "clients" }

// secretRow is a secret's digest. EndsAt is null for the current one.
type secretRow struct {
	ClientID  string `gorm:"primaryKey"`
	Digest    []byte `gorm:"primaryKey"`
	CreatedAt time.Time
	EndsAt    *time.Time
}

func (secretRow) TableName() string { return "client_secrets" }

// bump raises the registry's version and returns it. It locks the one row
// until the transaction ends, and so makes changes one after the other: a
// reader who sees a version sees every change up to it.
func (s store) bump(ctx context.Context) (int64, error) {
	var version int64
	err := s.db.Write(ctx).Raw("UPDATE client_changes SET version = version + 1 WHERE id = 1 RETURNING version").Row().Scan(&version)
	return version, err
}

func (s store) version(ctx context.Context) (int64, error) {
	var version int64
	err := s.db.Read(ctx).Raw("SELECT version FROM client_changes WHERE id = 1").Row().Scan(&version)
	return version, err
}

func (s store) changedSince(ctx context.Context, version int64) ([]string, error) {
	var ids []string
	err := s.db.Read(ctx).Model(&clientRow{}).Where("version > ?", version).Pluck("id", &ids).Error
	return ids, err
}

func (s store) client(ctx context.Context, id string) (Client, error) {
	var row clientRow
	switch err := s.db.Read(ctx).Where("id = ?", id).Take(&row).Error; {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return Client{}, ErrUnknown
	case err != nil:
		return Client{}, err
	}
	var secrets []secretRow
	if err := s.db.Read(ctx).Where("client_id = ?", id).Order("created_at").Find(&secrets).Error; err != nil {
		return Client{}, err
	}
	return fromRow(row, secrets)
}

func (s store) all(ctx context.Context) ([]Client, error) {
	var rows []clientRow
	if err := s.db.Read(ctx).Order("created_at, id").Find(&rows).Error; err != nil {
		return nil, err
	}
	var secrets []secretRow
	if err := s.db.Read(ctx).Order("created_at").Find(&secrets).Error; err != nil {
		return nil, err
	}
	of := map[string][]secretRow{}
	for _, secret := range secrets {
		of[secret.ClientID] = append(of[secret.ClientID], secret)
	}
	list := make([]Client, 0, len(rows))
	for _, row := range rows {
		c, err := fromRow(row, of[row.ID])
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// put writes a client, new or changed.
func (s store) put(ctx context.Context, c Client) error {
	d := c.Document()
	d.ClientID, d.ClientIDIssuedAt, d.Disabled, d.SecretExpiresAt = "", 0, false, nil
	metadata, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode client: %w", err)
	}
	return s.db.Write(ctx).Exec(`INSERT INTO clients (id, metadata, disabled, version, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET metadata = excluded.metadata, disabled = excluded.disabled,
			version = excluded.version, updated_at = excluded.updated_at`,
		c.ID, string(metadata), c.Disabled, c.Version, database.Time{Time: c.CreatedAt}, s.db.NowExpr()).Error
}

// rotate makes added the current secret. The one before ends after overlap,
// and those that have ended leave.
func (s store) rotate(ctx context.Context, id string, added digest, overlap time.Duration) error {
	w := s.db.Write(ctx)
	if err := w.Where("client_id = ? AND ends_at <= ?", id, s.db.NowExpr()).Delete(&secretRow{}).Error; err != nil {
		return err
	}
	err := s.db.Write(ctx).Exec("UPDATE client_secrets SET ends_at = ? WHERE client_id = ? AND ends_at IS NULL",
		s.db.NowPlus(overlap), id).Error
	if err != nil {
		return err
	}
	return s.addSecret(ctx, id, storedSecret{Digest: added})
}

func (s store) addSecret(ctx context.Context, id string, secret storedSecret) error {
	return s.db.Write(ctx).Exec("INSERT INTO client_secrets (client_id, digest, created_at, ends_at) VALUES (?, ?, ?, ?)",
		id, secret.Digest[:], s.db.NowExpr(), database.Time{Time: secret.EndsAt}).Error
}

// dropSecrets ends secrets at once: the rotated ones, or all.
func (s store) dropSecrets(ctx context.Context, id string, currentToo bool) (int64, error) {
	w := s.db.Write(ctx).Where("client_id = ?", id)
	if !currentToo {
		w = w.Where("ends_at IS NOT NULL")
	}
	done := w.Delete(&secretRow{})
	return done.RowsAffected, done.Error
}

func (s store) secretLives(ctx context.Context, id string, d digest) (bool, error) {
	var n int64
	err := s.db.Read(ctx).Model(&secretRow{}).
		Where("client_id = ? AND digest = ? AND (ends_at IS NULL OR ends_at > ?)", id, d[:], s.db.NowExpr()).Count(&n).Error
	return n > 0, err
}

// sweep deletes rotated secrets that have ended.
func (s store) sweep(ctx context.Context, most int) (int64, error) {
	done := s.db.Write(ctx).Exec(`DELETE FROM client_secrets WHERE (client_id, digest) IN
		(SELECT client_id, digest FROM client_secrets WHERE ends_at <= ? LIMIT ?)`, s.db.NowExpr(), most)
	return done.RowsAffected, done.Error
}

// fromRow trusts what was validated when it was written, members of a newer
// version of this program included.
func fromRow(row clientRow, secrets []secretRow) (Client, error) {
	var d Document
	if err := json.Unmarshal([]byte(row.Metadata), &d); err != nil {
		return Client{}, fmt.Errorf("decode client %s: %w", row.ID, err)
	}
	c := Client{
		ID: row.ID, Metadata: d.Metadata, Consent: d.Consent, Resources: d.Resources, MayIntrospect: d.MayIntrospect,
		TokenExchange: d.TokenExchange, OwnAudiences: d.OwnAudiences,
		RequirePKCE: d.RequirePKCE == nil || *d.RequirePKCE, Profile: d.Profile, Sector: d.Sector,
		Disabled: row.Disabled, CreatedAt: row.CreatedAt.UTC(), Version: row.Version,
	}
	c.AssertionIssuers = canonicalIssuers(d.AssertionIssuers)
	c.JWKS = canonicalKeys(c.JWKS)
	c.keys = parsedKeys(c.JWKS)
	for _, secret := range secrets {
		stored := storedSecret{}
		copy(stored.Digest[:], secret.Digest)
		if secret.EndsAt != nil {
			stored.EndsAt = secret.EndsAt.UTC()
		}
		c.secrets = append(c.secrets, stored)
	}
	return c, nil
}
