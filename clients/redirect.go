package clients

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const maxURI = 2000 // bytes; browsers and proxies in the field cut off above

// uri is a URI in the one form this package accepts: what is compared later is
// the text as registered, so nothing may be written in two ways.
type uri struct {
	*url.URL
	loopback bool
}

// parseURI accepts an absolute URI without userinfo, fragment, wildcard, dot
// segments or anything else that two parsers could read differently.
func parseURI(text string) (uri, error) {
	if err := plainText(text); err != nil {
		return uri{}, err
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return uri{}, errors.New("is not a URI")
	case u.Scheme == "":
		return uri{}, errors.New("is not absolute")
	case !strings.HasPrefix(text, u.Scheme+":"):
		return uri{}, errors.New("must have its scheme in lower case")
	case u.Opaque != "":
		return uri{}, errors.New("needs a slash after its scheme")
	case u.User != nil || strings.Contains(u.Host, "@"):
		return uri{}, errors.New("must not contain user information")
	case u.String() != text:
		return uri{}, errors.New("is not written in its plain form")
	}
	if err := plainPath(u); err != nil {
		return uri{}, err
	}
	host, err := plainHost(u.Host)
	if err != nil {
		return uri{}, err
	}
	return uri{URL: u, loopback: slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, host)}, nil
}

// plainText refuses what has no place in any URI we store.
func plainText(text string) error {
	switch {
	case text == "":
		return errors.New("is empty")
	case len(text) > maxURI:
		return errors.New("is too long")
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\\<>\"^`{|}", r) }):
		return errors.New("contains a character that must be percent-encoded")
	case strings.Contains(text, "#"):
		return errors.New("must not have a fragment")
	case strings.Contains(text, "*"):
		return errors.New("must not contain a wildcard")
	}
	return nil
}

// plainPath refuses dot segments and slashes in disguise: a server behind the
// URI may decode them and end up elsewhere.
func plainPath(u *url.URL) error {
	escaped := strings.ToLower(u.EscapedPath())
	for _, disguised := range []string{"%2f", "%5c", "%2e", "%00", "%25"} {
		if strings.Contains(escaped, disguised) {
			return errors.New("must not have an encoded slash, dot or percent sign in its path")
		}
	}
	for segment := range strings.SplitSeq(escaped, "/") {
		if segment == "." || segment == ".." {
			return errors.New("must not have a dot segment in its path")
		}
	}
	return nil
}

// plainHost returns the host without port and brackets. An empty one is fine
// here: private-use schemes have none.
func plainHost(authority string) (string, error) {
	if authority == "" {
		return "", nil
	}
	host, port := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, port = authority[:i], authority[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return "", errors.New("has a bad port")
		}
	}
	if bare, ok := strings.CutPrefix(host, "["); ok {
		bare = strings.TrimSuffix(bare, "]")
		if a, err := netip.ParseAddr(bare); err != nil || a.Zone() != "" || a.String() != bare {
			return "", errors.New("has a bad IPv6 address")
		}
		return bare, nil
	}
	return host, plainName(host)
}

// plainName accepts a host name (or IPv4 address) as it stands in DNS, in lower
// case; international names come in their xn-- form.
func plainName(host string) error {
	if host == "" || len(host) > 253 {
		return errors.New("has a bad host")
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("has a bad host")
		}
		if strings.ContainsFunc(label, func(r rune) bool {
			return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
		}) {
			return errors.New("must have its host in lower case, with letters, digits and hyphens only")
		}
	}
	return nil
}

// checkRedirect decides whether a client of this application type may have the
// browser sent to text: https, http to the machine the browser runs on, or a
// native app's own scheme.
func checkRedirect(text, applicationType string) error {
	u, err := parseURI(text)
	switch {
	case err != nil:
		return err
	case u.Scheme == "https" && u.Host != "":
		return nil
	case u.Scheme == "http" && u.loopback:
		return nil
	case u.Scheme == "http":
		return errors.New("may use http only on 127.0.0.1, [::1] or localhost")
	case !privateUse(u.Scheme):
		return errors.New("must use https, http on a loopback host, or a native app's own scheme in reverse domain form")
	case applicationType != ApplicationNative:
		return errors.New("uses an app's own scheme, which needs application_type native")
	}
	return nil
}

// privateUse recognises a scheme an app may claim: a domain name it controls,
// in reverse (RFC 8252 §7.1). The dot is what keeps javascript:, data: and
// every other registered scheme out.
func privateUse(scheme string) bool {
	return strings.Contains(scheme, ".") && plainName(scheme) == nil
}

// checkPage decides whether text may be a link shown to people or followed by
// their browser.
func checkPage(text string) error {
	page, heading, _ := strings.Cut(text, "#")
	u, err := parseURI(page)
	switch {
	case heading != "" && plainText(heading) != nil:
		return plainText(heading)
	case err != nil:
		return err
	case u.Host == "" || (u.Scheme != "https" && !(u.Scheme == "http" && u.loopback)):
		return errors.New("must use https")
	}
	return nil
}

// match compares as text. Only when that fails, and only for native apps, is
// the port of a loopback address left out of the comparison: parsing first is
// how `http://evil@127.0.0.1/` once passed elsewhere.
func (c Client) match(registered []string, text string) bool {
	if slices.Contains(registered, text) {
		return true
	}
	if c.ApplicationType != ApplicationNative {
		return false
	}
	asked, ok := portless(text)
	return ok && slices.ContainsFunc(registered, func(r string) bool {
		known, ok := portless(r)
		return ok && known == asked
	})
}

// portless is an http loopback URI without its port.
func portless(text string) (string, bool) {
	u, err := parseURI(text)
	if err != nil || u.Scheme != "http" || !u.loopback {
		return "", false
	}
	rest, ok := strings.CutPrefix(text, "http://"+u.Host)
	return strings.TrimSuffix(u.Host, ":"+u.Port()) + rest, ok
}

// webHost is the host of an https or loopback URI, without port; else empty.
func webHost(text string) string {
	u, err := parseURI(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return ""
	}
	return u.Hostname()
}

// redirectHosts lists the different hosts of redirect URIs.
func redirectHosts(uris []string) []string {
	var hosts []string
	for _, text := range uris {
		if host := webHost(text); host != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
