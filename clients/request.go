package clients

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNotRegistered says that a client points to an address that it has not
// registered: nothing is fetched from there.
var ErrNotRegistered = errors.New("the address is not registered for this client")

// RequestObject fetches the request object that a client keeps at one of its
// request_uris (RFC 9101 §5.2). It goes to the network and must not be called
// with a transaction open.
func (r *Registry) RequestObject(ctx context.Context, c Client, uri string) (string, error) {
	if !slices.Contains(c.RequestURIs, uri) {
		return "", ErrNotRegistered
	}
	address, _, _ := strings.Cut(uri, "#")
	answer, err := r.fetch.read(ctx, address, "application/oauth-authz-req+jwt", "application/jwt")
	if err != nil {
		return "", fmt.Errorf("fetch request object: %w", err)
	}
	return strings.TrimSpace(string(answer.body)), nil
}
