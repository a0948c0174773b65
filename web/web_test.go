package web_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"

	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// site is a Server with a form, a page and an endpoint for programs on it.
type site struct {
	*web.Server
	log *bytes.Buffer
}

func newSite(t testing.TB, change func(*web.Options)) site {
	t.Helper()
	s := site{log: &bytes.Buffer{}}
	handle, err := keyset.NewHandle(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	forms, err := prf.NewPRFSet(handle)
	if err != nil {
		t.Fatal(err)
	}
	set, err := templates.New(templates.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := web.Options{
		Templates: set, Issuer: "http://localhost:8080", Forms: forms,
		Logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	if s.Server, err = web.New(o); err != nil {
		t.Fatal(err)
	}
	s.mount()
	return s
}

func (s site) mount() {
	e := s.Echo
	login := func(c echo.Context) error {
		return web.Render(c, http.StatusOK, templates.Login{
			Action: "/login/1", FiscalCode: web.PostValue(c, "fiscal_code"),
		}, web.Locales("en"), web.ForService(&templates.Service{Name: "S", LogoURL: "https://logo.example/a.png"}))
	}
	e.GET("/login/:id", login)
	e.POST("/login/:id", login)
	e.GET("/home", func(c echo.Context) error { return web.Render(c, http.StatusOK, templates.Home{}) })
	e.POST("/token", func(c echo.Context) error { return c.JSON(http.StatusOK, "token") })
	e.POST("/authorize", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	e.GET("/ip", func(c echo.Context) error { return c.String(http.StatusOK, c.RealIP()+" "+c.Scheme()) })
	e.GET("/panic", func(echo.Context) error { panic("boom") })
}

func (s site) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Echo.ServeHTTP(w, r)
	return w
}

func get(path string) *http.Request {
	return httptest.NewRequest(http.MethodGet, path, nil)
}

func post(path string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// form gets the login form: its token, and the cookies that came with it.
func (s site) form(t testing.TB) (token string, cookies []*http.Cookie) {
	t.Helper()
	w := s.do(get("/login/1"))
	m := regexp.MustCompile(`name="form_token" value="([^"]+)"`).FindStringSubmatch(w.Body.String())
	if m == nil {
		t.Fatalf("no form token in %s", w.Body)
	}
	return m[1], w.Result().Cookies()
}

func with(r *http.Request, cookies []*http.Cookie) *http.Request {
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

// problemOf is the data-problem of a page, or "".
func problemOf(w *httptest.ResponseRecorder) string {
	m := regexp.MustCompile(`data-problem="([^"]+)"`).FindStringSubmatch(w.Body.String())
	if m == nil {
		return ""
	}
	return m[1]
}

func TestFormTokenAndItsBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	token, cookies := s.form(t)
	other, otherCookies := s.form(t)
	if token == other {
		t.Error("two browsers share a form token")
	}
	for name, c := range map[string]struct {
		token   string
		cookies []*http.Cookie
		want    int
	}{
		"own":           {token, cookies, http.StatusOK},
		"none":          {"", cookies, http.StatusForbidden},
		"other browser": {token, otherCookies, http.StatusForbidden},
		"no cookie":     {token, nil, http.StatusForbidden},
		"not base64":    {"!!", cookies, http.StatusForbidden},
	} {
		w := s.do(with(post("/login/1", url.Values{"form_token": {c.token}}), c.cookies))
		if w.Code != c.want {
			t.Errorf("%s: status %d, want %d", name, w.Code, c.want)
		}
		if c.want == http.StatusForbidden && problemOf(w) != "request.form" {
			t.Errorf("%s: problem %q, want request.form", name, problemOf(w))
		}
	}
}

// The token must be in the body: an address can be made by anybody.
func TestFormTokenInTheQueryDoesNotCount(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	token, cookies := s.form(t)
	if w := s.do(with(post("/login/1?form_token="+token, nil), cookies)); w.Code != http.StatusForbidden {
		t.Errorf("status %d, want 403", w.Code)
	}
}

func TestCrossOriginPosts(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	token, cookies := s.form(t)
	form := url.Values{"form_token": {token}}
	for name, c := range map[string]struct {
		path, site, origin string
		want               int
	}{
		"own form, other site":       {"/login/1", "cross-site", "https://evil.example", http.StatusForbidden},
		"own form, same site only":   {"/login/1", "same-site", "http://other.localhost", http.StatusForbidden},
		"own form, old browser":      {"/login/1", "", "https://evil.example", http.StatusForbidden},
		"own form, same origin":      {"/login/1", "same-origin", "http://example.com", http.StatusOK},
		"authorize, other site":      {"/authorize", "cross-site", "https://rp.example", http.StatusNoContent},
		"token, other site":          {"/token", "cross-site", "https://rp.example", http.StatusOK},
		"unknown path stays unknown": {"/nowhere", "cross-site", "https://evil.example", http.StatusNotFound},
	} {
		r := with(post(c.path, form), cookies)
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		r.Header.Set("Origin", c.origin)
		if w := s.do(r); w.Code != c.want {
			t.Errorf("%s: status %d, want %d", name, w.Code, c.want)
		}
	}
}

func TestAssetsAreKeptForGood(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	if w := s.do(get("/assets/nothing.css")); w.Code != http.StatusNotFound || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("an unknown asset: %d, %s", w.Code, w.Header().Get("Cache-Control"))
	}
	m := regexp.MustCompile(`/assets/site-[0-9a-f]+\.css`).FindString(s.do(get("/home")).Body.String())
	if m == "" {
		t.Log("assets are not built: pages are bare, the program says so")
		if !strings.Contains(s.log.String(), "make assets") {
			t.Error("nobody is told to run make assets")
		}
		return
	}
	w := s.do(get(m))
	if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("%s: %d %v", m, w.Code, w.Header())
	}
}

func TestHeadersOfPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *web.Options) { o.Issuer = "https://accesso.ente.example" })
	login, home := s.do(get("/login/1")).Header(), s.do(get("/home")).Header()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
		"Referrer-Policy": "strict-origin", "Strict-Transport-Security": "max-age=31536000",
	} {
		if got := login.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	policy := login.Get("Content-Security-Policy")
	if strings.Contains(policy, "form-action") || strings.Contains(policy, "unsafe") {
		t.Errorf("login's policy is %s", policy)
	}
	if !strings.Contains(policy, "img-src 'self' https://logo.example;") {
		t.Errorf("the service's logo may not load: %s", policy)
	}
	if policy := home.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self'") {
		t.Errorf("home's policy is %s", policy)
	}
}

