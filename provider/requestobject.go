package provider

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/provider/keys"
)

// A request object (RFC 9101, OpenID Connect Core §6) is the authorization
// request as a token that the client has signed, and then encrypted to us if it
// likes. It is turned into plain parameters before anything else looks at them.

// unreadable is the one answer to an object that cannot be decrypted and to one
// that is not signed: who encrypts to us what is not theirs learns nothing of it.
const unreadable = "the request object is not signed by the client in an algorithm that it may use, or is encrypted in a way or to a key that is not in use here"

// maxObjectAge is how long before its use a request object of the FAPI profile
// may have been made, and how long it may say that it is good for (FAPI 2.0
// Message Signing §5.3.1).
const maxObjectAge = 60 * time.Minute

func invalidObject(description string) *protocolError {
	return badRequest(codeInvalidRequestObject, description)
}

// opened finds out where an answer may go and what is asked. A request object
// that does not hold is a refusal for the address that the outer parameters
// name, if that one is the client's; else nobody is told but the citizen.
func (p *Provider) opened(ctx context.Context, f form) (r *authRequest, refusal, err error) {
	if f.Get("request") == "" && f.Get("request_uri") == "" {
		r, err = p.trust(ctx, f)
		if err == nil && r.client.RequireSignedRequestObject {
			refusal = badRequest(codeInvalidRequest, "the client has to sign its requests")
		}
		return r, refusal, err
	}
	if f.isRepeated("client_id") {
		return nil, nil, untrusted(nil)
	}
	client, err := p.clients.Get(ctx, f.Get("client_id"))
	if errors.Is(err, clients.ErrUnknown) || errors.Is(err, clients.ErrDisabled) {
		return nil, nil, untrusted(nil)
	}
	if err != nil {
		return nil, nil, err
	}
	inner, refusal := p.unwrap(ctx, f, client)
	if refusal != nil {
		r, err = p.trust(ctx, f)
		return r, refusal, err
	}
	r, err = p.trust(ctx, inner)
	return r, nil, err
}

// unwrap replaces request or request_uri by the parameters in the object. A
// form without either stays as it is.
func (p *Provider) unwrap(ctx context.Context, f form, client clients.Client) (form, error) {
	object := f.Get("request")
	switch uri := f.Get("request_uri"); {
	case f.isRepeated("request") || f.isRepeated("request_uri") || object != "" && uri != "":
		return form{}, badRequest(codeInvalidRequest, "more than one request object is named")
	case uri != "":
		var err error
		if object, err = p.fetchObject(ctx, client, uri); err != nil {
			return form{}, err
		}
	case object == "" && client.RequireSignedRequestObject:
		return form{}, badRequest(codeInvalidRequest, "the client has to sign its requests")
	case object == "":
		return f, nil
	}
	claims, err := p.openObject(ctx, client, object)
	if err != nil {
		return form{}, err
	}
	inner, err := objectForm(claims)
	if err != nil {
		return form{}, err
	}
	return p.merged(f, inner, client), nil
}

func (p *Provider) fetchObject(ctx context.Context, client clients.Client, uri string) (string, error) {
	object, err := p.clients.RequestObject(ctx, client, uri)
	switch {
	case errors.Is(err, clients.ErrNotRegistered):
		return "", badRequest(codeInvalidRequestURI, "request_uri is not one that the client has registered")
	case err != nil:
		e := badRequest(codeInvalidRequestURI, "request_uri cannot be read")
		e.cause = err
		return "", e
	}
	return object, nil
}

// openObject returns the claims of an object that the client signed, for us,
// and that is good now.
func (p *Provider) openObject(ctx context.Context, client clients.Client, object string) (map[string]json.RawMessage, error) {
	object, err := p.decrypted(ctx, object)
	if err != nil {
		return nil, err
	}
	payload, typ, err := p.openSigned(ctx, client, object, assertionAlgorithms(client, client.RequestObjectSigningAlg))
	switch {
	case err != nil:
		return nil, err
	case payload == nil || !keys.Shallow(payload):
		return nil, invalidObject(unreadable)
	case !isType(typ, "JWT", "oauth-authz-req+jwt"):
		return nil, invalidObject("the token is of another type than a request object")
	}
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, invalidObject("the request object is not a JSON object")
	}
	return claims, p.checkObject(client, payload, claims, time.Now())
}

