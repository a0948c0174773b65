package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/consent"
	"ente.example/idp/database"
	"github.com/labstack/echo/v4"
)

const (
	codeInvalidToken      = "invalid_token"
	codeInsufficientScope = "insufficient_scope"
)

// userinfo answers what the citizen lets the client know, as it is now.
func (p *Provider) userinfo(c echo.Context) error {
	answer, client, err := p.answerUserinfo(c)
	if err != nil {
		return p.failBearer(c, err)
	}
	noStore(c.Response().Header())
	if client.UserinfoSignedResponseAlg == "" && client.OfUserinfo().IsZero() {
		return c.JSON(http.StatusOK, answer)
	}
	answer["iss"], answer["aud"] = p.issuer, client.ID
	token, err := p.userinfoToken(c.Request().Context(), client, answer)
	if err != nil {
		return p.failBearer(c, err)
	}
	return c.Blob(http.StatusOK, "application/jwt", []byte(token))
}

// userinfoToken is signed, encrypted, or first the one and then the other, as
// the client has it (OIDC Core §5.3.2).
func (p *Provider) userinfoToken(ctx context.Context, client clients.Client, answer map[string]any) (string, error) {
	if client.UserinfoSignedResponseAlg == "" {
		content, err := json.Marshal(answer)
		if err != nil {
			return "", fmt.Errorf("encode userinfo: %w", err)
		}
		return p.encrypted(ctx, client, client.OfUserinfo(), string(content), "")
	}
	signed, err := p.keys.Sign(ctx, client.UserinfoSignedResponseAlg, typUserinfo, answer)
	if err != nil {
		return "", err
	}
	return p.encrypted(ctx, client, client.OfUserinfo(), signed, nested)
}

func (p *Provider) answerUserinfo(c echo.Context) (map[string]any, clients.Client, error) {
	ctx := c.Request().Context()
	token, err := presented(c)
	if err != nil {
		return nil, clients.Client{}, err
	}
	if token.text == "" {
		return nil, clients.Client{}, oauthError("", "", http.StatusUnauthorized)
	}
	a, person, err := p.verifyPerson(ctx, token.text)
	if err == nil {
		err = p.confirm(c, userinfoPath, token, a)
	}
	switch {
	case errors.Is(err, errNoToken), err == nil && !slices.Contains(a.Audience, p.issuer):
		return nil, clients.Client{}, oauthError(codeInvalidToken, "the access token is not valid here", http.StatusUnauthorized)
	case err != nil:
		return nil, clients.Client{}, err
	case !a.has(scopeOpenID) || a.GID == "":
		return nil, clients.Client{}, oauthError(codeInsufficientScope, "the scope openid is needed", http.StatusForbidden)
	}
	answer, err := p.claimsOf(ctx, a.grant.CitizenID, person, userinfoClaims(a))
	if err != nil {
		return nil, clients.Client{}, err
	}
	answer["sub"] = a.Subject
	return answer, a.client, nil
}

// verifyPerson is verifyAccess that reads the citizen along with the grant where
// the token's scopes will need it; nil where they do not.
func (p *Provider) verifyPerson(ctx context.Context, token string) (a accessToken, person *citizens.Asked, err error) {
	if a, err = p.ownAccess(ctx, token); err != nil {
		return accessToken{}, nil, err
	}
	var others []database.Query
	if a.GID != "" && len(consent.ClaimsOf(a.scopes())) > 0 {
		asked, read := p.citizens.Asking(citizenOf(a.GID))
		person, others = asked, append(others, read)
	}
	if err := p.stand(ctx, &a, others...); err != nil {
		return accessToken{}, nil, err
	}
	return a, person, nil
}

// userinfoClaims are the names a token gives a right to: those of its scopes,
// and those that the claims parameter asked for one by one.
func userinfoClaims(a accessToken) []string {
	names := consent.ClaimsOf(a.scopes())
	for _, name := range a.grant.UserinfoClaims {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// claimsOf are the values of claims for a citizen, read now and not kept. Only
// claims that were asked for one by one leave the person to be read here.
func (p *Provider) claimsOf(ctx context.Context, id citizens.ID, person *citizens.Asked, names []string) (map[string]any, error) {
	if len(names) == 0 {
		return map[string]any{}, nil
	}
	read := func() (citizens.Citizen, error) { return p.citizens.ByID(ctx, id) }
	if person != nil {
		read = person.Citizen
	}
	citizen, err := read()
	if errors.Is(err, citizens.ErrUnknown) {
		return nil, oauthError(codeInvalidToken, "the access token is not valid here", http.StatusUnauthorized)
	}
	if err != nil {
		return nil, fmt.Errorf("read claims: %w", err)
	}
	kind := ""
	if slices.Contains(names, "pin_kind") {
		k, _, err := p.credentials.Kind(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("read claims: %w", err)
		}
		kind = string(k)
	}
	return consent.Values(citizen, kind, names), nil
}

// failBearer refuses as RFC 6750 §3 says: the reason is in the header, and a
// request without any token is told only which scheme to use.
func (p *Provider) failBearer(c echo.Context, err error) error {
	e := asProtocolError(err)
	if e.Status >= http.StatusInternalServerError {
		return p.fail(c, err)
	}
	said := ""
	if e.Code != "" {
		said = `, error="` + e.Code + `", error_description="` + e.Description + `"`
	}
	if e.Code == codeInsufficientScope {
		said += `, scope="` + scopeOpenID + `"`
	}
	h := c.Response().Header()
	noStore(h)
	// the scheme that was used says what went wrong, the other that it exists
	realm, algs := `realm=`+strconv.Quote(p.issuer), `algs="`+strings.Join(algorithmNames(proofAlgorithms()), " ")+`"`
	if usesProof(c) {
		h.Add(echo.HeaderWWWAuthenticate, "DPoP "+realm+said+", "+algs)
	} else {
		h.Add(echo.HeaderWWWAuthenticate, "Bearer "+realm+said)
		h.Add(echo.HeaderWWWAuthenticate, "DPoP "+algs)
	}
	if e.Code == "" {
		return c.NoContent(e.Status)
	}
	return c.JSON(e.Status, map[string]string{"error": e.Code, "error_description": e.Description})
}
