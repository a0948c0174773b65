package main

import (
	"bytes"
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-message"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
	"ente.example/idp/delivery/deliverytest"
	"ente.example/idp/secrets"
)

// transports are the gateways that the whole program speaks to, as in
// production: TLS and passwords, a token, signed receipts and reports, sealed
// letters. What people get they get from these, and nowhere else.
type transports struct {
	t          *testing.T
	authority  *deliverytest.Authority
	caFile     string
	sms        *deliverytest.SMSGateway
	mail, pec  *deliverytest.MailServer
	receipts   *deliverytest.Mailbox
	provider   *deliverytest.Provider
	post       *deliverytest.PrintService
	mu         sync.Mutex
	site       string // where reports of texts go
	background sync.WaitGroup
}

func newTransports(t *testing.T) *transports {
	t.Helper()
	ca := deliverytest.NewAuthority(t)
	g := &transports{
		t: t, authority: ca, caFile: ca.File(), sms: deliverytest.NewSMSGateway(t), mail: deliverytest.NewMailServer(t, ca.TLS(), true),
		pec: deliverytest.NewMailServer(t, ca.TLS(), true), receipts: deliverytest.NewMailbox(t, ca), provider: deliverytest.NewProvider(t, ca),
		post: deliverytest.NewPrintService(t),
	}
	g.sms.Before = g.delivered
	g.pec.Data = g.certify
	t.Cleanup(g.background.Wait)
	return g
}

// settings adds the gateways to an installation that has none.
func (g *transports) settings(s settings) settings {
	s.SMTPURL, s.MailFrom = "smtps://"+deliverytest.MailLogin+g.mail.Address, "Ente <noreply@ente.example>"
	s.PECSMTPURL, s.PECFrom = "smtps://"+deliverytest.MailLogin+g.pec.Address, deliverytest.PECFrom
	s.PECIMAPURL, s.PECCAFile = g.receipts.URL, g.caFile
	s.SMSURL, s.SMSToken = g.sms.URL+"/messages", deliverytest.SMSToken
	s.PostDir, s.PostRecipient = g.post.Dir, g.post.Recipient()
	return s
}

// reportsTo has the SMS gateway tell a site what became of its texts.
func (g *transports) reportsTo(site string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.site = site
}

// delivered reports that a text has arrived, until somebody has heard it.
func (g *transports) delivered(m deliverytest.Text) {
	g.mu.Lock()
	site := g.site
	g.mu.Unlock()
	if site == "" {
		return
	}
	g.background.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
			if deliverytest.Report(site+"/hooks/sms", m.ID, "delivered") == 204 {
				return
			}
		}
		g.t.Errorf("nobody took the report of the text %s", m.ID)
	})
}

// certify is the PEC provider: it takes a message, and its receipts come into
// our mailbox. An address that is no PEC gets the message as ordinary mail.
func (g *transports) certify(m deliverytest.Mail) error {
	e, err := message.Read(bytes.NewReader(m.Raw))
	if err != nil {
		return err
	}
	if e.Header.Get("X-TipoRicevuta") != "sintetica" {
		g.t.Errorf("a PEC asks for a receipt of kind %q, which would bring the half back", e.Header.Get("X-TipoRicevuta"))
	}
	r := deliverytest.Receipt{Kind: "accettazione", MessageID: e.Header.Get("Message-Id")}
	if certified := strings.Contains(m.To, "@pec."); !certified {
		r.Recipient = "esterno"
		g.receipts.Put(g.provider.Mail(r))
		return nil
	}
	g.receipts.Put(g.provider.Mail(r))
	r.Kind = "avvenuta-consegna"
	g.receipts.Put(g.provider.Mail(r))
	return nil
}

// environment writes settings as variables, those that are not set left out.
func (s settings) environment() map[string]string {
	list := map[string]string{}
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("name")
		if name == "" {
			name = dashed(v.Type().Field(i).Name)
		}
		if text := v.Field(i).String(); text != "" {
			list["IDP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = text
		}
	}
	return list
}

// terminal is a terminal on the machine of the house.
func (h *house) terminal() *terminal {
	return &terminal{t: h.t, dir: h.t.TempDir(), environ: h.settings.environment()}
}

// transportHouse is a house on SQLite whose messages leave by real transports,
// with real captchas and these people.
func transportHouse(t *testing.T, people string) (*house, *transports) {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "secrets")
	if err := secrets.Init(keys); err != nil {
		t.Fatal(err)
	}
	g := newTransports(t)
	s := g.settings(houseSettings(t, databasetest.SQLite(t), keys))
	s.Captcha = "image"
	h := nodeWith(t, s, &database.Clock{}, delivery.Network{Roots: g.authority.Roots()})
	g.reportsTo(s.Issuer)
	s2 := h.terminal()
	s2.done("citizens", "import", s2.file("people.csv", peopleHeader+people))
	return h, g
}

