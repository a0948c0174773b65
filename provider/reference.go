package provider

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"ente.example/idp/clients"
	"ente.example/idp/provider/keys"
)

// An access token by reference names its grant, and what this one token is for,
// under a seal: nobody but this provider can read or make one, so that whoever
// it is sent to has to introspect it (docs/decisions/0022). What the grant knows
// is not in it at all: it is read with the grant, when the token is used.

const (
	// referencePrefix tells such a token from a JWT, and secret scanners what it is.
	referencePrefix = "at_"
	// referenceStep is what a token's content is padded to, so that its length
	// says little of its scopes and audiences.
	referenceStep = 64
	maxReference  = 16 << 10
)

// writeAccess is an access token in the client's format.
func (p *Provider) writeAccess(ctx context.Context, client clients.Client, claims accessClaims) (string, error) {
	if client.AccessTokenFormat != clients.FormatReference {
		token, header, err := p.keys.SignNamed(ctx, keys.ES256, TypAccessToken, claims)
		if err == nil && claims.GID != "" && claims.has(scopeOpenID) { // userinfo will be asked with it
			p.proven.add(token, &provenToken{claims, header})
		}
		return token, err
	}
	content, err := json.Marshal(claims.withoutGrant())
	if err != nil {
		return "", fmt.Errorf("seal access token: %w", err)
	}
	content = append(content, bytes.Repeat([]byte{' '}, -len(content)&(referenceStep-1))...)
	sealed, err := p.accessSeal.Encrypt(content, p.sealedFor())
	if err != nil {
		return "", fmt.Errorf("seal access token: %w", err)
	}
	return referencePrefix + base64.RawURLEncoding.EncodeToString(sealed), nil
}

// sealedFor keeps one issuer's tokens from passing for another's.
func (p *Provider) sealedFor() []byte { return []byte("access-token/v1|" + p.issuer) }

// readReference opens a token by reference. It asks the database nothing, and so
// leaves open who and what recall adds.
func (p *Provider) readReference(token string) (a accessClaims, err error) {
	text := strings.TrimPrefix(token, referencePrefix)
	if len(text) > maxReference || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return a, errNoToken
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return a, errNoToken
	}
	content, err := p.accessSeal.Decrypt(sealed, p.sealedFor())
	if err != nil || json.Unmarshal(content, &a) != nil {
		return accessClaims{}, errNoToken
	}
	a.Issuer = p.issuer
	return a, nil
}

// withoutGrant leaves out what recall finds in the grant.
func (a accessClaims) withoutGrant() accessClaims {
	a.Issuer = ""
	if a.GID != "" {
		a.Subject, a.SID, a.AuthTime, a.ACR, a.AMR = "", "", 0, "", nil
	}
	return a
}

// recall adds what the grant knows to a token that leaves it out.
func (a *accessToken) recall() {
	if g := a.grant; a.Subject == "" {
		a.Subject, a.SID, a.AuthTime, a.ACR, a.AMR = g.Subject, g.SessionID, g.AuthTime.Unix(), g.ACR, g.AMR
	}
}
