package clients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"ente.example/idp/audit"
)

// ErrRegistrationToken is what a token is answered with that does not exist,
// has run out or been used up, or is another client's.
var ErrRegistrationToken = errors.New("the registration token is not valid")

// Invitation is what an initial access token allows (RFC 7591 §3): to register
// so many clients of one profile, until it runs out.
type Invitation struct {
	Profile Profile
	Uses    int
	Life    time.Duration
}

// Invite makes an initial access token. It is shown now and never again.
func (r *Registry) Invite(ctx context.Context, by audit.Actor, i Invitation) (Secret, error) {
	if i.Uses < 1 || i.Life <= 0 {
		return Secret{}, errors.New("a registration token needs a use and a life at least")
	}
	if err := checkProfile(i.Profile); err != nil {
		return Secret{}, err
	}
	token := newSecret()
	err := r.db.InTx(ctx, func(ctx context.Context) error {
		if err := r.store.addInvitation(ctx, digestOf(token.Reveal()), i); err != nil {
			return err
		}
		return r.audit.Record(ctx, audit.Event{
			Type: audit.ClientInvited, Outcome: audit.Succeeded, Actor: by,
			Details: map[string]string{"profile": string(i.Profile), "uses": fmt.Sprint(i.Uses)},
		})
	})
	if err != nil {
		return Secret{}, fmt.Errorf("make a registration token: %w", err)
	}
	return token, nil
}

// OwnRegistration is what somebody registers without an administrator.
type OwnRegistration struct {
	Document Document
	// Token is the initial access token; without one Profile counts, and whoever
	// comes may register.
	Token   string
	Profile Profile
	// StatementNeeded: without a token, a software statement has to say what it is.
	StatementNeeded bool
}

// RegisterOwn adds a client that registers itself, and makes the token with
// which it changes its registration. What only an administrator can give is
// left out of its document: trust, audiences, introspection, another sector.
func (r *Registry) RegisterOwn(ctx context.Context, by audit.Actor, o OwnRegistration) (Registered, Secret, error) {
	token := newSecret()
	if o.Token != "" {
		profile, err := r.store.invitation(ctx, digestOf(o.Token))
		if err != nil {
			return Registered{}, Secret{}, err
		}
		o.Profile = profile
	}
	if o.StatementNeeded && o.Token == "" && o.Document.SoftwareStatement == "" {
		return Registered{}, Secret{}, invalidStatement("is missing: nobody registers here without one")
	}
	d, err := r.withStatement(ctx, o.Document)
	if err == nil {
		d, err = r.own(d, o.Profile, o.Token != "", Client{})
	}
	if err != nil {
		return Registered{}, Secret{}, err
	}
	registered, err := r.register(ctx, by, d, func(ctx context.Context, id string) error {
		if o.Token != "" {
			if err := r.store.useInvitation(ctx, digestOf(o.Token)); err != nil {
				return err
			}
		}
		return r.store.addRegistration(ctx, id, digestOf(token.Reveal()))
	})
	return registered, token, err
}

// Own is the client whose registration a token changes. A client that does not
// exist and a token of another look alike.
func (r *Registry) Own(ctx context.Context, id, token string) (Client, error) {
	if !validID(id) {
		return Client{}, ErrRegistrationToken
	}
	ok, err := r.store.ownsRegistration(ctx, id, digestOf(token))
	if err != nil {
		return Client{}, fmt.Errorf("read a registration: %w", err)
	}
	if !ok {
		return Client{}, ErrRegistrationToken
	}
	c, err := r.Get(ctx, id)
	if errors.Is(err, ErrUnknown) || errors.Is(err, ErrDisabled) {
		return Client{}, ErrRegistrationToken
	}
	return c, err
}

// UpdateOwn replaces the metadata of a client that Own has returned. What the
// administrator gave it stays, as it is now and not as c says; what a software
// statement said is said again, by that one or a newer.
func (r *Registry) UpdateOwn(ctx context.Context, by audit.Actor, c Client, d Document) (Registered, error) {
	d, err := r.withStatement(ctx, d)
	if err != nil {
		return Registered{}, err
	}
	return r.update(ctx, by, c.ID, func(old Client) (Document, error) {
		if err := d.keepsStatement(old); err != nil {
			return Document{}, err
		}
		d, err := r.own(d, old.Profile, false, old)
		if err != nil {
			return Document{}, err
		}
		pkce := old.RequirePKCE
		d.Consent, d.Resources, d.MayIntrospect, d.Sector, d.RequirePKCE = old.Consent, old.Resources, old.MayIntrospect, old.Sector, &pkce
		d.OwnAudiences = old.OwnAudiences
		if slices.Contains(d.GrantTypes, GrantTokenExchange) {
			d.TokenExchange = old.TokenExchange
		}
		if slices.Contains(d.GrantTypes, GrantJWTBearer) {
			d.AssertionIssuers = old.AssertionIssuers
		}
		return d, nil
	})
}

// Deregister ends a client for good at its own wish (RFC 7592 §2.3): it is
// refused from now on, and its token is gone.
func (r *Registry) Deregister(ctx context.Context, by audit.Actor, id string) error {
	return r.db.InTx(ctx, func(ctx context.Context) error {
		if err := r.store.dropRegistration(ctx, id); err != nil {
			return fmt.Errorf("deregister client: %w", err)
		}
		return r.Disable(ctx, by, id)
	})
}

// DecodeOwn reads the document of a client that registers itself. Members that
// nobody knows are ignored, as RFC 7591 §2 asks; those that are known and
// cannot be honoured are refused.
func DecodeOwn(r io.Reader) (Document, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return Document{}, fmt.Errorf("read client metadata: %w", err)
	}
	if len(data) > maxDocument {
		return Document{}, invalid("document", "is larger than %d bytes", maxDocument)
	}
	return decode(data, true)
}
