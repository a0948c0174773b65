package provider

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"
	"github.com/ory/fosite"

	"ente.example/idp/audit"
	"ente.example/idp/authorizations"
	"ente.example/idp/clients"
)

// tokenAnswer is RFC 6749 §5.1 with the ID token of OpenID Connect.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	IssuedType   string `json:"issued_token_type,omitempty"` // RFC 8693 §2.2.1
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope"`

	Details authorizations.Details `json:"authorization_details,omitempty"` // RFC 9396 §7
}

// token is the token endpoint. Whatever goes wrong, the answer is the RFC's
// error; a fault of ours leaves the code or refresh token as good as it was.
func (p *Provider) token(c echo.Context) error {
	f, err := parseForm(c)
	if err != nil {
		return p.fail(c, err)
	}
	u, grantType, err := p.tokenUnit(c, f)
	if err != nil {
		return p.fail(c, err)
	}
	answer, err := p.redeemAny(c, f, u, grantType)
	if err != nil {
		return p.fail(c, err)
	}
	p.metrics.issued(grantType)
	noStore(c.Response().Header())
	return c.JSON(http.StatusOK, answer)
}

// redeemAny leads to who knows the grant type: fosite, or ourselves.
func (p *Provider) redeemAny(c echo.Context, f form, u *unit, grantType string) (tokenAnswer, error) {
	switch grantType {
	case clients.GrantClientCredentials:
		return p.redeemCredentials(c.Request().Context(), f, u)
	case clients.GrantDeviceCode:
		return p.redeemDevice(c, f, u)
	case clients.GrantTokenExchange:
		return p.exchangeToken(c, f, u)
	case clients.GrantJWTBearer:
		return p.redeemAssertion(c, f, u)
	}
	return p.exchange(c, f, u, grantType)
}

// tokenUnit settles who asks, and whether that client may ask for this at all.
func (p *Provider) tokenUnit(c echo.Context, f form) (*unit, string, error) {
	grantType := f.Get("grant_type")
	if grantType == "" {
		return nil, "", badRequest(codeInvalidRequest, "grant_type is missing")
	}
	client, err := p.authenticateClient(c, f)
	if err != nil {
		return nil, "", err
	}
	u := &unit{client: client, grantType: grantType}
	// fosite would call a grant type it does not know an invalid request.
	switch grantType {
	case clients.GrantAuthorizationCode, clients.GrantRefreshToken, clients.GrantClientCredentials,
		clients.GrantDeviceCode, clients.GrantTokenExchange, clients.GrantJWTBearer:
	default:
		return nil, "", badRequest(codeUnsupportedGrantType, "the grant type is not supported")
	}
	if !client.AllowsGrant(grantType) {
		return nil, "", badRequest(codeUnauthorizedClient, "the client is not registered for this grant type")
	}
	if err := p.constrain(c, u); err != nil {
		return nil, "", err
	}
	return u, grantType, p.readGrant(f, u, grantType)
}

// readGrant wants what is to be exchanged. A refresh token that we did not make
// is refused here, without a look at the database.
func (p *Provider) readGrant(f form, u *unit, grantType string) error {
	switch grantType {
	case clients.GrantAuthorizationCode:
		if f.Get("code") == "" {
			return badRequest(codeInvalidRequest, "code is missing")
		}
	case clients.GrantDeviceCode:
		if f.Get("device_code") == "" {
			return badRequest(codeInvalidRequest, "device_code is missing")
		}
	case clients.GrantJWTBearer:
		if f.Get("assertion") == "" {
			return badRequest(codeInvalidRequest, "assertion is missing")
		}
	case clients.GrantRefreshToken:
		if f.Get("refresh_token") == "" {
			return badRequest(codeInvalidRequest, "refresh_token is missing")
		}
		t, ok := p.openRefresh(f.Get("refresh_token"))
		if !ok {
			return invalidGrant("the refresh token is not valid")
		}
		u.presented = t
	}
	return nil
}

