package provider

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// readable lets scripts of any origin read an endpoint's answers. It is for
// endpoints that look at no cookie: what they answer depends on the request
// alone, and browsers are told to send no credentials of ours along.
func readable(answer echo.HandlerFunc) echo.HandlerFunc {
	exposed := []string{"WWW-Authenticate, Retry-After, DPoP-Nonce"}
	answer = public(answer)
	return func(c echo.Context) error {
		c.Response().Header()["Access-Control-Expose-Headers"] = exposed
		return answer(c)
	}
}

// public is readable without headers that a script would have to read.
func public(answer echo.HandlerFunc) echo.HandlerFunc {
	anybody := []string{"*"}
	return func(c echo.Context) error {
		c.Response().Header()["Access-Control-Allow-Origin"] = anybody
		return answer(c)
	}
}

// preflight answers a browser that asks beforehand what scripts may send.
func preflight(methods []string) echo.HandlerFunc {
	allowed := strings.Join(methods, ", ")
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Methods", allowed)
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
		h.Set("Access-Control-Max-Age", "3600")
		h.Set("Allow", allowed+", OPTIONS")
		return c.NoContent(http.StatusNoContent)
	}
}

// open registers an endpoint that scripts may read, with its preflight.
func open(e *echo.Echo, path string, h echo.HandlerFunc, methods ...string) {
	for _, m := range methods {
		e.Add(m, path, readable(h))
	}
	e.OPTIONS(path, preflight(methods))
}

// publish registers a document for everybody, with its preflight.
func publish(e *echo.Echo, path string, document echo.HandlerFunc) {
	e.GET(path, public(document))
	e.OPTIONS(path, preflight([]string{http.MethodGet}))
}
