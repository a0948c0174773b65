package provider

import (
	"bytes"

	"github.com/labstack/echo/v4"
)

// serveJWKS answers the jwks_uri. The document is made anew when the keys, or
// for how long they may be kept, are others than those of the last answer.
func (p *Provider) serveJWKS(c echo.Context) error {
	jwks, maxAge := p.keys.Published(c.Request().Context())
	d := p.jwks.Load()
	if d == nil || d.maxAge != maxAge || !bytes.Equal(d.body, jwks) {
		d = documentOf(echo.MIMEApplicationJSON, jwks, maxAge)
		p.jwks.Store(d)
	}
	return d.serve(c)
}
