package provider

import (
	"errors"
	"fmt"
	"slices"

	"ente.example/idp/authorizations"
	"ente.example/idp/clients"
)

// Rich authorization requests (RFC 9396): what a client asks a citizen's leave
// for in detail. The types are the operator's; which of them a client may use
// stands in its registration.

const detailsParam = "authorization_details"

func invalidDetails(description string) *protocolError {
	return badRequest(codeInvalidDetails, description)
}

// readDetails is authorization_details of a request, checked against its types
// and the client. None is nil.
func (p *Provider) readDetails(f form, client clients.Client) (authorizations.Details, error) {
	if f.Get(detailsParam) == "" {
		return nil, nil
	}
	details, err := p.authorizations.Parse(f.Get(detailsParam))
	if wrong, ok := errors.AsType[*authorizations.InvalidError](err); ok {
		return nil, invalidDetails(wrong.Error())
	}
	if err != nil {
		return nil, err
	}
	for _, name := range details.Types() {
		if !client.AllowsAuthorization(name) {
			return nil, invalidDetails("authorization_details has a type that is not one of the client's")
		}
	}
	for _, uri := range details.Locations() {
		if !client.AllowsResource(uri) {
			return nil, invalidDetails("authorization_details has a location that is not one of the client's resources")
		}
	}
	return details, nil
}

func (p *Provider) checkDetails(r *authRequest) (err error) {
	r.details, err = p.readDetails(r.form, r.client)
	return err
}

// narrowDetails settles which details this one access token carries: those that
// the token request names, else all that were granted, and of them those that
// concern its audience (RFC 9396 §6, §9.1). What the client has lost since, a
// type or a resource, is left out. The grant keeps what it has.
func (p *Provider) narrowDetails(f form, u *unit) error {
	asked, err := p.readDetails(f, u.client)
	if err != nil {
		return err
	}
	if u.grant == nil {
		u.details, err = p.ownDetails(asked)
		u.details = u.details.For(p.audience(u))
		return err
	}
	granted, err := authorizations.Decode(u.grant.Details)
	if err != nil {
		return fmt.Errorf("read the details of a grant: %w", err)
	}
	u.details = granted.Keep(func(d authorizations.Detail) bool { return p.stillHas(u.client, d) })
	if len(asked) > 0 {
		if !u.details.Cover(asked) {
			return invalidDetails("authorization_details asks for more than was granted")
		}
		u.details = asked
	}
	u.details = u.details.For(p.audience(u))
	return nil
}

// stillHas reports whether a client could ask for a detail that it was granted.
func (p *Provider) stillHas(client clients.Client, d authorizations.Detail) bool {
	lost := func(uri string) bool { return !client.AllowsResource(uri) }
	return client.AllowsAuthorization(d.Type()) && p.authorizations.Has(d.Type()) && !slices.ContainsFunc(d.Locations(), lost)
}

// ownDetails are what a client may have for itself: no citizen is there to be
// asked.
func (p *Provider) ownDetails(asked authorizations.Details) (authorizations.Details, error) {
	for _, name := range asked.Types() {
		if !p.authorizations.ForClients(name) {
			return nil, invalidDetails("authorization_details has a type that citizens are asked about")
		}
	}
	return asked, nil
}
