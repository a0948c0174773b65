package login

import (
	"errors"
	"net/url"
	"strings"
)

// AreaPath is the citizen's own area. Its pages are selfservice's.
const AreaPath = "/account"

// Own is what a sign-in is for when no service waits: the citizen's own area.
// An interaction has either a client or an Own, never both.
type Own struct {
	Page  string `json:"page"`            // where it leads: a path of ours, set by us and never by an address
	Ended bool   `json:"ended,omitempty"` // a session was open before: the form says why one signs in again
}

var errOwn = errors.New("either a client, or a page of ours to go on to, is required")

// destination refuses a request that is for nobody, for two, or for a page that
// might be another site's.
func (r Request) destination() error {
	if (r.Client == "") == (r.Own == nil) {
		return errOwn
	}
	if r.Own == nil {
		return nil
	}
	u, err := url.Parse(r.Own.Page)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, "/") ||
		strings.HasPrefix(u.Path, "//") || strings.ContainsAny(r.Own.Page, `\`) {
		return errOwn
	}
	return nil
}

// lostBy is the error for the interaction of this client; none is the own area.
func lostBy(client string) *LostError { return &LostError{Client: client, Own: client == ""} }
