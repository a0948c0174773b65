package clients

import (
	"sync"
	"time"
)

const maxCached = 10_000 // clients in memory

// cache is this process's memory of clients. It is told the registry's version
// (a number every change raises) and forgets what changed since; between two
// looks it is believed for a while. Time is an argument throughout.
type cache struct {
	believe time.Duration

	poll sync.Mutex // held by the one who asks the database for the version

	mu      sync.RWMutex
	clients map[string]Client
	version int64     // of the registry when it was last asked
	asked   time.Time // zero: never, or not to be believed
}

func newCache(believe time.Duration) *cache {
	return &cache{believe: believe, clients: map[string]Client{}, version: -1}
}

// fresh reports whether memory may answer without asking the version.
func (c *cache) fresh(now time.Time) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return !c.asked.IsZero() && now.Sub(c.asked) < c.believe
}

func (c *cache) get(id string) (Client, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	found, ok := c.clients[id]
	return found, ok
}

// seen is the version memory is at. It must be read before the client is read
// from the database that put is given.
func (c *cache) seen() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.version
}

// put remembers a client read while memory was at version seen. If memory has
// moved on since, the read may be older than a change it has already been told
// of, and is not kept.
func (c *cache) put(client Client, seen int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version != seen {
		return
	}
	if len(c.clients) >= maxCached {
		clear(c.clients)
	}
	c.clients[client.ID] = client
}

// advance tells memory the registry's version, asked for at a time, and which
// clients changed since the version it was at.
func (c *cache) advance(version int64, changed []string, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range changed {
		delete(c.clients, id)
	}
	c.version, c.asked = version, asked
}

// doubt makes the next reader ask the database.
func (c *cache) doubt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = time.Time{}
}
