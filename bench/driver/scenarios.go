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
	"strings"
)

// Scenario is something that is done over and over.
type Scenario struct {
	Name string
	// What one operation is, for the reader of the table.
	What string
	// RS256 is whether RSA signs the ID tokens.
	RS256 bool
	// do is one operation, by worker w.
	do step
	// gather is one operation of what makes do's codes; nil where another scenario
	// has left them.
	gather step
}

type step func(d *Driver, ctx context.Context, w int) error

// Scenarios are all there are, in the order in which they must be run: single
// sign-on makes the codes, the exchange of codes the tokens that follow.
func Scenarios() []Scenario {
	kept := func(d *Driver) (Client, *stock) { return d.target.Kept, &d.kept }
	rs256 := func(d *Driver) (Client, *stock) { return d.target.RS256, &d.rs256 }
	return []Scenario{
		{Name: "discovery", What: "the discovery document and the keys", do: (*Driver).documents},
		{Name: "client_credentials", What: "an access token for a service", do: (*Driver).clientCredentials},
		{Name: "sign-in", What: "authorize, form, consent, code, tokens, userinfo", do: (*Driver).signIn},
		{Name: "sso", What: "authorize with prompt=none, in a browser that is signed in", do: singleSignOn(kept)},
		{Name: "exchange", What: "a code with PKCE for access, ID and refresh token", do: exchange(kept)},
		{Name: "refresh", What: "a refresh token for the next one", do: refresh(kept)},
		{Name: "exchange-rs256", What: "exchange, its ID token signed with RSA", RS256: true, do: exchange(rs256), gather: singleSignOn(rs256)},
		{Name: "refresh-rs256", What: "refresh, its ID token signed with RSA", RS256: true, do: refresh(rs256)},
		{Name: "introspection", What: "whether an access token is alive", do: (*Driver).introspect},
		{Name: "userinfo", What: "the claims of an access token", do: (*Driver).userinfo},
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
	return t, full(json.Unmarshal(b, &t), t.Access != "" && t.Refresh != "" && signedWith(t.ID) == c.Alg)
}

// signedWith is the alg in a JWT's header; "" without one.
func signedWith(jwt string) string {
	head, _, _ := strings.Cut(jwt, ".")
	var h struct {
		Alg string `json:"alg"`
	}
	if b, err := base64.RawURLEncoding.DecodeString(head); err != nil || json.Unmarshal(b, &h) != nil {
		return ""
	}
	return h.Alg
}

// signIn is a whole sign-in, by somebody whom nobody else signs in meanwhile.
func (d *Driver) signIn(ctx context.Context, _ int) error {
	p := <-d.people
	defer func() { d.people <- p }()
	return d.signInAs(ctx, p)
}

func (d *Driver) signInAs(ctx context.Context, p Person) error {
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

// who is the service that does a step, and what it has.
type who func(*Driver) (Client, *stock)

func singleSignOn(by who) step {
	return func(d *Driver, ctx context.Context, w int) error {
		c, has := by(d)
		one, err := d.authorize(ctx, d.browsers[w], c, "none", nil)
		if err == nil {
			d.mu.Lock()
			has.codes = append(has.codes, one)
			d.mu.Unlock()
		}
		return err
	}
}

func exchange(by who) step {
	return func(d *Driver, ctx context.Context, _ int) error {
		c, has := by(d)
		d.mu.Lock()
		n := len(has.codes)
		if n == 0 {
			d.mu.Unlock()
			return errSpent
		}
		one := has.codes[n-1]
		has.codes = has.codes[:n-1]
		d.mu.Unlock()
		t, err := d.redeem(ctx, c, one)
		if err == nil {
			d.mu.Lock()
			has.tokens = append(has.tokens, t)
			d.mu.Unlock()
		}
		return err
	}
}

// refresh goes on with the worker's own chain.
func refresh(by who) step {
	return func(d *Driver, ctx context.Context, w int) error {
		c, has := by(d)
		mine, err := has.of(w)
		if err != nil {
			return err
		}
		b, err := d.post(ctx, d.at.Token, c, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {mine.Refresh}})
		if err != nil {
			return err
		}
		var t tokens
		if err := full(json.Unmarshal(b, &t), t.Access != "" && t.Refresh != "" && t.ID != ""); err != nil {
			return err
		}
		has.tokens[w] = t // no other worker looks at this chain
		return nil
	}
}

func (d *Driver) introspect(ctx context.Context, w int) error {
	mine, err := d.kept.of(w)
	if err != nil {
		return err
	}
	b, err := d.post(ctx, d.at.Introspection, d.target.Kept, url.Values{"token": {mine.Access}})
	if err != nil {
		return err
	}
	var a struct {
		Active bool `json:"active"`
	}
	return full(json.Unmarshal(b, &a), a.Active)
}

func (d *Driver) userinfo(ctx context.Context, w int) error {
	mine, err := d.kept.of(w)
	if err != nil {
		return err
	}
	return d.claims(ctx, mine)
}

// of are a worker's own tokens.
func (s *stock) of(worker int) (tokens, error) {
	if worker >= len(s.tokens) {
		return tokens{}, errors.New("no tokens: the scenarios sso and exchange get them, and have to run before")
	}
	return s.tokens[worker], nil
}
