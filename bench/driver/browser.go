package driver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// Browser is one citizen's, without scripts: cookies, redirects, forms.
type Browser struct {
	http *http.Client
	at   *url.URL
	page *html.Node
	// back is where the provider sends the browser at the end.
	back string
	// learn, if there is one, looks at each page before it is filled in.
	learn func(*Browser, Person)
}

func (d *Driver) browser() *Browser {
	jar, _ := cookiejar.New(nil) // without options it cannot fail
	c := *d.http
	c.Jar = jar
	return &Browser{http: &c, back: d.target.Redirect}
}

// mostSteps is how many pages and redirects a sign-in may take.
const mostSteps = 25

var (
	errLost   = errors.New("the browser does not come back to the service")
	errNoForm = errors.New("no form on the page has a field that the person can fill in")
)

// walk opens an address and goes on as the person would, through redirects and
// forms, until the provider sends the browser back to the service. It returns
// what the service is told.
func (b *Browser) walk(ctx context.Context, address string, p Person) (url.Values, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	for range mostSteps {
		if err != nil {
			return nil, err
		}
		next, err := b.open(r)
		switch {
		case err != nil:
			return nil, err
		case next != nil && strings.HasPrefix(next.String(), b.back):
			return next.Query(), nil
		case next != nil:
			r, err = http.NewRequestWithContext(ctx, http.MethodGet, next.String(), nil)
		default:
			r, err = b.fill(ctx, p)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errLost
}

// open sends a request. It returns where the answer leads, or nil for a page.
func (b *Browser) open(r *http.Request) (*url.URL, error) {
	a, err := b.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = a.Body.Close() }()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		return nil, err
	}
	b.at = r.URL
	if a.StatusCode >= 300 && a.StatusCode < 400 {
		return a.Location()
	}
	if a.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w %d of %s", unexpected(a), a.StatusCode, r.URL.Path)
	}
	b.page, err = html.Parse(bytes.NewReader(body))
	return nil, err
}

// fill answers the page's form: the one with a field or button that the person
// knows how to answer.
func (b *Browser) fill(ctx context.Context, p Person) (*http.Request, error) {
	if b.learn != nil {
		b.learn(b, p)
	}
	for n := range b.page.Descendants() {
		if n.Data != "form" {
			continue
		}
		values, known := answers(n, p)
		if !known {
			continue
		}
		target, err := b.at.Parse(attribute(n, "action"))
		if err != nil {
			return nil, err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(values.Encode()))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.at.Scheme+"://"+b.at.Host)
		return r, nil
	}
	return nil, fmt.Errorf("%w: %s", errNoForm, b.at.Path)
}

// answers are a form's fields as they come, with the person's where they have
// any; known is whether they had.
func answers(form *html.Node, p Person) (values url.Values, known bool) {
	values = url.Values{}
	for n := range form.Descendants() {
		name := attribute(n, "name")
		if n.Type != html.ElementNode || name == "" || n.Data != "input" && n.Data != "button" {
			continue
		}
		text, mine := p[name]
		kind := attribute(n, "type")
		switch {
		case n.Data == "button" && (!mine || attribute(n, "value") != text):
		case mine:
			values.Set(name, text)
			known = true
		case kind != "checkbox":
			values.Set(name, attribute(n, "value"))
		}
	}
	return values, known
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// Text is what stands in the element with an id on the page that is open; ""
// where there is none.
func (b *Browser) Text(id string) string {
	for n := range b.page.Descendants() {
		if attribute(n, "id") != id {
			continue
		}
		var text strings.Builder
		for d := range n.Descendants() {
			if d.Type == html.TextNode {
				text.WriteString(d.Data)
			}
		}
		return strings.TrimSpace(text.String())
	}
	return ""
}
