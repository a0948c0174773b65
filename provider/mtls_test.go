package provider

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// mtlsURL is where certificates are asked for, wherever that listens.
const mtlsURL = "https://mtls.localhost:8443"

// authority is one that certifies services.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	a := authority{t: t, key: must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Autorità"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key))
	a.cert = must[*x509.Certificate](t)(x509.ParseCertificate(der))
	return a
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue certifies a key for a service; change is what is different.
func (a authority) issue(change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	key := must[*ecdsa.PrivateKey](a.t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Servizio", Organization: []string{"Ente"}}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, DNSNames: []string{"a.example"},
	}
	change(template)
	der := must[[]byte](a.t)(x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must[*x509.Certificate](a.t)(x509.ParseCertificate(der))}
}

func asItIs(*x509.Certificate) {}

// mtlsHouse is a house that asks for certificates, on a listener of its own.
type mtlsHouse struct {
	*house
	ca     authority
	server *httptest.Server
}

func newMTLSHouse(t testing.TB, db *database.DB) mtlsHouse {
	t.Helper()
	ca := newAuthority(t)
	h := buildHouse(t, db, newSecrets(t), func(d *Deps) {
		d.MutualTLS = MutualTLS{URL: mtlsURL, CA: ca.pool()}
	})
	server := httptest.NewUnstartedServer(AtCertificates(h.handler))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	return mtlsHouse{h, ca, server}
}

// with sends a request to the listener for certificates, with one unless it is nil.
func (m mtlsHouse) present(r *http.Request, certs ...tls.Certificate) answer {
	m.t.Helper()
	r.URL = must[*url.URL](m.t)(url.Parse(mtlsURL + r.URL.RequestURI()))
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certs},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, m.server.Listener.Addr().String())
		},
	}
	defer transport.CloseIdleConnections()
	return m.house.with(&http.Client{Transport: transport}, r)
}

func (m mtlsHouse) machine(s *service, certs ...tls.Certificate) answer {
	m.t.Helper()
	return m.present(m.post(tokenPath, "grant_type", credentialsGrant, "client_id", s.client.ID), certs...)
}

func hashOf(cert tls.Certificate) string {
	sum := sha256.Sum256(cert.Certificate[0])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func confirmedBy(t testing.TB, token any) any {
	t.Helper()
	_, claims := payload(t, token)
	cnf, _ := claims["cnf"].(map[string]any)
	return cnf["x5t#S256"]
}

// RFC 8705 §2.1: who an authority says it is.
func TestTLSClientAuth(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		m := newMTLSHouse(t, db)
		s := m.service(`{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=Servizio,O=Ente"}`)
		good := m.ca.issue(asItIs)
		if token := m.machine(s, good).ok(t)["access_token"]; confirmedBy(t, token) != nil {
			t.Error("a token is bound that nobody asked to bind")
		}
		// one that leads to the authority over another
		between := m.ca.issue(func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		})
		key, _ := between.PrivateKey.(*ecdsa.PrivateKey)
		far := authority{t, key, between.Leaf}.issue(asItIs)
		wantRefusal(t, "a chain with a gap", m.machine(s, far), badClient)
		far.Certificate = append(far.Certificate, between.Certificate...)
		m.machine(s, far).ok(t)

		dns := m.service(`{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "a.example"}`)
		m.machine(dns, good).ok(t)
		for name, cert := range map[string][]tls.Certificate{
			"none":              nil,
			"another name":      {m.ca.issue(func(c *x509.Certificate) { c.Subject.CommonName = "Altro" })},
			"another authority": {newAuthority(t).issue(asItIs)},
			"expired":           {m.ca.issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })},
			"not good yet":      {m.ca.issue(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })},
			"a server's":        {m.ca.issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })},
		} {
			wantRefusal(t, name, m.machine(s, cert...), badClient)
		}
		wantRefusal(t, "where nobody asks for it", m.do(m.post(tokenPath, "grant_type", credentialsGrant, "client_id", s.client.ID)), badClient)
		r := m.post(tokenPath, "grant_type", credentialsGrant, "client_id", s.client.ID)
		r.Header.Set(certHeader, ":"+base64.StdEncoding.EncodeToString(good.Certificate[0])+":")
		wantRefusal(t, "in a header of anybody", m.do(r), badClient)
		secret := m.service("")
		wantRefusal(t, "of a client with a secret", m.machine(secret, good), badClient)
		wantRefusal(t, "and a secret too", m.present(m.post(tokenPath, "grant_type", credentialsGrant, "client_id", s.client.ID, "client_secret", "x"), good), badClient)
		if a := m.present(m.get("/authorize", ""), good); a.StatusCode != http.StatusNotFound {
			t.Errorf("a page beside the endpoints: %d", a.StatusCode)
		}
	})
}

