package clients

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/database"
)

// ImportReport is what an import did.
type ImportReport struct{ Added, Updated, Unchanged int }

const digestPrefix = "sha256:"

// Export returns every client for a move to another database, with the digests
// of its secrets in place of the secrets.
func (r *Registry) Export(ctx context.Context) ([]Document, error) {
	list, err := r.List(ctx)
	if err != nil {
		return nil, err
	}
	docs := make([]Document, 0, len(list))
	for _, c := range list {
		docs = append(docs, c.exported())
	}
	return docs, nil
}

// exported is the client's document with its digests.
func (c Client) exported() Document {
	d := c.Document()
	for _, s := range c.secrets {
		text := digestPrefix + hex.EncodeToString(s.Digest[:])
		if s.current() {
			d.SecretDigest = text
		} else {
			d.PreviousSecrets = append(d.PreviousSecrets, PreviousSecret{Digest: text, EndsAt: s.EndsAt})
		}
	}
	return d
}

// Import takes clients with their ids and the digests of their secrets: all of
// them or, with anything wrong in one, none. A client that is there already is
// brought to what the document says; one that says nothing of secrets keeps
// those it has. Documents were accepted once: a sector_identifier_uri is not
// fetched again, so that a move needs no network.
func (r *Registry) Import(ctx context.Context, by audit.Actor, docs []Document) (ImportReport, error) {
	list := make([]Client, 0, len(docs))
	for i, d := range docs {
		c, err := r.imported(d)
		if err == nil && slices.ContainsFunc(list, func(o Client) bool { return o.ID == c.ID }) {
			err = invalid("client_id", "is there twice")
		}
		if err != nil {
			return ImportReport{}, fmt.Errorf("client %d: %w", i+1, err)
		}
		list = append(list, c)
	}
	var report ImportReport
	err := r.change(ctx, func(ctx context.Context, version int64) error {
		for i, c := range list {
			c.Version = version
			if err := r.bring(ctx, by, c, &report); err != nil {
				return fmt.Errorf("client %d: %w", i+1, err)
			}
		}
		return nil
	})
	if err != nil {
		return ImportReport{}, fmt.Errorf("import clients: %w", err)
	}
	return report, nil
}

// imported validates a document as a client that brings its id and secrets.
func (r *Registry) imported(d Document) (Client, error) {
	if !validID(d.ClientID) {
		return Client{}, invalid("client_id", "is missing or not printable ASCII: import keeps ids")
	}
	c, _, err := r.rules.client(d)
	if err != nil {
		return Client{}, err
	}
	if d.ClientIDIssuedAt > 0 {
		c.CreatedAt = time.Unix(d.ClientIDIssuedAt, 0).UTC()
	}
	if !c.HasSecret() && (d.SecretDigest != "" || len(d.PreviousSecrets) > 0) {
		return Client{}, invalid("client_secret_digest", "does not belong to the authentication method %s", c.TokenEndpointAuthMethod)
	}
	if d.SecretDigest == "" && len(d.PreviousSecrets) > 0 {
		return Client{}, invalid("client_secret_digest", "is missing beside client_secret_previous")
	}
	c.secrets, err = importedSecrets(d)
	return c, err
}

func importedSecrets(d Document) ([]storedSecret, error) {
	var secrets []storedSecret
	for _, p := range append([]PreviousSecret{{Digest: d.SecretDigest}}, d.PreviousSecrets...) {
		if p.Digest == "" && len(secrets) == 0 {
			continue
		}
		b, err := hex.DecodeString(strings.TrimPrefix(p.Digest, digestPrefix))
		if err != nil || len(b) != len(digest{}) {
			return nil, invalid("client_secret_digest", "is not a SHA-256 in hexadecimal")
		}
		s := storedSecret{Digest: digest(b), EndsAt: database.Truncate(p.EndsAt)}
		if (len(secrets) > 0) == s.current() {
			return nil, invalid("client_secret_previous", "needs ends_at")
		}
		if slices.ContainsFunc(secrets, func(o storedSecret) bool { return o.Digest == s.Digest }) {
			return nil, invalid("client_secret_previous", "has a digest twice")
		}
		secrets = append(secrets, s)
	}
	return secrets, nil
}

// bring writes one imported client, unless it is there as it should be.
func (r *Registry) bring(ctx context.Context, by audit.Actor, c Client, report *ImportReport) error {
	old, err := r.store.client(ctx, c.ID)
	known := !errors.Is(err, ErrUnknown)
	switch {
	case known && err != nil:
		return err
	case known:
		c.CreatedAt = old.CreatedAt
		if c.secrets == nil && c.HasSecret() {
			c.secrets = old.secrets
		}
	}
	if c.HasSecret() && c.secrets == nil {
		return invalid("client_secret_digest", "is missing: import keeps secrets, it makes none")
	}
	e := event(audit.ClientRegistered, by, c)
	if known {
		fields := differences(old.exported(), c.exported())
		if len(fields) == 0 {
			report.Unchanged++
			return nil
		}
		e.Type, e.Details["fields"] = audit.ClientUpdated, strings.Join(fields, " ")
		report.Updated++
	} else {
		report.Added++
	}
	e.Reason = "import"
	return r.overwrite(ctx, c, e)
}

// overwrite stores a client with exactly the secrets it brings.
func (r *Registry) overwrite(ctx context.Context, c Client, e audit.Event) error {
	var err error
	if c.CreatedAt.IsZero() {
		if c.CreatedAt, err = r.db.Now(ctx); err != nil {
			return err
		}
	}
	if err := r.write(ctx, c, Secret{}, e); err != nil {
		return err
	}
	if _, err := r.store.dropSecrets(ctx, c.ID, true); err != nil {
		return err
	}
	for _, s := range c.secrets {
		if err := r.store.addSecret(ctx, c.ID, s); err != nil {
			return err
		}
	}
	return nil
}
