package provider

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/consent"
	"ente.example/idp/provider/keys"
)

// What a service may be answered with at the authorization endpoint (OAuth 2.0
// Multiple Response Type Encoding Practices).
const (
	typeCode    = "code"
	typeIDToken = "id_token"
	typeToken   = "token"
	typeNone    = "none"
)

// How an answer travels to the service (the same, §2.1; Form Post; JARM §2.3).
// With the ending .jwt it is one signed token.
const (
	modeQuery    = "query"
	modeFragment = "fragment"
	modeFormPost = "form_post"
	modeJWT      = "jwt"
	signedMode   = ".jwt"
)

// responseModes are all that there are.
func responseModes() []string {
	return []string{
		modeQuery, modeFragment, modeFormPost,
		modeQuery + signedMode, modeFragment + signedMode, modeFormPost + signedMode, modeJWT,
	}
}

// answers reports whether the answer holds a code, an ID token, an access token.
func (r *authRequest) answers(kind string) bool { return slices.Contains(r.types, kind) }

// fronts reports whether tokens travel through the browser.
func (r *authRequest) fronts() bool { return r.answers(typeIDToken) || r.answers(typeToken) }

// responseMode is how even a refusal is delivered: as asked for, else as the
// response type's default has it. A query is seen by too many to carry tokens.
func responseMode(f form) (mode string, signed bool) {
	types := strings.Fields(f.Get("response_type"))
	fronts := slices.Contains(types, typeToken) || slices.Contains(types, typeIDToken)
	asked := f.Get("response_mode")
	if f.isRepeated("response_mode") || !slices.Contains(responseModes(), asked) {
		asked = ""
	}
	mode, signed = strings.CutSuffix(asked, signedMode)
	if mode == modeJWT {
		mode, signed = "", true
	}
	switch {
	case mode == "" && fronts, mode == modeQuery && fronts:
		return modeFragment, signed
	case mode == "":
		return modeQuery, signed
	}
	return mode, signed
}

// checkResponse wants a response type that exists and is the client's: fosite
// looks at that only when the code is redeemed.
func (r *authRequest) checkResponse() error {
	kind := clients.ResponseType(r.form.Get("response_type"))
	r.types = strings.Fields(kind)
	mode := r.form.Get("response_mode")
	switch {
	case kind == "":
		return badRequest(codeInvalidRequest, "response_type is missing")
	case !slices.Contains(clients.ResponseTypes(), kind):
		return badRequest(codeUnsupportedResponseType, "the response type is not supported")
	case !slices.Contains(r.client.ResponseTypes, kind), r.answers(typeCode) && !r.client.AllowsGrant(clients.GrantAuthorizationCode):
		return badRequest(codeUnauthorizedClient, "the client is not registered for this response type")
	case mode != "" && !slices.Contains(responseModes(), mode):
		return badRequest(codeInvalidRequest, "the response mode is not supported")
	case r.fronts() && strings.HasPrefix(mode, modeQuery):
		return badRequest(codeInvalidRequest, "tokens do not travel in a query")
	case r.answers(typeIDToken) && r.form.Get("nonce") == "":
		return badRequest(codeInvalidRequest, "nonce is missing")
	}
	return nil
}

// front signs the tokens that travel through the browser. The grant is not
// written yet; its time is that of the session's last look.
func (p *Provider) front(ctx context.Context, r *authRequest, s standing, answer map[string]string) error {
	g := r.unit.grant
	g.Now, g.Nonce = s.session.Now, r.form.Get("nonce")
	if r.answers(typeToken) {
		if err := p.narrowDetails(form{}, r.unit); err != nil {
			return err
		}
		token, err := p.newAccess(ctx, r.unit, g.Scopes)
		if err != nil {
			return err
		}
		answer["access_token"], answer["token_type"] = token, r.unit.confirmed.tokenType()
		answer["expires_in"] = generation(uint32(p.lifetimes.AccessToken / time.Second))
		answer["scope"] = scopeText(g.Scopes)
	}
	if !r.answers(typeIDToken) {
		return nil
	}
	if !slices.Contains(g.Scopes, scopeOpenID) {
		return errors.New("ID token without the scope openid")
	}
	if !r.answers(typeCode) && !r.answers(typeToken) { // nothing else will ever tell: OIDC Core §5.4
		g.IDTokenClaims = append(g.IDTokenClaims, without(consent.ClaimsOf(g.Scopes), "sub")...)
	}
	alg, with := idTokenAlg(r.client), idHashes{}
	if code := answer[typeCode]; code != "" {
		with.Code = halfHash(alg, code)
	}
	if token := answer["access_token"]; token != "" {
		with.AccessToken = halfHash(alg, token)
	}
	token, err := p.signID(ctx, r.unit, with)
	answer[typeIDToken] = token
	return err
}

// halfHash is at_hash and c_hash: the left half of the hash that goes with the
// signature (OIDC Core §3.3.2.11).
func halfHash(alg, text string) string {
	sum := sha256.Sum256([]byte(text))
	half := sum[:16]
	if alg == keys.EdDSA {
		long := sha512.Sum512([]byte(text))
		half = long[:32]
	}
	return base64.RawURLEncoding.EncodeToString(half)
}
