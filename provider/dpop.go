package provider

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
	"ente.example/idp/provider/keys"
)

// Demonstrating proof of possession (RFC 9449): a client signs each request with
// a key of its own, and the tokens that it gets are worth nothing without it.

const (
	dpopHeader      = "DPoP"
	dpopNonceHeader = "DPoP-Nonce"
	dpopType        = "dpop+jwt"

	// dpopAge is how old a proof may be; its clock may be as far ahead as that of
	// an assertion. nonceLife is how long a nonce of ours is good.
	dpopAge   = time.Minute
	nonceLife = 5 * time.Minute

	codeInvalidProof = "invalid_dpop_proof"
	codeUseNonce     = "use_dpop_nonce"
)

func invalidProof(description string) *protocolError {
	return badRequest(codeInvalidProof, description)
}

// proofAlgorithms are those of a proof under any profile: never a symmetric one.
func proofAlgorithms() []jose.SignatureAlgorithm { return signatureAlgorithms(clients.Algorithms()) }

// proofClaims are RFC 9449 §4.2.
type proofClaims struct {
	JTI      string       `json:"jti"`
	Method   string       `json:"htm"`
	URI      string       `json:"htu"`
	IssuedAt *json.Number `json:"iat"`
	Nonce    string       `json:"nonce"`
	Token    string       `json:"ath"`
}

// proof checks the DPoP header of a request to path, and returns the thumbprint
// of its key; without the header it is empty. A token that travels with the
// request must be the one that the proof names.
func (p *Provider) proof(c echo.Context, client clients.Client, path, token string) (thumbprint string, err error) {
	headers := c.Request().Header.Values(dpopHeader)
	switch {
	case len(headers) == 0:
		return "", nil
	case len(headers) > 1:
		return "", invalidProof("more than one DPoP header")
	}
	c.Response().Header().Set(dpopNonceHeader, p.nonce(time.Now()))
	claims, thumbprint, err := openProof(headers[0], signatureAlgorithms(client.Profile.Algorithms()))
	if err != nil {
		return "", err
	}
	if err := p.checkProof(claims, c.Request().Method, path, token, time.Now()); err != nil {
		return "", err
	}
	return thumbprint, p.firstProof(c.Request().Context(), thumbprint, claims.JTI)
}

// openProof verifies a proof against the key that it brings along.
func openProof(text string, algs []jose.SignatureAlgorithm) (claims proofClaims, thumbprint string, err error) {
	broken := invalidProof("the proof is not a DPoP proof")
	if len(text) > maxAssertion {
		return claims, "", broken
	}
	jws, err := jose.ParseSignedCompact(text, algs)
	if err != nil {
		return claims, "", broken
	}
	header := jws.Signatures[0].Protected
	key := header.JSONWebKey
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != dpopType || critical(header) || key == nil || !key.IsPublic() || !clients.Verifies(*key) {
		return claims, "", broken
	}
	payload, err := jws.Verify(key.Key)
	if err != nil || !keys.Shallow(payload) || json.Unmarshal(payload, &claims) != nil {
		return claims, "", broken
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return claims, "", broken
	}
	return claims, base64.RawURLEncoding.EncodeToString(sum), nil
}

// checkProof is RFC 9449 §4.3 as far as it needs no database.
func (p *Provider) checkProof(claims proofClaims, method, path, token string, now time.Time) error {
	at, dated := numericDate(claims.IssuedAt)
	switch {
	case claims.JTI == "", len(claims.JTI) > maxJTI:
		return invalidProof("jti is missing or too long")
	case claims.Method != method:
		return invalidProof("htm is not this method")
	case !sameEndpoint(claims.URI, p.issuer+path) && (p.mtls.URL == "" || !sameEndpoint(claims.URI, p.mtls.URL+path)):
		return invalidProof("htu is not this address")
	case !dated, now.Sub(at) > dpopAge, at.Sub(now) > assertionSkew:
		return invalidProof("iat is missing, or too far from now")
	case token != "" && claims.Token != tokenHash(token):
		return invalidProof("ath is not the hash of the access token")
	case claims.Nonce != "" && !p.ourNonce(claims.Nonce, now):
		return badRequest(codeUseNonce, "the nonce is not ours or too old: use the one in "+dpopNonceHeader)
	}
	return nil
}

// sameEndpoint compares without query and fragment (RFC 9449 §4.3), and with
// what RFC 3986 calls the same: the case of scheme and host, a default port.
func sameEndpoint(said, ours string) bool {
	if said == ours {
		return true
	}
	a, errA := url.Parse(said)
	b, errB := url.Parse(ours)
	if errA != nil || errB != nil || a.User != nil {
		return false
	}
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(portful(a), portful(b)) && a.EscapedPath() == b.EscapedPath()
}

func portful(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return u.Host + map[string]string{"https": ":443", "http": ":80"}[strings.ToLower(u.Scheme)]
}

// tokenHash is ath: the hash that ties a proof to one access token.
func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// firstProof refuses a proof that was seen before, on whichever node.
func (p *Provider) firstProof(ctx context.Context, thumbprint, jti string) error {
	fresh, err := p.grants.firstSeen(ctx, "dpop:"+thumbprint, jtiHash(jti), time.Now().Add(2*dpopAge+2*assertionSkew))
	if err == nil && !fresh {
		err = invalidProof("the proof was used before")
	}
	return err
}

// nonce is a time and its HMAC: nothing has to be kept for it, and every node
// knows it again.
func (p *Provider) nonce(now time.Time) string {
	at := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	mac, err := p.refreshKey.ComputePrimaryPRF(append([]byte("dpop/nonce/v1"), at...), 16)
	if err != nil {
		return "" // no nonce is no harm: none is asked for
	}
	return base64.RawURLEncoding.EncodeToString(append(at, mac...))
}

func (p *Provider) ourNonce(text string, now time.Time) bool {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != 24 {
		return false
	}
	at := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
	return subtle.ConstantTimeCompare([]byte(p.nonce(at)), []byte(text)) == 1 && now.Sub(at) <= nonceLife && !at.After(now.Add(assertionSkew))
}

func algorithmNames(algs []jose.SignatureAlgorithm) []string {
	names := make([]string, 0, len(algs))
	for _, a := range algs {
		names = append(names, string(a))
	}
	return slices.Clip(names)
}
