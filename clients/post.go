package clients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"ente.example/idp/database"
)

// Post sends a form to an address that a client has registered, under the same
// guard as what is fetched from there, and returns the status of the answer.
// It goes to the network and must not be called with a transaction open.
func (r *Registry) Post(ctx context.Context, uri string, values url.Values) (status int, err error) {
	if database.Inside(ctx) {
		return 0, errors.New("post to the network with a transaction open")
	}
	if err := checkRemote(uri, r.fetch.loopback); err != nil {
		return 0, fmt.Errorf("post: address %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, strings.NewReader(values.Encode()))
	if err != nil {
		return 0, fmt.Errorf("post: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := r.fetch.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("post: %w", err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxFetched)
	return resp.StatusCode, resp.Body.Close()
}
