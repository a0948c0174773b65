package provider

import (
	"github.com/labstack/echo/v4"
)

// confirmation is the claim cnf (RFC 7800): the key without which a token is
// worth nothing. Zero is a token for whoever bears it.
type confirmation struct {
	JKT string `json:"jkt,omitempty"`      // RFC 9449 §6.1
	X5T string `json:"x5t#S256,omitempty"` // RFC 8705 §3.1
}

func (c confirmation) isZero() bool { return c == confirmation{} }

// claim is nil where there is nothing to confirm, so that the token has none.
func (c confirmation) claim() *confirmation {
	if c.isZero() {
		return nil
	}
	return &c
}

// tokenType is how the token has to be presented.
func (c confirmation) tokenType() string {
	if c.JKT != "" {
		return "DPoP"
	}
	return "Bearer"
}

// constrain finds out which key the tokens of this request are to be bound to,
// and refuses what the grant or the registration does not allow.
func (p *Provider) constrain(c echo.Context, u *unit) error {
	jkt, err := p.proof(c, u.client, tokenPath, "")
	if err != nil {
		return err
	}
	u.confirmed = confirmation{JKT: jkt}
	if u.client.TLSBound {
		u.confirmed.X5T = p.certificateHash(c)
	}
	switch {
	case jkt == "" && u.client.MustProve():
		return invalidProof("tokens of this client are bound to a key: a DPoP proof is needed")
	case u.confirmed.X5T == "" && u.client.TLSBound:
		return badRequest(codeInvalidRequest, "tokens of this client are bound to its certificate: one is needed")
	}
	return nil
}

// boundElsewhere reports whether the grant belongs to another key: one that was
// named with the request (dpop_jkt), or that a public client used first. The
// refresh tokens of other clients are bound to their authentication.
func (u *unit) boundElsewhere() bool {
	if u.grant == nil || u.grant.BoundTo == "" || u.confirmed.is(u.grant.BoundTo) {
		return false
	}
	return u.presented.grant == "" || u.client.Public()
}

// binding is what the grant is bound to from its redemption on.
func (u *unit) binding() string {
	if u.client.Public() && u.grant.BoundTo == "" {
		return u.confirmed.key()
	}
	return u.grant.BoundTo
}

// byCertificate begins what a grant is bound to where that is a certificate.
const byCertificate = "x5t#S256:"

// key is what a grant of a public client is bound to.
func (c confirmation) key() string {
	if c.JKT == "" && c.X5T != "" {
		return byCertificate + c.X5T
	}
	return c.JKT
}

// is reports whether this is the key that a grant is bound to.
func (c confirmation) is(boundTo string) bool {
	return boundTo == c.JKT || c.X5T != "" && boundTo == byCertificate+c.X5T
}
