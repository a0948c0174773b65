package clients

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ente.example/idp/database"
)

// Get returns a client that may be used: ErrUnknown and ErrDisabled are the
// refusals. It answers from memory while that is fresh (Policy.CacheFor); a
// client not in memory is always looked for in the database, so that a new one
// works at once on every node. Unknown ids are never remembered.
func (r *Registry) Get(ctx context.Context, id string) (Client, error) {
	c, err := r.find(ctx, id)
	switch {
	case err != nil:
		return Client{}, err
	case c.Disabled:
		return Client{}, ErrDisabled
	}
	return c, nil
}

// Lookup returns a client as the database has it now, disabled or not.
func (r *Registry) Lookup(ctx context.Context, id string) (Client, error) {
	if !validID(id) {
		return Client{}, ErrUnknown
	}
	c, err := r.store.client(ctx, id)
	if err != nil {
		return Client{}, fmt.Errorf("look up client: %w", err)
	}
	return c, nil
}

// List returns every client, oldest first.
func (r *Registry) List(ctx context.Context) ([]Client, error) {
	list, err := r.store.all(ctx)
	if err != nil {
		return nil, fmt.Errorf("list clients: %w", err)
	}
	return list, nil
}

func (r *Registry) find(ctx context.Context, id string) (Client, error) {
	if !validID(id) {
		return Client{}, ErrUnknown
	}
	if err := r.follow(ctx); err != nil {
		return Client{}, err
	}
	if c, ok := r.cache.get(id); ok {
		return c, nil
	}
	seen := r.cache.seen()
	c, err := r.Lookup(ctx, id)
	if err != nil {
		return Client{}, err
	}
	// What a transaction sees may never be committed.
	if !database.Inside(ctx) {
		r.cache.put(c, seen)
	}
	return c, nil
}

// follow asks the database for the registry's version when memory has not been
// checked for a while: one row of one column, whatever the number of requests.
// A database that cannot answer fails the request, since a client may have
// been disabled meanwhile.
func (r *Registry) follow(ctx context.Context) error {
	if r.cache.fresh(time.Now()) || database.Inside(ctx) {
		return nil
	}
	r.cache.poll.Lock()
	defer r.cache.poll.Unlock()
	if r.cache.fresh(time.Now()) {
		return nil // the one before us has asked
	}
	return r.ask(ctx)
}

// ask brings memory to the registry's version. The caller holds cache.poll.
func (r *Registry) ask(ctx context.Context) error {
	asked := time.Now()
	version, err := r.store.version(ctx)
	if err != nil {
		return fmt.Errorf("ask for changed clients: %w", err)
	}
	var changed []string
	if seen := r.cache.seen(); version != seen {
		if changed, err = r.store.changedSince(ctx, seen); err != nil {
			return fmt.Errorf("ask for changed clients: %w", err)
		}
	}
	r.cache.advance(version, changed, asked)
	return nil
}

// Run follows the registry in the background, so that no request has to. It
// returns when ctx ends.
func (r *Registry) Run(ctx context.Context) error {
	tick := time.NewTicker(max(r.policy.CacheFor/2, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.cache.poll.Lock()
			_ = r.ask(ctx) // memory grows stale then, and requests report the error
			r.cache.poll.Unlock()
		}
	}
}

// CheckSecret reports whether secret is one of the client's that is valid now.
// For the zero Client it does the same work and says no. The current secret is
// known from memory; a rotated one is asked of the database, whose clock ends
// it.
func (r *Registry) CheckSecret(ctx context.Context, c Client, secret string) (bool, error) {
	found, ok := matchSecret(c.secrets, secret)
	if !ok || !c.HasSecret() {
		return false, nil
	}
	if found.current() {
		return true, nil
	}
	live, err := r.store.secretLives(ctx, c.ID, found.Digest)
	if err != nil {
		return false, fmt.Errorf("check client secret: %w", err)
	}
	return live, nil
}

// validID reports whether id could be a client's: RFC 6749's characters, and
// no longer than ours or an imported one.
func validID(id string) bool {
	return id != "" && len(id) <= 255 && !strings.ContainsFunc(id, func(r rune) bool { return r < 0x20 || r > 0x7e })
}