// What only means something to who looks at a page is not sent to programs.
func TestHeadersForPrograms(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *web.Options) { o.Issuer = "https://accesso.ente.example" })
	for path, answer := range map[string]http.Header{
		"/token": s.do(httptest.NewRequest(http.MethodPost, "/token", nil)).Header(), "/.well-known/nothing": s.do(get("/.well-known/nothing")).Header(),
	} {
		policy := answer.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Strict-Transport-Security": "max-age=31536000",
			"X-Frame-Options": "", "Referrer-Policy": "", "Permissions-Policy": "",
		} {
			if got := answer.Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", path, name, got, want)
			}
		}
		if answer.Get("X-Request-Id") == "" {
			t.Errorf("%s: nobody can say which request it was", path)
		}
	}
}

// A handler may take the name back from its answer: the log has it.
func TestTheLogNamesEachRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	var id string
	s.Echo.GET("/jwks", func(c echo.Context) error {
		id = web.RequestID(c)
		c.Response().Header().Del(echo.HeaderXRequestID)
		return c.NoContent(http.StatusNoContent)
	})
	if w := s.do(get("/jwks")); w.Header().Get("X-Request-Id") != "" || id == "" || !strings.Contains(s.log.String(), "request_id="+id) {
		t.Errorf("the request was %q, its answer says %q, and the log %s", id, w.Header().Get("X-Request-Id"), s.log)
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]string{"http://localhost:8080": "idp", "https://accesso.ente.example": "__Host-idp"} {
		s := newSite(t, func(o *web.Options) { o.Issuer = issuer })
		_, cookies := s.form(t)
		if len(cookies) != 1 {
			t.Fatalf("%s sets %v", issuer, cookies)
		}
		c := cookies[0]
		secure := strings.HasPrefix(issuer, "https")
		if c.Name != want || c.Secure != secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || len(c.Value) != 43 {
			t.Errorf("%s sets %v", issuer, c)
		}
		if again := s.do(with(get("/login/1"), cookies)).Result().Cookies(); len(again) != 0 {
			t.Errorf("a known browser is named again: %v", again)
		}
	}
}

