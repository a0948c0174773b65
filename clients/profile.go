package clients

import (
	"slices"
	"strings"
)

// Algorithms are the signatures that a client of this profile may name, for
// what we sign and for what it signs. FAPI 2.0 §5.4.1 leaves RS256 out: its
// padding is that of PKCS #1 v1.5.
func (p Profile) Algorithms() []string {
	if p == ProfileFAPI2 {
		return []string{"PS256", "ES256", "EdDSA"}
	}
	return Algorithms()
}

// authMethods are those of FAPI 2.0 §5.3.2.1: a secret that both sides know is
// none of them.
func (p Profile) authMethods() []string {
	if p == ProfileFAPI2 {
		return []string{AuthPrivateKeyJWT, AuthTLS, AuthSelfSigned}
	}
	return AuthMethods()
}

// withProfile fills in what a profile does not leave open. What a document says
// against it is refused where it can be told from saying nothing.
func withProfile(d Document) Document {
	if d.Profile != ProfileFAPI2 {
		return d
	}
	fill(&d.TokenEndpointAuthMethod, AuthPrivateKeyJWT)
	fill(&d.IDTokenSignedResponseAlg, "ES256")
	fill(&d.AuthorizationSignedResponseAlg, "ES256")
	fill(&d.IntrospectionSignedResponseAlg, "ES256")
	d.RequirePushedRequests = true
	d.DPoPBound = d.DPoPBound || !d.TLSBound
	return d
}

// checkProfileRules are the rules of FAPI 2.0 Security Profile §5.3 about a
// registration that no other check makes.
func checkProfileRules(d Document) error {
	if d.Profile != ProfileFAPI2 {
		return nil
	}
	switch {
	case !*d.RequirePKCE:
		return invalid("require_pkce", "cannot be false under the profile fapi2")
	case len(d.ResponseTypes) > 0 && !slices.Equal(d.ResponseTypes, []string{"code"}):
		return invalid("response_types", "can only be code under the profile fapi2")
	case slices.Contains(d.GrantTypes, GrantDeviceCode):
		return invalid("grant_types", "cannot have the device grant under the profile fapi2: its requests are not pushed")
	case d.ApplicationType == ApplicationNative:
		return nil // its loopback address needs no TLS
	}
	for _, uri := range d.RedirectURIs {
		if strings.HasPrefix(strings.ToLower(uri), "http:") {
			return invalid("redirect_uris", "must use https under the profile fapi2")
		}
	}
	return nil
}
