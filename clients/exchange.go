package clients

import (
	"slices"
	"strings"
)

// checkExchange is about token exchange (RFC 8693): whom a client may speak to
// in a citizen's name is said by an administrator, audience by audience.
func checkExchange(d Document) error {
	has := slices.Contains(d.GrantTypes, GrantTokenExchange)
	switch {
	case has && d.TokenEndpointAuthMethod == AuthNone:
		return invalid("grant_types", "token exchange is for clients that authenticate")
	case has != (len(d.TokenExchange) > 0):
		return invalid("token_exchange", "and the grant of token exchange go together: one of them is missing")
	case len(d.OwnAudiences) > 0 && d.TokenEndpointAuthMethod == AuthNone:
		return invalid("own_audiences", "is for clients that authenticate: what is sent to it, it may introspect")
	}
	for field, list := range map[string][]string{"token_exchange": d.TokenExchange, "own_audiences": d.OwnAudiences} {
		err := checkList(field, list, maxRedirects, func(text string) error {
			if !strings.ContainsAny(text, ": ") && validID(text) { // a client's id
				return nil
			}
			return checkAudience(text)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// MayExchangeFor reports whether the client may exchange a citizen's token for
// one of this audience.
func (c Client) MayExchangeFor(audience string) bool {
	return slices.Contains(c.TokenExchange, audience)
}

// IsAudience reports whether a token of these audiences is meant for the
// client: by its id, or by a name that an administrator says is its own.
func (c Client) IsAudience(audiences []string) bool {
	return slices.ContainsFunc(audiences, func(a string) bool {
		return a == c.ID || slices.Contains(c.OwnAudiences, a)
	})
}
