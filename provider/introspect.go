package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/provider/keys"
	"github.com/labstack/echo/v4"
)

// introspection is the answer of RFC 7662 §2.2. For a token that is not good,
// or none of the caller's business, it is active: false and no more.
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	TokenType string   `json:"token_type,omitempty"` // of access tokens
	Subject   string   `json:"sub,omitempty"`
	Audience  audience `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	JTI       string   `json:"jti,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	ExpiresAt int64    `json:"exp,omitempty"`

	Confirmation *confirmation `json:"cnf,omitempty"`
	Actor        *actor        `json:"act,omitempty"`

	Details json.RawMessage `json:"authorization_details,omitempty"` // RFC 9396 §9.2
}

// introspect tells a client whether a token is good now. Only a client that
// has proved who it is may ask.
func (p *Provider) introspect(c echo.Context) error {
	f, err := parseForm(c)
	if err != nil {
		return p.fail(c, err)
	}
	caller, err := p.authenticateClient(c, f)
	if err != nil {
		return p.fail(c, err)
	}
	if caller.Public() {
		return p.fail(c, invalidClient())
	}
	if f.Get("token") == "" {
		return p.fail(c, badRequest(codeInvalidRequest, "the parameter token is missing"))
	}
	answer, err := p.lookInto(c.Request().Context(), caller, f.Get("token"))
	if err != nil {
		return p.fail(c, err)
	}
	noStore(c.Response().Header())
	if !wantsToken(c) {
		return c.JSON(http.StatusOK, answer)
	}
	token, err := p.introspectionToken(c.Request().Context(), caller, answer)
	if err != nil {
		return p.fail(c, err)
	}
	return c.Blob(http.StatusOK, introspectionType, []byte(token))
}

// An answer that is a token itself (RFC 9701), for callers that have to be able
// to prove what they were told.
const (
	introspectionType    = "application/" + typIntrospection
	maxAccept            = 1000
	typIntrospection     = "token-introspection+jwt"
	introspectionDefault = keys.RS256 // RFC 9701 §6
)

// wantsToken reports whether the caller accepts that kind of answer by name,
// and not with the weight of never.
func wantsToken(c echo.Context) bool {
	accept := strings.Join(c.Request().Header.Values(echo.HeaderAccept), ",")
	if accept == "" {
		return false
	}
	for kind := range strings.SplitSeq(accept[:min(len(accept), maxAccept)], ",") {
		name, parameters, err := mime.ParseMediaType(kind)
		if err == nil && name == introspectionType {
			weight, err := strconv.ParseFloat(cmp.Or(parameters["q"], "1"), 64)
			return err == nil && weight > 0
		}
	}
	return false
}

// introspectionToken is RFC 9701 §5: the answer in a member of its own, so that
// it cannot pass for the token it is about.
func (p *Provider) introspectionToken(ctx context.Context, caller clients.Client, answer introspection) (string, error) {
	claims := map[string]any{"iss": p.issuer, "aud": caller.ID, "iat": time.Now().Unix(), "token_introspection": answer}
	signed, err := p.keys.Sign(ctx, cmp.Or(caller.IntrospectionSignedResponseAlg, introspectionDefault), typIntrospection, claims)
	if err != nil {
		return "", err
	}
	return p.encrypted(ctx, caller, caller.OfIntrospection(), signed, nested)
}

// lookInto ignores token_type_hint: what a token is shows in the token.
func (p *Provider) lookInto(ctx context.Context, caller clients.Client, token string) (introspection, error) {
	if strings.HasPrefix(token, refreshPrefix) {
		return p.lookIntoRefresh(ctx, caller, token)
	}
	a, err := p.verifyAccess(ctx, token)
	if errors.Is(err, errNoToken) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	if a.ClientID != caller.ID && !caller.MayIntrospect && !caller.IsAudience(a.Audience) {
		return introspection{}, nil
	}
	return introspection{
		Active: true, Scope: a.Scope, ClientID: a.ClientID, TokenType: a.confirmed().tokenType(), Subject: a.Subject,
		Audience: a.Audience, Issuer: a.Issuer, JTI: a.JTI, AuthTime: a.AuthTime, ACR: a.ACR, AMR: a.AMR,
		IssuedAt: a.IssuedAt, ExpiresAt: a.ExpiresAt, Confirmation: a.Confirmation, Actor: a.Actor, Details: a.Details,
	}, nil
}

// lookIntoRefresh tells nothing to the resources that a refresh token could
// get access tokens for: it is never sent to them.
func (p *Provider) lookIntoRefresh(ctx context.Context, caller clients.Client, token string) (introspection, error) {
	row, current, err := p.familyOf(ctx, token)
	if err != nil || !current {
		return introspection{}, err
	}
	if row.ClientID != caller.ID && !caller.MayIntrospect {
		return introspection{}, nil
	}
	_, err = p.clients.Get(ctx, row.ClientID)
	if errors.Is(err, clients.ErrUnknown) || errors.Is(err, clients.ErrDisabled) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	return introspection{
		Active: true, Scope: strings.Join(row.Scopes, " "), ClientID: row.ClientID, Subject: row.Subject, Issuer: p.issuer,
		AuthTime: row.AuthTime.Unix(), ACR: row.ACR, AMR: row.AMR,
		IssuedAt: row.RefreshedAt.Unix(), ExpiresAt: row.RefreshExpiresAt.Unix(),
		Details: json.RawMessage(row.Details),
	}, nil
}

// familyOf is the live grant of a refresh token that we made. The token is
// current when it is the one that was handed out last.
func (p *Provider) familyOf(ctx context.Context, token string) (row grantRow, current bool, err error) {
	t, ok := p.openRefresh(token)
	if !ok {
		return grantRow{}, false, nil
	}
	row, err = p.grants.live(ctx, t.grant)
	if errors.Is(err, errGrantGone) {
		return grantRow{}, false, nil
	}
	if err != nil || row.RefreshExpiresAt == nil || row.RefreshedAt == nil || !row.Now.Before(*row.RefreshExpiresAt) {
		return row, false, err
	}
	return row, t.equals(row.RefreshGeneration, row.RefreshHash), nil
}