// exchange lets fosite's handlers check and sign, writes what they noted, and
// only then answers.
func (p *Provider) exchange(c echo.Context, f form, u *unit, grantType string) (tokenAnswer, error) {
	ctx := withUnit(c.Request().Context(), u)
	by := clientActor(c, u.client.ID)
	ar, err := p.fosite.NewAccessRequest(ctx, fositeRequest(ctx, http.MethodPost, fositeForm(f)), newSession("", idTokenAlg(u.client)))
	if err != nil {
		return tokenAnswer{}, p.tokenRefused(ctx, by, f, u, err)
	}
	request, ok := ar.(*fosite.AccessRequest)
	if !ok {
		return tokenAnswer{}, fmt.Errorf("unexpected access request %T", ar)
	}
	// Here the handlers have loaded the grant, and signed nothing yet.
	if u.boundElsewhere() {
		return tokenAnswer{}, invalidGrant("the grant is bound to another key")
	}
	if err := p.narrow(f, u, request); err != nil {
		return tokenAnswer{}, err
	}
	response, err := p.fosite.NewAccessResponse(ctx, ar)
	if err != nil {
		return tokenAnswer{}, p.tokenRefused(ctx, by, f, u, err)
	}
	if err := p.flush(ctx, by, u, grantType); err != nil {
		return tokenAnswer{}, err
	}
	return p.answer(u, response, request), nil
}

// fositeForm is what fosite's handlers look at; scope and resource are ours.
func fositeForm(f form) url.Values {
	values := url.Values{}
	for _, name := range []string{"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token"} {
		if v := f.Get(name); v != "" {
			values.Set(name, v)
		}
	}
	return values
}

// answer is what the client gets. Type and lifetime are ours: fosite's are in
// lower case, and a second short.
func (p *Provider) answer(u *unit, response fosite.AccessResponder, request *fosite.AccessRequest) tokenAnswer {
	text := func(name string) string {
		s, _ := response.GetExtra(name).(string)
		return s
	}
	return tokenAnswer{
		AccessToken: response.GetAccessToken(), TokenType: u.confirmed.tokenType(), ExpiresIn: seconds(p.lifetimes.AccessToken),
		RefreshToken: text("refresh_token"), IDToken: text("id_token"), Scope: scopeText(request.GetGrantedScopes()),
		Details: u.details,
	}
}

// narrow limits this one access token to the scope, resource and details asked for here.
// The grant keeps what it has.
func (p *Provider) narrow(f form, u *unit, request *fosite.AccessRequest) error {
	if err := p.narrowResources(f, u); err != nil {
		return err
	}
	if err := p.narrowDetails(f, u); err != nil {
		return err
	}
	// A scope in a code exchange means nothing (RFC 6749 §4.1.3).
	if u.presented.grant == "" || f.Get("scope") == "" {
		return nil
	}
	scopes := []string(clients.ParseScope(f.Get("scope")))
	for _, s := range scopes {
		if !slices.Contains(u.grant.Scopes, s) {
			return badRequest(codeInvalidScope, "a scope is not part of the grant")
		}
	}
	request.GrantedScope = scopes
	return nil
}

// narrowResources takes a part of the resources the grant names: what is asked
// for, else what the client still has of them. A grant that names none is open to
// the client's: it could have asked for them then.
func (p *Provider) narrowResources(f form, u *unit) error {
	allowed := u.client.Resources
	if u.grant != nil && len(u.grant.Resources) > 0 {
		allowed = u.grant.Resources
	}
	for _, uri := range f.All("resource") {
		if !slices.Contains(allowed, uri) || !u.client.AllowsResource(uri) {
			return badRequest(codeInvalidTarget, "a resource is not part of the grant")
		}
		if !slices.Contains(u.resources, uri) {
			u.resources = append(u.resources, uri)
		}
	}
	if u.grant == nil || len(u.grant.Resources) == 0 || len(u.resources) > 0 {
		return nil
	}
	if u.resources = within(u.grant.Resources, u.client.Resources); len(u.resources) == 0 {
		return badRequest(codeInvalidTarget, "the client has lost every resource of the grant")
	}
	return nil
}