// RFC 8705 §2.2 and §3: who holds a registered key, and tokens bound to it, at
// every endpoint that looks at tokens or clients.
func TestSelfSignedCertificates(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		m := newMTLSHouse(t, db)
		id := m.people()
		own, other := newAuthority(t).issue(asItIs), newAuthority(t).issue(asItIs)
		s := m.service(`{"token_endpoint_auth_method": "self_signed_tls_client_auth", "tls_client_certificate_bound_access_tokens": true, "jwks": ` + keySet(t, own) + `}`)
		s.signIn(id)
		wantRefusal(t, "another's", m.machine(s, other), badClient)
		v := s.params()
		push := m.post(parPath)
		push = must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPost, push.URL.String(), strings.NewReader(v.Encode())))
		push.Header.Set("Content-Type", formContentType)
		code := s.reply(s.bring(s.pushedURI(m.present(push, own)))).Get("code")
		tokens := m.present(m.post(tokenPath, append(redeeming(code), "client_id", s.client.ID)...), own).ok(t)
		if got := confirmedBy(t, tokens["access_token"]); got != hashOf(own) || tokens["token_type"] != "Bearer" {
			t.Errorf("cnf = %v, type %v, want the certificate's hash", got, tokens["token_type"])
		}
		access, _ := tokens["access_token"].(string)
		m.present(m.get(userinfoPath, access), own).ok(t)
		for name, a := range map[string]answer{
			"another certificate": m.present(m.get(userinfoPath, access), other),
			"no certificate":      m.present(m.get(userinfoPath, access)),
			"the open listener":   m.do(m.get(userinfoPath, access)),
		} {
			if a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.Header.Get("WWW-Authenticate"), codeInvalidToken) {
				t.Errorf("userinfo with %s: %d %q, want invalid_token", name, a.StatusCode, a.Header.Get("WWW-Authenticate"))
			}
		}
		info := m.present(m.post(introspectPath, "token", access, "client_id", s.client.ID), own).ok(t)
		if cnf, _ := info["cnf"].(map[string]any); cnf["x5t#S256"] != hashOf(own) || info["token_type"] != "Bearer" {
			t.Errorf("introspection = %v", info)
		}
		if a := m.present(m.post(revokePath, "token", access, "client_id", s.client.ID), own); a.StatusCode != http.StatusOK {
			t.Errorf("revoke = %d %s", a.StatusCode, a.body)
		}
	})
}

func keySet(t testing.TB, certs ...tls.Certificate) string {
	t.Helper()
	set := jose.JSONWebKeySet{}
	for _, c := range certs {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: c.Leaf.PublicKey, Certificates: []*x509.Certificate{c.Leaf}, KeyID: hashOf(c)})
	}
	return string(must[[]byte](t)(json.Marshal(set)))
}

// A client without a secret binds its refresh tokens to the certificate too
// (RFC 8705 §4); one with a secret may change it (§7.1).
func TestGrantsAreBoundToCertificates(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		m := newMTLSHouse(t, db)
		id := m.people()
		own, other := newAuthority(t).issue(asItIs), newAuthority(t).issue(asItIs)
		s := m.service(`{"token_endpoint_auth_method": "none", "tls_client_certificate_bound_access_tokens": true, "grant_types": ["authorization_code", "refresh_token"]}`)
		s.signIn(id)
		ask := func(pairs []string, certs ...tls.Certificate) answer {
			return m.present(m.post(tokenPath, append(pairs, "client_id", s.client.ID)...), certs...)
		}
		code := s.code()
		wantRefusal(t, "a code without a certificate", ask(redeeming(code)), "Bad Request "+codeInvalidRequest)
		refresh, _ := ask(redeeming(code), own).ok(t)["refresh_token"].(string)
		pairs := []string{"grant_type", "refresh_token", "refresh_token", refresh}
		wantRefusal(t, "a stolen refresh token", ask(pairs, other), badGrant)
		wantRefusal(t, "a refresh without a certificate", ask(pairs), "Bad Request "+codeInvalidRequest)
		if got := confirmedBy(t, ask(pairs, own).ok(t)["access_token"]); got != hashOf(own) {
			t.Errorf("cnf = %v", got)
		}

		confidential := m.service(`{"token_endpoint_auth_method": "client_secret_post", "tls_client_certificate_bound_access_tokens": true}`)
		confidential.signIn(id)
		secret := []string{"client_id", confidential.client.ID, "client_secret", confidential.secret}
		kept, _ := m.present(m.post(tokenPath, append(redeeming(confidential.code()), secret...)...), own).ok(t)["refresh_token"].(string)
		again := m.present(m.post(tokenPath, append([]string{"grant_type", "refresh_token", "refresh_token", kept}, secret...)...), other).ok(t)
		if got := confirmedBy(t, again["access_token"]); got != hashOf(other) {
			t.Errorf("cnf after a renewal of the certificate = %v, want the new one's", got)
		}
	})
}

