package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"strings"

	gomail "github.com/wneessen/go-mail"
)

// NewSMTPFromURL is e-mail: IDP_SMTP_URL and IDP_MAIL_FROM. With smtp:// the
// server must offer STARTTLS, unless it is on this machine.
func NewSMTPFromURL(address, from string, n Network) (Sender, error) {
	return newMailer("IDP_SMTP_URL", address, "IDP_MAIL_FROM", from, n)
}

// NewPECFromURL is certified mail: IDP_PEC_SMTP_URL and IDP_PEC_FROM. What the
// provider certifies afterwards comes as mail, see NewReceiptsFromURL.
func NewPECFromURL(address, from string, n Network) (Sender, error) {
	m, err := newMailer("IDP_PEC_SMTP_URL", address, "IDP_PEC_FROM", from, n)
	if err != nil {
		return nil, err
	}
	// The receipt that one gets by default returns the whole message, half a
	// PIN included, into our own mailbox. The short one has hashes instead.
	m.headers = map[string]string{"X-TipoRicevuta": "sintetica"}
	return m, nil
}

type mailer struct {
	gateway
	from    *mail.Address
	headers map[string]string
}

func newMailer(setting, address, fromSetting, from string, n Network) (*mailer, error) {
	g, err := parseGateway(setting, address, schemes{"smtp", "smtps", "587", "465"}, n)
	if err != nil {
		return nil, err
	}
	if g.mailbox != "" {
		return nil, fmt.Errorf("%s must not have a path", setting)
	}
	sender, err := parseFrom(fromSetting, from)
	if err != nil {
		return nil, err
	}
	return &mailer{gateway: g, from: sender}, nil
}

// Send hands one message to one recipient. A connection of its own for each
// keeps a stuck one from holding up the others.
func (m *mailer) Send(ctx context.Context, l Letter) error {
	msg, err := m.compose(l)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, m.network.timeout())
	defer cancel()
	leave := func() {}
	defer func() { leave() }()
	client, err := gomail.NewClient(m.host, m.options(func(context.Context, string, string) (conn net.Conn, err error) {
		conn, leave, err = m.dial(ctx)
		return conn, err
	})...)
	if err != nil {
		return errors.New("send mail: the client cannot be set up") // err could quote a setting
	}
	err = client.DialAndSendWithContext(ctx, msg)
	if msg.IsDelivered() {
		return nil // whatever went wrong while saying goodbye
	}
	return refusal(ctx, err)
}

func (m *mailer) options(dial gomail.DialContextFunc) []gomail.Option {
	policy := gomail.TLSMandatory
	if m.plain {
		policy = gomail.NoTLS
	}
	options := []gomail.Option{
		gomail.WithDialContextFunc(dial), gomail.WithTimeout(m.network.timeout()), gomail.WithTLSPolicy(policy), gomail.WithTLSConfig(m.tls()),
		gomail.WithHELO(domain(m.from.Address)), gomail.WithoutNoop(),
	}
	if m.implicit {
		options = append(options, gomail.WithSSL())
	}
	if m.user != "" {
		options = append(options, gomail.WithUsername(m.user), gomail.WithPassword(m.password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	return options
}

// compose is the same at every retry: id, date and text.
func (m *mailer) compose(l Letter) (*gomail.Msg, error) {
	to, err := mail.ParseAddress(l.To.Reveal())
	if err != nil || strings.ContainsAny(l.To.Reveal(), "<>,\r\n") {
		return nil, fmt.Errorf("send mail: the recipient is no mail address: %w", ErrRejected) // err would quote it
	}
	msg := gomail.NewMsg(gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(gomail.EncodingQP), gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(m.from)
	msg.ToMailAddress(&mail.Address{Address: to.Address})
	msg.SetMessageIDWithValue(messageID(l, m.from))
	msg.SetDateWithValue(l.QueuedAt.UTC())
	msg.Subject(l.Subject)
	// nobody's holiday answer is wanted
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	for name, value := range m.headers {
		msg.SetGenHeader(gomail.Header(name), value)
	}
	msg.SetBodyString(gomail.TypeTextPlain, l.Body.Reveal())
	return msg, nil
}

// refusal sorts an error into final ones, which are the recipient's or the
// message's, and all others, which may pass. A server that does not want us
// (bad password, relaying denied, 5.7.x) says nothing about the recipient:
// it is put right by the operator, and meanwhile nobody's PIN is thrown away.
// The text of the error stays out: it quotes addresses.
func refusal(ctx context.Context, err error) error {
	var sent *gomail.SendError
	if errors.As(err, &sent) {
		code, detail := sent.ErrorCode(), sent.EnhancedStatusCode()
		if code == 0 {
			return fmt.Errorf("send mail: the connection broke while %s", sent.Reason)
		}
		told := fmt.Errorf("send mail: the server answered %d %s while %s", code, detail, sent.Reason)
		if final(code, detail) && (sent.Reason == gomail.ErrSMTPRcptTo || sent.Reason == gomail.ErrSMTPData || sent.Reason == gomail.ErrSMTPDataClose) {
			return fmt.Errorf("%w: %w", told, ErrRejected)
		}
		return told
	}
	var answer *textproto.Error
	var network *net.OpError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("send mail: no answer in time: %w", ctx.Err())
	case errors.As(err, &answer):
		return fmt.Errorf("send mail: the server answered %d before it took the message", answer.Code)
	case errors.As(err, &network):
		return fmt.Errorf("send mail: %w", network)
	}
	return fmt.Errorf("send mail: %w", err)
}

func final(code int, detail string) bool {
	ours := code == 530 || code == 534 || code == 535 || code == 538 || strings.HasPrefix(detail, "5.7.")
	return code >= 500 && !ours
}
