package credentials

import (
	"time"

	"golang.org/x/crypto/argon2"
)

// Measure is how long one hash of that cost takes here, the best of three: an
// administrator looks at it before he raises the installation's cost.
func Measure(c Cost) time.Duration {
	best := time.Hour
	for range 3 {
		start := time.Now()
		argon2.IDKey(make([]byte, 32), make([]byte, 16), c.Passes, c.Memory, c.Threads, 32)
		best = min(best, time.Since(start))
	}
	return best
}
