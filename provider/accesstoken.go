package provider

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/provider/keys"
	"github.com/labstack/echo/v4"
)

// errNoToken is returned for an access token that is not, or no longer, good:
// not ours, expired, or its grant ended. Callers are told no more than that.
var errNoToken = errors.New("access token is not valid")

// audience is a JSON string or array of strings (RFC 7519 §4.1.3).
type audience []string

// MarshalJSON writes a single audience as a string, as most libraries do.
func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(a))
}

// accessClaims are the claims of an access token (RFC 9068). GID names the
// grant it hangs on; a client_credentials token has none.
type accessClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	ClientID  string   `json:"client_id"`
	Scope     string   `json:"scope,omitempty"`
	JTI       string   `json:"jti"`
	GID       string   `json:"gid,omitempty"`
	SID       string   `json:"sid,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	IssuedAt  int64    `json:"iat"`
	ExpiresAt int64    `json:"exp"`

	Confirmation *confirmation   `json:"cnf,omitempty"`
	Details      json.RawMessage `json:"authorization_details,omitempty"` // RFC 9396 §9.1
	// Actor is who speaks in the subject's name (RFC 8693 §4.1). With a grant the
	// token was exchanged, and the grant is that of the client it began with;
	// without one somebody has vouched for the client (RFC 7523).
	Actor *actor `json:"act,omitempty"`
}

// actor is a client that exchanged a token, and the one before it; or an account
// of a client, as its issuer names it.
type actor struct {
	Subject string `json:"sub"`
	Issuer  string `json:"iss,omitempty"`
	Before  *actor `json:"act,omitempty"`
}

func (a accessClaims) scopes() []string { return strings.Fields(a.Scope) }

func (a accessClaims) has(scope string) bool { return slices.Contains(a.scopes(), scope) }

// confirmed is the key that the token is bound to; zero for none.
func (a accessClaims) confirmed() confirmation {
	if a.Confirmation == nil {
		return confirmation{}
	}
	return *a.Confirmation
}

// accessToken is an access token that is good now.
type accessToken struct {
	accessClaims
	grant  grantRow // what standing reads of it; zero for client_credentials
	client clients.Client
}

// readAccess checks what the token itself says: that we made it as an access
// token, in either format. Whether it still counts is for verifyAccess.
func (p *Provider) readAccess(ctx context.Context, token string) (a accessClaims, err error) {
	if strings.HasPrefix(token, referencePrefix) {
		a, err = p.readReference(token)
	} else {
		a, err = p.readSigned(ctx, token)
	}
	if err != nil || a.Issuer != p.issuer || a.ClientID == "" || a.JTI == "" {
		return accessClaims{}, cmp.Or(err, errNoToken)
	}
	return a, nil
}

// readSigned checks a signature that is not remembered. A remembered one counts
// while its key does.
func (p *Provider) readSigned(ctx context.Context, token string) (accessClaims, error) {
	if len(token) > maxProven {
		t, err := p.readNew(ctx, token)
		return t.claims, err
	}
	id := sha256.Sum256([]byte(token))
	if t, ok := p.proven.get(id, len(token)); ok {
		trusted, err := p.keys.Trusts(ctx, t.header)
		if err == nil && !trusted {
			err = errNoToken
		}
		return t.claims, err
	}
	t, err := p.readNew(ctx, token)
	if err == nil {
		p.proven.put(id, &t, len(token))
	}
	return t.claims, err
}

func (p *Provider) readNew(ctx context.Context, token string) (t provenToken, err error) {
	raw, header, err := p.keys.Verify(ctx, token, TypAccessToken)
	if errors.Is(err, keys.ErrBadToken) {
		return t, errNoToken
	}
	if err != nil {
		return t, fmt.Errorf("verify access token: %w", err)
	}
	if err := json.Unmarshal(raw, &t.claims); err != nil {
		return provenToken{}, errNoToken
	}
	t.header = header
	return t, nil
}

// verifyAccess reports whether an access token counts now: its time, its
// client, and by one read the grant it hangs on. Any error but errNoToken says
// that this cannot be known now.
func (p *Provider) verifyAccess(ctx context.Context, token string) (accessToken, error) {
	a, err := p.ownAccess(ctx, token)
	if err == nil {
		err = p.stand(ctx, &a)
	}
	if err != nil {
		return accessToken{}, err
	}
	return a, nil
}

// ownAccess is the half of verifyAccess that asks the database nothing: a token
// of ours, of a client that there is.
func (p *Provider) ownAccess(ctx context.Context, token string) (a accessToken, err error) {
	if a.accessClaims, err = p.readAccess(ctx, token); err != nil {
		return accessToken{}, err
	}
	a.client, err = p.clients.Get(ctx, a.ClientID)
	switch {
	case errors.Is(err, clients.ErrUnknown), errors.Is(err, clients.ErrDisabled):
		return accessToken{}, errNoToken
	case err != nil:
		return accessToken{}, fmt.Errorf("verify access token: %w", err)
	}
	return a, nil
}

// stand is the other half; others are read with the grant.
func (p *Provider) stand(ctx context.Context, a *accessToken, others ...database.Query) error {
	now, err := p.hold(ctx, a, others)
	if err == nil && now.Unix() >= a.ExpiresAt {
		return errNoToken
	}
	return err
}

// hold looks up what the token hangs on, and reads the clock that its times
// were written by. A client_credentials token hangs on nothing but its jti.
func (p *Provider) hold(ctx context.Context, a *accessToken, others []database.Query) (time.Time, error) {
	if a.GID == "" || a.Actor != nil { // these may be revoked one by one
		revoked, err := p.revoked.has(ctx, a.JTI)
		if err != nil {
			return time.Time{}, fmt.Errorf("verify access token: %w", err)
		}
		if revoked {
			return time.Time{}, errNoToken
		}
	}
	if a.GID == "" {
		return time.Now(), nil
	}
	row, err := p.grants.standing(ctx, a.GID, others...)
	if errors.Is(err, errGrantGone) || err == nil && row.ClientID != a.ClientID && a.Actor == nil {
		return time.Time{}, errNoToken
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("verify access token: %w", err)
	}
	a.grant = row
	a.recall()
	return row.Now, nil
}

// presentedToken is an access token as it came, and under which scheme.
type presentedToken struct {
	text string
	dpop bool
}

// presented takes the access token from the Authorization header, or from the
// body of a form that is posted (RFC 6750 §2.1, §2.2; RFC 9449 §7.1); never
// from the query, which every proxy logs. None at all is an empty token.
func presented(c echo.Context) (t presentedToken, err error) {
	r := c.Request()
	if r.URL.Query().Has("access_token") {
		return t, badRequest(codeInvalidRequest, "an access token does not belong in the query")
	}
	headers := r.Header.Values(echo.HeaderAuthorization)
	if len(headers) > 1 {
		return t, badRequest(codeInvalidRequest, "more than one Authorization header")
	}
	if len(headers) == 1 {
		scheme, rest, _ := strings.Cut(headers[0], " ")
		t.dpop = strings.EqualFold(scheme, dpopHeader)
		if t.dpop || strings.EqualFold(scheme, "Bearer") {
			t.text = strings.TrimSpace(rest)
		}
	}
	if r.Method != http.MethodPost || !isForm(r) {
		return t, nil
	}
	f, err := parseForm(c)
	if err != nil {
		return t, err
	}
	if posted := f.Get("access_token"); posted != "" {
		if t.text != "" {
			return t, badRequest(codeInvalidRequest, "the access token is sent twice")
		}
		t.text = posted
	}
	return t, nil
}

// confirm holds a token against the key that it is bound to. One that is bound
// is worth nothing as a bearer token, and one that is not is no DPoP token.
func (p *Provider) confirm(c echo.Context, path string, t presentedToken, a accessToken) error {
	if cert := a.confirmed().X5T; cert != "" && cert != p.certificateHash(c) {
		return oauthError(codeInvalidToken, "the token is bound to a certificate that did not come with it", http.StatusUnauthorized)
	}
	want := a.confirmed().JKT
	if t.dpop != (want != "") {
		return errNoToken
	}
	if want == "" {
		return nil
	}
	got, err := p.proof(c, a.client, path, t.text)
	switch {
	case err != nil:
		e := asProtocolError(err)
		if e.Status == http.StatusBadRequest { // RFC 9449 §7.1: at a resource it is a 401
			e = oauthError(e.Code, e.Description, http.StatusUnauthorized)
		}
		return e
	case got != want:
		return oauthError(codeInvalidToken, "the proof is by another key than the token's", http.StatusUnauthorized)
	}
	return nil
}

// usesProof reports whether a request speaks DPoP.
func usesProof(c echo.Context) bool {
	scheme, _, _ := strings.Cut(c.Request().Header.Get(echo.HeaderAuthorization), " ")
	return strings.EqualFold(scheme, dpopHeader)
}

func isForm(r *http.Request) bool {
	kind, _, _ := strings.Cut(r.Header.Get(echo.HeaderContentType), ";")
	return strings.EqualFold(strings.TrimSpace(kind), formContentType)
}
