package clients

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// AssertionIssuer is somebody whose word about a client counts: what it signs
// gets that client a token for itself (RFC 7523 §2.1). It is the client's
// alone, and an administrator names it.
type AssertionIssuer struct {
	Issuer  string          `json:"issuer"`
	JWKS    json.RawMessage `json:"jwks,omitempty"`
	JWKSURI string          `json:"jwks_uri,omitempty"`
	// Accounts are technical accounts of the client as this issuer names them.
	// The client's own id need not be among them.
	Accounts []string `json:"accounts,omitempty"`
}

// MaySpeakOf reports whether the issuer's word about a subject is one about the
// client.
func (i AssertionIssuer) MaySpeakOf(c Client, subject string) bool {
	return subject == c.ID || slices.Contains(i.Accounts, subject)
}

// AssertionIssuer is the trusted issuer of that name.
func (c Client) AssertionIssuer(name string) (AssertionIssuer, bool) {
	for _, i := range c.AssertionIssuers {
		if i.Issuer == name {
			return i, true
		}
	}
	return AssertionIssuer{}, false
}

// AssertionKeys are an issuer's keys, as Keys are a client's: it may go to the
// network and must not be called with a transaction open.
func (r *Registry) AssertionKeys(ctx context.Context, i AssertionIssuer, kid string) ([]jose.JSONWebKey, error) {
	return r.keysAt(ctx, i.JWKS, i.JWKSURI, kid)
}

// keysAt are keys that can check a signature: those given, or those behind an
// address.
func (r *Registry) keysAt(ctx context.Context, jwks json.RawMessage, uri, kid string) ([]jose.JSONWebKey, error) {
	if uri != "" {
		return r.remote.find(ctx, uri, kid, Verifies)
	}
	return pick(parsedKeys(jwks), kid, Verifies), nil
}

const (
	maxIssuers  = 10
	maxAccounts = 50
)

// checkAssertionIssuers is about the JWT bearer grant (RFC 7523 §2.1): it is off
// where nobody is named whose word would count.
func (r rules) checkAssertionIssuers(d Document) error {
	has := slices.Contains(d.GrantTypes, GrantJWTBearer)
	switch {
	case has && d.TokenEndpointAuthMethod == AuthNone:
		return invalid("grant_types", "the JWT bearer grant is for clients that authenticate")
	case has != (len(d.AssertionIssuers) > 0):
		return invalid("assertion_issuers", "and the JWT bearer grant go together: one of them is missing")
	case len(d.AssertionIssuers) > maxIssuers:
		return invalid("assertion_issuers", "are too many")
	}
	for n, i := range d.AssertionIssuers {
		if slices.ContainsFunc(d.AssertionIssuers[:n], func(o AssertionIssuer) bool { return o.Issuer == i.Issuer }) {
			return invalid("assertion_issuers", "has an issuer twice")
		}
		if err := r.checkAssertionIssuer(i); err != nil {
			return invalid("assertion_issuers", "has an issuer whose %v", err)
		}
	}
	return nil
}

func (r rules) checkAssertionIssuer(i AssertionIssuer) error {
	if i.Issuer == "" || readable(i.Issuer, 300) != nil {
		return errors.New("issuer is missing or cannot be shown")
	}
	if err := r.checkKeySource(i.JWKS, i.JWKSURI); err != nil {
		return err
	}
	if len(i.Accounts) > maxAccounts {
		return errors.New("accounts are too many")
	}
	for _, account := range i.Accounts {
		if account == "" || readable(account, 300) != nil {
			return errors.New("accounts have one that is empty or cannot be shown")
		}
	}
	return nil
}

// checkKeySource wants keys, or the address of keys, and not both.
func (r rules) checkKeySource(jwks json.RawMessage, uri string) error {
	if (jwks == nil) == (uri == "") {
		return errors.New("keys are named twice or not at all: jwks or jwks_uri")
	}
	if uri != "" {
		if err := checkRemote(uri, r.loopback); err != nil {
			return errors.New("jwks_uri " + err.Error())
		}
		return nil
	}
	keys, err := signatureKeys(jwks)
	if err != nil {
		return errors.New("jwks " + err.Error())
	}
	if len(keys) == 0 {
		return errors.New("jwks has no key that can check a signature")
	}
	return nil
}

// canonicalIssuers are the issuers with their keys as canonicalKeys has them.
func canonicalIssuers(issuers []AssertionIssuer) []AssertionIssuer {
	issuers = slices.Clone(issuers)
	for n := range issuers {
		issuers[n].JWKS = canonicalKeys(issuers[n].JWKS)
		issuers[n].Accounts = slices.Clone(issuers[n].Accounts)
	}
	return issuers
}
