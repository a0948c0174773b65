package provider

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/clients"
	"ente.example/idp/provider/keys"
)

// How far clocks may be apart, and how long an assertion may live. A clock that
// is ten seconds fast must be tolerated, one that is a minute fast must not; the
// longest life bounds what is kept to recognise replays.
const (
	assertionSkew     = 30 * time.Second
	assertionLifetime = 10 * time.Minute
	maxAssertion      = 16 << 10
	maxJTI            = 512
)

// assertionClaims are what RFC 7523 §3 and OpenID Connect Core §9 ask for.
type assertionClaims struct {
	Issuer    string       `json:"iss"`
	Subject   string       `json:"sub"`
	Audience  audience     `json:"aud"`
	JTI       string       `json:"jti"`
	ExpiresAt *json.Number `json:"exp"`
	IssuedAt  *json.Number `json:"iat"`
	NotBefore *json.Number `json:"nbf"`
}

// assertionAlgorithms are those that the client's profile knows; a client that
// has registered one of them is held to that one.
func assertionAlgorithms(client clients.Client, registered string) []jose.SignatureAlgorithm {
	all := signatureAlgorithms(client.Profile.Algorithms())
	if registered == "" {
		return all
	}
	return slices.DeleteFunc(all, func(a jose.SignatureAlgorithm) bool { return string(a) != registered })
}

func signatureAlgorithms(names []string) []jose.SignatureAlgorithm {
	algs := make([]jose.SignatureAlgorithm, 0, len(names))
	for _, name := range names {
		algs = append(algs, jose.SignatureAlgorithm(name))
	}
	return algs
}

// assertedClient is who an assertion says it is from. Nothing is believed yet:
// the name only says whose keys to check it with.
func assertedClient(assertion string) (string, bool) {
	claims, ok := peek(assertion)
	return claims.Issuer, ok && claims.Issuer == claims.Subject
}

// peek is what an assertion says, before anything of it is believed.
func peek(assertion string) (claims assertionClaims, ok bool) {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 || len(assertion) > maxAssertion {
		return assertionClaims{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !keys.Shallow(payload) || json.Unmarshal(payload, &claims) != nil {
		return assertionClaims{}, false
	}
	return claims, claims.Issuer != "" && clean(claims.Issuer) && clean(claims.Subject)
}

// checkAssertion reports whether the client signed this, for us, now and for
// the first time. The replay check comes last: what fails before it must not
// use the jti up.
func (p *Provider) checkAssertion(ctx context.Context, client clients.Client, assertion string) (bool, error) {
	if client.TokenEndpointAuthMethod != clients.AuthPrivateKeyJWT {
		return false, nil
	}
	payload, typ, err := p.openSigned(ctx, client, assertion, assertionAlgorithms(client, client.TokenEndpointAuthSigningAlg))
	if err != nil || payload == nil || !isType(typ, "JWT", typAssertion) {
		return false, err
	}
	var claims assertionClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return false, nil //nolint:nilerr // what does not parse proves nothing
	}
	expires, ok := p.checkAssertionClaims(client, claims, time.Now())
	if !ok || client.Profile == clients.ProfileFAPI2 && !p.addressedToUsAlone(payload) {
		return false, nil
	}
	// twice the skew: the database, whose clock forgets it, may be ahead of ours
	fresh, err := p.grants.firstSeen(ctx, client.ID, jtiHash(claims.JTI), expires.Add(2*assertionSkew))
	if err != nil {
		return false, fmt.Errorf("check client assertion: %w", err)
	}
	return fresh, nil
}

// openSigned returns the payload and its typ if one of the client's keys signed
// it, nil if none did. The algorithms are ours and the client's, never the
// header's; keys come from the registration, whatever jku, x5u or jwk say.
func (p *Provider) openSigned(ctx context.Context, client clients.Client, text string, algs []jose.SignatureAlgorithm) (payload []byte, typ string, err error) {
	return openedBy(text, algs, func(kid string) ([]jose.JSONWebKey, error) { return p.clients.Keys(ctx, client, kid) })
}

// openedBy is openSigned for the keys of anybody.
func openedBy(text string, algs []jose.SignatureAlgorithm, find func(kid string) ([]jose.JSONWebKey, error)) (payload []byte, typ string, err error) {
	jws, err := jose.ParseSignedCompact(text, algs)
	if err != nil {
		return nil, "", nil //nolint:nilerr // not a signature of a kind we take
	}
	header := jws.Signatures[0].Protected
	if critical(header) {
		return nil, "", nil
	}
	keys, err := find(header.KeyID)
	if errors.Is(err, clients.ErrKeys) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	typ, _ = header.ExtraHeaders[jose.HeaderType].(string)
	for _, k := range keys {
		if k.Algorithm != "" && k.Algorithm != header.Algorithm || k.Use != "" && k.Use != "sig" {
			continue
		}
		if payload, err := jws.Verify(k.Key); err == nil {
			return payload, typ, nil
		}
	}
	return nil, "", nil
}

// critical reports whether a token asks for what we do not do: no extension that
// a header can name is known here. The one that the parser knows, a payload that
// is not encoded, has no place in a JWT (RFC 7797 §7).
func critical(h jose.Header) bool { return h.ExtraHeaders["crit"] != nil }

// typAssertion is what a client assertion says that it is, if it says anything.
const typAssertion = "client-authentication+jwt"

// isType reports whether a token's typ is one of these, or left out. What says
// that it is something else was not signed for this.
func isType(typ string, names ...string) bool {
	if len(typ) > len("application/") && strings.EqualFold(typ[:len("application/")], "application/") {
		typ = typ[len("application/"):]
	}
	return typ == "" || slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(typ, name) })
}

// checkAssertionClaims is everything about an assertion that needs no database.
func (p *Provider) checkAssertionClaims(client clients.Client, a assertionClaims, now time.Time) (expires time.Time, ok bool) {
	ours := func(aud string) bool {
		return aud == p.issuer || aud == p.issuer+tokenPath || aud == p.issuer+parPath
	}
	expires, hasEnd := numericDate(a.ExpiresAt)
	switch {
	case a.Issuer != client.ID, a.Subject != client.ID:
	case !slices.ContainsFunc(a.Audience, ours):
	case a.JTI == "", len(a.JTI) > maxJTI:
	case !hasEnd, expires.Before(now.Add(-assertionSkew)), expires.After(now.Add(assertionLifetime + assertionSkew)):
	case !begun(a.IssuedAt, now), !begun(a.NotBefore, now):
	default:
		return expires, true
	}
	return time.Time{}, false
}

// addressedToUsAlone is what FAPI 2.0 §5.3.2.1 asks of the audience: this issuer,
// as one string, so that no other server can be fooled with the same assertion.
func (p *Provider) addressedToUsAlone(payload []byte) bool {
	var named struct {
		Audience string `json:"aud"`
	}
	return json.Unmarshal(payload, &named) == nil && named.Audience == p.issuer
}

// begun reports whether a time that may be absent has come, give or take.
func begun(n *json.Number, now time.Time) bool {
	if n == nil {
		return true
	}
	at, ok := numericDate(n)
	return ok && !at.After(now.Add(assertionSkew))
}

// numericDate reads seconds since 1970, fractions allowed (RFC 7519 §2).
func numericDate(n *json.Number) (time.Time, bool) {
	if n == nil {
		return time.Time{}, false
	}
	f, err := n.Float64()
	if err != nil || f < 0 || f > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0), true
}

func jtiHash(jti string) []byte {
	h := sha256.Sum256([]byte(jti))
	return h[:]
}
