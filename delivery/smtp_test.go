package delivery

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-smtp"

	"ente.example/idp/delivery/deliverytest"
)

const mailFrom = "Ente d'Esempio – Città <noreply@ente.example>"

func letterTo(to string) Letter {
	return Letter{
		ID: delivery1, Key: PINHalf1, Channel: Email, Citizen: somebody, To: NewRecipient(to), Name: "Brașoveanu Ștefan",
		Language: "it", Subject: "La prima parte del tuo PIN è qui", Body: NewText("Gentile Ștefan,\n\nprima parte:\n\n" + half + "\n\nper città e perché\n"),
		QueuedAt: time.Date(2026, 11, 18, 9, 21, 3, 0, time.UTC),
	}
}

func mailer1(t *testing.T, url string, n Network) Sender {
	t.Helper()
	s, err := NewSMTPFromURL(url, mailFrom, n)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// parse reads a sent mail as a mailbox would.
func parse(t *testing.T, raw []byte) (message.Header, string) {
	t.Helper()
	e, err := message.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(e.Body)
	if err != nil {
		t.Fatal(err)
	}
	return e.Header, strings.ReplaceAll(string(body), "\r\n", "\n")
}

func TestMail(t *testing.T) {
	t.Parallel()
	ca := deliverytest.NewAuthority(t)
	for name, way := range map[string]struct {
		scheme   string
		implicit bool
	}{"smtps": {"smtps://", true}, "without TLS on this machine": {"smtp://", false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := ca.TLS()
			if !way.implicit {
				config = nil
			}
			host := deliverytest.NewMailServer(t, config, way.implicit)
			s := mailer1(t, way.scheme+deliverytest.MailLogin+host.Address, Network{Roots: ca.Roots()})
			if err := s.Send(t.Context(), letterTo("mario.rossi@example.org")); err != nil {
				t.Fatal(err)
			}
			got := host.Taken()
			if len(got) != 1 || got[0].From != "noreply@ente.example" || got[0].To != "mario.rossi@example.org" || got[0].Encrypted != way.implicit {
				t.Fatalf("the server took %+v", got)
			}
			checkMail(t, got[0].Raw)
		})
	}
}

func checkMail(t *testing.T, raw []byte) {
	t.Helper()
	h, body := parse(t, raw)
	for name, want := range map[string]string{
		"Message-Id": "<" + delivery1 + "@ente.example>", "Subject": "La prima parte del tuo PIN è qui", "To": "<mario.rossi@example.org>",
		"Date": "Wed, 18 Nov 2026 09:21:03 +0000", "Auto-Submitted": "auto-generated", "User-Agent": "", "X-Mailer": "", "X-Tiporicevuta": "",
	} {
		if got, err := h.Text(name); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", name, got, err, want)
		}
	}
	if kind, params, err := h.ContentType(); err != nil || kind != "text/plain" || !strings.EqualFold(params["charset"], "utf-8") {
		t.Errorf("content type %s %v %v, want plain text in UTF-8", kind, params, err)
	}
	if !strings.Contains(body, "\n\n"+half+"\n\n") || !strings.Contains(body, "Gentile Ștefan") || !strings.Contains(body, "perché") {
		t.Errorf("the half must stand alone on its line, and letters stay what they are:\n%s", body)
	}
}

// STARTTLS stands between a password and the network: where it is missing,
// nothing is said. A host that is not loopback by name is dialled here.
func TestMailNeedsTLSElsewhere(t *testing.T) {
	t.Parallel()
	ca := deliverytest.NewAuthority(t)
	starting := deliverytest.NewMailServer(t, ca.TLS(), false)
	s := mailer1(t, "smtp://"+deliverytest.MailLogin+starting.Address, Network{Roots: ca.Roots()}).(*mailer)
	s.plain = false // as for any other machine
	if err := s.Send(t.Context(), letterTo("mario@example.org")); err != nil {
		t.Fatal(err)
	}
	if got := starting.Taken(); len(got) != 1 || !got[0].Encrypted {
		t.Errorf("the server took %+v, want one encrypted mail", got)
	}
	bare := deliverytest.NewMailServer(t, nil, false)
	s = mailer1(t, "smtp://"+deliverytest.MailLogin+bare.Address, Network{Roots: ca.Roots()}).(*mailer)
	s.plain = false
	if err := s.Send(t.Context(), letterTo("mario@example.org")); err == nil || errors.Is(err, ErrRejected) || len(bare.Taken()) != 0 {
		t.Errorf("without STARTTLS: %v and %d mails, want a refusal that may pass and none", err, len(bare.Taken()))
	}
	strangers := deliverytest.NewMailServer(t, deliverytest.NewAuthority(t).TLS(), true)
	if err := mailer1(t, "smtps://"+deliverytest.MailLogin+strangers.Address, Network{Roots: ca.Roots()}).Send(t.Context(), letterTo("mario@example.org")); err == nil || len(strangers.Taken()) != 0 {
		t.Errorf("a certificate of nobody we know: %v, want a refusal", err)
	}
}

