package clients

import (
	"testing"
	"time"
)

func TestCacheIsBelievedForAWhile(t *testing.T) {
	t.Parallel()
	c, now := newCache(5*time.Second), time.Now()
	if c.fresh(now) {
		t.Error("fresh before it ever asked")
	}
	c.advance(3, nil, now)
	for after, want := range map[time.Duration]bool{0: true, 4999 * time.Millisecond: true, 5 * time.Second: false} {
		if got := c.fresh(now.Add(after)); got != want {
			t.Errorf("fresh after %v = %v, want %v", after, got, want)
		}
	}
	c.doubt()
	if c.fresh(now) {
		t.Error("fresh although in doubt")
	}
}

func TestCacheForgetsWhatChanged(t *testing.T) {
	t.Parallel()
	c, now := newCache(time.Second), time.Now()
	c.advance(1, nil, now)
	c.put(Client{ID: "a"}, 1)
	c.put(Client{ID: "b"}, 1)
	c.advance(2, []string{"a"}, now)
	if _, ok := c.get("a"); ok {
		t.Error("a changed and is still there")
	}
	if _, ok := c.get("b"); !ok {
		t.Error("b did not change and is gone")
	}
}

// TestCacheKeepsNoOldRead: a client read before a change, put after memory has
// been told of it, would stay wrong for ever.
func TestCacheKeepsNoOldRead(t *testing.T) {
	t.Parallel()
	c, now := newCache(time.Second), time.Now()
	c.advance(1, nil, now)
	seen := c.seen()
	c.advance(2, []string{"a"}, now)
	c.put(Client{ID: "a"}, seen)
	if _, ok := c.get("a"); ok {
		t.Error("an old read was kept")
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache(time.Second)
	for i := range maxCached + 1 {
		c.put(Client{ID: string(rune('a' + i))}, c.seen())
	}
	if len(c.clients) > maxCached {
		t.Errorf("%d clients in memory", len(c.clients))
	}
}
