package delivery

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery/deliverytest"
)

const pecFrom = deliverytest.PECFrom

func receiptsOf(t *testing.T, ca *deliverytest.Authority) receiptReader {
	t.Helper()
	r, err := newReceiptReader("Ente <"+pecFrom+">", ca.File())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPECReceipt(t *testing.T) {
	t.Parallel()
	ca := deliverytest.NewAuthority(t)
	p, reader := deliverytest.NewProvider(t, ca), receiptsOf(t, ca)
	for _, kind := range results(PEC) {
		fault := "nessuno"
		if kind != PECAccepted && kind != PECTaken && kind != PECDelivered {
			fault = "altro"
		}
		got, err := reader.read(p.Mail(deliverytest.Receipt{Kind: string(kind), Fault: fault}), time.Now())
		want := Report{Delivery: delivery1, Channel: PEC, Result: kind, At: time.Date(2026, 11, 18, 9, 21, 5, 0, time.UTC)}
		if err != nil || !got.At.Equal(want.At) {
			t.Errorf("%s: %+v %v, want %+v", kind, got, err, want)
			continue
		}
		if got.At = want.At; got != want {
			t.Errorf("%s: %+v, want %+v", kind, got, want)
		}
	}
	got, err := reader.read(p.Mail(deliverytest.Receipt{Kind: "accettazione", Recipient: "esterno", Charset: "ISO-8859-1"}), time.Now())
	if err != nil || !got.Uncertified {
		t.Errorf("an address that is not PEC: %+v %v, want it told", got, err)
	}
	// some servers keep bare newlines
	if _, err := reader.read(bytes.ReplaceAll(p.Mail(deliverytest.Receipt{Kind: "accettazione"}), []byte("\r\n"), []byte("\n")), time.Now()); err != nil {
		t.Errorf("with bare newlines: %v", err)
	}
}

// Whatever lies in the mailbox, only what a provider signed about a message of
// ours is believed.
func TestPECReceiptThatIsNone(t *testing.T) {
	t.Parallel()
	ca := deliverytest.NewAuthority(t)
	p, reader := deliverytest.NewProvider(t, ca), receiptsOf(t, ca)
	good := deliverytest.Receipt{Kind: "avvenuta-consegna"}
	for _, c := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"ordinary mail", []byte("From: mario@example.org\r\nSubject: CONSEGNA\r\n\r\nciao\r\n"), errNoReceipt},
		{"nothing", nil, errNoReceipt},
		{"without a signature", bytes.Replace(p.Mail(good), []byte("multipart/signed"), []byte("multipart/mixed"), 1), errReceiptSignature},
		{"another word in it", bytes.Replace(p.Mail(good), []byte("casella"), []byte("cassetta"), 1), errReceiptSignature},
		{"signature of another receipt", deliverytest.Envelope(good.Filled(), good.Filled().Content(), p.Sign(deliverytest.Receipt{Kind: "accettazione"}.Filled().Content())), errReceiptSignature},
		{"signature that is none", deliverytest.Envelope(good.Filled(), good.Filled().Content(), []byte("hello")), errReceiptSignature},
		{"an authority that nobody knows", deliverytest.NewProvider(t, deliverytest.NewAuthority(t)).Mail(good), errReceiptSignature},
		{"somebody whom the authority knows for his mail", deliverytest.NewSigner(t, ca, "mario@example.org", x509.ExtKeyUsageEmailProtection).Mail(good), errReceiptSignature},
		{"a certificate that is not for mail", deliverytest.NewSigner(t, ca, "posta-certificata@provider.example", x509.ExtKeyUsageServerAuth).Mail(good), errReceiptSignature},
		{"about a message of somebody else", p.Mail(deliverytest.Receipt{Kind: "avvenuta-consegna", MessageID: "<" + delivery1 + "@other.example>"}), errReceiptStranger},
		{"somebody else's message under our Message-ID", p.Mail(deliverytest.Receipt{Kind: "avvenuta-consegna", Sender: "mario@pec.example.org"}), errReceiptStranger},
		{"the header about another message", p.Mail(deliverytest.Receipt{Kind: "avvenuta-consegna", Outer: "<x@pec.example>"}), errReceiptForm},
		{"delivered with an error", p.Mail(deliverytest.Receipt{Kind: "avvenuta-consegna", Fault: "altro"}), errReceiptForm},
		{"an envelope", p.Mail(deliverytest.Receipt{Kind: "posta-certificata"}), errNoReceipt},
		{"two daticert.xml", p.Mail(deliverytest.Receipt{Kind: "avvenuta-consegna", Extra: "--inner\nContent-Type: application/xml; name=daticert.xml\n\n<postacert/>\n"}), errReceiptForm},
		{"too large", append(p.Mail(good), make([]byte, maxReceipt)...), errReceiptForm},
		{"cut off", p.Mail(good)[:1500], errReceiptForm},
	} {
		if got, err := reader.read(c.raw, time.Now()); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v %v, want %v", c.name, got, err, c.want)
		}
	}
	if _, err := reader.read(p.Mail(good), time.Now().Add(48*time.Hour)); !errors.Is(err, errReceiptSignature) {
		t.Errorf("a certificate that has expired: %v", err)
	}
}