// decrypted is the signed object, taken out of its encryption where there is one.
func (p *Provider) decrypted(ctx context.Context, object string) (string, error) {
	if strings.Count(object, ".") == 4 { // RFC 7516 §9
		inner, err := p.keys.Open(ctx, object, keyEncryptions(), contentEncryptions())
		if errors.Is(err, keys.ErrBadToken) || err == nil && len(inner) > maxAssertion {
			return "", invalidObject(unreadable)
		}
		return string(inner), err
	}
	if len(object) > maxAssertion {
		return "", invalidObject("the request object is too long")
	}
	return object, nil
}

// checkObject looks at the claims that are about the object itself.
func (p *Provider) checkObject(client clients.Client, payload []byte, claims map[string]json.RawMessage, now time.Time) error {
	var a assertionClaims
	var named struct {
		ClientID string `json:"client_id"`
	}
	if json.Unmarshal(payload, &a) != nil || json.Unmarshal(payload, &named) != nil {
		return invalidObject("a claim of the request object is not of its type")
	}
	strict := client.Profile == clients.ProfileFAPI2
	switch {
	case claims["request"] != nil, claims["request_uri"] != nil:
		return invalidObject("a request object holds no other one")
	case named.ClientID != client.ID && (named.ClientID != "" || client.Profile != clients.ProfileOIDC):
		return invalidObject("client_id in the request object is not the client")
	case a.Issuer != client.ID && (a.Issuer != "" || strict):
		return invalidObject("iss of the request object is not the client")
	case len(a.Audience) == 0 && strict, len(a.Audience) > 0 && !slices.Contains(a.Audience, p.issuer):
		return invalidObject("aud of the request object is not this issuer")
	case a.Subject == client.ID: // it would pass for a client assertion
		return invalidObject("sub of the request object must not be the client")
	}
	return checkObjectTimes(a, strict, now)
}

func checkObjectTimes(a assertionClaims, strict bool, now time.Time) error {
	expires, hasEnd := numericDate(a.ExpiresAt)
	starts, hasStart := numericDate(a.NotBefore)
	switch {
	case !hasEnd && (a.ExpiresAt != nil || strict), hasEnd && !expires.After(now.Add(-assertionSkew)):
		return invalidObject("the request object has expired or does not say when it does")
	case !hasStart && (a.NotBefore != nil || strict), !begun(a.NotBefore, now), !begun(a.IssuedAt, now):
		return invalidObject("the request object is not good yet or does not say since when it is")
	case strict && (now.Sub(starts) > maxObjectAge || expires.Sub(starts) > maxObjectAge):
		return invalidObject("the request object is good for more than an hour")
	}
	return nil
}

// aboutTheObject are its own claims, not parameters of the request.
func aboutTheObject() []string { return []string{"iss", "aud", "exp", "iat", "nbf", "jti", "sub"} }

// objectForm are the parameters in an object: text as it is, numbers and
// structures as they are written in JSON, resource as often as it is listed.
func objectForm(claims map[string]json.RawMessage) (form, error) {
	values := url.Values{}
	for name, raw := range claims {
		if slices.Contains(aboutTheObject(), name) || string(raw) == "null" {
			continue
		}
		var text string
		var list []string
		switch {
		case json.Unmarshal(raw, &text) == nil:
			values.Set(name, text)
		case name == "resource" && json.Unmarshal(raw, &list) == nil:
			values[name] = list
		default:
			values.Set(name, string(raw))
		}
	}
	f, err := parseParameters(values.Encode())
	if err != nil {
		return form{}, invalidObject("a parameter in the request object is not valid text")
	}
	return f, nil
}

// merged is what counts: the object alone (RFC 9101 §6.3), but for clients of
// the OpenID profile what it leaves out may stand beside it (OIDC Core §6.1),
// unless the client has to sign its requests: then whatever is asked is signed.
func (p *Provider) merged(outer, inner form, client clients.Client) form {
	inner.values.Set("client_id", client.ID)
	if client.Profile != clients.ProfileOIDC || client.RequireSignedRequestObject {
		return inner
	}
	for _, name := range slices.Sorted(maps.Keys(outer.values)) {
		if name != "request" && name != "request_uri" && !inner.values.Has(name) {
			inner.values[name] = outer.values[name]
		}
	}
	inner.repeated = outer.repeated
	return inner
}
