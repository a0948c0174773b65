package logintest

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"ente.example/idp/login"
)

// Browser keeps cookies and follows no redirect by itself.
type Browser struct {
	t      testing.TB
	house  *House
	client *http.Client
}

// Page is an answer, as a person and a test see it.
type Page struct {
	Status   int
	Name     string // data-page
	Problem  string // data-problem
	Location string
	Header   http.Header
	Body     string
}

// Browser opens a browser, which comes once to the front page.
func (h *House) Browser() *Browser {
	h.t.Helper()
	jar := must(cookiejar.New(nil))(h.t)
	b := &Browser{h.t, h, &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	b.Get("/")
	return b
}

// Begin starts an interaction as a request of client in this browser would.
func (b *Browser) Begin(client string, r login.Request) login.Interaction {
	b.t.Helper()
	r.Client = client
	return must(b.house.Interactions.Start(b.t.Context(), b.Cookie("idp"), r))(b.t)
}

// Cookie is the value of a cookie, or "".
func (b *Browser) Cookie(name string) string {
	for _, c := range b.client.Jar.Cookies(b.url("/")) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// SetCookie plants a cookie, as an attacker or an older page would.
func (b *Browser) SetCookie(name, value string) {
	b.client.Jar.SetCookies(b.url("/"), []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

func (b *Browser) url(path string) *url.URL {
	return must(url.Parse(b.house.Server.URL + path))(b.t)
}

// Get asks for a page.
func (b *Browser) Get(path string) Page {
	b.t.Helper()
	return b.do(must(http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.url(path).String(), nil))(b.t))
}

// Post sends a form as it is given.
func (b *Browser) Post(path string, form url.Values) Page {
	b.t.Helper()
	body := strings.NewReader(form.Encode())
	r := must(http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url(path).String(), body))(b.t)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

// Submit fills the first form of a page in and sends it: names and values in
// turn, the pressed button among them.
func (b *Browser) Submit(p Page, fields ...string) Page {
	b.t.Helper()
	action := formAction.FindStringSubmatch(p.Body)
	if action == nil {
		b.t.Fatalf("no form on page %q (status %d)", p.Name, p.Status)
	}
	form := url.Values{}
	for _, m := range hiddenInput.FindAllStringSubmatch(p.Body, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.Post(html.UnescapeString(action[1]), form)
}

var (
	formAction  = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)
	hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
	pageName    = regexp.MustCompile(`<main[^>]* data-page="([^"]*)"`)
	problem     = regexp.MustCompile(`data-problem="([^"]*)"`)
)

func (b *Browser) do(r *http.Request) Page {
	b.t.Helper()
	answer := must(b.client.Do(r))(b.t)
	defer func() { _ = answer.Body.Close() }()
	body := string(must(io.ReadAll(answer.Body))(b.t))
	return Page{
		Status: answer.StatusCode, Name: first(pageName, body), Problem: first(problem, body),
		Location: answer.Header.Get("Location"), Header: answer.Header, Body: body,
	}
}

func first(re *regexp.Regexp, s string) string {
	if m := re.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}
