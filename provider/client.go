package provider

import (
	"github.com/ory/fosite"

	"ente.example/idp/clients"
)

// fositeClient shows a client of ours to fosite, in one request. The redirect
// URI is the one that request named and clients has matched, so that fosite's
// own matching (which ignores user information and ports) decides nothing.
type fositeClient struct {
	client   *clients.Client // the unit's: fosite keeps several of these
	redirect string
	scopes   []string // that exist
}

func (c fositeClient) GetID() string                      { return c.client.ID }
func (c fositeClient) GetHashedSecret() []byte            { return nil } // clients are authenticated by us
func (c fositeClient) GetGrantTypes() fosite.Arguments    { return c.client.GrantTypes }
func (c fositeClient) GetResponseTypes() fosite.Arguments { return fosite.Arguments{"code"} }
func (c fositeClient) GetAudience() fosite.Arguments      { return c.client.Resources }
func (c fositeClient) IsPublic() bool                     { return c.client.Public() }

func (c fositeClient) GetRedirectURIs() []string {
	if c.redirect == "" {
		return nil
	}
	return []string{c.redirect}
}

// GetScopes are the client's scopes that still exist.
func (c fositeClient) GetScopes() fosite.Arguments {
	return within(c.client.Scope, c.scopes)
}

// GetResponseModes lets a client say what is the default anyway.
func (c fositeClient) GetResponseModes() []fosite.ResponseModeType {
	return []fosite.ResponseModeType{fosite.ResponseModeQuery, fosite.ResponseModeFormPost}
}
