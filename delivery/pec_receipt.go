package delivery

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-message"
	"golang.org/x/text/encoding/charmap"
)

// What keeps a mail from being believed. Ordinary mail is no receipt at all.
var (
	errNoReceipt        = errors.New("not a PEC receipt")
	errReceiptForm      = errors.New("not in the form of a PEC receipt")
	errReceiptSignature = errors.New("not signed by a PEC provider")
	errReceiptStranger  = errors.New("not about a message of ours")
)

const (
	// maxReceipt is far more than a short receipt has. Whatever is larger is
	// not looked at.
	maxReceipt = 1 << 20
	// maxCertificate is far more than daticert.xml has.
	maxCertificate = 256 << 10
	// maxParts is more than the text, daticert.xml and a copy of the message.
	maxParts = 16
)

// daticert is the certification data that a PEC provider attaches to each
// receipt: the only thing in it that is signed, structured and about us.
type daticert struct {
	XMLName xml.Name `xml:"postacert"`
	Type    string   `xml:"tipo,attr"`
	Error   string   `xml:"errore,attr"`
	Sender  string   `xml:"intestazione>mittente"`
	To      []struct {
		Kind string `xml:"tipo,attr"`
	} `xml:"intestazione>destinatari"`
	MessageID string `xml:"dati>msgid"`
	Date      struct {
		Zone string `xml:"zona,attr"`
		Day  string `xml:"giorno"`
		Hour string `xml:"ora"`
	} `xml:"dati>data"`
}

// read believes a mail from our PEC mailbox, or says why not. Anybody may have
// put it there. So nothing counts but daticert.xml, inside of what a provider
// has signed; it must name us as the sender, or somebody could have his own
// message certified under the Message-ID of ours and pass on the receipt.
func (r receiptReader) read(raw []byte, now time.Time) (_ Report, err error) {
	// The parsers of other people meet the bytes of strangers here: a fault of
	// theirs costs one receipt, not the program.
	defer func() {
		if recover() != nil {
			err = errReceiptForm
		}
	}()
	if len(raw) > maxReceipt {
		return Report{}, fmt.Errorf("%w: too large", errReceiptForm)
	}
	raw = canonical(raw)
	e, err := message.Read(bytes.NewReader(raw))
	if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return Report{}, errReceiptForm
	}
	if e.Header.Get("X-Ricevuta") == "" {
		return Report{}, errNoReceipt
	}
	signed, err := r.signed(e, raw, now)
	if err != nil {
		return Report{}, err
	}
	cert, err := certificate(signed)
	if err != nil {
		return Report{}, err
	}
	return r.report(e.Header, cert)
}

// report takes the outer headers, which nobody has signed, at most for a
// contradiction.
func (r receiptReader) report(h message.Header, c daticert) (Report, error) {
	about := strings.Trim(strings.TrimSpace(c.MessageID), "<>")
	if outer := strings.Trim(strings.TrimSpace(h.Get("X-Riferimento-Message-ID")), "<>"); outer != "" && outer != about {
		return Report{}, fmt.Errorf("%w: the header names another message", errReceiptForm)
	}
	id, own := r.delivery(about)
	if !own || !strings.EqualFold(strings.TrimSpace(c.Sender), r.from.Address) {
		return Report{}, errReceiptStranger
	}
	report := Report{Delivery: id, Channel: PEC, Result: Result(c.Type), At: c.time()}
	switch report.Result {
	case PECAccepted, PECTaken, PECDelivered:
		if c.Error != "nessuno" {
			return Report{}, fmt.Errorf("%w: %s with an error", errReceiptForm, c.Type)
		}
	case PECRefused, PECFailing, PECFailed, PECVirus:
	default:
		return Report{}, errNoReceipt // an envelope with somebody's message, for instance
	}
	for _, to := range c.To {
		report.Uncertified = report.Uncertified || to.Kind == "esterno"
	}
	return report, nil
}

// delivery is the id in a Message-ID, if we gave it.
func (r receiptReader) delivery(messageID string) (string, bool) {
	id, host, _ := strings.Cut(messageID, "@")
	return id, id != "" && strings.EqualFold(host, domain(r.from.Address))
}

// time is the zero time if the provider wrote it in another way than it must.
func (c daticert) time() time.Time {
	at, err := time.Parse("02/01/2006 15:04:05 -0700", strings.TrimSpace(c.Date.Day)+" "+strings.TrimSpace(c.Date.Hour)+" "+strings.TrimSpace(c.Date.Zone))
	if err != nil {
		return time.Time{}
	}
	return at
}

// certificate finds daticert.xml among the immediate parts of a receipt. It
// must not look deeper: a copy of the message lies there too, with whatever
// its author attached.
func certificate(signed []byte) (daticert, error) {
	start := bytes.Index(signed, []byte("\r\n\r\n"))
	if start < 0 {
		return daticert{}, errReceiptForm
	}
	e, err := message.Read(bytes.NewReader(signed[:start+4]))
	if err != nil {
		return daticert{}, errReceiptForm
	}
	kind, params, err := e.Header.ContentType()
	if err != nil || !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" {
		return daticert{}, fmt.Errorf("%w: one part alone", errReceiptForm)
	}
	var found *daticert
	for _, raw := range split(signed[start+2:], params["boundary"]) {
		p, err := message.Read(bytes.NewReader(raw))
		if err != nil && !message.IsUnknownCharset(err) || !strings.EqualFold(name(p.Header), "daticert.xml") {
			continue
		}
		if found != nil {
			return daticert{}, fmt.Errorf("%w: two daticert.xml", errReceiptForm)
		}
		if found, err = parseCertificate(p.Body); err != nil {
			return daticert{}, err
		}
	}
	if found == nil {
		return daticert{}, fmt.Errorf("%w: no daticert.xml", errReceiptForm)
	}
	return *found, nil
}

func name(h message.Header) string {
	if _, params, err := h.ContentDisposition(); err == nil && params["filename"] != "" {
		return params["filename"]
	}
	_, params, err := h.ContentType()
	if err != nil {
		return ""
	}
	return params["name"]
}

func parseCertificate(r io.Reader) (*daticert, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxCertificate+1))
	if err != nil || len(raw) > maxCertificate {
		return nil, fmt.Errorf("%w: daticert.xml cannot be read", errReceiptForm)
	}
	d := xml.NewDecoder(bytes.NewReader(raw))
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		switch strings.ToLower(charset) {
		case "us-ascii", "ascii":
			return in, nil
		case "iso-8859-1", "latin1":
			return charmap.ISO8859_1.NewDecoder().Reader(in), nil
		case "iso-8859-15":
			return charmap.ISO8859_15.NewDecoder().Reader(in), nil
		case "windows-1252":
			return charmap.Windows1252.NewDecoder().Reader(in), nil
		}
		return nil, errors.New("unknown charset")
	}
	var c daticert
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("%w: daticert.xml is no such document", errReceiptForm)
	}
	return &c, nil
}

// canonical gives every line the end that was signed.
func canonical(raw []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}
