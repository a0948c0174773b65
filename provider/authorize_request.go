package provider

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ory/fosite"

	"ente.example/idp/authorizations"
	"ente.example/idp/clients"
	"ente.example/idp/consent"
	"ente.example/idp/login"
	"ente.example/idp/provider/keys"
)

// maxNonce is far beyond what anybody needs to be unguessable, and maxRequest as
// much as fits into an address.
const (
	maxNonce   = 1024
	maxRequest = 16 << 10
)

// authRequest is an authorization request. Its first fields are known to be
// good as soon as it exists: they are where its answer goes.
type authRequest struct {
	form     form
	client   clients.Client
	redirect string
	mode     string
	signed   bool   // the answer is one token
	device   []byte // instead of redirect: the device whose request this is
	state    string

	types []string // what the answer holds

	scopes    []string
	resources []string
	details   authorizations.Details
	prompts   []string
	maxAge    *int
	claims    claimsRequest
	subjects  []string // of which one must be the citizen's, if any are named
	fosite    fosite.AuthorizeRequester
	unit      *unit
}

// trust finds out where an answer may go, before anything else is looked at. A
// request that names no service of ours, or an address that is not that
// service's, gets a page of ours and never a redirect.
func (p *Provider) trust(ctx context.Context, f form) (*authRequest, error) {
	if f.isRepeated("client_id") || f.isRepeated("redirect_uri") {
		return nil, untrusted(nil)
	}
	client, err := p.clients.Get(ctx, f.Get("client_id"))
	if errors.Is(err, clients.ErrUnknown) || errors.Is(err, clients.ErrDisabled) {
		return nil, untrusted(nil)
	}
	if err != nil {
		return nil, err
	}
	redirect := f.Get("redirect_uri")
	if redirect == "" || !client.MatchRedirect(redirect) {
		return nil, untrusted(nil)
	}
	r := &authRequest{form: f, client: client, redirect: redirect}
	r.mode, r.signed = responseMode(f)
	// Of two states neither is known to be the service's: it gets none back. One
	// that fits into no address could not be answered with.
	if !f.isRepeated("state") && len(f.Get("state")) <= maxRequest {
		r.state = f.Get("state")
	}
	return r, nil
}

