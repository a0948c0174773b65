package delivery

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// authority vouches for the gateways of a test.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &authority{t: t, key: key}
	ca.cert = ca.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, key, nil)
	return ca
}

func (a *authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey, parent *x509.Certificate) *x509.Certificate {
	a.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = serial
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// issue makes a key and a certificate for it.
func (a *authority) issue(template *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, a.sign(template, key, a.cert)
}

func (a *authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// file is the authority as IDP_PEC_CA_FILE names it.
func (a *authority) file() string {
	a.t.Helper()
	name := filepath.Join(a.t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return name
}

// tls is the configuration of a server on this machine.
func (a *authority) tls() *tls.Config {
	key, cert := a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "gateway"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// stuck accepts connections and never says a word, until the test ends.
func stuck(t *testing.T) net.Listener {
	t.Helper()
	l := listen(t)
	var mu sync.Mutex
	var held []net.Conn
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			held = append(held, conn)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range held {
			_ = conn.Close()
		}
	})
	return l
}

// mailHost is a real SMTP server. It lets in mario with the password of its
// mailbox, and answers each recipient and each message as the test says.
type mailHost struct {
	*smtp.Server
	address  string
	rcpt     func(to string) error
	data     func(raw []byte) error
	mu       sync.Mutex
	taken    []taken
	sessions int
}

type taken struct {
	from, to, user string
	encrypted      bool
	raw            []byte
}

const (
	mailUser     = "mario@ente.example"
	mailPassword = "p@ss/w:rd" // needs encoding in a URL
	mailEncoded  = "mario%40ente.example:p%40ss%2Fw%3Ard@"
)

// newMailHost starts one; config nil: no TLS. implicit: TLS from the first byte.
func newMailHost(t *testing.T, config *tls.Config, implicit bool) *mailHost {
	t.Helper()
	h := &mailHost{}
	h.Server = smtp.NewServer(h)
	h.Domain, h.ReadTimeout, h.WriteTimeout = "mail.example", time.Minute, time.Minute
	h.ErrorLog = log.New(io.Discard, "", 0)
	l := listen(t)
	h.address = l.Addr().String()
	if implicit {
		l = tls.NewListener(l, config)
	} else {
		h.TLSConfig, h.AllowInsecureAuth = config, config == nil
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Serve(l) }()
	t.Cleanup(func() { _ = h.Close(); <-done })
	return h
}

func (h *mailHost) got() []taken {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]taken(nil), h.taken...)
}

func (h *mailHost) NewSession(c *smtp.Conn) (smtp.Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions++
	return &mailSession{host: h, conn: c}, nil
}

type mailSession struct {
	host *mailHost
	conn *smtp.Conn
	mail taken
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != mailUser || password != mailPassword {
			return smtp.ErrAuthFailed
		}
		s.mail.user = user
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if s.mail.user == "" {
		return smtp.ErrAuthRequired
	}
	s.mail.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.mail.to != "" {
		return errors.New("one recipient a message")
	}
	s.mail.to = to
	if s.host.rcpt != nil {
		return s.host.rcpt(to)
	}
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		return err
	}
	_, s.mail.encrypted = s.conn.TLSConnectionState()
	s.mail.raw = b.Bytes()
	s.host.mu.Lock()
	s.host.taken = append(s.host.taken, s.mail)
	s.host.mu.Unlock()
	if s.host.data != nil {
		return s.host.data(s.mail.raw)
	}
	return nil
}

func (s *mailSession) Reset()        { s.mail = taken{user: s.mail.user} }
func (s *mailSession) Logout() error { return nil }
