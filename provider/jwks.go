package provider

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"
)

// jwksDocument is the published keys, and how long they may be cached. A node
// that has lost the database serves what it last knew, but briefly: a newer
// key, or a revocation, may exist that it has not heard of.
func (k *KeyRing) jwksDocument(ctx context.Context) (document, time.Duration) {
	recent := func() bool { return time.Since(k.snap.Load().asked) <= 2*k.policy.Poll }
	if !recent() {
		_ = k.reload(ctx, false) // how it went shows in what is known afterwards
	}
	if !recent() {
		return k.snap.Load().jwks, k.policy.Poll
	}
	return k.snap.Load().jwks, k.policy.CacheLifetime
}

// serveJWKS answers the jwks_uri.
func (p *Provider) serveJWKS(c echo.Context) error {
	doc, maxAge := p.keys.jwksDocument(c.Request().Context())
	return doc.serve(c, "application/json", maxAge)
}
