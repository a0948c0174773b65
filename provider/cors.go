package provider

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// cors lets scripts of any origin read an endpoint's answers. It is for
// endpoints that look at no cookie: what they answer depends on the request
// alone, and browsers are told to send no credentials of ours along.
func cors(methods ...string) echo.MiddlewareFunc {
	allowed := strings.Join(methods, ", ")
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			h := c.Response().Header()
			h.Set("Access-Control-Allow-Origin", "*")
			if c.Request().Method != http.MethodOptions {
				h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, ETag, DPoP-Nonce")
				return next(c)
			}
			h.Set("Access-Control-Allow-Methods", allowed)
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
			h.Set("Access-Control-Max-Age", "3600")
			h.Set("Allow", allowed+", OPTIONS")
			return c.NoContent(http.StatusNoContent)
		}
	}
}

// open registers an endpoint that scripts may read, with its preflight.
func open(e *echo.Echo, path string, h echo.HandlerFunc, methods ...string) {
	allow := cors(methods...)
	for _, m := range methods {
		e.Add(m, path, h, allow)
	}
	e.OPTIONS(path, h, allow)
}