// flush writes what the handlers noted: the conditional UPDATE and its audit
// record, in one commit. Whoever loses the race is told invalid_grant, once the
// end of the family is committed.
func (p *Provider) flush(ctx context.Context, by audit.Actor, u *unit, grantType string) error {
	claim, event, err := p.claim(by, u, grantType)
	if err != nil {
		return err
	}
	won, err := p.audit.RecordIf(ctx, event, claim.text, claim.args...)
	if err == nil && !won {
		err = p.db.InTx(ctx, func(ctx context.Context) error { return p.endReplayed(ctx, by, u.grant, grantType) })
	}
	if err != nil {
		return fmt.Errorf("flush %s: %w", grantType, err)
	}
	if !won {
		return invalidGrant("the grant was used, has expired or was revoked")
	}
	return nil
}

// claim is the conditional UPDATE that decides, and the record of it.
func (p *Provider) claim(by audit.Actor, u *unit, grantType string) (conditional, audit.Event, error) {
	if grantType != clients.GrantRefreshToken {
		return p.grants.redemption(u.grant.ID, u.binding(), u.successor), u.grant.event(audit.CodeExchanged, audit.Succeeded, by), nil
	}
	if u.successor == nil {
		return conditional{}, audit.Event{}, errors.New("refresh without a successor")
	}
	e := u.grant.event(audit.TokenRefreshed, audit.Succeeded, by)
	return p.grants.rotation(u.presented, *u.successor), with(e, "generation", generation(u.successor.generation)), nil
}

// endReplayed ends a family whose code or refresh token was used by two. It
// needs a transaction; ending it again is no event.
func (p *Provider) endReplayed(ctx context.Context, by audit.Actor, g *grantRow, grantType string) error {
	ended, err := p.grants.revoke(ctx, g.ID, reasonReplay)
	if err != nil || !ended {
		return err
	}
	p.db.AfterCommit(ctx, func() { p.metrics.revoked(reasonReplay, 1) })
	return p.audit.Record(ctx, with(g.event(audit.ReuseDetected, audit.Refused, by), "kind", grantType))
}

// tokenRefused does what a refusal asks for before it is passed on. The grant
// in the unit is the client's own: another's was never loaded.
func (p *Provider) tokenRefused(ctx context.Context, by audit.Actor, f form, u *unit, refusal error) error {
	if u.err != nil {
		return u.err // our fault, whatever fosite made of it
	}
	var consequence func(context.Context) error
	switch {
	case u.replayed && u.grant != nil && provesReplay(f, u):
		consequence = func(ctx context.Context) error { return p.endReplayed(ctx, by, u.grant, f.Get("grant_type")) }
	case u.verifying:
		consequence = func(ctx context.Context) error { return p.burn(ctx, by, u.grant) }
	default:
		return asGrantError(refusal)
	}
	if err := p.db.InTx(ctx, consequence); err != nil {
		return fmt.Errorf("end grant: %w", err)
	}
	return asGrantError(refusal)
}

// provesReplay keeps strangers from ending a citizen's session with a code that
// they have seen: a client without a secret must know the verifier too.
func provesReplay(f form, u *unit) bool {
	if f.Get("grant_type") != clients.GrantAuthorizationCode || !u.client.Public() {
		return true
	}
	sum := sha256.Sum256([]byte(f.Get("code_verifier")))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(challenge), []byte(u.grant.CodeChallenge)) == 1
}

// burn makes a code useless whose verifier was wrong: it is in wrong hands, and
// gets no second guess.
func (p *Provider) burn(ctx context.Context, by audit.Actor, g *grantRow) error {
	burnt, err := p.grants.burn(ctx, g.ID, reasonVerifier)
	if err != nil || !burnt {
		return err
	}
	p.db.AfterCommit(ctx, func() { p.metrics.revoked(reasonVerifier, 1) })
	e := g.event(audit.GrantRevoked, audit.Refused, by)
	e.Reason = reasonVerifier
	return p.audit.Record(ctx, e)
}

// asGrantError keeps fosite from sending a client round in circles: whatever it
// finds wrong with a code or a refresh token, the grant is not valid.
func asGrantError(err error) error {
	e := fromFosite(err)
	if e.Code == codeInvalidRequest || e.Code == codeInvalidScope {
		return invalidGrant("the grant is not valid for this client any more")
	}
	return e
}
