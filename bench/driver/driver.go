// Package driver puts load on an OpenID provider: what services and citizens'
// browsers do, as often and as many at once as it is told. It knows nothing of
// who answers but what discovery says and what people type into its forms.
package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Client is a service that the provider knows, with client_secret_basic, PKCE
// and every grant type that the scenarios use.
type Client struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
	Alg    string `json:"id_token_signed_response_alg"` // of what signs its ID tokens
}

// Person is what somebody types: the text, or the button's value, by the name
// of the form's field. The fields of all pages are in one Person.
type Person map[string]string

// Target is a provider.
type Target struct {
	Issuer   string
	Client   Client // its consent is asked for at each sign-in
	Kept     Client // its consent is given once and kept
	RS256    Client // as Kept, but its ID tokens are signed with RSA
	Redirect string // of all; nobody listens there
	Scope    string // of a sign-in
	Resource string // for client_credentials, where the provider wants one named
	People   []Person
	Nodes    []string // hosts and ports of all that share the load
}

// endpoints are discovery's (OpenID Connect Discovery §3).
type endpoints struct {
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Userinfo      string `json:"userinfo_endpoint"`
	Introspection string `json:"introspection_endpoint"`
	JWKS          string `json:"jwks_uri"`
}

// Driver drives one provider. What one scenario leaves, the next one uses:
// browsers that are signed in, codes, tokens.
type Driver struct {
	target Target
	at     endpoints
	http   *http.Client
	people chan Person

	browsers []*Browser // signed in, one for each worker

	mu    sync.Mutex
	kept  stock // of Target.Kept
	rs256 stock
}

// stock is what a service has been given so far.
type stock struct {
	codes  []code
	tokens []tokens
}

// code is what single sign-on gave, with the verifier of its challenge.
type code struct{ code, verifier string }

// tokens are what a code was exchanged for.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

// most is how many connections there may be to one provider.
const most = 256

// New reads the provider's discovery document.
func New(ctx context.Context, t Target) (*Driver, error) {
	transport := &http.Transport{MaxIdleConns: most, MaxIdleConnsPerHost: most, MaxConnsPerHost: most, DisableCompression: true}
	d := &Driver{target: t, people: make(chan Person, len(t.People)), http: &http.Client{
		Timeout:       30 * time.Second,
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if len(t.Nodes) > 1 {
		d.http.Transport = &spread{Transport: transport, nodes: t.Nodes}
	}
	for _, p := range t.People {
		d.people <- p
	}
	b, err := d.get(ctx, t.Issuer+"/.well-known/openid-configuration", "")
	if err != nil {
		return nil, fmt.Errorf("read discovery: %w", err)
	}
	if err := json.Unmarshal(b, &d.at); err != nil {
		return nil, fmt.Errorf("read discovery: %w", err)
	}
	return d, nil
}

// Close lets go of the connections.
func (d *Driver) Close() { d.http.CloseIdleConnections() }

var errStatus = errors.New("unexpected status")

// send wants 200 and returns the body.
func (d *Driver) send(r *http.Request) ([]byte, error) {
	a, err := d.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	if err == nil && a.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w %d of %s: %.200s", unexpected(a), a.StatusCode, r.URL.Path, b)
	}
	return b, err
}

func (d *Driver) get(ctx context.Context, address, bearer string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	return d.send(r)
}

// post sends a form as a service does, with its secret in the header.
func (d *Driver) post(ctx context.Context, address string, c Client, form url.Values) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
	return d.send(r)
}
