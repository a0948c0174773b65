package provider

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
)

// credential is how a client says who it is: the method, the id it claims, and
// the secret or the assertion that is to prove it.
type credential struct {
	method string
	id     string
	secret string // or the assertion
}

// authenticateClient finds out which client sent this form. It accepts the one
// method the client registered. An unknown client, a disabled one and a wrong
// secret look alike, in the answer and in the work they make.
func (p *Provider) authenticateClient(c echo.Context, f form) (clients.Client, error) {
	cred, err := readCredential(c, f)
	if err != nil {
		return clients.Client{}, err
	}
	ctx := c.Request().Context()
	client, err := p.clients.Get(ctx, cred.id)
	// The zero client goes through the same motions, so that the time an answer
	// takes does not say which clients there are.
	if errors.Is(err, clients.ErrUnknown) || errors.Is(err, clients.ErrDisabled) {
		client, err = clients.Client{}, nil
	}
	if err != nil {
		return clients.Client{}, err
	}
	if cred.method == clients.AuthNone && client.UsesCertificate() { // which the form does not show
		cred.method = client.TokenEndpointAuthMethod
	}
	proved, err := p.prove(c, client, cred)
	if err != nil {
		return clients.Client{}, err
	}
	if !proved || client.ID == "" || client.TokenEndpointAuthMethod != cred.method {
		return clients.Client{}, invalidClient()
	}
	return client, nil
}

// prove is also asked about the zero client, for which it does the same work.
func (p *Provider) prove(c echo.Context, client clients.Client, cred credential) (bool, error) {
	ctx := c.Request().Context()
	switch cred.method {
	case clients.AuthTLS, clients.AuthSelfSigned:
		return p.provesByCertificate(c, client)
	case clients.AuthNone:
		return client.Public(), nil
	case clients.AuthPrivateKeyJWT:
		return p.checkAssertion(ctx, client, cred.secret)
	default:
		return p.clients.CheckSecret(ctx, client, cred.secret)
	}
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// readCredential refuses two methods at once (RFC 6749 §2.3): what one of them
// says must not ride on what the other proves.
func readCredential(c echo.Context, f form) (credential, error) {
	var found []credential
	// An Authorization header that is not ours to read counts as a failed try,
	// not as none: the client meant to prove something.
	if headers := c.Request().Header.Values(echo.HeaderAuthorization); len(headers) > 0 {
		cred, err := readBasic(headers)
		if err != nil {
			return credential{}, err
		}
		found = append(found, cred)
	}
	if secret := f.Get("client_secret"); secret != "" {
		found = append(found, credential{clients.AuthPost, f.Get("client_id"), secret})
	}
	if f.Get("client_assertion") != "" || f.Get("client_assertion_type") != "" {
		cred, err := readAssertion(f)
		if err != nil {
			return credential{}, err
		}
		found = append(found, cred)
	}
	switch {
	case len(found) > 1:
		return credential{}, badRequest(codeInvalidRequest, "more than one way of client authentication is used")
	case len(found) == 0 && f.Get("client_id") == "":
		return credential{}, invalidClient()
	case len(found) == 0:
		return credential{method: clients.AuthNone, id: f.Get("client_id")}, nil
	}
	// Else what one client proves could be charged to another.
	if id := f.Get("client_id"); id != "" && id != found[0].id {
		return credential{}, badRequest(codeInvalidRequest, "client_id is not the client that authenticates")
	}
	return found[0], nil
}

// readBasic reads id and secret, each form-encoded before they were joined (RFC
// 6749 §2.3.1).
func readBasic(headers []string) (credential, error) {
	scheme, encoded, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 || !strings.EqualFold(scheme, "Basic") {
		return credential{}, invalidClient()
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return credential{}, invalidClient()
	}
	id, secret, ok := strings.Cut(string(raw), ":")
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	if !ok || errID != nil || errSecret != nil || !clean(id) {
		return credential{}, invalidClient()
	}
	return credential{clients.AuthBasic, id, secret}, nil
}

// readAssertion takes the client's name from the assertion itself; client_id is
// optional beside it (RFC 7521 §4.2).
func readAssertion(f form) (credential, error) {
	if f.Get("client_assertion_type") != assertionType {
		return credential{}, badRequest(codeInvalidRequest, "client_assertion_type is not supported")
	}
	id, ok := assertedClient(f.Get("client_assertion"))
	if !ok {
		return credential{}, invalidClient()
	}
	return credential{clients.AuthPrivateKeyJWT, id, f.Get("client_assertion")}, nil
}
