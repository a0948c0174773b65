package provider

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"time"

	"github.com/ory/fosite"

	"ente.example/idp/clients"
)

// storage is what fosite's handlers call for storage and for tokens. It reads
// the one grant of the request, and otherwise only notes in the unit what is to
// be done; nothing here writes.
type storage struct{ provider *Provider }

// GetClient returns the client that our own layer has looked up: fosite is only
// called about that one.
func (s storage) GetClient(ctx context.Context, _ string) (fosite.Client, error) {
	return s.provider.fositeClient(unitOf(ctx)), nil
}

// ClientAssertionJWTValid is never called: assertions are checked elsewhere.
func (storage) ClientAssertionJWTValid(context.Context, string) error { return fosite.ErrNotFound }

// SetClientAssertionJWT is never called.
func (storage) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return fosite.ErrNotFound
}

// codeHash is what the database keeps of a code. No code has none.
func codeHash(code string) string {
	if code == "" {
		return ""
	}
	h := sha256.Sum256([]byte(code))
	return string(h[:])
}

func (storage) AuthorizeCodeSignature(_ context.Context, code string) string { return codeHash(code) }

func (storage) GenerateAuthorizeCode(context.Context, fosite.Requester) (code, signature string, err error) {
	code = randomText()
	return code, codeHash(code), nil
}

// randomText is 256 random bits.
func randomText() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ValidateAuthorizeCode has nothing to add: the code was found by its hash, and
// its deadline is checked where it is read and again where it is claimed.
func (storage) ValidateAuthorizeCode(context.Context, fosite.Requester, string) error { return nil }

func (storage) CreateAuthorizeCodeSession(ctx context.Context, signature string, _ fosite.Requester) error {
	unitOf(ctx).grant.CodeHash = []byte(signature)
	return nil
}

func (storage) CreateOpenIDConnectSession(ctx context.Context, _ string, r fosite.Requester) error {
	unitOf(ctx).grant.Nonce = r.GetRequestForm().Get("nonce")
	return nil
}

func (storage) CreatePKCERequestSession(ctx context.Context, _ string, r fosite.Requester) error {
	unitOf(ctx).grant.CodeChallenge = r.GetRequestForm().Get("code_challenge")
	return nil
}

// load reads the grant once a request. A grant of another client is as good as
// none, and is not even remembered: nothing that follows can touch it.
func (s storage) load(ctx context.Context, read func() (grantRow, error)) (*grantRow, error) {
	u := unitOf(ctx)
	if u.grant != nil {
		return u.grant, nil
	}
	row, err := read()
	switch {
	case errors.Is(err, errGrantGone), err == nil && row.ClientID != u.client.ID:
		return nil, fosite.ErrNotFound
	case err != nil:
		u.err = err
		return nil, err
	}
	u.grant = &row
	return u.grant, nil
}

// requester is the unit's grant as fosite wants to see it. Each handler asks for
// it, and none changes anything in it but the hashes in its session.
func (s storage) requester(ctx context.Context, row *grantRow) *fosite.Request {
	u := unitOf(ctx)
	if u.requester != nil {
		return u.requester
	}
	form := url.Values{"redirect_uri": {row.RedirectURI}}
	if row.CodeChallenge != "" {
		form.Set("code_challenge", row.CodeChallenge)
		form.Set("code_challenge_method", "S256")
	}
	u.requester = &fosite.Request{
		ID: row.ID, Client: s.provider.fositeClient(u), Form: form,
		RequestedScope: fosite.Arguments(row.Scopes), GrantedScope: fosite.Arguments(row.Scopes),
		Session: newSession(row.Subject, idTokenAlg(u.client)),
	}
	return u.requester
}

// GetAuthorizeCodeSession enforces the code's life itself: fosite would look at
// the wrong session for it, and answer with the wrong error.
func (s storage) GetAuthorizeCodeSession(ctx context.Context, signature string, _ fosite.Session) (fosite.Requester, error) {
	if signature == "" {
		return nil, fosite.ErrNotFound
	}
	row, err := s.load(ctx, func() (grantRow, error) { return s.provider.grants.byCode(ctx, []byte(signature)) })
	switch {
	case err != nil:
		return nil, err
	case row.CodeUsedAt != nil:
		return s.requester(ctx, row), fosite.ErrInvalidatedAuthorizeCode
	case row.RevokedAt != nil, !row.Now.Before(row.CodeExpiresAt):
		return nil, fosite.ErrNotFound
	}
	return s.requester(ctx, row), nil
}

// InvalidateAuthorizeCodeSession does nothing yet: the flush claims the code.
func (storage) InvalidateAuthorizeCodeSession(context.Context, string) error { return nil }