func TestForwardedHeadersOfStrangersDoNotCount(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		peer, forwarded string
		proxies         []netip.Prefix
		want            string
	}{
		"no proxy configured":     {"203.0.113.9:1", "198.51.100.7", nil, "203.0.113.9 http"},
		"loopback is no proxy":    {"127.0.0.1:1", "198.51.100.7", nil, "127.0.0.1 http"},
		"stranger":                {"203.0.113.9:1", "198.51.100.7", proxies, "203.0.113.9 http"},
		"private is not trusted":  {"192.168.1.1:1", "198.51.100.7", proxies, "192.168.1.1 http"},
		"proxy":                   {"10.1.2.3:1", "198.51.100.7", proxies, "198.51.100.7 https"},
		"proxy over IPv6":         {"[fd00::1]:1", "2001:db8::7", proxies, "2001:db8::7 https"},
		"forged before the proxy": {"10.1.2.3:1", "1.2.3.4, 198.51.100.7", proxies, "198.51.100.7 https"},
	} {
		s := newSite(t, func(o *web.Options) { o.TrustedProxies = c.proxies })
		r := get("/ip")
		r.RemoteAddr = c.peer
		r.Header.Set("X-Forwarded-For", c.forwarded)
		r.Header.Set("X-Forwarded-Proto", "https")
		if got := s.do(r).Body.String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	_, cookies := s.form(t)
	chosen := s.do(with(get("/login/1?ui_locales=it"), cookies)).Result().Cookies()
	for name, c := range map[string]struct {
		request *http.Request
		want    string
	}{
		"the service's wish":             {get("/login/1"), "en"},
		"chosen in a link":               {get("/login/1?ui_locales=it"), "it"},
		"chosen before":                  {with(get("/login/1"), chosen), "it"},
		"not shipped":                    {get("/home?ui_locales=xx"), "it"},
		"the browser's":                  {accepting(get("/home"), "fr;q=0.9, en-GB;q=0.8"), "en"},
		"nothing shipped in the browser": {accepting(get("/home"), "fr"), "it"},
		"absurd header":                  {accepting(get("/home"), strings.Repeat("en,", 1000)), "it"},
	} {
		if got := s.do(c.request).Header().Get("Content-Language"); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func accepting(r *http.Request, languages string) *http.Request {
	r.Header.Set("Accept-Language", languages)
	return r
}

// A path that begins with two slashes must not become a link to another site.
func TestNoOpenRedirectInLanguageLinks(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	r := get("/")
	r.URL = &url.URL{Path: "//evil.example/a", RawQuery: "next=https://evil.example"}
	body := s.do(r).Body.String()
	for _, m := range regexp.MustCompile(`<a href="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if strings.Contains(m[1], "evil.example/a") {
			t.Errorf("page links to %s", m[1])
		}
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newSite(t, nil).Echo)
	defer server.Close()
	response, err := http.Head(server.URL + "/home")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || response.ContentLength == 0 {
		t.Errorf("HEAD: %d with length %d", response.StatusCode, response.ContentLength)
	}
}

// Headers of more than 16 KiB end in 431, before any handler.
func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	server := httptest.NewUnstartedServer(nil)
	server.Config = s.HTTP(nil)
	server.Start()
	defer server.Close()
	for size, want := range map[int]int{8 << 10: http.StatusOK, 17 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		r, err := http.NewRequest(http.MethodGet, server.URL+"/home", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Long", strings.Repeat("a", size))
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%d bytes of header: %d, want %d", size, response.StatusCode, want)
		}
	}
}

// 6.4 of the rules of logging: no query, no form, no cookie, no id from a path.
func TestNothingPrivateIsLogged(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	token, cookies := s.form(t)
	r := with(post("/login/secret-id?ui_locales=it&code=secret-code", url.Values{"form_token": {token}, "pin": {"48271936"}}), cookies)
	s.do(r)
	for _, secret := range []string{"secret-id", "secret-code", "48271936", token, cookies[0].Value} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// A page says how long it is, to HEAD too.
func TestPageSaysItsLength(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	page := s.do(get("/home"))
	if got, want := page.Header().Get("Content-Length"), strconv.Itoa(page.Body.Len()); got != want || page.Body.Len() == 0 {
		t.Errorf("length %q, want %s", got, want)
	}
	head := s.do(httptest.NewRequest(http.MethodHead, "/home", nil))
	if got, want := head.Header().Get("Content-Length"), page.Header().Get("Content-Length"); got != want {
		t.Errorf("length %q to HEAD, want %s", got, want)
	}
}

// away is an answer that nobody reads.
type away struct{ header http.Header }

func (a away) Header() http.Header         { return a.header }
func (a away) Write(b []byte) (int, error) { return len(b), nil }
func (a away) WriteHeader(int)             {}

// What a page costs from the request to its last byte, for a browser that has
// been here before.
func BenchmarkRender(b *testing.B) {
	s := newSite(b, func(o *web.Options) { o.Logger = slog.New(slog.DiscardHandler) })
	_, cookies := s.form(b)
	for name, path := range map[string]string{"page": "/login/1", "nothing": "/ip"} {
		b.Run(name, func(b *testing.B) {
			r := with(get(path), cookies)
			r.Header.Set("Accept-Language", "it-IT,it;q=0.9,en-US;q=0.8,en;q=0.7")
			b.ReportAllocs()
			for b.Loop() {
				s.Echo.ServeHTTP(away{http.Header{}}, r)
			}
		})
	}
}
