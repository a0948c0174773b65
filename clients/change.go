package clients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"ente.example/idp/audit"
)

// ErrNoSecret is the answer to rotating the secret of a client that
// authenticates in another way, or not at all.
var ErrNoSecret = errors.New("client does not authenticate with a secret")

// Register adds a client and returns it with its secret, if it has one: that
// is shown now and never again. What is wrong with the document comes back as
// a *ValidationError.
func (r *Registry) Register(ctx context.Context, by audit.Actor, d Document) (Registered, error) {
	if d.SoftwareStatement != "" {
		return Registered{}, invalidStatement("is for software that registers itself")
	}
	return r.register(ctx, by, d, func(context.Context, string) error { return nil })
}

// register is Register with what else belongs into its transaction.
func (r *Registry) register(ctx context.Context, by audit.Actor, d Document, also func(ctx context.Context, id string) error) (Registered, error) {
	if d.ClientID != "" || d.SecretDigest != "" || len(d.PreviousSecrets) > 0 {
		return Registered{}, invalid("client_id", "is chosen by this server: import keeps ids and secrets")
	}
	c, notes, err := r.rules.client(d)
	if err != nil {
		return Registered{}, err
	}
	if err := r.checkSectorDocument(ctx, c); err != nil {
		return Registered{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Registered{}, fmt.Errorf("register client: %w", err)
	}
	c.ID = id.String()
	secret := secretFor(c)
	err = r.change(ctx, func(ctx context.Context, version int64) error {
		if c.CreatedAt, err = r.db.Now(ctx); err != nil {
			return err
		}
		c.Version = version
		if err := r.write(ctx, c, secret, event(audit.ClientRegistered, by, c)); err != nil {
			return err
		}
		return also(ctx, c.ID)
	})
	if err != nil {
		return Registered{}, fmt.Errorf("register client: %w", err)
	}
	return r.answer(ctx, c.ID, secret, notes)
}

// Update replaces a client's metadata with the document, as RFC 7592 §2.2 does:
// what the document leaves out goes back to its default. Its secrets stay
// unless the authentication method starts or stops using one.
func (r *Registry) Update(ctx context.Context, by audit.Actor, id string, d Document) (Registered, error) {
	if d.ClientID != "" && d.ClientID != id {
		return Registered{}, invalid("client_id", "is not that of the client to be updated")
	}
	if d.SecretDigest != "" || len(d.PreviousSecrets) > 0 {
		return Registered{}, invalid("client_secret_digest", "is changed by rotating the secret or by import")
	}
	return r.update(ctx, by, id, func(old Client) (Document, error) {
		if d.SoftwareStatement != "" && d.SoftwareStatement != old.SoftwareStatement {
			return Document{}, invalidStatement("is for software that registers itself")
		}
		return d, nil
	})
}

// update is Update with a document that depends on the client as it is. It is
// made twice: before the transaction, for what has to be fetched, and inside,
// where the client cannot change any more. A sector is fetched once: wanted
// must not touch what is compared with it.
func (r *Registry) update(ctx context.Context, by audit.Actor, id string, wanted func(old Client) (Document, error)) (Registered, error) {
	old, err := r.Lookup(ctx, id)
	if err != nil {
		return Registered{}, err
	}
	c, notes, err := r.wanted(old, wanted)
	if err != nil {
		return Registered{}, err
	}
	if err := r.checkSectorDocument(ctx, c); err != nil {
		return Registered{}, err
	}
	var secret Secret
	err = r.change(ctx, func(ctx context.Context, version int64) error {
		old, err := r.store.client(ctx, id)
		if err != nil {
			return err
		}
		if c, notes, err = r.wanted(old, wanted); err != nil {
			return err
		}
		c.Version = version
		secret, err = r.replace(ctx, by, old, c)
		return err
	})
	if err != nil {
		return Registered{}, fmt.Errorf("update client: %w", err)
	}
	return r.answer(ctx, id, secret, notes)
}

// wanted is what a client becomes of old. What no document changes stays.
func (r *Registry) wanted(old Client, wanted func(old Client) (Document, error)) (Client, []string, error) {
	d, err := wanted(old)
	if err != nil {
		return Client{}, nil, err
	}
	c, notes, err := r.rules.client(d)
	switch {
	case err != nil:
		return Client{}, nil, err
	case c.Disabled && !old.Disabled:
		return Client{}, nil, invalid("disabled", "is changed by disable and enable")
	case c.SectorID() != old.SectorID() && c.SubjectType == SubjectPairwise:
		notes = append(notes, "the sector changed: citizens have another sub at this client from now on")
	}
	c.ID, c.Disabled, c.CreatedAt = old.ID, old.Disabled, old.CreatedAt
	return c, notes, nil
}

// replace writes what differs between old and c, if anything does.
func (r *Registry) replace(ctx context.Context, by audit.Actor, old, c Client) (Secret, error) {
	fields := differences(old.Document(), c.Document())
	if len(fields) == 0 {
		return Secret{}, nil
	}
	var secret Secret
	switch {
	case c.HasSecret() && !old.HasSecret():
		secret = newSecret()
	case old.HasSecret() && !c.HasSecret():
		if _, err := r.store.dropSecrets(ctx, c.ID, true); err != nil {
			return Secret{}, err
		}
	}
	e := event(audit.ClientUpdated, by, c)
	e.Details["fields"] = strings.Join(fields, " ")
	return secret, r.write(ctx, c, secret, e)
}

// RotateSecret makes a new secret. The one before stays valid for the policy's
// overlap, on the database's clock; so does each of several rotated away in a
// row.
func (r *Registry) RotateSecret(ctx context.Context, by audit.Actor, id string) (Registered, error) {
	secret := newSecret()
	err := r.alter(ctx, id, func(ctx context.Context, c Client) error {
		if !c.HasSecret() {
			return ErrNoSecret
		}
		e := event(audit.ClientSecretRotated, by, c)
		e.Details["until"] = r.policy.SecretOverlap.String()
		return r.write(ctx, c, secret, e)
	})
	if err != nil {
		return Registered{}, fmt.Errorf("rotate client secret: %w", err)
	}
	return r.answer(ctx, id, secret, nil)
}

// EndOldSecrets ends every rotated secret at once: what one does after a leak,
// having rotated.
func (r *Registry) EndOldSecrets(ctx context.Context, by audit.Actor, id string) error {
	err := r.alter(ctx, id, func(ctx context.Context, c Client) error {
		n, err := r.store.dropSecrets(ctx, id, false)
		if err != nil || n == 0 {
			return err
		}
		e := event(audit.ClientSecretRotated, by, c)
		e.Reason = "rotated secrets ended"
		return r.write(ctx, c, Secret{}, e)
	})
	if err != nil {
		return fmt.Errorf("end old client secrets: %w", err)
	}
	return nil
}

// Disable makes Get refuse the client, on every node within ten seconds.
// Disabling what is disabled is no error and no event.
func (r *Registry) Disable(ctx context.Context, by audit.Actor, id string) error {
	return r.setDisabled(ctx, by, id, true, audit.ClientDisabled)
}

// Enable undoes Disable.
func (r *Registry) Enable(ctx context.Context, by audit.Actor, id string) error {
	return r.setDisabled(ctx, by, id, false, audit.ClientEnabled)
}

func (r *Registry) setDisabled(ctx context.Context, by audit.Actor, id string, disabled bool, what audit.Type) error {
	err := r.alter(ctx, id, func(ctx context.Context, c Client) error {
		if c.Disabled == disabled {
			return nil
		}
		c.Disabled = disabled
		if err := r.write(ctx, c, Secret{}, event(what, by, c)); err != nil || !disabled {
			return err
		}
		return r.ended(ctx, c.ID)
	})
	if err != nil {
		return fmt.Errorf("switch client: %w", err)
	}
	return nil
}

// Sweep deletes a batch of rotated secrets and registration tokens that have
// ended, and says how many.
func (r *Registry) Sweep(ctx context.Context) (int, error) {
	n, err := r.store.sweep(ctx, 1000)
	if err != nil {
		return 0, fmt.Errorf("sweep client secrets: %w", err)
	}
	m, err := r.store.sweepInvitations(ctx, 1000)
	if err != nil {
		return 0, fmt.Errorf("sweep registration tokens: %w", err)
	}
	return int(n + m), nil
}

// change runs fn in a transaction that holds the registry's version, which
// makes changes one after the other, on all nodes.
func (r *Registry) change(ctx context.Context, fn func(ctx context.Context, version int64) error) error {
	return r.db.InTx(ctx, func(ctx context.Context) error {
		version, err := r.store.bump(ctx)
		if err != nil {
			return err
		}
		r.db.AfterCommit(ctx, r.cache.doubt)
		return fn(ctx, version)
	})
}

// alter is change for one client that must exist.
func (r *Registry) alter(ctx context.Context, id string, fn func(ctx context.Context, c Client) error) error {
	if !validID(id) {
		return ErrUnknown
	}
	return r.change(ctx, func(ctx context.Context, version int64) error {
		c, err := r.store.client(ctx, id)
		if err != nil {
			return err
		}
		c.Version = version
		return fn(ctx, c)
	})
}

// write stores a client, its new secret if there is one, and the event.
func (r *Registry) write(ctx context.Context, c Client, secret Secret, e audit.Event) error {
	if err := r.store.put(ctx, c); err != nil {
		return err
	}
	if !secret.IsZero() {
		if err := r.store.rotate(ctx, c.ID, digestOf(secret.Reveal()), r.policy.SecretOverlap); err != nil {
			return err
		}
	}
	return r.audit.Record(ctx, e)
}

// answer is the client as it now stands, with what is shown once.
func (r *Registry) answer(ctx context.Context, id string, secret Secret, notes []string) (Registered, error) {
	c, err := r.Lookup(ctx, id)
	if err != nil {
		return Registered{}, err
	}
	return Registered{Client: c, Secret: secret, Notes: notes}, nil
}

// checkSectorDocument reads sector_identifier_uri, which must list every
// redirect URI (OpenID Connect Registration §5): else any client could join
// another's sector and learn its subjects.
func (r *Registry) checkSectorDocument(ctx context.Context, c Client) error {
	if c.SectorIdentifierURI == "" {
		return nil
	}
	answer, err := r.fetch.get(ctx, c.SectorIdentifierURI)
	if err != nil {
		return &ValidationError{Field: "sector_identifier_uri", Reason: "cannot be read", cause: err}
	}
	var listed []string
	if json.Unmarshal(answer.body, &listed) != nil {
		return invalid("sector_identifier_uri", "does not lead to a JSON array of redirect URIs")
	}
	for _, uri := range c.RedirectURIs {
		if !slices.Contains(listed, uri) {
			return invalid("sector_identifier_uri", "does not list every redirect URI")
		}
	}
	return nil
}

func secretFor(c Client) Secret {
	if c.HasSecret() {
		return newSecret()
	}
	return Secret{}
}

func event(what audit.Type, by audit.Actor, c Client) audit.Event {
	e := audit.Event{
		Type: what, Outcome: audit.Succeeded, Actor: by, Client: c.ID,
		Details: map[string]string{"auth_method": c.TokenEndpointAuthMethod},
	}
	if c.SoftwareStatement != "" {
		e.Details["from"] = c.publisher()
	}
	return e
}

// differences names the members in which two documents differ, sorted.
func differences(a, b Document) []string {
	left, right := members(a), members(b)
	names := maps.Clone(left)
	maps.Copy(names, right)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(names)), func(name string) bool {
		return string(left[name]) == string(right[name])
	})
}

func members(d Document) map[string]json.RawMessage {
	data, err := json.Marshal(d)
	if err != nil {
		return nil
	}
	var m map[string]json.RawMessage
	_ = json.Unmarshal(data, &m) // what Marshal wrote
	return m
}
