package clients

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// certificateOf is one that its own key has signed.
func certificateOf(t testing.TB) *x509.Certificate {
	t.Helper()
	key := ecKey(t, elliptic.P256())
	page, err := url.Parse("https://a.example/service")
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Servizio", Organization: []string{"Ente"}, Country: []string{"IT"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"a.example", "*.b.example"},
		URIs: []*url.URL{page}, IPAddresses: []net.IP{net.ParseIP("192.0.2.1"), net.ParseIP("2001:db8::1")}, EmailAddresses: []string{"a@a.example"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// RFC 8705 §2.1.2: the one name that is registered.
func TestNamedBy(t *testing.T) {
	t.Parallel()
	cert := certificateOf(t)
	for _, row := range []struct {
		names CertificateNames
		want  bool
	}{
		{CertificateNames{SubjectDN: "CN=Servizio,O=Ente,C=IT"}, true},
		{CertificateNames{SubjectDN: "CN=Servizio,O=Ente"}, false},
		{CertificateNames{SubjectDN: "CN=Servizi,O=Ente,C=IT"}, false},
		{CertificateNames{SANDNS: "A.example"}, true},
		{CertificateNames{SANDNS: "c.b.example"}, false},
		{CertificateNames{SANURI: "https://a.example/service"}, true},
		{CertificateNames{SANURI: "https://a.example/"}, false},
		{CertificateNames{SANIP: "192.0.2.1"}, true},
		{CertificateNames{SANIP: "::ffff:192.0.2.1"}, true},
		{CertificateNames{SANIP: "2001:db8:0::1"}, true},
		{CertificateNames{SANIP: "192.0.2.2"}, false},
		{CertificateNames{SANEmail: "a@a.example"}, true},
		{CertificateNames{SANEmail: "b@a.example"}, false},
		{CertificateNames{}, false},
	} {
		if got := (Client{Metadata: Metadata{CertificateNames: row.names}}).NamedBy(cert); got != row.want {
			t.Errorf("%+v = %t, want %t", row.names, got, row.want)
		}
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	cert, other := certificateOf(t), certificateOf(t)
	for name, row := range map[string]struct {
		key  jose.JSONWebKey
		want bool
	}{
		"its key":             {jose.JSONWebKey{Key: cert.PublicKey}, true},
		"itself":              {jose.JSONWebKey{Key: cert.PublicKey, Certificates: []*x509.Certificate{cert}}, true},
		"another key":         {jose.JSONWebKey{Key: other.PublicKey}, false},
		"another certificate": {jose.JSONWebKey{Key: other.PublicKey, Certificates: []*x509.Certificate{other}}, false},
	} {
		if got := Holds([]jose.JSONWebKey{row.key}, cert); got != row.want {
			t.Errorf("%s: %t, want %t", name, got, row.want)
		}
	}
	if Holds(nil, cert) {
		t.Error("no key holds it")
	}
}

func TestRegistrationsWithCertificates(t *testing.T) {
	t.Parallel()
	cert := certificateOf(t)
	keys := publicKeys(t, jose.JSONWebKey{Key: cert.PublicKey, Certificates: []*x509.Certificate{cert}, KeyID: "1"})
	with := func(members string) string { return `{"redirect_uris": ["https://a.example/"], ` + members + `}` }
	for _, document := range []string{
		with(`"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=Servizio,O=Ente,C=IT"`),
		with(`"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_uri": "urn:ente:servizio", "profile": "fapi2"`),
		with(`"token_endpoint_auth_method": "self_signed_tls_client_auth", "tls_client_certificate_bound_access_tokens": true, "jwks": ` + keys),
		with(`"token_endpoint_auth_method": "none", "tls_client_certificate_bound_access_tokens": true`),
	} {
		c, _, err := testRules().client(doc(t, document))
		if err != nil {
			t.Errorf("%s: %v", document, err)
		} else if c.HasSecret() {
			t.Errorf("%s: has a secret", document)
		}
	}
	tls := `"token_endpoint_auth_method": "tls_client_auth", `
	for _, row := range []struct{ document, field, reason string }{
		{with(`"token_endpoint_auth_method": "tls_client_auth"`), "tls_client_auth_subject_dn", "exactly one"},
		{with(tls + `"tls_client_auth_subject_dn": "CN=a", "tls_client_auth_san_dns": "a.example"`), "tls_client_auth_subject_dn", "exactly one"},
		{with(`"tls_client_auth_san_dns": "a.example"`), "tls_client_auth_san_dns", "only for"},
		{with(tls + `"tls_client_auth_subject_dn": "Servizio"`), "tls_client_auth_subject_dn", "RFC 4514"},
		{with(tls + `"tls_client_auth_san_ip": "localhost"`), "tls_client_auth_san_ip", ""},
		{with(tls + `"tls_client_auth_san_uri": "/a"`), "tls_client_auth_san_uri", "URI"},
		{with(tls + `"tls_client_auth_san_dns": "*.a.example"`), "tls_client_auth_san_dns", "wildcard"},
		{with(`"token_endpoint_auth_method": "self_signed_tls_client_auth"`), "jwks", "needed"},
		{with(`"token_endpoint_auth_method": "self_signed_tls_client_auth", "token_endpoint_auth_signing_alg": "ES256", "jwks": ` + keys), "token_endpoint_auth_signing_alg", "only for"},
		{with(`"profile": "oidc", "grant_types": ["implicit"], "response_types": ["id_token token"], "tls_client_certificate_bound_access_tokens": true`), "response_types", "bound"},
		{with(`"profile": "oidc", "grant_types": ["implicit"], "response_types": ["id_token token"], "dpop_bound_access_tokens": true`), "response_types", "bound"},
	} {
		_, _, err := testRules().client(doc(t, row.document))
		wrong, ok := errors.AsType[*ValidationError](err)
		if !ok || wrong.Field != row.field || !strings.Contains(wrong.Reason, row.reason) {
			t.Errorf("%s\n  = %v, want %s … %s", row.document, err, row.field, row.reason)
		}
	}
	c, _, err := testRules().client(fapi(t, keys, "tls_client_certificate_bound_access_tokens", "true"))
	if err != nil || c.MustProve() || c.DPoPBound || !strings.Contains(strings.Join(c.Words(), "\n"), "only with its certificate\n") && !strings.Contains(strings.Join(c.Words(), "\n"), "only with its certificate;") {
		t.Errorf("fapi2 with certificates = %v, proof %t, %q", err, c.MustProve(), c.Words())
	}
}
