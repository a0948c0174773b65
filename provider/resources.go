package provider

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"

	"ente.example/idp/audit"
	"ente.example/idp/login"
	"github.com/labstack/echo/v4"
)

// resources is what the endpoints beside authorize and token work with.
type resources struct {
	revoked     *revokedTokens
	discovery   *document
	checkFrame  *document
	jwks        *atomic.Pointer[document] // as it was answered last
	framePolicy string
}

func newResources(p *Provider) (r resources, _ error) {
	longest := max(p.lifetimes.AccessToken, p.lifetimes.IDToken)
	if kept := p.keys.TokenLifetime(); kept < longest {
		return r, fmt.Errorf("provider: tokens live %s, but old keys are kept for tokens of %s", longest, kept)
	}
	r.revoked = &revokedTokens{db: p.db}
	r.framePolicy, r.jwks = checkSessionPolicy(), &atomic.Pointer[document]{}
	r.checkFrame = documentOf(echo.MIMETextHTMLCharsetUTF8, []byte(checkSessionPage), discoveryAge)
	metadata, err := json.Marshal(p.metadata())
	if err != nil {
		return r, fmt.Errorf("render the metadata: %w", err)
	}
	r.discovery = documentOf(echo.MIMEApplicationJSON, metadata, discoveryAge)
	return r, nil
}

// mountResources registers everything but the endpoints that issue tokens.
func (p *Provider) mountResources(e *echo.Echo) {
	publish(e, openIDPath, p.serveDiscovery)
	publish(e, oauthPath, p.serveDiscovery)
	publish(e, jwksPath, p.serveJWKS)
	open(e, userinfoPath, p.userinfo, http.MethodGet, http.MethodPost)
	open(e, revokePath, p.revoke, http.MethodPost)
	e.POST(introspectPath, p.introspect)
	e.GET(checkSessionPath, p.checkSession)
	p.mountEndSession(e)
}

// clientActor is a client that has proved who it is, with its request.
func clientActor(c echo.Context, id string) audit.Actor {
	return audit.Actor{Kind: audit.Client, ID: id, Request: login.Actor(c, nil).Request}
}
