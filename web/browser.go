package web

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"net/http"

	"github.com/labstack/echo/v4"
)

// formTokenField is the hidden field of every form of ours.
const formTokenField = "form_token"

// Cookie prepares a cookie as all of ours are: HttpOnly, Lax, for the whole site
// and the session of the browser; on https with the __Host- prefix and Secure.
// Some clients and Safari never return Secure cookies over http, loopback or not.
func Cookie(c echo.Context, name, value string) *http.Cookie {
	s, err := serverOf(c)
	return cookie(err == nil && s.secure, name, value)
}

func cookie(secure bool, name, value string) *http.Cookie {
	return &http.Cookie{ // Secure on https; some clients lose Secure cookies on an http loopback
		Name: cookieName(secure, name), Value: value, Path: "/",
		Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

func cookieName(secure bool, name string) string {
	if secure {
		return "__Host-" + name
	}
	return name
}

// CookieValue is the value of a cookie of ours, or "".
func CookieValue(c echo.Context, name string) string {
	s, err := serverOf(c)
	if err != nil {
		return ""
	}
	return cookieValue(c, s.secure, name)
}

func cookieValue(c echo.Context, secure bool, name string) string {
	got, err := c.Cookie(cookieName(secure, name))
	if err != nil {
		return ""
	}
	return got.Value
}

// Browser is the random name of the browser that asks: 256 bits, in a cookie,
// made here when there is none. It binds interactions and form tokens to it and
// says nothing about a person.
func Browser(c echo.Context) string {
	s, err := serverOf(c)
	return browserOf(c, err == nil && s.secure)
}

// KnownBrowser tells whether the browser that asks has a name already.
func KnownBrowser(c echo.Context) bool {
	s, err := serverOf(c)
	return len(cookieValue(c, err == nil && s.secure, browserName)) == browserLength
}

// browserName names the cookie of Browser.
const browserName = "idp"

func browserOf(c echo.Context, secure bool) string {
	if value := cookieValue(c, secure, browserName); len(value) == browserLength {
		return value
	}
	made := cookie(secure, browserName, newBrowser())
	settle(c, made)
	return made.Value
}

// settle sets a cookie, or takes it away. The next call for this request must
// find it so, not whatever was there.
func settle(c echo.Context, made *http.Cookie) {
	c.SetCookie(made)
	others := c.Request().Cookies()
	c.Request().Header.Del("Cookie")
	for _, o := range others {
		if o.Name != made.Name {
			c.Request().AddCookie(o)
		}
	}
	if made.MaxAge >= 0 {
		c.Request().AddCookie(made)
	}
}

// SetCookie sets a cookie of ours, for the browser and for whatever this request
// goes on to.
func SetCookie(c echo.Context, name, value string) { settle(c, Cookie(c, name, value)) }

// SetShown sets the one kind of cookie that is no secret: scripts of ours may
// read it, in a frame on another site's page too. An empty value takes it away.
// It is Secure on an http loopback as well, for without that browsers take no
// cookie in such a frame; those that then lose it have none to show.
func SetShown(c echo.Context, name, value string) {
	s, err := serverOf(c)
	made := &http.Cookie{
		Name: cookieName(err == nil && s.secure, name), Value: value, Path: "/",
		Secure: true, SameSite: http.SameSiteNoneMode,
	}
	if value == "" {
		made.MaxAge = -1
	}
	settle(c, made)
}

// browserLength is 32 bytes in unpadded base64.
const browserLength = 43

func newBrowser() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// formToken is what the forms of this browser must carry.
func (s *Server) formToken(browser string) string {
	sum, err := s.forms.ComputePrimaryPRF(formInput(browser), 16)
	if err != nil {
		return "" // a key that cannot be used: every form is refused
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

func formInput(browser string) []byte { return []byte("form/v1\x00" + browser) }

// FormGenuine tells whether the posted form carries this browser's token. Web
// asks it for every form of ours; only endpoints that other sites may post to
// have to ask themselves.
func FormGenuine(c echo.Context) bool {
	s, err := serverOf(c)
	if err != nil {
		return false
	}
	got, err := base64.RawURLEncoding.DecodeString(PostValue(c, formTokenField))
	browser := cookieValue(c, s.secure, browserName)
	if err != nil || len(got) != 16 || len(browser) != browserLength {
		return false
	}
	for _, key := range s.forms.PRFs { // forms shown before a rotation still count
		want, err := key.ComputePRF(formInput(browser), 16)
		if err == nil && subtle.ConstantTimeCompare(got, want) == 1 {
			return true
		}
	}
	return false
}

// PostValue is the first value of a field of the posted form. Unlike
// echo.Context.FormValue it never looks at the query: secrets do not come in
// addresses.
func PostValue(c echo.Context, name string) string {
	if err := c.Request().ParseForm(); err != nil {
		return ""
	}
	return c.Request().PostForm.Get(name)
}
