package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/html"
)

// visitor is a citizen with a browser that has no script: it reads pages and
// sends their forms as they are, hidden fields included.
type visitor struct {
	t    *testing.T
	http *http.Client
	at   *url.URL
	page *html.Node
	body string
	code int
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, http: &http.Client{Jar: jar}}
}

func (v *visitor) open(address string) *visitor {
	v.t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html") // as a browser; mod_auth_openidc sends nobody else to sign in
	return v.take(v.http.Do(r))
}

func (v *visitor) take(a *http.Response, err error) *visitor {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.at, v.code, v.body = a.Request.URL, a.StatusCode, string(b)
	if v.page, err = html.Parse(bytes.NewReader(b)); err != nil {
		v.t.Fatal(err)
	}
	return v
}

// submit fills in the form that has a button of that name and value ("" for
// the form's first button) and presses it.
func (v *visitor) submit(fields map[string]string, button ...string) *visitor {
	v.t.Helper()
	form := v.form(button...)
	if form == nil {
		v.t.Fatalf("no form with button %v on %s:\n%s", button, v.at, v.body)
	}
	values := url.Values{}
	for n := range form.Descendants() {
		if n.Type == html.ElementNode && n.Data == "input" && attr(n, "type") != "checkbox" && attr(n, "name") != "" {
			values.Set(attr(n, "name"), attr(n, "value"))
		}
	}
	for k, f := range fields {
		values.Set(k, f)
	}
	if len(button) == 2 {
		values.Set(button[0], button[1])
	}
	target, err := v.at.Parse(attr(form, "action"))
	if err != nil {
		v.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, target.String(), strings.NewReader(values.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", v.at.Scheme+"://"+v.at.Host)
	return v.take(v.http.Do(r))
}

func (v *visitor) form(button ...string) *html.Node {
	for n := range v.page.Descendants() {
		if n.Type != html.ElementNode || n.Data != "button" || (len(button) == 2 && (attr(n, "name") != button[0] || attr(n, "value") != button[1])) {
			continue
		}
		if id := attr(n, "form"); id != "" {
			return v.find(func(n *html.Node) bool { return n.Data == "form" && attr(n, "id") == id })
		}
		for p := n.Parent; p != nil; p = p.Parent {
			if p.Data == "form" {
				return p
			}
		}
	}
	return nil
}

func (v *visitor) find(ok func(*html.Node) bool) *html.Node {
	for n := range v.page.Descendants() {
		if n.Type == html.ElementNode && ok(n) {
			return n
		}
	}
	return nil
}

// name is the data-page of the page.
func (v *visitor) name() string {
	n := v.find(func(n *html.Node) bool { return n.Data == "main" && attr(n, "data-page") != "" })
	if n == nil {
		return ""
	}
	return attr(n, "data-page")
}

// on fails unless the visitor is on that page.
func (v *visitor) on(name string) *visitor {
	v.t.Helper()
	if got := v.name(); got != name {
		v.t.Fatalf("page = %q at %s (%d), want %q\n%s", got, v.at, v.code, name, v.text(v.page))
	}
	return v
}

// problem is the data-problem that the page shows, if any.
func (v *visitor) problem() string {
	n := v.find(func(n *html.Node) bool { return attr(n, "data-problem") != "" })
	if n == nil {
		return ""
	}
	return attr(n, "data-problem")
}

// byID is the text of an element, without spaces at its ends.
func (v *visitor) byID(id string) string {
	v.t.Helper()
	n := v.find(func(n *html.Node) bool { return attr(n, "id") == id })
	if n == nil {
		v.t.Fatalf("no #%s on %s", id, v.at)
	}
	return v.text(n)
}

func (v *visitor) text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// logBuffer keeps what was logged, to search it for what must not be there.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
