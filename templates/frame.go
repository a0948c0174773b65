package templates

import (
	"errors"
	"html/template"
	"net/url"
	"path"
	"strings"
	"time"
)

// view is what templates see of one page. What is the same for everybody who
// reads a language they ask functions for (see fold). Nothing is embedded: each
// name is looked up by reflection, and what is embedded takes many times as long.
type view struct {
	Page      Page
	Service   *Service
	SignedIn  *SignedIn
	Area      *Area
	Now       time.Time
	FormToken string
	Desk      deskState
	Languages bool         // the page can be had in another language,
	Query     template.URL // at ?ui_locales= with this behind it: a query and nothing else cannot lead off the site
}

func (s *Set) view(f Frame, p Page) (*view, error) {
	p, err := settle(p)
	if err != nil {
		return nil, err
	}
	return &view{
		Page: p, Service: f.Service, SignedIn: f.SignedIn, Area: f.Area, Now: f.Now, FormToken: f.FormToken, Desk: s.desk.at(f.Now),
		Languages: !f.Fixed, Query: rest(f.Query),
	}, nil
}

// rest is a query without the language. A broken one is not passed on.
func rest(query string) template.URL {
	if query == "" {
		return ""
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	q.Del("ui_locales")
	if len(q) == 0 {
		return ""
	}
	return template.URL("&" + q.Encode()) //nolint:gosec // encoded here
}

// heading is a language as the head of a page names it.
type heading struct {
	Language
	Current bool
}

func (s *Set) headings(current string) []heading {
	var all []heading
	for _, l := range s.languages {
		all = append(all, heading{Language: l, Current: l.Tag == current})
	}
	return all
}

// settle fills in what a page leaves to the rules' figures and what follows from
// its problem, and refuses what must not be shown.
func settle(p Page) (Page, error) {
	switch p := p.(type) {
	case Login:
		return p.settled(), nil
	case PINChange:
		return p.settled(), nil
	case AccountPIN:
		p.PINChange = p.PINChange.settled()
		return p, nil
	case PINLost:
		return p.settled(), nil
	case Consent:
		if p.OfflineFor == 0 {
			p.OfflineFor = 30 * 24 * time.Hour
		}
		return p, nil
	case FormPost:
		return p, p.check()
	default:
		return p, nil
	}
}

// The figures of R30 and R31, for pages that are not told others.
const (
	defaultThreshold = 10
	defaultWait      = 5 * time.Minute
)

func (l Login) settled() Login {
	back := "?sign_in=" + url.QueryEscape(path.Base(l.Action))
	l.LostURL, l.PINURL = "/pin/lost"+back, "/pin"+back
	if l.Threshold == 0 {
		l.Threshold = defaultThreshold
	}
	if l.Wait == 0 {
		l.Wait = defaultWait
	}
	if l.Problem == "" && len(l.Fields) > 0 {
		l.Problem = LoginInvalidField
	}
	return l
}

// settled names the field that a refusal of the change is about.
func (p PINChange) settled() PINChange {
	switch p.Problem {
	case PINChangeNewMismatch:
		p.Fields = []FieldProblem{{Field: "new_pin", Problem: fieldMismatch}}
	case PINChangeOldWrong:
		p.Fields = []FieldProblem{{Field: "old_pin", Problem: fieldWrong}}
	case "":
		if len(p.Fields) > 0 {
			p.Problem = FormInvalidField
		}
	default: // not about one field
	}
	return p
}

// check refuses a form_post to what is not an address: the template trusts it,
// because a native app's own scheme is not one html/template knows.
func (p FormPost) check() error {
	u, err := url.Parse(p.Action)
	if err != nil || u.Scheme == "" {
		return errors.New("form post: not an absolute address")
	}
	switch strings.ToLower(u.Scheme) {
	case "javascript", "data", "vbscript", "file", "blob", "about":
		return errors.New("form post: not a scheme to post to")
	}
	return nil
}
