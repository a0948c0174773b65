package provider

import (
	"context"

	"github.com/ory/fosite"

	"ente.example/idp/authorizations"
	"ente.example/idp/clients"
)

// unit is the work of one request: what fosite's storage calls read, and what
// they would have written. Nothing is written before every token is signed; the
// handler then flushes it in one transaction, and answers last. So a fault
// burns no code, and no token leaves before its commit.
//
// It travels in the context because fosite leaves no other way to its storage.
type unit struct {
	client    clients.Client
	redirect  string
	grantType string // at the token endpoint

	grant     *grantRow       // authorize: to be inserted; token: as it was read
	requester *fosite.Request // the grant, as fosite sees it
	err       error           // a read that failed: our fault, whatever fosite makes of it

	// what the token endpoint is about to do, or has found out
	verifying bool          // the code is good, its verifier is being checked
	replayed  bool          // the code or refresh token had been used before
	presented refreshToken  // that was sent in
	successor *refreshToken // to be stored: the first or the next of its family

	actor     *actor                 // who vouched for the client, where it was not the client itself
	details   authorizations.Details // that the access token carries
	resources []string               // the access token's audience, where narrowed
	confirmed confirmation           // the key that the client has proved to hold
}

type unitKey struct{}

func withUnit(ctx context.Context, u *unit) context.Context {
	return context.WithValue(ctx, unitKey{}, u)
}

// unitOf is never nil: every call into fosite is made with a unit.
func unitOf(ctx context.Context) *unit {
	u, ok := ctx.Value(unitKey{}).(*unit)
	if !ok {
		return &unit{}
	}
	return u
}
