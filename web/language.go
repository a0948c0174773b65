package web

import (
	"strings"

	"github.com/labstack/echo/v4"
)

// localesParam carries a language in addresses: the service's wish at
// /authorize, the person's choice in the links of our pages.
const localesParam = "ui_locales"

const languageCookie = "language"

// Language is the language that Render speaks to this browser with these Locales.
func Language(c echo.Context, uiLocales string) string {
	s, err := serverOf(c)
	if err != nil {
		return ""
	}
	return s.language(c, uiLocales)
}

// language goes from the most to the least deliberate: chosen on a page of ours,
// asked for by the service, set in the browser. Only shipped languages are ever
// answered, whatever a request says.
func (s *Server) language(c echo.Context, service string) string {
	asked := c.QueryParam(localesParam)
	if chosen, ok := s.templates.Match(asked); ok {
		s.remember(c, chosen)
		return chosen
	}
	if chosen, ok := s.templates.Match(cookieValue(c, s.secure, languageCookie)); ok {
		return chosen
	}
	if wished, ok := s.templates.Match(service); ok {
		return wished
	}
	return s.templates.Accept(c.Request().Header.Get("Accept-Language"))
}

// remember keeps the person's choice for the forms that follow. What a service
// asks for at a protocol endpoint is no choice of the person.
func (s *Server) remember(c echo.Context, language string) {
	path := c.Request().URL.Path
	if s.foreign[path] || cookieValue(c, s.secure, languageCookie) == language {
		return
	}
	for _, set := range c.Response().Header().Values("Set-Cookie") {
		if strings.HasPrefix(set, cookieName(s.secure, languageCookie)+"=") {
			return
		}
	}
	c.SetCookie(cookie(s.secure, languageCookie, language))
}
