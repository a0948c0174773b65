package provider

import "github.com/labstack/echo/v4"

// serveJWKS answers the jwks_uri.
func (p *Provider) serveJWKS(c echo.Context) error {
	jwks, maxAge := p.keys.Published(c.Request().Context())
	return documentOf(jwks).serve(c, "application/json", maxAge)
}
