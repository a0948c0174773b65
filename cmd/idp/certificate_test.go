package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database/databasetest"
)

// selfSigned writes a certificate of that number and its key.
func selfSigned(t *testing.T, dir string, number int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"key.pem": {Type: "PRIVATE KEY", Bytes: private}, "cert.pem": {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Contract §2: certificates are read again when the files change; what cannot
// be read leaves the last one in use.
func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	selfSigned(t, dir, 1)
	s := newTerminal(t, databasetest.SQLite(t))
	listen := freePort(t)
	n := s.with("IDP_ISSUER", "https://localhost:"+port(listen), "IDP_TLS_CERT_FILE", filepath.Join(dir, "cert.pem"), "IDP_TLS_KEY_FILE", filepath.Join(dir, "key.pem")).serve("--workers=none")
	serial := func() int64 {
		c, err := tls.Dial("tcp", n.environ["IDP_LISTEN"], &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("certificate %d, want 1", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, lookEvery+5*time.Second, "the broken file is noticed", func() bool {
		if got := serial(); got != 1 {
			t.Fatalf("certificate %d, want the last good one", got)
		}
		return strings.Contains(n.log.String(), "the last one stays in use")
	})
	selfSigned(t, dir, 2)
	eventually(t, lookEvery+5*time.Second, "the new certificate is in use", func() bool { return serial() == 2 })
	if _, err := tls.Dial("tcp", n.environ["IDP_LISTEN"], &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

// FAPI 2.0 Security Profile §5.2.2: TLS 1.3, or 1.2 with what RFC 9325 recommends.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	selfSigned(t, dir, 1)
	s := newTerminal(t, databasetest.SQLite(t))
	listen := freePort(t)
	n := s.with("IDP_ISSUER", "https://localhost:"+port(listen), "IDP_TLS_CERT_FILE", filepath.Join(dir, "cert.pem"), "IDP_TLS_KEY_FILE", filepath.Join(dir, "key.pem")).serve("--workers=none")
	takes := func(c *tls.Config) bool {
		c.InsecureSkipVerify = true
		conn, err := tls.Dial("tcp", n.environ["IDP_LISTEN"], c)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}
	recommended := map[string]bool{"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": true, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": true} // for the key that it has
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		only12 := &tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}}
		if strings.HasPrefix(suite.Name, "TLS_AES") || strings.HasPrefix(suite.Name, "TLS_CHACHA") {
			continue // of TLS 1.3
		}
		if got := takes(only12); got != recommended[suite.Name] {
			t.Errorf("%s: %t", suite.Name, got)
		}
	}
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		if got := takes(&tls.Config{MinVersion: version, MaxVersion: version}); got != want {
			t.Errorf("%s: %t, want %t", tls.VersionName(version), got, want)
		}
	}
}
