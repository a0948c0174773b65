package provider

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
	"ente.example/idp/login"
	"ente.example/idp/web"
)

const (
	parPath = "/par"
	// pushedPrefix begins the request_uri of a request that was pushed (RFC 9126
	// §2.2); the rest of it is the interaction that keeps it.
	pushedPrefix = "urn:ietf:params:oauth:request_uri:"
)

// pushedAnswer is RFC 9126 §2.2.
type pushedAnswer struct {
	RequestURI string `json:"request_uri"`
	ExpiresIn  int64  `json:"expires_in"`
}

// push is the pushed authorization request endpoint (RFC 9126). The request is
// judged as /authorize would, and kept as an interaction that waits for its
// browser.
func (p *Provider) push(c echo.Context) error {
	answer, err := p.keepPushed(c)
	if err != nil {
		return p.fail(c, err)
	}
	noStore(c.Response().Header())
	return c.JSON(http.StatusCreated, answer)
}

func (p *Provider) keepPushed(c echo.Context) (pushedAnswer, error) {
	f, err := parseForm(c)
	if err != nil {
		return pushedAnswer{}, err
	}
	client, err := p.authenticateClient(c, f)
	if err != nil {
		return pushedAnswer{}, err
	}
	r, err := p.pushedRequest(c, f, client)
	if err != nil {
		return pushedAnswer{}, err
	}
	i, err := p.interactions.Start(c.Request().Context(), "", r.interaction(p.lifetimes.PushedRequest))
	if err != nil {
		return pushedAnswer{}, err
	}
	return pushedAnswer{pushedPrefix + i.ID, seconds(p.lifetimes.PushedRequest)}, nil
}

// pushedRequest is a request that holds. A client that has proved who it is can
// be told everything, a wrong redirect_uri too.
func (p *Provider) pushedRequest(c echo.Context, f form, client clients.Client) (*authRequest, error) {
	ctx := c.Request().Context()
	if f.Get("request_uri") != "" {
		return nil, badRequest(codeInvalidRequest, "request_uri has no place in a pushed request")
	}
	f.values.Set("client_id", client.ID)
	f, err := p.unwrap(ctx, f, client)
	if err == nil {
		err = p.bindBackChannel(c, f, client, parPath)
	}
	if err != nil {
		return nil, err
	}
	r, err := p.trust(ctx, f)
	if _, ok := errors.AsType[*web.Problem](err); ok {
		return nil, badRequest(codeInvalidRequest, "redirect_uri is missing or not registered")
	}
	if err != nil {
		return nil, err
	}
	return r, p.check(ctx, r)
}

// bindBackChannel reads a DPoP proof that comes with a request at the endpoint
// path as if dpop_jkt had named its key (RFC 9449 §10.1).
func (p *Provider) bindBackChannel(c echo.Context, f form, client clients.Client, path string) error {
	jkt, err := p.proof(c, client, path, "")
	if err != nil || jkt == "" {
		return err
	}
	if said := f.Get("dpop_jkt"); said != "" && said != jkt {
		return invalidProof("dpop_jkt is another key than the proof's")
	}
	f.values.Set("dpop_jkt", jkt)
	return nil
}

// interaction is what is kept of a request.
func (r *authRequest) interaction(life time.Duration) login.Request {
	return login.Request{
		Client: r.client.ID, Params: r.kept(), Wants: r.wants(), Lang: r.form.Get("ui_locales"),
		LoginHint: r.form.Get("login_hint"), Life: life,
	}
}

// pushed reports whether a request names one that was pushed before.
func pushed(f form) bool { return strings.HasPrefix(f.Get("request_uri"), pushedPrefix) }

// takePushed goes on with a pushed request, in the browser that brings it
// first. Whatever else the address says counts for nothing (RFC 9126 §4).
func (p *Provider) takePushed(c echo.Context, f form) error {
	if f.isRepeated("client_id") || f.isRepeated("request_uri") {
		return untrusted(errors.New("a pushed request is named twice"))
	}
	id := strings.TrimPrefix(f.Get("request_uri"), pushedPrefix)
	i, err := p.interactions.Take(c.Request().Context(), web.Browser(c), f.Get("client_id"), id)
	if errors.Is(err, login.ErrLost) {
		return untrusted(errors.New("request_uri is unknown, has expired, was used or is another client's"))
	}
	if err != nil {
		return err
	}
	on := login.Step{Interaction: i}
	return p.goOn(c, on, func(r *authRequest) error {
		if r.prompted(promptCreate) {
			return p.enter(c, r, i)
		}
		return p.proceed(c, r, &on)
	})
}
