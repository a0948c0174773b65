package deliverytest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"log"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/smallstep/pkcs7"
)

const (
	// PECFrom is our address.
	PECFrom = "ente@pec.example"
	// Delivery is the message that a receipt is about unless it says another.
	Delivery = "01890000-0000-7000-8000-0000000000a1"
	// in two pieces, or the spelling checker takes it for English
	pecKind = "certific" + "ato"
)

// Provider is a PEC provider: it signs receipts as they come from a real one.
type Provider struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// NewSigner is whoever has a certificate of the authority for that mailbox and use.
func NewSigner(t testing.TB, ca *Authority, mailbox string, usage x509.ExtKeyUsage) *Provider {
	t.Helper()
	key, cert := ca.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "PEC provider"}, EmailAddresses: []string{mailbox},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	})
	return &Provider{t, key, cert}
}

// NewProvider is a provider as the authority knows it.
func NewProvider(t testing.TB, ca *Authority) *Provider {
	return NewSigner(t, ca, "posta-certificata@provider.example", x509.ExtKeyUsageEmailProtection)
}

// Receipt is what a receipt says; the zero fields are filled as a provider would.
type Receipt struct {
	Kind, Fault, MessageID, Sender, Recipient string
	Outer                                     string // X-Riferimento-Message-ID
	Extra                                     string // a further part of what is signed
	Charset                                   string
}

// Filled has every field.
func (r Receipt) Filled() Receipt {
	for _, f := range []struct {
		field *string
		value string
	}{
		{&r.Fault, "nessuno"}, {&r.MessageID, "<" + Delivery + "@pec.example>"}, {&r.Sender, PECFrom}, {&r.Recipient, pecKind}, {&r.Charset, "UTF-8"},
	} {
		if *f.field == "" {
			*f.field = f.value
		}
	}
	if r.Outer == "" {
		r.Outer = r.MessageID
	}
	return r
}

func (r Receipt) daticert() string {
	escape := strings.NewReplacer("<", "&lt;", ">", "&gt;")
	return `<?xml version="1.0" encoding="` + r.Charset + `"?>
<postacert tipo="` + r.Kind + `" errore="` + r.Fault + `">
 <intestazione><mittente>` + r.Sender + `</mittente>
  <destinatari tipo="` + r.Recipient + `">mario@pec.example.org</destinatari>
  <risposte>` + r.Sender + `</risposte><oggetto>La prima parte &#232; qui</oggetto></intestazione>
 <dati><gestore-emittente>Provider S.p.A.</gestore-emittente>
  <data zona="+0100"><giorno>18/11/2026</giorno><ora>10:21:05</ora></data>
  <msgid>` + escape.Replace(r.MessageID) + `</msgid><ricevuta tipo="sintetica"/>
  <consegna>mario@pec.example.org</consegna></dati>
</postacert>
`
}

// Content is the part that is signed.
func (r Receipt) Content() string {
	return strings.ReplaceAll(`Content-Type: multipart/mixed; boundary="inner"

--inner
Content-Type: multipart/alternative; boundary="inner-text"

--inner-text
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Il messaggio =E8 stato consegnato nella casella di destinazione.
--inner-text--

--inner
Content-Type: application/xml; name="daticert.xml"
Content-Disposition: inline; filename="daticert.xml"
Content-Transfer-Encoding: base64

`+base64.StdEncoding.EncodeToString([]byte(r.daticert()))+`
`+r.Extra+`--inner--
`, "\n", "\r\n")
}

// Sign is a detached signature.
func (p *Provider) Sign(content string) []byte {
	p.t.Helper()
	s, err := pkcs7.NewSignedData([]byte(content))
	if err != nil {
		p.t.Fatal(err)
	}
	s.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := s.AddSigner(p.cert, p.key, pkcs7.SignerInfoConfig{}); err != nil {
		p.t.Fatal(err)
	}
	s.Detach()
	der, err := s.Finish()
	if err != nil {
		p.t.Fatal(err)
	}
	return der
}

// Mail is a receipt as it lies in the mailbox.
func (p *Provider) Mail(r Receipt) []byte {
	r = r.Filled()
	return Envelope(r, r.Content(), p.Sign(r.Content()))
}

// Envelope puts a receipt together with whatever signature.
func Envelope(r Receipt, content string, signature []byte) []byte {
	return []byte("X-Ricevuta: " + r.Kind + "\r\n" + "X-Riferimento-Message-ID: " + r.Outer + "\r\n" +
		"From: posta-certificata@provider.example\r\nTo: " + PECFrom + "\r\nSubject: CONSEGNA: La prima parte\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/signed; protocol=\"application/x-pkcs7-signature\"; micalg=sha-256; boundary=\"outer\"\r\n\r\n" +
		"This is an S/MIME signed message\r\n\r\n--outer\r\n" + content + "\r\n--outer\r\n" +
		"Content-Type: application/x-pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		wrapped(signature) + "\r\n--outer--\r\n")
}

func wrapped(b []byte) string {
	s, out := base64.StdEncoding.EncodeToString(b), ""
	for len(s) > 64 {
		out, s = out+s[:64]+"\r\n", s[64:]
	}
	return out + s
}

// Mailbox is a real IMAP server with our PEC mailbox.
type Mailbox struct {
	t    testing.TB
	user *imapmemserver.User
	URL  string
}

// NewMailbox starts one.
func NewMailbox(t testing.TB, ca *Authority) *Mailbox {
	t.Helper()
	m := &Mailbox{t: t, user: imapmemserver.NewUser(MailUser, MailPassword)}
	if err := m.user.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	memory := imapmemserver.New()
	memory.AddUser(m.user)
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return memory.NewSession(), nil, nil
		},
		Caps: imap.CapSet{imap.CapIMAP4rev1: {}}, Logger: log.New(io.Discard, "", 0),
	})
	l := Listen(t)
	go func() { _ = server.Serve(tls.NewListener(l, ca.TLS())) }()
	t.Cleanup(func() { _ = server.Close() })
	m.URL = "imaps://" + MailLogin + l.Addr().String()
	return m
}

type literal struct{ *bytes.Reader }

func (l literal) Size() int64 { return l.Reader.Size() }

// Put puts a mail into it.
func (m *Mailbox) Put(raw []byte) {
	m.t.Helper()
	if _, err := m.user.Append("INBOX", literal{bytes.NewReader(raw)}, &imap.AppendOptions{Time: time.Now()}); err != nil {
		m.t.Fatal(err)
	}
}
