package provider

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"

	"ente.example/idp/clients"
	"ente.example/idp/consent"
	"ente.example/idp/provider/keys"
)

// The scopes that mean something to the protocol itself.
const (
	scopeOpenID  = "openid"
	scopeOffline = clients.ScopeOfflineAccess
)

// What a token of ours is, in its typ header. No consumer takes one for
// another. A signed userinfo answer carries none: libraries of clients refuse
// names they do not know, and without one it cannot pass for an ID token.
const (
	TypAccessToken = "at+jwt"
	TypIDToken     = "JWT"
	typUserinfo    = ""
	typAnswer      = ""                // of the authorization endpoint
	typLogout      = "end-session+jwt" // our own, from one page of sign-out to the next
)

// idTokenAlg is the algorithm a client wants its ID tokens signed with.
func idTokenAlg(c clients.Client) string {
	if c.IDTokenSignedResponseAlg == "" {
		return keys.RS256
	}
	return c.IDTokenSignedResponseAlg
}

func (storage) AccessTokenSignature(context.Context, string) string { return "" }

// ValidateAccessToken is never called: access tokens are checked elsewhere.
func (storage) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return errors.New("access tokens are not checked by fosite")
}

// GenerateAccessToken makes a token from the grant, or from the client alone
// where there is none. No signature is returned: nothing is stored.
func (s storage) GenerateAccessToken(ctx context.Context, r fosite.Requester) (token, signature string, err error) {
	token, err = s.provider.newAccess(ctx, unitOf(ctx), r.GetGrantedScopes())
	return token, "", err
}

// newAccess is an access token of the unit's grant, or of its client: an RFC 9068
// one, or a reference.
func (p *Provider) newAccess(ctx context.Context, u *unit, scopes []string) (string, error) {
	claims := accessClaims{
		Issuer: p.issuer, Subject: u.client.ID, ClientID: u.client.ID, Scope: scopeText(scopes),
		Audience: p.audience(u), JTI: tokenID(), Confirmation: u.confirmed.claim(),
	}
	now := u.clock()
	if g := u.grant; g != nil {
		claims.Subject, claims.GID, claims.SID = g.Subject, g.ID, g.SessionID
		claims.AuthTime, claims.ACR, claims.AMR = g.AuthTime.Unix(), g.ACR, g.AMR
	}
	claims.Actor = u.actor
	if len(u.details) > 0 {
		claims.Details = json.RawMessage(u.details.Encode())
	}
	claims.IssuedAt, claims.ExpiresAt = now.Unix(), now.Unix()+seconds(p.lifetimes.AccessToken)
	token, err := p.writeAccess(ctx, u.client, claims)
	if err != nil {
		u.err = err
	}
	return token, err
}

// clock is the time that tokens bear: the database's, as it was read with the
// grant. Without a grant nothing was read, and the node's own must do.
func (u *unit) clock() time.Time {
	if u.grant != nil {
		return u.grant.Now
	}
	return time.Now()
}

// audience is what the token request narrowed the grant to, else the grant's
// resources, else where its details may be used, else this issuer.
func (p *Provider) audience(u *unit) audience {
	switch {
	case len(u.resources) > 0:
		return u.resources
	case u.grant != nil && len(u.grant.Resources) > 0:
		return audience(u.grant.Resources)
	case len(u.details.Locations()) > 0:
		return audience(u.details.Locations())
	default:
		return audience{p.issuer}
	}
}

// tokenID is random, so that a jti tells nothing and two nodes never share one.
func tokenID() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// GenerateIDToken signs an ID token in the client's algorithm. fosite's handlers
// have left the hash of the access token in the session.
func (s storage) GenerateIDToken(ctx context.Context, _ time.Duration, r fosite.Requester) (string, error) {
	u := unitOf(ctx)
	sess, ok := r.GetSession().(*session)
	if !ok || u.grant == nil {
		return "", errors.New("ID token without a grant")
	}
	return s.provider.signID(ctx, u, idHashes{AccessToken: sess.IDTokenClaims().AccessTokenHash})
}

// idHashes are those of what an ID token is handed out with (OIDC Core §3.3.2.11).
type idHashes struct {
	Code        string `json:"c_hash,omitempty"`
	AccessToken string `json:"at_hash,omitempty"`
}

// idClaims are what the protocol says in an ID token (OIDC Core §2).
type idClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  string   `json:"aud"`
	IssuedAt  int64    `json:"iat"`
	ExpiresAt int64    `json:"exp"`
	AuthTime  int64    `json:"auth_time"`
	ACR       string   `json:"acr"`
	AMR       []string `json:"amr"`
	SID       string   `json:"sid"`
	Nonce     string   `json:"nonce,omitempty"`
	idHashes
}

// signID is an ID token of the unit's grant, with the hashes of what it is
// handed out with.
func (p *Provider) signID(ctx context.Context, u *unit, with idHashes) (string, error) {
	claims, err := p.idTokenClaims(ctx, u, with)
	if err != nil {
		u.err = err
		return "", err
	}
	token, err := p.keys.Sign(ctx, idTokenAlg(u.client), TypIDToken, claims)
	if err == nil {
		token, err = p.encrypted(ctx, u.client, u.client.OfIDTokens(), token, nested)
	}
	if err != nil {
		u.err = err
		return "", err
	}
	return token, nil
}

// idTokenClaims are the protocol's claims, over those of the citizen that the
// claims parameter asked to have here.
func (p *Provider) idTokenClaims(ctx context.Context, u *unit, with idHashes) (any, error) {
	g := u.grant
	now := g.Now.Unix()
	claims := idClaims{
		Issuer: p.issuer, Subject: g.Subject, Audience: g.ClientID, IssuedAt: now, ExpiresAt: now + seconds(p.lifetimes.IDToken),
		AuthTime: g.AuthTime.Unix(), ACR: g.ACR, AMR: g.AMR, SID: g.SessionID, idHashes: with,
	}
	if u.presented.grant == "" { // not in refreshed ones: OIDC Core §12.2
		claims.Nonce = g.Nonce
	}
	if len(g.IDTokenClaims) == 0 {
		return claims, nil
	}
	all, err := p.citizenClaims(ctx, g)
	if err != nil {
		return nil, err
	}
	own, err := json.Marshal(claims)
	if err == nil {
		err = json.Unmarshal(own, &all)
	}
	return all, err
}

// citizenClaims are read now, not kept with the grant: a refreshed ID token tells
// the address of today.
func (p *Provider) citizenClaims(ctx context.Context, g *grantRow) (map[string]any, error) {
	citizen, err := p.citizens.ByID(ctx, g.CitizenID)
	if err != nil {
		return nil, fmt.Errorf("claims of ID token: %w", err)
	}
	kind, _, err := p.credentials.Kind(ctx, g.CitizenID)
	if err != nil {
		return nil, fmt.Errorf("claims of ID token: %w", err)
	}
	return consent.Values(citizen, string(kind), g.IDTokenClaims), nil
}
