package clients

import (
	"slices"
	"strings"
)

// ResponseTypes is every answer a client may ask the authorization endpoint
// for, spelt as ResponseType spells it.
func ResponseTypes() []string {
	return []string{"code", "id_token", "id_token token", "code id_token", "code token", "code id_token token", "none"}
}

// ResponseType is a response type with its words in one order: they are a set
// (OAuth 2.0 Multiple Response Type Encoding Practices §3).
func ResponseType(text string) string {
	words := unique(strings.Fields(text))
	slices.Sort(words)
	return strings.Join(words, " ")
}

func answersToken(kind string) bool { return slices.Contains(strings.Fields(kind), "token") }

// checkResponses ties response types to grants as OIDC Registration §2 does.
// Tokens that travel through the browser are for the OpenID profile alone (RFC
// 9700 §2.1.2).
func checkResponses(d Document) error {
	grants := map[string]bool{}
	for _, t := range d.ResponseTypes {
		if !slices.Contains(ResponseTypes(), t) {
			return unsupported("response_types", t, ResponseTypes())
		}
		for _, word := range strings.Fields(t) {
			grants[map[string]string{"id_token": GrantImplicit, "token": GrantImplicit}[word]] = true
		}
		if strings.HasPrefix(t, "code") {
			grants[GrantAuthorizationCode] = true
		}
	}
	delete(grants, "")
	for _, g := range []string{GrantAuthorizationCode, GrantImplicit} {
		if has := slices.Contains(d.GrantTypes, g); has != grants[g] {
			return invalid("response_types", "and grant_types do not go together: %s is in one of them only", g)
		}
	}
	switch {
	case slices.Contains(d.ResponseTypes, "none") && !grants[GrantAuthorizationCode]:
		return invalid("response_types", "none needs code beside it")
	case (d.DPoPBound || d.TLSBound) && slices.ContainsFunc(d.ResponseTypes, answersToken):
		return invalid("response_types", "with token are not for tokens that are bound to a key: nothing proves one there")
	case grants[GrantImplicit] && d.Profile != ProfileOIDC:
		return invalid("grant_types", "implicit is for the profile oidc alone")
	}
	return nil
}
