package web

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/templates"
)

// Option says something about the frame of one rendered page.
type Option func(*shown)

// shown is what a page is rendered with.
type shown struct {
	frame   templates.Frame
	locales string
}

// ForService names the service of this sign-in in the band; nil for none.
func ForService(service *templates.Service) Option {
	return func(s *shown) { s.frame.Service = service }
}

// SignedInAs names the person whose session this is.
func SignedInAs(name string) Option {
	return func(s *shown) { s.frame.SignedIn = &templates.SignedIn{Name: name} }
}

// InArea says that the page belongs to the citizen's own area.
func InArea(a templates.Area) Option {
	return func(s *shown) { s.frame.Area = &a }
}

// Locales are the ui_locales that the service asked for. What the person chose goes before.
func Locales(uiLocales string) Option {
	return func(s *shown) { s.locales = uiLocales }
}

// At says what time it is, for handlers that have asked the database already.
func At(now time.Time) Option {
	return func(s *shown) { s.frame.Now = now }
}

// renderer hangs the Server on its Echo, so that Render needs no global.
type renderer struct{ server *Server }

// Render satisfies echo.Renderer; pages are typed and go through web.Render.
func (renderer) Render(io.Writer, string, any, echo.Context) error {
	return errors.New("pages are rendered with web.Render")
}

func serverOf(c echo.Context) (*Server, error) {
	r, ok := c.Echo().Renderer.(renderer)
	if !ok {
		return nil, errors.New("this Echo was not made by web.New")
	}
	return r.server, nil
}

// Render answers with a page, in the reader's language, under the page's own
// content security policy. A HEAD gets the same headers.
func Render(c echo.Context, status int, p templates.Page, opts ...Option) error {
	s, err := serverOf(c)
	if err != nil {
		return err
	}
	sh := shown{frame: templates.Frame{Now: time.Now()}}
	for _, o := range opts {
		o(&sh)
	}
	f := &sh.frame
	f.Language = s.language(c, sh.locales)
	f.Query = queryWithout(c.Request().URL, localesParam)
	f.Fixed = c.Request().Method != http.MethodGet && final(p) || spent(p)
	f.FormToken = s.formToken(browserOf(c, s.secure))
	return s.templates.Render(answer{c, status, p, f}, *f, p)
}

// answer is written to once, when the page is whole: an error before that is
// answered with another page.
type answer struct {
	echo.Context
	status int
	page   templates.Page
	frame  *templates.Frame
}

func (a answer) Write(body []byte) (int, error) {
	h := a.Response().Header()
	h.Set("Content-Security-Policy", policy(a.page, a.frame.Service))
	h.Set("Content-Language", a.frame.Language)
	h.Add("Vary", "Accept-Language, Cookie")
	h.Set(echo.HeaderContentLength, strconv.Itoa(len(body))) // else in chunks
	return len(body), a.HTMLBlob(a.status, body)
}

// final tells the pages that end something: their address leads back to a form,
// so they cannot be had again in another language.
func final(p templates.Page) bool {
	switch p.(type) {
	case templates.Error, templates.Neutral, templates.Done, templates.LinkDead:
		return true
	}
	return false
}

// spent tells the pages that answer a GET which cannot be made again.
func spent(p templates.Page) bool {
	_, is := p.(templates.DeviceDone)
	return is
}

// queryWithout is the query of an address without one parameter. Only the query:
// a path that begins with two slashes would turn a link into another site's.
func queryWithout(u *url.URL, name string) string {
	if u.RawQuery == "" {
		return ""
	}
	q := u.Query()
	q.Del(name)
	return q.Encode()
}

// policy is the content security policy of a page. Pages whose post can end at a
// service send no form-action: Chromium applies it to every later hop, the
// service's own redirects included.
func policy(p templates.Page, service *templates.Service) string {
	rules := "default-src 'none'; style-src 'self'; script-src 'self'; font-src 'self'; img-src 'self'" + logoOrigin(service) +
		"; media-src 'self'; base-uri 'none'; frame-ancestors 'none'"
	if out, ok := p.(templates.SignedOut); ok && len(out.Frames) > 0 {
		rules += "; frame-src" + origins(out.Frames)
	}
	switch p.(type) {
	case templates.Login, templates.PINChange, templates.Consent, templates.SignOut,
		templates.AccountChoice, templates.FormPost:
	default:
		rules += "; form-action 'self'"
	}
	return rules
}

// origins are where the frames of a page may come from.
func origins(addresses []string) string {
	var b strings.Builder
	for _, address := range addresses {
		if u, err := url.Parse(address); err == nil && u.Host != "" && !strings.ContainsAny(u.Host, " ;,'\"") {
			b.WriteString(" " + u.Scheme + "://" + u.Host)
		}
	}
	return b.String()
}

// logoOrigin lets a service's logo in from where it lives, over https only.
func logoOrigin(service *templates.Service) string {
	if service == nil || service.LogoURL == "" {
		return ""
	}
	u, err := url.Parse(service.LogoURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.ContainsAny(u.Host, " ;,'\"") {
		return ""
	}
	return " https://" + u.Host
}
