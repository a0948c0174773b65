// Package consent is what a citizen lets a service read: the catalogue of
// attributes, the page that shows them by name and value, and the consents
// that citizens chose to keep.
//
// It stands on login (interactions and sessions) and on the registries of
// people and services; provider asks it whether the page is needed and what
// userinfo may say. It owns the table consents.
package consent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/login"
)

// Deps is what Consents needs.
type Deps struct {
	DB           *database.DB
	Audit        *audit.Log
	Interactions *login.Interactions
	Sessions     *login.Sessions
}

// Consents keeps what citizens allowed services to read.
type Consents struct {
	Deps
	store store
}

// New returns the consents of d.DB.
func New(d Deps) (*Consents, error) {
	if d.DB == nil || d.Audit == nil || d.Interactions == nil || d.Sessions == nil {
		return nil, errors.New("consent: a dependency is missing")
	}
	return &Consents{d, store{d.DB}}, nil
}

// kept is a consent that a citizen ticked to keep.
type kept struct {
	claims  []string
	offline bool
}

// covers tells whether everything that is asked was agreed to before.
func (k kept) covers(w login.Wants) bool {
	return (k.offline || !w.Offline) && len(k.fresh(w)) == 0
}

// fresh is what is asked beyond what was agreed to.
func (k kept) fresh(w login.Wants) []string {
	return slices.DeleteFunc(Asked(w), func(name string) bool { return slices.Contains(k.claims, name) })
}

// need is the policy of contract: under trusted the page is never shown, under
// always it always is, under remember when a service insists or asks for more
// than is kept.
//
// What is asked for in detail is asked for anew each time, whatever the policy:
// no answer of before, and no administrator's, is about it.
func need(p clients.ConsentPolicy, w login.Wants, k *kept) bool {
	if w.Details != "" {
		return true
	}
	switch p {
	case clients.ConsentTrusted:
		return false
	case clients.ConsentRemember:
		return w.ForceConsent || k == nil || !k.covers(w)
	case clients.ConsentAlways:
	}
	return true
}

// Kept is what a citizen keeps for a service, once it has been read.
type Kept struct{ kept *kept }

// Asking reads what is kept in statements to be sent with others, of whoever it
// is whose id the database finds. There are none where nothing can be kept.
func (n *Consents) Asking(id database.Subquery, client clients.Client) (*Kept, []database.Query) {
	if client.Consent != clients.ConsentRemember {
		return &Kept{}, nil
	}
	k, read := n.store.asking(id, client.ID)
	return k, []database.Query{read}
}

// Needed tells whether the page must be shown for what is wanted.
func (k *Kept) Needed(client clients.Client, w login.Wants) bool {
	return need(client.Consent, w, k.kept)
}

// Needed tells whether the page must be shown for what is wanted. It is one
// read, under trusted none.
func (n *Consents) Needed(ctx context.Context, citizen citizens.ID, client clients.Client, w login.Wants) (bool, error) {
	if w.Details != "" {
		return true, nil
	}
	k, err := n.kept(ctx, citizen, client)
	return need(client.Consent, w, k), err
}

// kept is nil where nothing is kept: only the policy remember keeps anything.
func (n *Consents) kept(ctx context.Context, citizen citizens.ID, client clients.Client) (*kept, error) {
	if client.Consent != clients.ConsentRemember {
		return nil, nil //nolint:nilnil // nothing kept is no error
	}
	k, err := n.store.get(ctx, citizen, client.ID)
	if err != nil {
		return nil, fmt.Errorf("read consent: %w", err)
	}
	return k, nil
}

// Decision is an answer on its way into the database.
type Decision struct {
	Interaction login.Interaction
	Session     login.Session
	Client      clients.Client
	Remember    bool     // counts only under the policy remember, and without details
	Types       []string // of the details that were shown
}

func (d Decision) event(t audit.Type, by audit.Actor) audit.Event {
	e := audit.Event{
		Type: t, Outcome: audit.Succeeded, Actor: by, Subject: d.Session.Citizen, Client: d.Client.ID,
		Session: string(d.Session.ID),
		Details: map[string]string{
			"scope":  strings.Join(d.Interaction.Wants.Scopes, " "),
			"claims": strings.Join(Asked(d.Interaction.Wants), " "),
		},
	}
	if len(d.Types) > 0 { // their values are the citizen's business
		e.Details["authorizations"] = strings.Join(d.Types, " ")
	}
	return e
}

// allowed and denied are what the citizen says.
func (d Decision) allowed() login.Answer {
	w := d.Interaction.Wants
	return login.Answer{Allowed: true, Scopes: w.Scopes, Claims: Asked(w), Session: d.Session.ID}
}

func (d Decision) denied() login.Answer { return login.Answer{Session: d.Session.ID} }

// keeps tells whether the answer is to be remembered.
func (d Decision) keeps() bool {
	return d.Remember && d.Client.Consent == clients.ConsentRemember && d.Interaction.Wants.Details == ""
}

// Allow answers the interaction, keeps the consent if that was ticked, and
// records both, in one transaction. login.ErrAnswered: another tab was first.
func (n *Consents) Allow(ctx context.Context, by audit.Actor, d Decision) error {
	return n.record(ctx, by, d, d.allowed(), false)
}

// Deny answers the interaction with no. What was kept before stays: who says
// no today has not withdrawn what was said yesterday.
func (n *Consents) Deny(ctx context.Context, by audit.Actor, d Decision) error {
	return n.record(ctx, by, d, d.denied(), false)
}

// record writes an answer; the last one ends its interaction, in its session.
func (n *Consents) record(ctx context.Context, by audit.Actor, d Decision, a login.Answer, last bool) error {
	keep := a.Allowed && d.keeps()
	answer := func(ctx context.Context) error { return n.Interactions.Answer(ctx, d.Interaction, a) }
	if last {
		answer = func(ctx context.Context) error { return n.Sessions.CloseAnswered(ctx, d.Interaction, d.Session) }
	}
	e := d.event(audit.ConsentDenied, by)
	if a.Allowed {
		e.Type, e.Details["remember"] = audit.ConsentGiven, strconv.FormatBool(keep)
	}
	err := n.DB.InTx(ctx, func(ctx context.Context) error {
		if err := answer(ctx); err != nil {
			return err
		}
		if keep {
			w := d.Interaction.Wants
			if err := n.store.add(ctx, d.Session.Citizen, d.Client.ID, kept{Asked(w), w.Offline}); err != nil {
				return err
			}
		}
		return n.Audit.Record(ctx, e)
	})
	if err != nil {
		return fmt.Errorf("record the answer: %w", err)
	}
	return nil
}

// Withdraw forgets what a citizen kept for a service. Grants are the
// provider's: whoever withdraws ends them in the same transaction.
func (n *Consents) Withdraw(ctx context.Context, by audit.Actor, citizen citizens.ID, client string) error {
	err := n.DB.InTx(ctx, func(ctx context.Context) error {
		gone, err := n.store.remove(ctx, citizen, client)
		if err != nil || !gone {
			return err
		}
		return n.Audit.Record(ctx, audit.Event{
			Type: audit.ConsentWithdrawn, Outcome: audit.Succeeded, Actor: by, Subject: citizen, Client: client,
		})
	})
	if err != nil {
		return fmt.Errorf("withdraw consent: %w", err)
	}
	return nil
}