// A person writes to our PEC mailbox and attaches a daticert.xml of his own.
// The provider signs the envelope, the attachment inside included.
func TestPECAttachmentIsNoCertificate(t *testing.T) {
	t.Parallel()
	ca := deliverytest.NewAuthority(t)
	p, reader := deliverytest.NewProvider(t, ca), receiptsOf(t, ca)
	forged := deliverytest.Receipt{Kind: "avvenuta-consegna"}.Filled()
	content := strings.Replace(deliverytest.Receipt{Kind: "posta-certificata"}.Filled().Content(), "daticert.xml", "other.xml", 2)
	content = strings.Replace(content, "--inner--", "--inner\r\nContent-Type: message/rfc822; name=postacert.eml\r\n\r\n"+strings.ReplaceAll(forged.Content(), "inner", "nested")+"\r\n--inner--", 1)
	if got, err := reader.read(deliverytest.Envelope(forged, content, p.Sign(content)), time.Now()); !errors.Is(err, errReceiptForm) {
		t.Errorf("%+v %v, want no certificate found", got, err)
	}
}

func FuzzPECReceipt(f *testing.F) {
	ca := deliverytest.NewAuthority(&testing.T{})
	p := deliverytest.NewProvider(&testing.T{}, ca)
	reader := receiptReader{roots: ca.Roots()}
	var err error
	if reader.from, err = parseFrom("IDP_PEC_FROM", pecFrom); err != nil {
		f.Fatal(err)
	}
	believed := map[string]bool{}
	for _, kind := range results(PEC) {
		r := deliverytest.Receipt{Kind: string(kind)}
		believed[r.Filled().Content()] = true
		f.Add(p.Mail(r))
	}
	f.Add(deliverytest.Envelope(deliverytest.Receipt{Kind: "accettazione"}.Filled(), deliverytest.Receipt{Kind: "avvenuta-consegna"}.Filled().Content(), []byte{0x30, 0x80, 0x06}))
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
		f.Add([]byte(deliverytest.Receipt{Kind: string(kind)}.Filled().Content()))
	}
	f.Add([]byte("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n--a\r\n\r\n--a--"))
	f.Fuzz(func(t *testing.T, signed []byte) {
		if c, err := certificate(canonical(signed)); err == nil && c.XMLName.Local != "postacert" {
			t.Errorf("read %+v", c)
		}
	})
}

func (r *reports) receipts(mailbox string, ca *deliverytest.Authority, caFile string) *Receipts {
	r.t.Helper()
	reader, err := NewReceiptsFromURL(mailbox, pecFrom, caFile, ReceiptsDeps{DB: r.fixture.db, Outcomes: r.Outcomes}, Network{Roots: ca.Roots()})
	if err != nil {
		r.t.Fatal(err)
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
		ca := deliverytest.NewAuthority(t)
		p, box, r := deliverytest.NewProvider(t, ca), deliverytest.NewMailbox(t, ca), newReports(t, f)
		f.enqueue(certified("credential"))
		receipts := r.receipts(box.URL, ca, ca.File())
		r.read(receipts, 0)
		box.Put([]byte("Subject: ordinary mail\r\n\r\nciao\r\n"))
		box.Put(p.Mail(deliverytest.Receipt{Kind: "accettazione", Recipient: "esterno"}))
		box.Put(deliverytest.NewProvider(t, deliverytest.NewAuthority(t)).Mail(deliverytest.Receipt{Kind: "avvenuta-consegna"}))
		box.Put(p.Mail(deliverytest.Receipt{Kind: "avvenuta-consegna", MessageID: "<01890000-0000-7000-8000-0000000000ff@pec.example>"}))
		r.read(receipts, 1)
		r.read(receipts, 0)
		box.Put(p.Mail(deliverytest.Receipt{Kind: "accettazione", Recipient: "esterno"})) // the provider repeats itself
		box.Put(p.Mail(deliverytest.Receipt{Kind: "errore-consegna", Fault: "no-dest"}))
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
		ca := deliverytest.NewAuthority(t)
		p, box, r := deliverytest.NewProvider(t, ca), deliverytest.NewMailbox(t, ca), newReports(t, f)
		f.enqueue(certified("c"))
		box.Put(p.Mail(deliverytest.Receipt{Kind: "accettazione"}))
		box.Put(p.Mail(deliverytest.Receipt{Kind: "avvenuta-consegna"}))
		receipts := r.receipts(box.URL, ca, ca.File())
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
		ca := deliverytest.NewAuthority(t)
		p, box, r := deliverytest.NewProvider(t, ca), deliverytest.NewMailbox(t, ca), newReports(t, f)
		f.enqueue(certified("c"))
		box.Put(p.Mail(deliverytest.Receipt{Kind: "avvenuta-consegna"}))
		r.read(r.receipts(box.URL, ca, deliverytest.NewAuthority(t).File()), 0)
		right := r.receipts(box.URL, ca, ca.File())
		r.read(right, 1)
		r.read(right, 0)
	})
}

