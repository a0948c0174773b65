package templates

import (
	"errors"
	"net/url"
	"strings"
	"time"
)

// view is what templates see.
type view struct {
	Frame
	Page          Page
	Institution   Institution
	Desk          deskState
	LanguageLinks []languageLink
	Alternatives  []Alternative // those that lead somewhere
	Call          *Phone        // the number that works from everywhere
	HexPIN        bool
}

// languageLink leads to this page in another language. It is a query and nothing
// else: it cannot lead off the site.
type languageLink struct {
	Language
	URL     string
	Current bool
}

func (s *Set) view(f Frame, p Page) (view, error) {
	p, err := settle(p)
	if err != nil {
		return view{}, err
	}
	if _, ok := s.words[f.Language]; !ok {
		f.Language = fallback
	}
	v := view{Frame: f, Page: p, Institution: s.institution, Desk: s.desk.at(f.Now), HexPIN: s.hexPIN}
	if !f.Fixed {
		v.LanguageLinks = s.languageLinks(f)
	}
	for _, a := range s.institution.Alternatives {
		if a.URL != "" {
			v.Alternatives = append(v.Alternatives, a)
		}
	}
	v.Call = s.institution.call()
	return v, nil
}

func (s *Set) languageLinks(f Frame) []languageLink {
	var links []languageLink
	query, err := url.ParseQuery(f.Query)
	if err != nil {
		query = url.Values{} // a broken query is not passed on
	}
	for _, l := range s.languages {
		query.Set("ui_locales", l.Tag)
		links = append(links, languageLink{Language: l, URL: "?" + query.Encode(), Current: l.Tag == f.Language})
	}
	return links
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
