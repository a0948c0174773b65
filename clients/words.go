package clients

import (
	"fmt"
	"slices"
	"strings"
)

// Words says in plain sentences what the client may do and what it is held to,
// for the administrator who looks at it. Nothing reads them but people.
func (c Client) Words() []string {
	lines := []string{c.profileWords(), "authenticates with " + c.TokenEndpointAuthMethod + either(c.Public(), ": anybody may say to be it", "")}
	if c.AllowsGrant(GrantClientCredentials) {
		lines = append(lines, "may have tokens for itself, about no citizen")
	}
	lines = append(lines, c.signInWords()...)
	if len(c.OwnAudiences) > 0 {
		lines = append(lines, "is who tokens for "+strings.Join(c.OwnAudiences, ", ")+" are sent to, and may introspect those")
	}
	if c.AccessTokenFormat == FormatReference {
		lines = append(lines, "its access tokens are references: an API has to introspect them, and reads nothing in them")
	}
	if len(c.TokenExchange) > 0 {
		lines = append(lines, "may exchange citizens' tokens that are sent to it for tokens for "+strings.Join(c.TokenExchange, ", "))
	}
	for _, i := range c.AssertionIssuers {
		lines = append(lines, "may have tokens for itself on the word of "+i.Issuer)
	}
	if len(c.AuthorizationTypes) > 0 {
		lines = append(lines, "may ask for authorizations in detail: "+strings.Join(c.AuthorizationTypes, ", "))
	}
	if c.MayIntrospect {
		lines = append(lines, "may introspect the tokens of every client")
	}
	if c.Disabled {
		lines = append(lines, "is disabled: all of this is refused")
	}
	return lines
}

func (c Client) signInWords() (lines []string) {
	if len(c.ResponseTypes) > 0 {
		lines = append(lines, c.requestWords())
	}
	if c.AllowsGrant(GrantDeviceCode) {
		lines = append(lines, "signs citizens in who type the code of a device elsewhere (RFC 8628)")
	}
	if len(lines) == 0 {
		return []string{"never signs a citizen in"}
	}
	return append(lines, c.tokenWords(), c.citizenWords())
}

func (c Client) profileWords() string {
	switch c.Profile {
	case ProfileOAuth21:
	case ProfileFAPI2:
		return "profile fapi2 (FAPI 2.0 Security Profile): requests are pushed, codes need PKCE, tokens are bound to a key, nothing is signed with RS256"
	case ProfileOIDC:
		return "profile oidc (OpenID Connect as it is certified): tokens may travel through the browser where response_types say so"
	}
	return "profile oauth2.1: no token travels through the browser"
}

func (c Client) requestWords() string {
	ways := []string{"plain", "as a signed object" + either(c.RequestObjectEncAlg != "", ", which it may encrypt by "+c.RequestObjectEncAlg, "")}
	if c.RequireSignedRequestObject {
		ways = ways[1:]
	}
	text := "sends its requests " + strings.Join(ways, " or ")
	switch {
	case c.RequirePushedRequests:
		text += ", and only pushed"
	default:
		text += ", pushed or through the browser"
	}
	if slices.ContainsFunc(c.ResponseTypes, func(t string) bool { return strings.HasPrefix(t, "code") }) {
		text += ", " + either(c.RequirePKCE, "with PKCE", "with or without PKCE")
	}
	return text + "; is answered with " + strings.Join(c.ResponseTypes, ", ")
}

func (c Client) tokenWords() string {
	text := "its access tokens count for whoever holds them"
	switch {
	case c.MustProve() && c.TLSBound:
		text = "its access tokens count only with its certificate and a proof of its key (DPoP)"
	case c.MustProve():
		text = "its access tokens count only with a proof of its key (DPoP)"
	case c.TLSBound:
		text = "its access tokens count only with its certificate"
	}
	switch {
	case !c.AllowsGrant(GrantRefreshToken):
		return text + "; it gets no refresh tokens"
	case c.Profile == ProfileFAPI2:
		return text + "; it keeps its refresh token"
	}
	return text + "; its refresh tokens change with each use"
}

func (c Client) citizenWords() string {
	asked := map[ConsentPolicy]string{
		ConsentAlways: "asked each time", ConsentRemember: "asked, unless they ticked to be remembered", ConsentTrusted: "not asked",
	}[c.Consent]
	return fmt.Sprintf("may ask for %s; citizens are %s; their sub is %s", c.Scope, asked,
		either(c.SubjectType == SubjectPublic, "the same for every public client", "that of the sector "+c.SectorID()))
}

func either(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}
