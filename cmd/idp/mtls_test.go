package main

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/database/databasetest"
)

// Services are asked for certificates on their own listener, and nobody is on
// the public one.
func TestListenerForCertificates(t *testing.T) {
	t.Parallel()
	dir, theirs := t.TempDir(), t.TempDir()
	selfSigned(t, dir, 1)
	selfSigned(t, theirs, 2)
	own, err := tls.LoadX509KeyPair(filepath.Join(theirs, "cert.pem"), filepath.Join(theirs, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: own.Leaf.PublicKey}}})
	if err != nil {
		t.Fatal(err)
	}
	s := newTerminal(t, databasetest.SQLite(t))
	listen, certificates := freePort(t), freePort(t)
	n := s.with("IDP_ISSUER", "https://localhost:"+port(listen), "IDP_TLS_CERT_FILE", filepath.Join(dir, "cert.pem"), "IDP_TLS_KEY_FILE", filepath.Join(dir, "key.pem"),
		"IDP_MTLS_LISTEN", certificates, "IDP_MTLS_URL", "https://mtls.localhost:"+port(certificates)).serve("--workers=none")
	doc := n.doc("clients", "add", n.file("c.json", `{"grant_types": ["client_credentials"], "token_endpoint_auth_method": "self_signed_tls_client_auth",
		"tls_client_certificate_bound_access_tokens": true, "jwks": `+string(keys)+`}`))
	asked := false
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &own, nil
		},
	}}}
	t.Cleanup(c.CloseIdleConnections)
	id, _ := doc["client_id"].(string)
	status := func(address, path string) int {
		t.Helper()
		asked = false
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+address+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		a, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		return a.StatusCode
	}
	if got := status(certificates, "/token"); got != http.StatusOK || !asked {
		t.Errorf("with a certificate: %d, asked %t", got, asked)
	}
	if got := status(certificates, "/login/x"); got != http.StatusNotFound {
		t.Errorf("a page: %d, want 404", got)
	}
	if got := status(n.environ["IDP_LISTEN"], "/token"); got != http.StatusUnauthorized || asked {
		t.Errorf("the public listener: %d, asked %t; want 401 and nobody asked", got, asked)
	}
	if code := n.stop(); code != exitDone {
		t.Errorf("serve ended with %d: %s", code, n.log)
	}
}
