package driver

import (
	"cmp"
	"net/http"
	"sync/atomic"
)

// spread sends every request to the next node, as a load balancer does that
// knows no affinity. Who asked sees one address only.
type spread struct {
	*http.Transport
	nodes []string // host and port
	turn  atomic.Uint64
}

func (s *spread) RoundTrip(r *http.Request) (*http.Response, error) {
	one := r.Clone(r.Context())
	one.Host = cmp.Or(r.Host, r.URL.Host)
	one.URL.Host = s.nodes[s.turn.Add(1)%uint64(len(s.nodes))]
	a, err := s.Transport.RoundTrip(one)
	if a != nil {
		a.Request = r // redirects are relative to what was asked for
	}
	return a, err
}
