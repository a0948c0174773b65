package clients

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/singleflight"

	"ente.example/idp/database"
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
	answer, err := r.objects.find(ctx, address)
	if err != nil {
		return "", fmt.Errorf("fetch request object: %w", err)
	}
	return strings.TrimSpace(string(answer.body)), nil
}

// remoteObjects fetches request objects, one at a time from each address: whoever
// knows it can make us go there, without being anybody's client.
type remoteObjects struct {
	read  func(ctx context.Context, address string) (fetched, error)
	group singleflight.Group
}

func (f *fetcher) object(ctx context.Context, address string) (fetched, error) {
	return f.read(ctx, address, "application/oauth-authz-req+jwt", "application/jwt")
}

// find waits with all who want the same now. The fetch does not end with the one
// request that began it.
func (r *remoteObjects) find(ctx context.Context, address string) (fetched, error) {
	if database.Inside(ctx) {
		return fetched{}, errors.New("fetch from the network with a transaction open")
	}
	done := r.group.DoChan(address, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		return r.read(ctx, address)
	})
	select {
	case <-ctx.Done():
		return fetched{}, ctx.Err()
	case result := <-done:
		answer, _ := result.Val.(fetched)
		return answer, result.Err
	}
}
