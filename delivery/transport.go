package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Network is how a transport reaches its gateway, beyond what its address
// says. The zero value is right for production.
type Network struct {
	// Roots are the authorities that may vouch for gateways; nil: the system's.
	Roots *x509.CertPool
	// Timeout bounds one exchange with a gateway; zero: 20 s, which fits into
	// the policy's SendTimeout.
	Timeout time.Duration
}

func (n Network) timeout() time.Duration {
	if n.Timeout > 0 {
		return n.Timeout
	}
	return 20 * time.Second
}

// gateway is a parsed address of a mail server. It holds a password, so it
// does not print.
type gateway struct {
	host, port     string
	user, password string
	mailbox        string
	implicit       bool // TLS from the first byte
	plain          bool // no TLS at all: only on this machine
	network        Network
}

func (gateway) String() string   { return "[gateway]" }
func (gateway) GoString() string { return "[gateway]" }

// schemes are the ways to write an address: plain scheme, TLS scheme, ports.
type schemes struct{ starting, implicit, startingPort, implicitPort string }

// parseGateway reads smtp(s)://user:password@host:port or imap(s)://…/mailbox.
// Its errors name the setting, and never quote a value that holds a password.
func parseGateway(setting, address string, s schemes, n Network) (gateway, error) {
	wrong := fmt.Errorf("%s must be %s://user:password@host:port or %s://… (a password's special characters percent-encoded)", setting, s.implicit, s.starting)
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return gateway{}, wrong
	}
	g := gateway{host: u.Hostname(), port: u.Port(), user: u.User.Username(), mailbox: strings.Trim(u.Path, "/"), network: n}
	g.password, _ = u.User.Password()
	standard := s.implicitPort
	switch u.Scheme {
	case s.implicit:
		g.implicit = true
	case s.starting:
		g.plain, standard = loopback(g.host), s.startingPort
	default:
		return gateway{}, wrong
	}
	if g.port == "" {
		g.port = standard
	}
	if (g.user == "") != (g.password == "") {
		return gateway{}, fmt.Errorf("%s has a user without a password, or the other way round", setting)
	}
	return g, nil
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

func (g gateway) address() string { return net.JoinHostPort(g.host, g.port) }

func (g gateway) tls() *tls.Config {
	return &tls.Config{ServerName: g.host, RootCAs: g.network.Roots, MinVersion: tls.VersionTLS12}
}

// dial connects within ctx, and lets go of the connection when ctx ends,
// whatever the other side is doing. The caller calls leave when it is done.
func (g gateway) dial(ctx context.Context) (conn net.Conn, leave func(), err error) {
	d := net.Dialer{Timeout: g.network.timeout()}
	if g.implicit {
		conn, err = (&tls.Dialer{NetDialer: &d, Config: g.tls()}).DialContext(ctx, "tcp", g.address())
	} else {
		conn, err = d.DialContext(ctx, "tcp", g.address())
	}
	if err != nil {
		return nil, func() {}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, func() { stop(); _ = conn.Close() }, nil
}

// parseFrom reads the sender's address, with or without a name before it.
func parseFrom(setting, from string) (*mail.Address, error) {
	a, err := mail.ParseAddress(from)
	if err != nil || !strings.Contains(domain(a.Address), ".") && !loopback(domain(a.Address)) {
		return nil, fmt.Errorf("%s must be a mail address, as in Ente <noreply@ente.example>", setting)
	}
	return a, nil
}

func domain(address string) string { return address[strings.LastIndex(address, "@")+1:] }

// messageID names a message for every retry alike, in the sender's own domain.
func messageID(l Letter, from *mail.Address) string { return l.ID + "@" + domain(from.Address) }