func TestMailRefusals(t *testing.T) {
	t.Parallel()
	ca := deliverytest.NewAuthority(t)
	refuse := func(code int, detail smtp.EnhancedCode) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: detail, Message: "mario@example.org is not here"}
	}
	for _, c := range []struct {
		name       string
		rcpt, data error
		final      bool
	}{
		{"no such mailbox", refuse(550, smtp.EnhancedCode{5, 1, 1}), nil, true},
		{"mailbox full", refuse(452, smtp.EnhancedCode{4, 2, 2}), nil, false},
		{"greylisted", refuse(450, smtp.EnhancedCode{4, 7, 1}), nil, false},
		{"relaying denied is our fault", refuse(554, smtp.EnhancedCode{5, 7, 1}), nil, false},
		{"message refused", nil, refuse(554, smtp.EnhancedCode{5, 6, 0}), true},
		{"message put off", nil, refuse(451, smtp.EnhancedCode{4, 3, 0}), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			host := deliverytest.NewMailServer(t, ca.TLS(), true)
			host.Rcpt = func(string) error { return c.rcpt }
			host.Data = func(deliverytest.Mail) error { return c.data }
			err := mailer1(t, "smtps://"+deliverytest.MailLogin+host.Address, Network{Roots: ca.Roots()}).Send(t.Context(), letterTo("mario@example.org"))
			if err == nil || errors.Is(err, ErrRejected) != c.final {
				t.Errorf("%v, want final: %v", err, c.final)
			}
			if err != nil && (strings.Contains(err.Error(), "mario") || strings.Contains(err.Error(), half)) {
				t.Errorf("the error tells about the person: %v", err)
			}
		})
	}
}

// A wrong password is the operator's to mend, never the end of a PIN.
func TestMailWrongPassword(t *testing.T) {
	t.Parallel()
	ca := deliverytest.NewAuthority(t)
	host := deliverytest.NewMailServer(t, ca.TLS(), true)
	err := mailer1(t, "smtps://mario%40ente.example:other@"+host.Address, Network{Roots: ca.Roots()}).Send(t.Context(), letterTo("mario@example.org"))
	if err == nil || errors.Is(err, ErrRejected) || strings.Contains(err.Error(), "other") || !strings.Contains(err.Error(), "535") {
		t.Errorf("%v, want a refusal that may pass and names the server's answer", err)
	}
}

func TestMailToNobody(t *testing.T) {
	t.Parallel()
	s := mailer1(t, "smtp://127.0.0.1:1", Network{})
	for _, to := range []string{"", "nobody", "a@example.org, b@example.org", "a@example.org\r\nBcc: b@example.org", "Mario <a@example.org>"} {
		if err := s.Send(t.Context(), letterTo(to)); !errors.Is(err, ErrRejected) {
			t.Errorf("to %q: %v, want ErrRejected", to, err)
		}
	}
}

// P8: a server that says nothing is left after the time-out, or at once when
// the node leaves.
func TestMailServerThatSaysNothing(t *testing.T) {
	t.Parallel()
	l := deliverytest.Stuck(t)
	s := mailer1(t, "smtp://"+l.Addr().String(), Network{Timeout: 50 * time.Millisecond})
	// the connection's deadline and the context's are the same: either may speak first
	var timeout net.Error
	if err := s.Send(t.Context(), letterTo("mario@example.org")); !errors.As(err, &timeout) || !timeout.Timeout() || errors.Is(err, ErrRejected) {
		t.Errorf("%v, want a time-out", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s = mailer1(t, "smtp://"+l.Addr().String(), Network{Timeout: time.Hour})
	cancel()
	if err := s.Send(ctx, letterTo("mario@example.org")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the end of the context", err)
	}
}

func TestMailSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, from, want string }{
		{"", mailFrom, "IDP_SMTP_URL"},
		{"mail.example.org:465", mailFrom, "IDP_SMTP_URL"},
		{"https://mail.example.org", mailFrom, "IDP_SMTP_URL"},
		{"smtps://user:secret%zz@mail.example.org", mailFrom, "IDP_SMTP_URL"},
		{"smtps://user@mail.example.org", mailFrom, "password"},
		{"smtps://user:secret@mail.example.org/inbox", mailFrom, "path"},
		{"smtps://user:secret@mail.example.org?tls=off", mailFrom, "IDP_SMTP_URL"},
		{"smtps://user:secret@mail.example.org", "", "IDP_MAIL_FROM"},
		{"smtps://user:secret@mail.example.org", "nobody", "IDP_MAIL_FROM"},
		{"smtps://user:secret@mail.example.org", "a@b.example, c@d.example", "IDP_MAIL_FROM"},
	} {
		_, err := NewSMTPFromURL(c.url, c.from, Network{})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s from %q: %v, want one line about %s without the password", c.url, c.from, err, c.want)
		}
	}
	for url, want := range map[string]string{
		"smtps://mail.example.org": "mail.example.org:465", "smtp://mail.example.org": "mail.example.org:587", "smtps://[::1]:4650": "[::1]:4650",
	} {
		if s := mailer1(t, url, Network{}).(*mailer); s.address() != want || s.plain {
			t.Errorf("%s: %s (plain %v), want %s with TLS", url, s.address(), s.plain, want)
		}
	}
}

// PEC asks for the receipt that does not bring the half back to us.
func TestPEC(t *testing.T) {
	t.Parallel()
	ca := deliverytest.NewAuthority(t)
	host := deliverytest.NewMailServer(t, ca.TLS(), true)
	s, err := NewPECFromURL("smtps://"+deliverytest.MailLogin+host.Address, "ente@pec.example", Network{Roots: ca.Roots()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), letterTo("mario@pec.example.org")); err != nil {
		t.Fatal(err)
	}
	h, _ := parse(t, host.Taken()[0].Raw)
	if h.Get("X-TipoRicevuta") != "sintetica" || h.Get("Message-Id") != "<"+delivery1+"@pec.example>" || h.Get("From") != "<ente@pec.example>" {
		t.Errorf("headers %v", h.Map())
	}
	if _, err := NewPECFromURL("smtps://pec.example", "nobody", Network{}); err == nil || !strings.Contains(err.Error(), "IDP_PEC_FROM") {
		t.Errorf("%v, want a line about IDP_PEC_FROM", err)
	}
}
