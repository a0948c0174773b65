package clients

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxRedirects = 50

// checkList holds the entries of a list to one rule; the reason names the
// entry by its place, because its text is not fit to be printed.
func checkList(field string, list []string, most int, check func(string) error) error {
	if len(list) > most {
		return invalid(field, "has more than %d entries", most)
	}
	for i, entry := range list {
		if err := check(entry); err != nil {
			return invalid(field, "entry %d %v", i+1, err)
		}
		if slices.Contains(list[:i], entry) {
			return invalid(field, "entry %d is there twice", i+1)
		}
	}
	return nil
}

func checkRedirects(d Document) error {
	check := func(text string) error { return checkRedirect(text, d.ApplicationType) }
	if err := checkList("redirect_uris", d.RedirectURIs, maxRedirects, check); err != nil {
		return err
	}
	if len(d.ResponseTypes) > 0 && len(d.RedirectURIs) == 0 {
		return invalid("redirect_uris", "must name at least one")
	}
	return checkList("post_logout_redirect_uris", d.PostLogoutRedirectURIs, maxRedirects, check)
}

func (r rules) checkPages(d Document) error {
	if d.InitiateLoginURI != "" {
		if err := checkPage(d.InitiateLoginURI); err != nil {
			return invalid("initiate_login_uri", "%v", err)
		}
	}
	for _, remote := range []struct{ field, uri string }{
		{"jwks_uri", d.JWKSURI}, {"sector_identifier_uri", d.SectorIdentifierURI},
		{"backchannel_logout_uri", d.BackchannelLogoutURI}, {"frontchannel_logout_uri", d.FrontchannelLogoutURI},
	} {
		if remote.uri == "" {
			continue
		}
		if err := checkRemote(remote.uri, r.loopback); err != nil {
			return invalid(remote.field, "%v", err)
		}
	}
	return checkList("request_uris", d.RequestURIs, maxRedirects, func(text string) error {
		// the fragment is the object's digest, for those who keep copies (OIDC Core §6.2)
		text, digest, _ := strings.Cut(text, "#")
		if err := plainText(digest); digest != "" && err != nil {
			return err
		}
		return checkRemote(text, r.loopback)
	})
}

// checkLogout keeps what browsers are made to load to where the client's answers
// go (OpenID Connect Front-Channel Logout 1.0 §2).
func checkLogout(d Document) error {
	uri := d.FrontchannelLogoutURI
	if uri == "" || slices.ContainsFunc(d.RedirectURIs, func(r string) bool { return origin(r) == origin(uri) }) {
		return nil
	}
	return invalid("frontchannel_logout_uri", "must have scheme, host and port of a redirect URI")
}

// checkRemote decides whether this server may be asked to fetch text. Where it
// leads to is looked at again when it is dialled. On this machine alone, where
// loopback says that it may be asked at all, http will do.
func checkRemote(text string, loopback bool) error {
	u, err := parseURI(text)
	switch {
	case err != nil:
		return err
	case loopback && u.Scheme == "http" && u.loopback:
		return nil
	case u.Scheme != "https" || u.Host == "":
		return errors.New("must use https")
	}
	return nil
}

func checkResources(d Document) error {
	return checkList("resources", d.Resources, maxRedirects, checkAudience)
}

// checkAudience wants the address of a resource, or a name for one.
func checkAudience(text string) error {
	if urn, ok := strings.CutPrefix(text, "urn:"); ok {
		return plainText(urn)
	}
	u, err := parseURI(text)
	if err == nil && u.Host == "" {
		err = errors.New("has no host")
	}
	return err
}

// checkTexts keeps what people will read short, on one line, and free of
// characters that turn the writing direction: a name must not be able to
// dress up as another.
func checkTexts(d Document) error {
	for _, t := range []struct {
		field, text string
		most        int
	}{
		{"software_id", d.SoftwareID, 200}, {"software_version", d.SoftwareVersion, 100},
	} {
		if err := readable(t.text, t.most); err != nil {
			return invalid(t.field, "%v", err)
		}
	}
	return checkList("contacts", d.Contacts, 10, func(s string) error {
		if s == "" {
			return errors.New("is empty")
		}
		return readable(s, 254)
	})
}

func readable(text string, most int) error {
	if utf8.RuneCountInString(text) > most {
		return errors.New("is too long")
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.IsPrint(r) || r == utf8.RuneError
	}) {
		return errors.New("contains a character that cannot be shown")
	}
	return nil
}

// checkSector makes sure that a pairwise `sub` has one sector (OpenID Connect
// Core §8.1), which later redirect URIs do not change by accident.
func checkSector(d Document) error {
	if d.Sector != "" && plainName(d.Sector) != nil {
		return invalid("sector", "must look like a host name in lower case")
	}
	if d.SectorIdentifierURI != "" && len(d.RedirectURIs) == 0 {
		return invalid("sector_identifier_uri", "lists redirect URIs, and there are none")
	}
	if d.SubjectType == SubjectPublic || d.SectorIdentifierURI != "" || d.Sector != "" ||
		d.ApplicationType == ApplicationNative {
		return nil
	}
	if len(redirectHosts(d.RedirectURIs)) > 1 {
		return invalid("redirect_uris", "have several hosts: name their sector or sector_identifier_uri, or use subject_type public")
	}
	return nil
}
