package deliverytest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// MailServer is a real SMTP server. It lets in mario with the password of its
// mailbox, and answers each recipient and each message as the test says.
type MailServer struct {
	*smtp.Server
	Address string
	// Rcpt and Data answer; nil: everybody and everything is welcome.
	Rcpt     func(to string) error
	Data     func(m Mail) error
	mu       sync.Mutex
	taken    []Mail
	sessions int
}

// Mail is a message as the server took it.
type Mail struct {
	From, To, User string
	Encrypted      bool
	Raw            []byte
}

// The account, and MailLogin as a URL has it, with the @ behind.
const (
	MailUser     = "mario@ente.example"
	MailPassword = "p@ss/w:rd" // needs encoding in a URL
	MailLogin    = "mario%40ente.example:p%40ss%2Fw%3Ard@"
)

// NewMailServer starts one; config nil: no TLS. implicit: TLS from the first byte.
func NewMailServer(t testing.TB, config *tls.Config, implicit bool) *MailServer {
	t.Helper()
	h := &MailServer{}
	h.Server = smtp.NewServer(h)
	h.Domain, h.ReadTimeout, h.WriteTimeout = "mail.example", time.Minute, time.Minute
	h.ErrorLog = log.New(io.Discard, "", 0)
	l := Listen(t)
	h.Address = l.Addr().String()
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

// Taken are the messages so far.
func (h *MailServer) Taken() []Mail {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Mail(nil), h.taken...)
}

// NewSession implements smtp.Backend.
func (h *MailServer) NewSession(c *smtp.Conn) (smtp.Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions++
	return &mailSession{host: h, conn: c}, nil
}

type mailSession struct {
	host *MailServer
	conn *smtp.Conn
	mail Mail
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != MailUser || password != MailPassword {
			return smtp.ErrAuthFailed
		}
		s.mail.User = user
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if s.mail.User == "" {
		return smtp.ErrAuthRequired
	}
	s.mail.From = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.mail.To != "" {
		return errors.New("one recipient a message")
	}
	s.mail.To = to
	if s.host.Rcpt != nil {
		return s.host.Rcpt(to)
	}
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		return err
	}
	_, s.mail.Encrypted = s.conn.TLSConnectionState()
	s.mail.Raw = b.Bytes()
	s.host.mu.Lock()
	s.host.taken = append(s.host.taken, s.mail)
	s.host.mu.Unlock()
	if s.host.Data != nil {
		return s.host.Data(s.mail)
	}
	return nil
}

func (s *mailSession) Reset()        { s.mail = Mail{User: s.mail.User} }
func (s *mailSession) Logout() error { return nil }