func TestPECMailboxIsReadByOneNode(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ca := deliverytest.NewAuthority(t)
		p, box, r := deliverytest.NewProvider(t, ca), deliverytest.NewMailbox(t, ca), newReports(t, f)
		f.enqueue(certified("c"))
		for _, kind := range []string{"accettazione", "presa-in-carico", "avvenuta-consegna"} {
			box.Put(p.Mail(deliverytest.Receipt{Kind: kind}))
		}
		file := ca.File()
		databasetest.Barrier(4, func(int) {
			if _, err := r.receipts(box.URL, ca, file).Read(t.Context()); err != nil {
				t.Error(err)
			}
		})
		if len(r.told) != 3 {
			t.Errorf("told %d times, want 3", len(r.told))
		}
		// a node that died with the mailbox in its hands loses it
		if _, ours, err := receiptsStore(r).claim(t.Context(), r.receipts(box.URL, ca, file).key()); err != nil || !ours {
			t.Fatal(ours, err)
		}
		box.Put(p.Mail(deliverytest.Receipt{Kind: "errore-consegna", Fault: "altro"}))
		r.read(r.receipts(box.URL, ca, file), 0)
		databasetest.Shift(t, f.db, receiptLease+time.Second)
		r.read(r.receipts(box.URL, ca, file), 1)
	})
}

func receiptsStore(r *reports) mailboxes { return mailboxes{r.fixture.db} }

func TestPECReceiptsRun(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ca := deliverytest.NewAuthority(t)
		p, box, r := deliverytest.NewProvider(t, ca), deliverytest.NewMailbox(t, ca), newReports(t, f)
		f.enqueue(certified("c"))
		ctx, stop := context.WithCancel(t.Context())
		heard := make(chan Result, 8)
		r.Hook = func(_ context.Context, o Outcome) error { heard <- o.Result; return nil }
		receipts := r.receipts(box.URL, ca, ca.File())
		receipts.Poll = 5 * time.Millisecond
		done := make(chan error)
		go func() { done <- receipts.Run(ctx) }()
		for _, kind := range []Result{PECAccepted, PECDelivered} {
			box.Put(p.Mail(deliverytest.Receipt{Kind: string(kind)}))
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
		ca := deliverytest.NewAuthority(t)
		box := "imaps://" + deliverytest.MailLogin + deliverytest.Stuck(t).Addr().String()
		receipts := newReports(t, f).receipts(box, ca, ca.File())
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := receipts.Read(ctx); err == nil || strings.Contains(err.Error(), deliverytest.MailPassword) {
			t.Errorf("%v, want a time-out", err)
		}
	})
}

func TestPECSettings(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ca, r := deliverytest.NewAuthority(t), newReports(t, f)
		empty := filepath.Join(t.TempDir(), "empty.pem")
		if err := os.WriteFile(empty, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ url, from, file, want string }{
			{"", pecFrom, ca.File(), "IDP_PEC_IMAP_URL"},
			{"imaps://pec.example", pecFrom, ca.File(), "IDP_PEC_IMAP_URL"},
			{"imaps://user:secret@pec.example", "", ca.File(), "IDP_PEC_FROM"},
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
