package clients

import (
	"maps"
	"slices"
	"strings"
)

// own is a document as somebody may register it without an administrator, or
// change it who is old already. What only an administrator gives is left out;
// what would let a client pass for another is refused.
func (d Document) own(p Profile, invited bool, old Client) (Document, error) {
	d.Profile, d.Consent, d.Resources, d.MayIntrospect, d.RequirePKCE, d.Sector, d.Disabled = p, "", nil, false, nil, "", false
	d.TokenExchange, d.OwnAudiences, d.AssertionIssuers = nil, nil, nil
	d.ClientID, d.ClientIDIssuedAt, d.SecretExpiresAt, d.SecretDigest, d.PreviousSecrets = "", 0, nil, "", nil
	if d.Scope == nil && p == ProfileOIDC {
		d.Scope = ParseScope("openid profile email phone address")
	}
	given := old.GrantTypes
	if invited {
		given = []string{GrantDeviceCode}
	}
	if err := checkOwnGrants(d, given); err != nil {
		return Document{}, err
	}
	if err := checkOwnSector(d, old); err != nil {
		return Document{}, err
	}
	if !d.provesItsHost() {
		d = d.withoutNewPage(old)
	}
	return d, checkOwnLogout(d, old)
}

// own is Document.own with what only the registry knows.
func (r *Registry) own(d Document, p Profile, invited bool, old Client) (Document, error) {
	if err := r.checkOwnAuthorizations(d, invited, old); err != nil {
		return Document{}, err
	}
	return d.own(p, invited, old)
}

// checkOwnGrants keeps from a client what nobody has given it. A device's code
// can be sent to anybody, and the service's name is all that its reader has to
// judge by; who exchanges tokens speaks to others in a citizen's name; whose
// word gets a client tokens, nobody says of itself.
func checkOwnGrants(d Document, given []string) error {
	for _, g := range []string{GrantDeviceCode, GrantTokenExchange, GrantJWTBearer} {
		if slices.Contains(d.GrantTypes, g) && !slices.Contains(given, g) {
			return invalid("grant_types", "has %s, which an administrator gives", g)
		}
	}
	return nil
}

// checkOwnAuthorizations keeps types of authorization from a client that
// nobody has given them to. Whoever was invited may name those that citizens
// are asked about; what a client has without anybody's leave an administrator
// gives.
func (r *Registry) checkOwnAuthorizations(d Document, invited bool, old Client) error {
	for _, name := range d.AuthorizationTypes {
		free := invited && !r.rules.authorizations.ForClients(name)
		if !free && !slices.Contains(old.AuthorizationTypes, name) {
			return invalid("authorization_details_types", "has a type that an administrator gives")
		}
	}
	return nil
}

// checkOwnSector keeps a client out of another's sector. An address of the
// other's does no harm where answers go to that address; a device gets its
// tokens without one.
func checkOwnSector(d Document, old Client) error {
	same := d.goesWhere(old) && d.SectorIdentifierURI == old.SectorIdentifierURI
	if slices.Contains(d.GrantTypes, GrantDeviceCode) && len(d.RedirectURIs) > 0 && !same {
		return invalid("redirect_uris", "stand beside the device grant only where an administrator says so")
	}
	return nil
}

// goesWhere reports whether answers go where they have gone: then an
// administrator has seen what stands beside the addresses, or they bear it out.
func (d Document) goesWhere(old Client) bool { return slices.Equal(d.RedirectURIs, old.RedirectURIs) }

// provesItsHost reports whether every answer to the client ends at a web
// address. Only then is what it says of its page of no consequence: the host of
// that address is shown instead.
func (d Document) provesItsHost() bool {
	return len(d.RedirectURIs) > 0 && !slices.ContainsFunc(d.RedirectURIs, func(uri string) bool { return webHost(uri) == "" })
}

// withoutNewPage is the document without a page of its own, in any language, but
// for what was said of it before.
func (d Document) withoutNewPage(old Client) Document {
	stays := d.goesWhere(old)
	if !stays || d.ClientURI != old.ClientURI {
		d.ClientURI = ""
	}
	d.Translations = maps.Clone(d.Translations)
	maps.DeleteFunc(d.Translations, func(name, uri string) bool {
		return shownName(name) == "client_uri" && (!stays || uri != old.Translations[name])
	})
	return d
}

// checkOwnLogout has a client told of the end of sessions where its sign-ins
// end. Anywhere else would learn subjects and sessions of the address's owner,
// or be sent messages that it never asked for.
func checkOwnLogout(d Document, old Client) error {
	uri := d.BackchannelLogoutURI
	if uri == "" || uri == old.BackchannelLogoutURI && d.goesWhere(old) || slices.ContainsFunc(d.RedirectURIs, func(r string) bool { return webHost(r) != "" && webHost(r) == webHost(uri) }) {
		return nil
	}
	return invalid("backchannel_logout_uri", "must be at a host of redirect_uris, unless an administrator says otherwise")
}

// origin is scheme, host and port of an address.
func origin(text string) string {
	u, err := parseURI(text)
	if err != nil || u.Host == "" {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}
