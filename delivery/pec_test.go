package delivery

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/smallstep/pkcs7"

	"ente.example/idp/database/databasetest"
)

const (
	pecFrom = "ente@pec.example"
	// in two pieces, or the spelling checker takes it for English
	pecKind = "certific" + "ato"
)

// provider is a PEC provider: it signs receipts as they come from a real one.
type provider struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newProvider(t *testing.T, ca *authority, mailbox string, usage x509.ExtKeyUsage) *provider {
	t.Helper()
	key, cert := ca.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "PEC provider"}, EmailAddresses: []string{mailbox},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	})
	return &provider{t, key, cert}
}

func pecProvider(t *testing.T, ca *authority) *provider {
	return newProvider(t, ca, "posta-certificata@provider.example", x509.ExtKeyUsageEmailProtection)
}

// receipt is what a receipt says; the zero fields are filled as a provider would.
type receipt struct {
	kind, fault, messageID, sender, recipient string
	outer                                     string // X-Riferimento-Message-ID
	extra                                     string // a further part of what is signed
	charset                                   string
}

func (r receipt) filled() receipt {
	for _, f := range []struct {
		field *string
		value string
	}{
		{&r.fault, "nessuno"}, {&r.messageID, "<" + delivery1 + "@pec.example>"}, {&r.sender, pecFrom}, {&r.recipient, pecKind}, {&r.charset, "UTF-8"},
	} {
		if *f.field == "" {
			*f.field = f.value
		}
	}
	if r.outer == "" {
		r.outer = r.messageID
	}
	return r
}

func (r receipt) daticert() string {
	escape := strings.NewReplacer("<", "&lt;", ">", "&gt;")
	return `<?xml version="1.0" encoding="` + r.charset + `"?>
<postacert tipo="` + r.kind + `" errore="` + r.fault + `">
 <intestazione><mittente>` + r.sender + `</mittente>
  <destinatari tipo="` + r.recipient + `">mario@pec.example.org</destinatari>
  <risposte>` + r.sender + `</risposte><oggetto>La prima parte &#232; qui</oggetto></intestazione>
 <dati><gestore-emittente>Provider S.p.A.</gestore-emittente>
  <data zona="+0100"><giorno>18/11/2026</giorno><ora>10:21:05</ora></data>
  <msgid>` + escape.Replace(r.messageID) + `</msgid><ricevuta tipo="sintetica"/>
  <consegna>mario@pec.example.org</consegna></dati>
</postacert>
`
}

