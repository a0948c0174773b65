package clients

import (
	"slices"
	"strings"
)

// normalised is the document with nothing said twice or around the edges.
func (d Document) normalised() Document {
	for _, text := range []*string{&d.ClientName, &d.Purpose} {
		*text = oneLine(*text)
	}
	d.Translations = d.Translations.normalised()
	if d.ResponseTypes != nil {
		d.ResponseTypes = slices.Clone(d.ResponseTypes)
		for i, t := range d.ResponseTypes {
			d.ResponseTypes[i] = ResponseType(t)
		}
	}
	d.GrantTypes, d.ResponseTypes = unique(d.GrantTypes), unique(d.ResponseTypes)
	d.Scope = unique(d.Scope)
	d.AuthorizationTypes = unique(d.AuthorizationTypes)
	if string(d.JWKS) == "null" {
		d.JWKS = nil
	}
	return d
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// withDefaults fills in what the document leaves open, as RFC 7591, OpenID
// Connect Registration and our own members define it.
func withDefaults(d Document) (Document, []string) {
	fill(&d.Profile, ProfileOAuth21)
	d = withProfile(d)
	d = withEncryption(d)
	fill(&d.TokenEndpointAuthMethod, AuthBasic)
	if d.GrantTypes == nil {
		d.GrantTypes = []string{GrantAuthorizationCode}
	}
	if d.ResponseTypes == nil && slices.Contains(d.GrantTypes, GrantAuthorizationCode) {
		d.ResponseTypes = []string{"code"}
	}
	fill(&d.ApplicationType, guessApplication(d))
	fill(&d.SubjectType, SubjectPairwise)
	fill(&d.IDTokenSignedResponseAlg, "RS256")
	fill(&d.Consent, ConsentRemember)
	fill(&d.AccessTokenFormat, FormatJWT)
	if d.RequirePKCE == nil {
		pkce := d.Profile != ProfileOIDC || d.TokenEndpointAuthMethod == AuthNone
		d.RequirePKCE = &pkce
	}
	return withScope(d)
}

func fill[S ~string](member *S, standard S) {
	if *member == "" {
		*member = standard
	}
}

// guessApplication recognises a native app that does not say so by what only a
// native app can use: a scheme of its own, or a loopback address without a port.
func guessApplication(d Document) string {
	if d.TokenEndpointAuthMethod != AuthNone || len(d.RedirectURIs) == 0 {
		return ApplicationWeb
	}
	for _, text := range d.RedirectURIs {
		u, err := parseURI(text)
		if err != nil || !privateUse(u.Scheme) && !(u.Scheme == "http" && u.loopback && u.Port() == "") {
			return ApplicationWeb
		}
	}
	return ApplicationNative
}

// withScope ties offline_access to the refresh_token grant: the grant is what
// the administrator gives, and either without the other would do nothing.
func withScope(d Document) (Document, []string) {
	if d.Scope == nil && (len(d.ResponseTypes) > 0 || slices.Contains(d.GrantTypes, GrantDeviceCode)) {
		d.Scope = ParseScope(DefaultScope)
	}
	refresh := slices.Contains(d.GrantTypes, GrantRefreshToken)
	offline := slices.Contains(d.Scope, ScopeOfflineAccess)
	switch {
	case refresh && !offline:
		d.Scope = append(slices.Clone(d.Scope), ScopeOfflineAccess)
	case offline && !refresh:
		d.Scope = slices.DeleteFunc(slices.Clone(d.Scope), func(s string) bool { return s == ScopeOfflineAccess })
		return d, []string{"offline_access was left out of the scope: it needs the grant refresh_token"}
	}
	return d, nil
}

// unique drops repetitions and keeps the order. It looks at each entry once: the
// list may be as long as anybody could send.
func unique(list []string) []string {
	if list == nil {
		return nil
	}
	out, seen := make([]string, 0, len(list)), make(map[string]bool, len(list))
	for _, s := range list {
		if !seen[s] {
			out, seen[s] = append(out, s), true
		}
	}
	return out
}