// The people who go through the procedures, in the order of the file's columns.
const (
	mario   = "RSSMRA80A01H501U,Mario,Rossi,M,1980-01-01,H501,Via Appia Nuova 12,00183,Roma,RM,IT,no,citizen,,,,,,\n"
	anna    = "BNCNMR72H55F839M,Anna Maria,Bianchi,F,1972-06-15,F839,Via Toledo 5,80134,Napoli,NA,IT,no,citizen,80380000301234567890,2031-05-31,+393331234567,anna.bianchi@posta.example,anna.bianchi@pec.example,\n"
	miller  = "MLLSNT82P65Z404U,Samantha,Miller,F,1982-09-25,Z404,Leopoldstraße 12,80802,München,Bayern,DE,no,citizen,,,,,,\n"
	marioCF = "RSSMRA80A01H501U"
	annaCF  = "BNCNMR72H55F839M"
)

// inbox is where messages of one kind arrive for one person. Who looks into it
// reads what is new.
type inbox struct {
	t        *testing.T
	where    string
	messages func() []string
	read     map[string]bool
}

func (g *transports) inbox(where string, messages func() []string) *inbox {
	return &inbox{t: g.t, where: where, messages: messages, read: map[string]bool{}}
}

// phone has the texts to a number, however often the gateway got each.
func (g *transports) phone(number string) *inbox {
	return g.inbox("the telephone", func() (list []string) {
		for _, m := range g.sms.Texts() {
			if m.To == number {
				list = append(list, m.ID+"\n"+m.Text)
			}
		}
		return list
	})
}

// mailbox has the mails to an address.
func (g *transports) mailbox(address string) *inbox {
	return g.inbox("the mailbox", func() []string { return g.mails(g.mail, address) })
}

// certified has what came to a PEC.
func (g *transports) certified(address string) *inbox {
	return g.inbox("the PEC", func() []string { return g.mails(g.pec, address) })
}

func (g *transports) mails(server *deliverytest.MailServer, address string) (list []string) {
	for _, m := range server.Taken() {
		if m.To != address {
			continue
		}
		if !m.Encrypted || m.User != deliverytest.MailUser {
			g.t.Errorf("a mail came without TLS or without a password")
		}
		e, err := message.Read(bytes.NewReader(m.Raw))
		if err != nil {
			g.t.Error(err)
			continue
		}
		body, err := io.ReadAll(e.Body)
		if err != nil {
			g.t.Error(err)
		}
		subject, err := e.Header.Text("Subject")
		if err != nil {
			g.t.Error(err)
		}
		list = append(list, e.Header.Get("Message-Id")+"\n"+subject+"\n"+strings.ReplaceAll(string(body), "\r\n", "\n"))
	}
	return list
}

// letterbox has the letters on which a name stands, as paper.
func (g *transports) letterbox(name string) *inbox {
	return g.inbox("the letter box", func() (list []string) {
		for _, l := range g.post.Letters() {
			if strings.Contains(l.Text, name) {
				list = append(list, l.ID+"\n"+l.Text)
			}
		}
		return list
	})
}

// next waits for the oldest message not yet read that has these words.
func (b *inbox) next(words string) string {
	b.t.Helper()
	found := ""
	eventually(b.t, 20*time.Second, "a message with "+words+" in "+b.where, func() bool {
		for _, m := range b.messages() {
			if !b.read[m] && strings.Contains(m, words) {
				found = m
				return true
			}
		}
		return false
	})
	b.read[found] = true
	return found
}

// all are the messages with these words, each once.
func (b *inbox) all(words string) (list []string) {
	seen := map[string]bool{}
	for _, m := range b.messages() {
		if strings.Contains(m, words) && !seen[m] {
			seen[m] = true
			list = append(list, m)
		}
	}
	return list
}

// What stands in messages: a half or a code alone on its line, as written and
// as set on paper, and a link.
var (
	aloneAnywhere = regexp.MustCompile(`(?m)^\s*([0-9]{4} ?[0-9]{4}|[0-9A-Z]{10})\s*$`)
	linked        = regexp.MustCompile(`https?://\S+`)
	tracked       = regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}`)
)

// code is the half or the code in a message.
func code(t *testing.T, text string) string {
	t.Helper()
	m := aloneAnywhere.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("nothing stands alone on its line in:\n%s", text)
	}
	return strings.ReplaceAll(m[1], " ", "")
}

func link(t *testing.T, text string) string {
	t.Helper()
	address := linked.FindString(text)
	if address == "" {
		t.Fatalf("no link in:\n%s", text)
	}
	return address
}

// letterID is the number under which the print service reports.
func letterID(letter string) string { return letter[:strings.IndexByte(letter, '\n')] }
