package driver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
)

// Scenario is something that is done over and over.
type Scenario struct {
	Name string
	// What one operation is, for the reader of the table.
	What string
	// do is one operation, by worker w.
	do func(d *Driver, ctx context.Context, w int) error
}

// Scenarios are all there are, in the order in which they must be run: single
// sign-on makes the codes, the exchange of codes the tokens that follow.
func Scenarios() []Scenario {
	return []Scenario{
		{"discovery", "the discovery document and the keys", (*Driver).documents},
		{"client_credentials", "an access token for a service", (*Driver).clientCredentials},
		{"sign-in", "authorize, form, consent, code, tokens, userinfo", (*Driver).signIn},
		{"sso", "authorize with prompt=none, in a browser that is signed in", (*Driver).singleSignOn},
		{"exchange", "a code with PKCE for access, ID and refresh token", (*Driver).exchange},
		{"refresh", "a refresh token for the next one", (*Driver).refresh},
		{"introspection", "whether an access token is alive", (*Driver).introspect},
		{"userinfo", "the claims of an access token", (*Driver).userinfo},
	}
}

var errShort = errors.New("the answer lacks what was asked for")

// documents reads both documents.
func (d *Driver) documents(ctx context.Context, _ int) error {
	if _, err := d.get(ctx, d.target.Issuer+"/.well-known/openid-configuration", ""); err != nil {
		return err
	}
	_, err := d.get(ctx, d.at.JWKS, "")
	return err
}

func (d *Driver) clientCredentials(ctx context.Context, _ int) error {
	form := url.Values{"grant_type": {"client_credentials"}}
	if d.target.Resource != "" {
		form.Set("resource", d.target.Resource)
	}
	b, err := d.post(ctx, d.at.Token, d.target.Client, form)
	if err != nil {
		return err
	}
	var t tokens
	return full(json.Unmarshal(b, &t), t.Access != "")
}

func full(err error, ok bool) error {
	if err == nil && !ok {
		return errShort
	}
	return err
}

// verifier is a new PKCE verifier and its challenge (RFC 7636 §4.1, §4.2).
func verifier() (v, challenge string) {
	v = rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(v))
	return v, base64.RawURLEncoding.EncodeToString(sum[:])
}

// request is the address of an authorization request.
func (d *Driver) request(c Client, challenge, prompt string) string {
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {d.target.Redirect}, "scope": {d.target.Scope},
		"state": {rand.Text()}, "nonce": {rand.Text()}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	if prompt != "" {
		q.Set("prompt", prompt)
	}
	return d.at.Authorization + "?" + q.Encode()
}

// authorize leads a browser through a request to its code.
func (d *Driver) authorize(ctx context.Context, b *Browser, c Client, prompt string, p Person) (code, error) {
	v, challenge := verifier()
	reply, err := b.walk(ctx, d.request(c, challenge, prompt), p)
	if err != nil {
		return code{}, err
	}
	if reply.Get("code") == "" {
		return code{}, fmt.Errorf("no code: %s %s", reply.Get("error"), reply.Get("error_description"))
	}
	return code{reply.Get("code"), v}, nil
}

// redeem exchanges a code.
func (d *Driver) redeem(ctx context.Context, c Client, one code) (t tokens, err error) {
	b, err := d.post(ctx, d.at.Token, c, url.Values{
		"grant_type": {"authorization_code"}, "code": {one.code}, "redirect_uri": {d.target.Redirect}, "code_verifier": {one.verifier},
	})
	if err != nil {
		return t, err
	}
	return t, full(json.Unmarshal(b, &t), t.Access != "" && t.Refresh != "" && t.ID != "")
}

// signIn is a whole sign-in, by somebody whom nobody else signs in meanwhile.
func (d *Driver) signIn(ctx context.Context, _ int) error {
	p := <-d.people
	defer func() { d.people <- p }()
	one, err := d.authorize(ctx, d.browser(), d.target.Client, "", p)
	if err != nil {
		return err
	}
	t, err := d.redeem(ctx, d.target.Client, one)
	if err != nil {
		return err
	}
	return d.claims(ctx, t)
}

func (d *Driver) claims(ctx context.Context, t tokens) error {
	b, err := d.get(ctx, d.at.Userinfo, t.Access)
	if err != nil {
		return err
	}
	var claims map[string]any
	return full(json.Unmarshal(b, &claims), claims["sub"] != nil)
}

func (d *Driver) singleSignOn(ctx context.Context, w int) error {
	one, err := d.authorize(ctx, d.browsers[w], d.target.Kept, "none", nil)
	if err == nil {
		d.mu.Lock()
		d.codes = append(d.codes, one)
		d.mu.Unlock()
	}
	return err
}

func (d *Driver) exchange(ctx context.Context, _ int) error {
	d.mu.Lock()
	n := len(d.codes)
	if n == 0 {
		d.mu.Unlock()
		return errSpent
	}
	one := d.codes[n-1]
	d.codes = d.codes[:n-1]
	d.mu.Unlock()
	t, err := d.redeem(ctx, d.target.Kept, one)
	if err == nil {
		d.mu.Lock()
		d.tokens = append(d.tokens, t)
		d.mu.Unlock()
	}
	return err
}

// refresh goes on with the worker's own chain.
func (d *Driver) refresh(ctx context.Context, w int) error {
	b, err := d.post(ctx, d.at.Token, d.target.Kept, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {d.tokens[w].Refresh}})
	if err != nil {
		return err
	}
	var t tokens
	if err := full(json.Unmarshal(b, &t), t.Access != "" && t.Refresh != ""); err != nil {
		return err
	}
	d.tokens[w] = t // no other worker looks at this chain
	return nil
}

func (d *Driver) introspect(ctx context.Context, w int) error {
	b, err := d.post(ctx, d.at.Introspection, d.target.Kept, url.Values{"token": {d.tokens[w].Access}})
	if err != nil {
		return err
	}
	var a struct {
		Active bool `json:"active"`
	}
	return full(json.Unmarshal(b, &a), a.Active)
}

func (d *Driver) userinfo(ctx context.Context, w int) error { return d.claims(ctx, d.tokens[w]) }
