package web

import (
	"net"
	"net/netip"
	"sync"
)

// CapPerAddress keeps one address from holding more than most connections at a
// time: whoever opens thousands to leave them idle is alone with the problem. The
// trusted proxies are exempt, they bring everybody.
func CapPerAddress(l net.Listener, most int, exempt []netip.Prefix) net.Listener {
	return &cappedListener{Listener: l, most: most, exempt: exempt, open: map[netip.Addr]int{}}
}

type cappedListener struct {
	net.Listener
	most   int
	exempt []netip.Prefix

	mu   sync.Mutex
	open map[netip.Addr]int
}

// Accept closes what is too many at once, before a byte is read or a goroutine started.
func (l *cappedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err // as it is: net/http looks at it
		}
		from, ok := peer(c)
		if !ok || l.trusted(from) {
			return c, nil
		}
		if l.enter(from) {
			return &cappedConn{Conn: c, leave: sync.OnceFunc(func() { l.leave(from) })}, nil
		}
		_ = c.Close() // nobody is told: there is nobody to talk to
	}
}

func peer(c net.Conn) (netip.Addr, bool) {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}, false // a Unix socket: the same machine
	}
	from := at.Addr().Unmap().WithZone("")
	if from.Is6() { // one customer has a whole /64
		if p, err := from.Prefix(64); err == nil {
			from = p.Addr()
		}
	}
	return from, true
}

func (l *cappedListener) trusted(from netip.Addr) bool {
	for _, p := range l.exempt {
		if p.Contains(from) {
			return true
		}
	}
	return false
}

func (l *cappedListener) enter(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[from] >= l.most {
		return false
	}
	l.open[from]++
	return true
}

func (l *cappedListener) leave(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[from]--; l.open[from] <= 0 {
		delete(l.open, from)
	}
}

type cappedConn struct {
	net.Conn
	leave func()
}

func (c *cappedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
