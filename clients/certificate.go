package clients

import (
	"crypto"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// CertificateNames are how a client of tls_client_auth registers the one name
// that its certificate bears (RFC 8705 §2.1.2).
type CertificateNames struct {
	SubjectDN string `json:"tls_client_auth_subject_dn,omitempty"`
	SANDNS    string `json:"tls_client_auth_san_dns,omitempty"`
	SANURI    string `json:"tls_client_auth_san_uri,omitempty"`
	SANIP     string `json:"tls_client_auth_san_ip,omitempty"`
	SANEmail  string `json:"tls_client_auth_san_email,omitempty"`
}

func (n CertificateNames) fields() []struct{ field, value string } {
	return []struct{ field, value string }{
		{"tls_client_auth_subject_dn", n.SubjectDN}, {"tls_client_auth_san_dns", n.SANDNS}, {"tls_client_auth_san_uri", n.SANURI},
		{"tls_client_auth_san_ip", n.SANIP}, {"tls_client_auth_san_email", n.SANEmail},
	}
}

// UsesCertificate reports whether the client authenticates with a certificate.
func (c Client) UsesCertificate() bool { return usesCertificate(c.TokenEndpointAuthMethod) }

func usesCertificate(method string) bool { return method == AuthTLS || method == AuthSelfSigned }

// NamedBy reports whether a certificate bears the name that the client has
// registered. That somebody trustworthy has issued it is for the caller to know.
func (c Client) NamedBy(cert *x509.Certificate) bool {
	switch n := c.CertificateNames; {
	case n.SubjectDN != "":
		want, err := parseSubject(n.SubjectDN)
		got, errCert := subjectOf(cert.RawSubject)
		return err == nil && errCert == nil && sameSubject(want, got)
	case n.SANDNS != "":
		return slices.ContainsFunc(cert.DNSNames, func(name string) bool { return strings.EqualFold(name, n.SANDNS) })
	case n.SANURI != "":
		for _, u := range cert.URIs {
			if u.String() == n.SANURI {
				return true
			}
		}
		return false
	case n.SANIP != "":
		return slices.ContainsFunc(cert.IPAddresses, func(ip net.IP) bool { return sameAddress(ip, n.SANIP) })
	case n.SANEmail != "":
		return slices.Contains(cert.EmailAddresses, n.SANEmail)
	}
	return false
}

func sameAddress(ip []byte, text string) bool {
	got, ok := netip.AddrFromSlice(ip)
	want, err := netip.ParseAddr(text)
	return ok && err == nil && got.Unmap() == want.Unmap()
}

// Holds reports whether one of these keys is the certificate's: the certificate
// itself where the key brings one (x5c), else its public key (RFC 8705 §2.2.2).
func Holds(keys []jose.JSONWebKey, cert *x509.Certificate) bool {
	ours, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return slices.ContainsFunc(keys, func(k jose.JSONWebKey) bool {
		if len(k.Certificates) > 0 {
			return k.Certificates[0].Equal(cert)
		}
		return ok && ours.Equal(k.Key)
	})
}

// checkCertificate wants one name for tls_client_auth, and none elsewhere.
func checkCertificate(d Document) error {
	var names []string
	for _, n := range d.fields() {
		if n.value != "" {
			names = append(names, n.field)
		}
	}
	method := d.TokenEndpointAuthMethod
	switch {
	case method == AuthTLS && len(names) != 1:
		return invalid("tls_client_auth_subject_dn", "or exactly one of the tls_client_auth_san members is needed for tls_client_auth")
	case method != AuthTLS && len(names) > 0:
		return invalid(names[0], "is only for tls_client_auth")
	case method == AuthSelfSigned && d.JWKS == nil && d.JWKSURI == "":
		return invalid("jwks", "or jwks_uri is needed for self_signed_tls_client_auth")
	}
	return checkCertificateName(d.CertificateNames)
}

func checkCertificateName(n CertificateNames) error {
	_, errDN := parseSubject(n.SubjectDN)
	address, errIP := netip.ParseAddr(n.SANIP)
	if errIP == nil && address.Zone() != "" { // no certificate has one
		errIP = errors.New("must not have a zone")
	}
	for _, f := range n.fields() {
		err := plainText(f.value)
		switch f.field {
		case "tls_client_auth_subject_dn":
			err = errDN
		case "tls_client_auth_san_ip":
			err = errIP
		case "tls_client_auth_san_uri":
			if u, bad := url.Parse(f.value); bad != nil || u.Scheme == "" || u.String() != f.value {
				err = errors.New("is not a URI in its plain form")
			}
		}
		if f.value != "" && err != nil {
			return invalid(f.field, "%v", err)
		}
	}
	return nil
}
