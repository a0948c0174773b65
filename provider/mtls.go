package provider

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
)

// Certificates of clients (RFC 8705): they authenticate with them, and bind
// tokens to them. No browser is ever asked for one: they come on a listener of
// their own, or in a header of a proxy that is trusted.

// MutualTLS is where certificates come from. Zero is nowhere.
type MutualTLS struct {
	// URL is the address at which certificates are asked for, without a slash at
	// its end; empty where that is the issuer's own.
	URL string
	// CA are those who may say who a client is (tls_client_auth); nil is nobody.
	CA *x509.CertPool
	// Proxies may hand over certificates in Client-Cert and Client-Cert-Chain
	// (RFC 9440). They must take these headers away from whoever else sends them.
	Proxies []netip.Prefix
}

// enabled reports whether a certificate can come at all.
func (m MutualTLS) enabled() bool { return m.URL != "" || len(m.Proxies) > 0 }

// methods are the ways to authenticate that a certificate opens.
func (m MutualTLS) methods() []string {
	switch {
	case !m.enabled():
		return nil
	case m.CA == nil:
		return []string{clients.AuthSelfSigned}
	}
	return []string{clients.AuthTLS, clients.AuthSelfSigned}
}

const (
	certHeader      = "Client-Cert"
	certChainHeader = "Client-Cert-Chain"
	maxChain        = 10
)

var errCertificate = errors.New("the certificate cannot be read")

// aliasedPaths are the endpoints at which a certificate says something.
func aliasedPaths() []string {
	return []string{tokenPath, parPath, introspectPath, revokePath, userinfoPath, deviceAuthorizationPath}
}

// mtlsAliases is RFC 8705 §5.
type mtlsAliases struct {
	Token      string `json:"token_endpoint"`
	PAR        string `json:"pushed_authorization_request_endpoint"`
	Introspect string `json:"introspection_endpoint"`
	Revoke     string `json:"revocation_endpoint"`
	Userinfo   string `json:"userinfo_endpoint"`
	Device     string `json:"device_authorization_endpoint"`
}

func (m MutualTLS) aliases() *mtlsAliases {
	if m.URL == "" {
		return nil
	}
	return &mtlsAliases{
		m.URL + tokenPath, m.URL + parPath, m.URL + introspectPath, m.URL + revokePath, m.URL + userinfoPath, m.URL + deviceAuthorizationPath,
	}
}

// AtCertificates is what the listener that asks for certificates serves of
// site: the endpoints that look at them, and no page.
func AtCertificates(site http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(aliasedPaths(), r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		site.ServeHTTP(w, r)
	})
}

// certificates are the client's own and those that lead to its authority; none
// is no error. The connection of a proxy that hands them over shows the proxy's.
func (p *Provider) certificates(c echo.Context) ([]*x509.Certificate, error) {
	r := c.Request()
	switch sent := len(r.Header.Values(certHeader)); {
	case !p.handsOver(r) && r.TLS == nil:
		return nil, nil
	case !p.handsOver(r):
		return r.TLS.PeerCertificates, nil
	case sent == 0:
		return nil, nil
	case sent > 1:
		return nil, errCertificate
	}
	fields := []string{r.Header.Get(certHeader)}
	for _, line := range r.Header.Values(certChainHeader) {
		fields = append(fields, strings.Split(line, ",")...)
	}
	return readCertificates(fields)
}

// handsOver reports whether who speaks to us may say whose certificate it saw.
func (p *Provider) handsOver(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	from := peer.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(p.mtls.Proxies, func(net netip.Prefix) bool { return net.Contains(from) })
}

// readCertificates reads byte sequences of structured fields (RFC 9440 §2).
func readCertificates(fields []string) ([]*x509.Certificate, error) {
	if len(fields) > maxChain {
		return nil, errCertificate
	}
	chain := make([]*x509.Certificate, 0, len(fields))
	for _, field := range fields {
		text := strings.Trim(field, " \t")
		if len(text) < 2 || text[0] != ':' || text[len(text)-1] != ':' {
			return nil, errCertificate
		}
		der, err := base64.StdEncoding.DecodeString(text[1 : len(text)-1])
		if err != nil {
			return nil, errCertificate
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, errCertificate
		}
		chain = append(chain, cert)
	}
	return chain, nil
}

// provesByCertificate reports whether the request came with the certificate
// that the client has registered.
func (p *Provider) provesByCertificate(c echo.Context, client clients.Client) (bool, error) {
	chain, err := p.certificates(c)
	if err != nil || len(chain) == 0 {
		return false, nil //nolint:nilerr // what cannot be read proves nothing
	}
	if client.TokenEndpointAuthMethod == clients.AuthTLS {
		return client.NamedBy(chain[0]) && p.vouched(chain), nil
	}
	keys, err := p.clients.Keys(c.Request().Context(), client, "")
	if errors.Is(err, clients.ErrKeys) {
		return false, nil
	}
	return clients.Holds(keys, chain[0]), err
}

// vouched reports whether one of our authorities says, now, that the first
// certificate is a client's.
func (p *Provider) vouched(chain []*x509.Certificate) bool {
	if p.mtls.CA == nil {
		return false
	}
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: p.mtls.CA, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

// certificateHash is x5t#S256 of the certificate at hand (RFC 8705 §3.1);
// without one it is empty.
func (p *Provider) certificateHash(c echo.Context) string {
	chain, err := p.certificates(c)
	if err != nil || len(chain) == 0 {
		return ""
	}
	sum := sha256.Sum256(chain[0].Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