// GetPKCERequestSession is called once everything else about the code is found
// right: if the request fails from here on, it fails on its verifier.
func (s storage) GetPKCERequestSession(ctx context.Context, _ string, _ fosite.Session) (fosite.Requester, error) {
	u := unitOf(ctx)
	if u.grant == nil {
		return nil, fosite.ErrNotFound
	}
	u.verifying = true
	if u.grant.CodeChallenge == "" {
		return nil, fosite.ErrNotFound
	}
	return s.requester(ctx, u.grant), nil
}

// DeletePKCERequestSession keeps the challenge: fosite deletes it before it
// compares, which would let the code be redeemed without a verifier next time.
func (storage) DeletePKCERequestSession(context.Context, string) error { return nil }

func (s storage) GetOpenIDConnectSession(ctx context.Context, _ string, _ fosite.Requester) (fosite.Requester, error) {
	u := unitOf(ctx)
	if u.grant == nil || !fosite.Arguments(u.grant.Scopes).Has(scopeOpenID) {
		return nil, fosite.ErrNotFound
	}
	return s.requester(ctx, u.grant), nil
}

func (storage) DeleteOpenIDConnectSession(context.Context, string) error { return nil }

// Access tokens are never stored.

func (storage) CreateAccessTokenSession(context.Context, string, fosite.Requester) error { return nil }

func (storage) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, fosite.ErrNotFound
}

func (storage) DeleteAccessTokenSession(context.Context, string) error { return nil }

// RevokeAccessToken notes that fosite has seen a code or refresh token that had
// been used before.
func (storage) RevokeAccessToken(ctx context.Context, _ string) error {
	unitOf(ctx).replayed = true
	return nil
}

// RevokeRefreshToken is the same: one row is the whole family.
func (storage) RevokeRefreshToken(ctx context.Context, _ string) error {
	unitOf(ctx).replayed = true
	return nil
}

// RefreshTokenSignature is the family that the token was found to belong to
// before fosite was called.
func (storage) RefreshTokenSignature(ctx context.Context, _ string) string {
	return unitOf(ctx).presented.grant
}

// GenerateRefreshToken starts a family, or goes on to the only successor there
// is. A client of the FAPI profile keeps its token: it is bound to its sender,
// and rotation would only lose sessions.
func (s storage) GenerateRefreshToken(ctx context.Context, r fosite.Requester) (token, signature string, err error) {
	u, keys := unitOf(ctx), s.provider.refreshKey
	var t refreshToken
	switch {
	case u.presented.grant == "":
		t = newRefreshToken(keys, r.GetID())
	case u.client.Profile == clients.ProfileFAPI2:
		t = u.presented
	default:
		if t, err = u.presented.next(keys); err != nil {
			return "", "", err
		}
	}
	if token, err = t.reveal(keys); err != nil {
		return "", "", err
	}
	u.successor = &t
	return token, t.grant, nil
}

// ValidateRefreshToken has nothing to add to GetRefreshTokenSession.
func (storage) ValidateRefreshToken(context.Context, fosite.Requester, string) error { return nil }

func (storage) CreateRefreshTokenSession(context.Context, string, string, fosite.Requester) error {
	return nil
}

// GetRefreshTokenSession tells a token that may be used from one that was used
// before. A genuine token that is neither the current one nor, for a moment,
// the one before it has been used by somebody else.
func (s storage) GetRefreshTokenSession(ctx context.Context, id string, _ fosite.Session) (fosite.Requester, error) {
	if id == "" {
		return nil, fosite.ErrNotFound
	}
	row, err := s.load(ctx, func() (grantRow, error) { return s.provider.grants.byID(ctx, id) })
	if err != nil {
		return nil, err
	}
	if row.RevokedAt != nil || row.RefreshExpiresAt == nil || !row.Now.Before(*row.RefreshExpiresAt) {
		return nil, fosite.ErrNotFound
	}
	usable, err := s.provider.usable(unitOf(ctx).presented, row)
	if err != nil {
		return nil, err
	}
	if !usable {
		return s.requester(ctx, row), fosite.ErrInactiveToken
	}
	return s.requester(ctx, row), nil
}

// usable is a look ahead; the conditional UPDATE of the flush decides.
func (p *Provider) usable(t refreshToken, row *grantRow) (bool, error) {
	if t.equals(row.RefreshGeneration, row.RefreshHash) {
		return true, nil
	}
	next, err := t.next(p.refreshKey)
	if err != nil {
		return false, err
	}
	return next.equals(row.RefreshGeneration, row.RefreshHash) && row.RefreshedAt != nil &&
		row.Now.Before(row.RefreshedAt.Add(p.lifetimes.RefreshGrace)), nil
}

func (storage) DeleteRefreshTokenSession(context.Context, string) error { return nil }

// RotateRefreshToken does nothing yet: the flush rotates.
func (storage) RotateRefreshToken(context.Context, string, string) error { return nil }