// content is the part that is signed.
func (r receipt) content() string {
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
`+r.extra+`--inner--
`, "\n", "\r\n")
}

func (p *provider) sign(content string) []byte {
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

func (p *provider) mail(r receipt) []byte {
	r = r.filled()
	return envelope(r, r.content(), p.sign(r.content()))
}

func envelope(r receipt, content string, signature []byte) []byte {
	return []byte("X-Ricevuta: " + r.kind + "\r\n" + "X-Riferimento-Message-ID: " + r.outer + "\r\n" +
		"From: posta-certificata@provider.example\r\nTo: " + pecFrom + "\r\nSubject: CONSEGNA: La prima parte\r\nMIME-Version: 1.0\r\n" +
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

func receiptsOf(t *testing.T, ca *authority) receiptReader {
	t.Helper()
	r, err := newReceiptReader("Ente <"+pecFrom+">", ca.file())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPECReceipt(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	p, reader := pecProvider(t, ca), receiptsOf(t, ca)
	for _, kind := range results(PEC) {
		fault := "nessuno"
		if kind != PECAccepted && kind != PECTaken && kind != PECDelivered {
			fault = "altro"
		}
		got, err := reader.read(p.mail(receipt{kind: string(kind), fault: fault}), time.Now())
		want := Report{Delivery: delivery1, Channel: PEC, Result: kind, At: time.Date(2026, 11, 18, 9, 21, 5, 0, time.UTC)}
		if err != nil || !got.At.Equal(want.At) {
			t.Errorf("%s: %+v %v, want %+v", kind, got, err, want)
			continue
		}
		if got.At = want.At; got != want {
			t.Errorf("%s: %+v, want %+v", kind, got, want)
		}
	}
	got, err := reader.read(p.mail(receipt{kind: "accettazione", recipient: "esterno", charset: "ISO-8859-1"}), time.Now())
	if err != nil || !got.Uncertified {
		t.Errorf("an address that is not PEC: %+v %v, want it told", got, err)
	}
	// some servers keep bare newlines
	if _, err := reader.read(bytes.ReplaceAll(p.mail(receipt{kind: "accettazione"}), []byte("\r\n"), []byte("\n")), time.Now()); err != nil {
		t.Errorf("with bare newlines: %v", err)
	}
}

// Whatever lies in the mailbox, only what a provider signed about a message of
// ours is believed.
func TestPECReceiptThatIsNone(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	p, reader := pecProvider(t, ca), receiptsOf(t, ca)
	good := receipt{kind: "avvenuta-consegna"}
	for _, c := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"ordinary mail", []byte("From: mario@example.org\r\nSubject: CONSEGNA\r\n\r\nciao\r\n"), errNoReceipt},
		{"nothing", nil, errNoReceipt},
		{"without a signature", bytes.Replace(p.mail(good), []byte("multipart/signed"), []byte("multipart/mixed"), 1), errReceiptSignature},
		{"another word in it", bytes.Replace(p.mail(good), []byte("casella"), []byte("cassetta"), 1), errReceiptSignature},
		{"signature of another receipt", envelope(good.filled(), good.filled().content(), p.sign(receipt{kind: "accettazione"}.filled().content())), errReceiptSignature},
		{"signature that is none", envelope(good.filled(), good.filled().content(), []byte("hello")), errReceiptSignature},
		{"an authority that nobody knows", pecProvider(t, newAuthority(t)).mail(good), errReceiptSignature},
		{"somebody whom the authority knows for his mail", newProvider(t, ca, "mario@example.org", x509.ExtKeyUsageEmailProtection).mail(good), errReceiptSignature},
		{"a certificate that is not for mail", newProvider(t, ca, "posta-certificata@provider.example", x509.ExtKeyUsageServerAuth).mail(good), errReceiptSignature},
		{"about a message of somebody else", p.mail(receipt{kind: "avvenuta-consegna", messageID: "<" + delivery1 + "@other.example>"}), errReceiptStranger},
		{"somebody else's message under our Message-ID", p.mail(receipt{kind: "avvenuta-consegna", sender: "mario@pec.example.org"}), errReceiptStranger},
		{"the header about another message", p.mail(receipt{kind: "avvenuta-consegna", outer: "<x@pec.example>"}), errReceiptForm},
		{"delivered with an error", p.mail(receipt{kind: "avvenuta-consegna", fault: "altro"}), errReceiptForm},
		{"an envelope", p.mail(receipt{kind: "posta-certificata"}), errNoReceipt},
		{"two daticert.xml", p.mail(receipt{kind: "avvenuta-consegna", extra: "--inner\nContent-Type: application/xml; name=daticert.xml\n\n<postacert/>\n"}), errReceiptForm},
		{"too large", append(p.mail(good), make([]byte, maxReceipt)...), errReceiptForm},
		{"cut off", p.mail(good)[:1500], errReceiptForm},
	} {
		if got, err := reader.read(c.raw, time.Now()); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v %v, want %v", c.name, got, err, c.want)
		}
	}
	if _, err := reader.read(p.mail(good), time.Now().Add(48*time.Hour)); !errors.Is(err, errReceiptSignature) {
		t.Errorf("a certificate that has expired: %v", err)
	}
}

// A person writes to our PEC mailbox and attaches a daticert.xml of his own.
// The provider signs the envelope, the attachment inside included.
func TestPECAttachmentIsNoCertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	p, reader := pecProvider(t, ca), receiptsOf(t, ca)
	forged := receipt{kind: "avvenuta-consegna"}.filled()
	content := strings.Replace(receipt{kind: "posta-certificata"}.filled().content(), "daticert.xml", "other.xml", 2)
	content = strings.Replace(content, "--inner--", "--inner\r\nContent-Type: message/rfc822; name=postacert.eml\r\n\r\n"+strings.ReplaceAll(forged.content(), "inner", "nested")+"\r\n--inner--", 1)
	if got, err := reader.read(envelope(forged, content, p.sign(content)), time.Now()); !errors.Is(err, errReceiptForm) {
		t.Errorf("%+v %v, want no certificate found", got, err)
	}
}

func FuzzPECReceipt(f *testing.F) {
	ca := newAuthority(&testing.T{})
	p := pecProvider(&testing.T{}, ca)
	reader := receiptReader{roots: ca.roots()}
	var err error
	if reader.from, err = parseFrom("IDP_PEC_FROM", pecFrom); err != nil {
		f.Fatal(err)
	}
	believed := map[string]bool{}
	for _, kind := range results(PEC) {
		r := receipt{kind: string(kind)}
		believed[r.filled().content()] = true
		f.Add(p.mail(r))
	}
	f.Add(envelope(receipt{kind: "accettazione"}.filled(), receipt{kind: "avvenuta-consegna"}.filled().content(), []byte{0x30, 0x80, 0x06}))
	f.Add([]byte("X-Ricevuta: a\nContent-Type: multipart/signed; boundary=a\n\n--a\n\n--a\n\n--a--"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := reader.read(raw, time.Now()); err == nil {
			for content := range believed {
				if bytes.Contains(canonical(raw), []byte(content)) {
					return
				}
			}
			t.Errorf("believed what the provider has not signed:\n%s", raw)
		}
	})
}

// What lies behind a signature is a provider's, but its parsers have no net.
func FuzzPECCertificate(f *testing.F) {
	for _, kind := range results(PEC) {
		f.Add([]byte(receipt{kind: string(kind)}.filled().content()))
	}
	f.Add([]byte("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n--a\r\n\r\n--a--"))
	f.Fuzz(func(t *testing.T, signed []byte) {
		if c, err := certificate(canonical(signed)); err == nil && c.XMLName.Local != "postacert" {
			t.Errorf("read %+v", c)
		}
	})
}

// mailbox is a real IMAP server with our PEC mailbox.
type mailbox struct {
	t    *testing.T
	user *imapmemserver.User
	url  string
}

func newMailbox(t *testing.T, ca *authority) *mailbox {
	t.Helper()
	m := &mailbox{t: t, user: imapmemserver.NewUser(mailUser, mailPassword)}
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
	l := listen(t)
	go func() { _ = server.Serve(tls.NewListener(l, ca.tls())) }()
	t.Cleanup(func() { _ = server.Close() })
	m.url = "imaps://" + mailEncoded + l.Addr().String()
	return m
}

type literal struct{ *bytes.Reader }

func (l literal) Size() int64 { return l.Reader.Size() }

func (m *mailbox) put(raw []byte) {
	m.t.Helper()
	if _, err := m.user.Append("INBOX", literal{bytes.NewReader(raw)}, &imap.AppendOptions{Time: time.Now()}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mailbox) receipts(ca *authority, r *reports, caFile string) *Receipts {
	m.t.Helper()
	reader, err := NewReceiptsFromURL(m.url, pecFrom, caFile, ReceiptsDeps{DB: r.fixture.db, Outcomes: r.Outcomes}, Network{Roots: ca.roots()})
	if err != nil {
		m.t.Fatal(err)
	}
	return reader
}

func (r *reports) read(receipts *Receipts, want int) {
	r.t.Helper()
	if got, err := receipts.Read(r.t.Context()); err != nil || got != want {
		r.t.Fatalf("read %d receipts, %v; want %d", got, err, want)
	}
}

func certified(ref string) Message {
	m := numbered(sms(ref), delivery1)
	m.Channel, m.To = PEC, NewRecipient("mario@pec.example.org")
	return m
}

func TestPECReceiptsFromTheMailbox(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ca := newAuthority(t)
		p, box, r := pecProvider(t, ca), newMailbox(t, ca), newReports(t, f)
		f.enqueue(certified("credential"))
		receipts := box.receipts(ca, r, ca.file())
		r.read(receipts, 0)
		box.put([]byte("Subject: ordinary mail\r\n\r\nciao\r\n"))
		box.put(p.mail(receipt{kind: "accettazione", recipient: "esterno"}))
		box.put(pecProvider(t, newAuthority(t)).mail(receipt{kind: "avvenuta-consegna"}))
		box.put(p.mail(receipt{kind: "avvenuta-consegna", messageID: "<01890000-0000-7000-8000-0000000000ff@pec.example>"}))
		r.read(receipts, 1)
		r.read(receipts, 0)
		box.put(p.mail(receipt{kind: "accettazione", recipient: "esterno"})) // the provider repeats itself
		box.put(p.mail(receipt{kind: "errore-consegna", fault: "no-dest"}))
		r.read(receipts, 1)
		if len(r.told) != 2 || r.told[0].Result != PECAccepted || !r.told[0].Uncertified || r.told[1].Result != PECFailed || r.told[1].Ref != "credential" {
			t.Errorf("told %+v, want accepted by an address that is not PEC, then failed", r.told)
		}
		if len(f.accepted) != 1 {
			t.Errorf("%d hand-overs, want the one that the provider has seen", len(f.accepted))
		}
	})
}

// A database that goes away in the middle costs nothing: the receipt is read
// again, and counts once.
func TestPECReceiptIsNotLostHalfway(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ca := newAuthority(t)
		p, box, r := pecProvider(t, ca), newMailbox(t, ca), newReports(t, f)
		f.enqueue(certified("c"))
		box.put(p.mail(receipt{kind: "accettazione"}))
		box.put(p.mail(receipt{kind: "avvenuta-consegna"}))
		receipts := box.receipts(ca, r, ca.file())
		r.deny = errors.New("the rules are down")
		if _, err := receipts.Read(t.Context()); !errors.Is(err, r.deny) {
			t.Fatalf("Read: %v, want the hook's error", err)
		}
		r.deny, r.told = nil, nil
		r.read(receipts, 2)
		if len(r.told) != 2 || !r.told[1].Result.Arrived() {
			t.Errorf("told %+v, want accepted and delivered", r.told)
		}
	})
}

// The wrong file of authorities is mended by naming the right one and starting
// again: what was not believed meanwhile is looked at once more.
func TestPECReceiptsAfterTheRightAuthorities(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ca := newAuthority(t)
		p, box, r := pecProvider(t, ca), newMailbox(t, ca), newReports(t, f)
		f.enqueue(certified("c"))
		box.put(p.mail(receipt{kind: "avvenuta-consegna"}))
		r.read(box.receipts(ca, r, newAuthority(t).file()), 0)
		right := box.receipts(ca, r, ca.file())
		r.read(right, 1)
		r.read(right, 0)
	})
}

func TestPECMailboxIsReadByOneNode(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ca := newAuthority(t)
		p, box, r := pecProvider(t, ca), newMailbox(t, ca), newReports(t, f)
		f.enqueue(certified("c"))
		for _, kind := range []string{"accettazione", "presa-in-carico", "avvenuta-consegna"} {
			box.put(p.mail(receipt{kind: kind}))
		}
		file := ca.file()
		databasetest.Barrier(4, func(int) {
			if _, err := box.receipts(ca, r, file).Read(t.Context()); err != nil {
				t.Error(err)
			}
		})
		if len(r.told) != 3 {
			t.Errorf("told %d times, want 3", len(r.told))
		}
		// a node that died with the mailbox in its hands loses it
		if _, ours, err := receiptsStore(r).claim(t.Context(), box.receipts(ca, r, file).key()); err != nil || !ours {
			t.Fatal(ours, err)
		}
		box.put(p.mail(receipt{kind: "errore-consegna", fault: "altro"}))
		r.read(box.receipts(ca, r, file), 0)
		databasetest.Shift(t, f.db, receiptLease+time.Second)
		r.read(box.receipts(ca, r, file), 1)
	})
}

func receiptsStore(r *reports) mailboxes { return mailboxes{r.fixture.db} }

func TestPECReceiptsRun(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ca := newAuthority(t)
		p, box, r := pecProvider(t, ca), newMailbox(t, ca), newReports(t, f)
		f.enqueue(certified("c"))
		ctx, stop := context.WithCancel(t.Context())
		heard := make(chan Result, 8)
		r.Hook = func(_ context.Context, o Outcome) error { heard <- o.Result; return nil }
		receipts := box.receipts(ca, r, ca.file())
		receipts.Poll = 5 * time.Millisecond
		done := make(chan error)
		go func() { done <- receipts.Run(ctx) }()
		for _, kind := range []Result{PECAccepted, PECDelivered} {
			box.put(p.mail(receipt{kind: string(kind)}))
			if got := <-heard; got != kind {
				t.Errorf("heard %s, want %s", got, kind)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestPECMailboxThatSaysNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ca := newAuthority(t)
		box := &mailbox{t: t, url: "imaps://" + mailEncoded + stuck(t).Addr().String()}
		receipts := box.receipts(ca, newReports(t, f), ca.file())
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := receipts.Read(ctx); err == nil || strings.Contains(err.Error(), mailPassword) {
			t.Errorf("%v, want a time-out", err)
		}
	})
}

func TestPECSettings(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ca, r := newAuthority(t), newReports(t, f)
		empty := filepath.Join(t.TempDir(), "empty.pem")
		if err := os.WriteFile(empty, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ url, from, file, want string }{
			{"", pecFrom, ca.file(), "IDP_PEC_IMAP_URL"},
			{"imaps://pec.example", pecFrom, ca.file(), "IDP_PEC_IMAP_URL"},
			{"imaps://user:secret@pec.example", "", ca.file(), "IDP_PEC_FROM"},
			{"imaps://user:secret@pec.example", pecFrom, "", "IDP_PEC_CA_FILE"},
			{"imaps://user:secret@pec.example", pecFrom, empty, "IDP_PEC_CA_FILE"},
			{"imaps://user:secret@pec.example", pecFrom, filepath.Join(t.TempDir(), "none"), "IDP_PEC_CA_FILE"},
		} {
			_, err := NewReceiptsFromURL(c.url, c.from, c.file, ReceiptsDeps{DB: f.db, Outcomes: r.Outcomes}, Network{})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(fmt.Sprint(err), "secret") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%+v: %v, want one line about %s", c, err, c.want)
			}
		}
	})
}