// check refuses what this provider does not do, or this client may not. It
// fills in the rest of the request.
func (p *Provider) check(ctx context.Context, r *authRequest) error {
	if r.device != nil {
		return p.checkDevice(r)
	}
	if err := r.form.once(); err != nil {
		return err
	}
	for _, step := range []func() error{
		r.checkSize, r.checkUnsupported, r.checkResponse,
		func() error { return p.checkScopes(r) },
		r.checkProof, r.checkKey, r.checkNonce, r.checkResources,
		func() error { return p.checkDetails(r) },
		r.checkPrompt, r.checkMaxAge, r.checkClaims,
		func() error { return p.checkHint(ctx, r) },
		func() error { return p.checkWithFosite(ctx, r) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// kept is what of the request counts, for an interaction to keep. Anybody may
// send us whatever else: it must not fill the disk.
func (r *authRequest) kept() string {
	return r.form.Encode("client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
		"code_challenge", "code_challenge_method", "resource", "prompt", "max_age", "claims", "id_token_hint",
		"acr_values", "login_hint", "ui_locales", "dpop_jkt", detailsParam)
}

func (r *authRequest) checkSize() error {
	if len(r.kept()) > maxRequest {
		return badRequest(codeInvalidRequest, "the request is too long")
	}
	return nil
}

// checkUnsupported refuses by name what would otherwise be silently ignored.
func (r *authRequest) checkUnsupported() error {
	if r.form.Get("registration") != "" {
		return badRequest(codeRegistrationUnsupported, "registration is not supported")
	}
	return nil
}

// checkScopes drops an offline_access that the client may not have, and refuses
// any other scope that does not exist or is not the client's.
func (p *Provider) checkScopes(r *authRequest) error {
	r.scopes = []string(clients.ParseScope(r.form.Get("scope")))
	if !r.client.AllowsScope(scopeOffline) || !r.client.AllowsGrant(clients.GrantRefreshToken) || !r.answers(typeCode) {
		r.scopes = without(r.scopes, scopeOffline)
	}
	if len(r.scopes) == 0 {
		return badRequest(codeInvalidScope, "scope is missing")
	}
	if r.answers(typeIDToken) && !slices.Contains(r.scopes, scopeOpenID) {
		return badRequest(codeInvalidScope, "an ID token needs the scope openid")
	}
	for _, s := range r.scopes {
		if !slices.Contains(p.scopes, s) || !r.client.AllowsScope(s) {
			return badRequest(codeInvalidScope, "a scope does not exist or is not the client's")
		}
	}
	return nil
}

// checkProof wants a PKCE challenge from every client that has not opted out.
// What it lets through, fosite's handler checks again.
func (r *authRequest) checkProof() error {
	challenge, method := r.form.Get("code_challenge"), r.form.Get("code_challenge_method")
	switch {
	case !r.answers(typeCode): // there is nothing to prove for
		return nil
	case challenge == "" && method == "":
		if r.client.RequirePKCE || r.client.Public() {
			return badRequest(codeInvalidRequest, "code_challenge is missing")
		}
	case method != "S256":
		return badRequest(codeInvalidRequest, "code_challenge_method must be S256")
	case len(challenge) != 43 || !isBase64URL(challenge):
		return badRequest(codeInvalidRequest, "code_challenge is not the SHA-256 of a verifier")
	}
	return nil
}

// checkKey reads dpop_jkt: the key that the code will belong to (RFC 9449 §10).
func (r *authRequest) checkKey() error {
	if jkt := r.form.Get("dpop_jkt"); jkt != "" && (len(jkt) != 43 || !isBase64URL(jkt)) {
		return badRequest(codeInvalidRequest, "dpop_jkt is not the thumbprint of a key")
	}
	return nil
}

// checkNonce bounds what is kept with the grant and goes into every ID token.
func (r *authRequest) checkNonce() error {
	if len(r.form.Get("nonce")) > maxNonce {
		return badRequest(codeInvalidRequest, "nonce is too long")
	}
	return nil
}

func isBase64URL(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// checkResources reads resource (RFC 8707): the audience of the access tokens.
func (r *authRequest) checkResources() error {
	for _, uri := range r.form.All("resource") {
		if !r.client.AllowsResource(uri) {
			return badRequest(codeInvalidTarget, "a resource is not one of the client's")
		}
		if !slices.Contains(r.resources, uri) {
			r.resources = append(r.resources, uri)
		}
	}
	return nil
}

// The values of prompt.
const (
	promptNone    = "none"
	promptLogin   = "login"
	promptConsent = "consent"
	promptAccount = "select_account"
	promptCreate  = "create" // Initiating User Registration via OpenID Connect 1.0
)

// checkPrompt refuses values that it does not know: a service that asks for
// something must not be left to believe it was done.
func (r *authRequest) checkPrompt() error {
	r.prompts = strings.Fields(r.form.Get("prompt"))
	for _, prompt := range r.prompts {
		switch prompt {
		case promptNone:
			if len(r.prompts) > 1 {
				return badRequest(codeInvalidRequest, "prompt=none stands alone")
			}
		case promptLogin, promptConsent, promptAccount, promptCreate:
		default:
			return badRequest(codeInvalidRequest, "a value of prompt is not known")
		}
	}
	return nil
}

func (r *authRequest) prompted(prompt string) bool { return slices.Contains(r.prompts, prompt) }

// checkMaxAge takes digits only: a max_age that cannot be read must not be
// dropped, since the service relies on it.
func (r *authRequest) checkMaxAge() error {
	text := r.form.Get("max_age")
	if text == "" {
		r.maxAge = r.client.DefaultMaxAge
		return nil
	}
	age, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return badRequest(codeInvalidRequest, "max_age is not a number of seconds")
	}
	seconds := int(age)
	r.maxAge = &seconds
	return nil
}

// checkClaims reads claims; which of them exist is settled when they are used.
func (r *authRequest) checkClaims() error {
	claims, err := parseClaims(r.form.Get("claims"))
	if err != nil {
		return badRequest(codeInvalidRequest, err.Error())
	}
	r.claims, r.subjects = claims, claims.subjects()
	return nil
}

// checkHint reads id_token_hint: an ID token of ours for this client, however
// old and whichever key has signed it.
func (p *Provider) checkHint(ctx context.Context, r *authRequest) error {
	hint := r.form.Get("id_token_hint")
	if hint == "" {
		return nil
	}
	invalid := badRequest(codeInvalidRequest, "id_token_hint is not an ID token that was issued to this client")
	raw, _, err := p.keys.Verify(ctx, hint, TypIDToken)
	if errors.Is(err, keys.ErrBadToken) {
		return invalid
	}
	if err != nil {
		return err
	}
	var claims struct {
		Issuer   string   `json:"iss"`
		Subject  string   `json:"sub"`
		Audience audience `json:"aud"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil || claims.Issuer != p.issuer || claims.Subject == "" ||
		!slices.Contains(claims.Audience, r.client.ID) { // the sub of another client is another person's
		return invalid
	}
	if len(r.subjects) > 0 && !slices.Contains(r.subjects, claims.Subject) {
		return badRequest(codeInvalidRequest, "id_token_hint and claims ask for different people")
	}
	r.subjects = []string{claims.Subject}
	return nil
}

// checkWithFosite has fosite judge the request that we have understood. A
// missing state is what it looks at last, and is no fault: PKCE and nonce do
// what state was for.
func (p *Provider) checkWithFosite(ctx context.Context, r *authRequest) error {
	// prompt, max_age and id_token_hint stay with us: fosite would judge them
	// again, by its own clock and the current key alone.
	values := url.Values{
		"client_id": {r.client.ID}, "redirect_uri": {r.redirect}, "response_type": {"code"},
		"scope": {strings.Join(r.scopes, " ")},
	}
	for _, name := range []string{"state", "nonce", "code_challenge", "code_challenge_method"} {
		if v := r.form.Get(name); v != "" {
			values.Set(name, v)
		}
	}
	r.unit = &unit{client: r.client, redirect: r.redirect}
	if !r.answers(typeCode) {
		return nil
	}
	ctx = withUnit(ctx, r.unit)
	ar, err := p.fosite.NewAuthorizeRequest(ctx, fositeRequest(ctx, http.MethodGet, values))
	if err != nil && !errors.Is(err, fosite.ErrInvalidState) {
		return fromFosite(err)
	}
	r.fosite = ar
	return nil
}

// mayGet bounds the claims parameter by the scopes the client is registered
// for (R8): what lies beyond them is ignored, as an unknown claim is.
func (r *authRequest) mayGet(claim string) bool {
	return slices.Contains(consent.ClaimsOf(r.client.Scope), claim)
}

// wants is the request as the steps on the way need to know it.
func (r *authRequest) wants() login.Wants {
	asked := append(names(r.claims.userinfo, r.mayGet), names(r.claims.idToken, r.mayGet)...)
	slices.Sort(asked)
	return login.Wants{
		Scopes: r.scopes, Claims: slices.Compact(asked), Offline: slices.Contains(r.scopes, scopeOffline), Details: r.details.Encode(),
		ForceLogin: r.prompted(promptLogin) || r.maxAge != nil && *r.maxAge == 0, ChooseAccount: r.prompted(promptAccount),
		ForceConsent: r.prompted(promptConsent), MaxAge: r.maxAge, ACRValues: r.levels(),
	}
}

// levels are the acr values asked for, in order of preference.
func (r *authRequest) levels() []string {
	if essential := r.claims.essentialACR(); len(essential) > 0 {
		return essential
	}
	if asked := strings.Fields(r.form.Get("acr_values")); len(asked) > 0 {
		return asked
	}
	return r.client.DefaultACRValues
}