// RFC 9440: certificates in a header, from a proxy that is trusted and nobody else.
func TestCertificatesFromAProxy(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ca := newAuthority(t)
		ring := newSecrets(t)
		h := buildHouse(t, db, ring, func(d *Deps) {
			d.MutualTLS = MutualTLS{CA: ca.pool(), Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
		})
		far := buildHouse(t, db, ring, func(d *Deps) {
			d.MutualTLS = MutualTLS{CA: ca.pool(), Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
		})
		s := h.service(`{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "a.example", "tls_client_certificate_bound_access_tokens": true}`)
		field := func(der []byte) string { return ":" + base64.StdEncoding.EncodeToString(der) + ":" }
		ask := func(at *house, header http.Header) answer {
			r := at.post(tokenPath, "grant_type", credentialsGrant, "client_id", s.client.ID)
			for name, values := range header {
				r.Header[name] = values
			}
			return at.do(r)
		}
		good := ca.issue(asItIs)
		header := http.Header{certHeader: {field(good.Certificate[0])}}
		if got := confirmedBy(t, ask(h, header).ok(t)["access_token"]); got != hashOf(good) {
			t.Errorf("cnf = %v", got)
		}
		wantRefusal(t, "from somebody else", ask(far, header), badClient)
		wantRefusal(t, "no header", ask(h, nil), badClient)
		wantRefusal(t, "two", ask(h, http.Header{certHeader: {header.Get(certHeader), header.Get(certHeader)}}), badClient)
		wantRefusal(t, "not a field", ask(h, http.Header{certHeader: {base64.StdEncoding.EncodeToString(good.Certificate[0])}}), badClient)
		wantRefusal(t, "another authority", ask(h, http.Header{certHeader: {field(newAuthority(t).issue(asItIs).Certificate[0])}}), badClient)

		between := ca.issue(func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		})
		key, _ := between.PrivateKey.(*ecdsa.PrivateKey)
		leaf := authority{t, key, between.Leaf}.issue(asItIs)
		ask(h, http.Header{certHeader: {field(leaf.Certificate[0])}, certChainHeader: {field(between.Certificate[0]) + ", " + field(ca.cert.Raw)}}).ok(t)
	})
}

// The profile FAPI 2.0 with certificates in the place of assertions and proofs.
func TestFAPI2WithCertificates(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		m := newMTLSHouse(t, db)
		own := newAuthority(t).issue(asItIs)
		s := m.service(`{"profile": "fapi2", "token_endpoint_auth_method": "self_signed_tls_client_auth", "tls_client_certificate_bound_access_tokens": true, "jwks": ` + keySet(t, own) + `}`)
		if got := confirmedBy(t, m.machine(s, own).ok(t)["access_token"]); got != hashOf(own) {
			t.Errorf("cnf = %v", got)
		}
		// and with the certificate for who it is, a proof for what it holds
		d := m.service(`{"profile": "fapi2", "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": ` + keySet(t, own) + `}`).prover()
		wantRefusal(t, "a certificate alone", m.machine(d.service, own), "Bad Request "+codeInvalidProof)
		for name, address := range map[string]string{"the alias": mtlsURL, "the issuer": issuer} {
			r := m.post(tokenPath, "grant_type", credentialsGrant, "client_id", d.client.ID)
			r.Header.Set(dpopHeader, d.proof("POST", tokenPath, "htu", address+tokenPath))
			if a := m.present(r, own); a.StatusCode != http.StatusOK {
				t.Errorf("a proof for %s: %d %s", name, a.StatusCode, a.body)
			}
		}
	})
}

// What discovery says of certificates is what there is.
func TestDiscoveryOfCertificates(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		m := newMTLSHouse(t, db)
		doc := m.do(m.get(openIDPath, "")).ok(t)
		aliases, _ := doc["mtls_endpoint_aliases"].(map[string]any)
		if aliases["token_endpoint"] != mtlsURL+tokenPath || len(aliases) != len(aliasedPaths()) || doc["tls_client_certificate_bound_access_tokens"] != true {
			t.Errorf("aliases = %v", aliases)
		}
		for name, row := range map[string]struct {
			m    MutualTLS
			want []string
		}{
			"nothing":      {MutualTLS{}, nil},
			"no authority": {MutualTLS{URL: mtlsURL}, []string{clients.AuthSelfSigned}},
			"everything":   {MutualTLS{URL: mtlsURL, CA: m.ca.pool()}, []string{clients.AuthTLS, clients.AuthSelfSigned}},
		} {
			if got := row.m.methods(); strings.Join(got, " ") != strings.Join(row.want, " ") {
				t.Errorf("%s: %v, want %v", name, got, row.want)
			}
		}
	})
}

// FuzzCertificateHeader: what comes in a header is certificates, all of it, or
// refused.
func FuzzCertificateHeader(f *testing.F) {
	ca := newAuthority(f)
	f.Add(":"+base64.StdEncoding.EncodeToString(ca.cert.Raw)+":", "")
	f.Add("::", ":AA==:, x")
	f.Fuzz(func(t *testing.T, first, second string) {
		fields := []string{first, second}
		chain, err := readCertificates(fields)
		if err == nil && len(chain) != len(fields) {
			t.Errorf("%q = %d certificates of %d", fields, len(chain), len(fields))
		}
	})
}
