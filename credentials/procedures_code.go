package credentials

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// Code is a code or a link's token as somebody typed or followed it. It does
// not print.
type Code struct{ value string }

// ParseCode takes what was typed: case, spaces and hyphens do not matter.
func ParseCode(s string) Code {
	return Code{strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "\u00a0", "", "\t", "").Replace(s))}
}

// NewLink takes the token of a link, as it is.
func NewLink(token string) Code { return Code{token} }

// Len is the number of characters.
func (c Code) Len() int { return len(c.value) }

// IsZero reports whether there is none.
func (c Code) IsZero() bool { return c.value == "" }

// Digits reports whether there is nothing else in it.
func (c Code) Digits() bool { return strings.Trim(c.value, "0123456789") == "" }

// Reveal is the text itself.
func (c Code) Reveal() string { return c.value }

func (Code) String() string       { return "[code]" }
func (Code) GoString() string     { return "[code]" }
func (Code) LogValue() slog.Value { return slog.StringValue("[code]") }

// Format keeps every verb from looking inside.
func (Code) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[code]")) }

// MarshalJSON refuses: a code is never encoded.
func (Code) MarshalJSON() ([]byte, error) { return nil, errors.New("a code is never encoded") }

// Proof is what confirms a request: the code out of the mail, and whose it is.
// Link is the token of the mail's link, where the page was opened by it.
type Proof struct {
	Link       Code
	FiscalCode citizens.FiscalCode
	Code       Code
}

// mailing is a link and a code, new, and what is kept of them.
type mailing struct {
	link, code       Code
	linkKey, codeKey []byte
}

const (
	linkLength           = 43 // 256 bits in base64, as a mail carries them
	recoveryCodeLength   = 8
	revocationCodeLength = 10

	digits = "0123456789"
	// without 0 O 1 I L, which people take for each other
	plainAlphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
	urlAlphabet   = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

func (s *Service) newMailing(p procedure) (m mailing, err error) {
	set, length := digits, recoveryCodeLength
	if p.Kind == revocation {
		set, length = plainAlphabet, revocationCodeLength
	}
	if m.link.value, err = drawFrom(urlAlphabet, linkLength); err != nil {
		return m, err
	}
	if m.code.value, err = drawFrom(set, length); err != nil {
		return m, err
	}
	m.linkKey, m.codeKey = s.linkKeys(m.link)[0], s.codeKeys(p, m.code)[0]
	return m, nil
}

// linkKeys are the keyed HMACs of a link's token, under the key in use first:
// those of older keys find what was sent before a rotation.
func (s *Service) linkKeys(link Code) [][]byte {
	if link.IsZero() {
		return nil
	}
	return s.keyed("link/v1|" + link.value)
}

// codeKeys bind a code to its request: eight digits are the same for somebody
// else often enough.
func (s *Service) codeKeys(p procedure, code Code) [][]byte {
	return s.keyed("code/v1|" + p.ID + "|" + code.value)
}

func (s *Service) keyed(text string) [][]byte {
	return Digests{Keys: s.vault.pepper, Label: "procedure/"}.Of(text)
}

// page is an address of ours, with a link's token.
func (s *Service) page(path string, link Code) string {
	return s.site + path + "?t=" + link.Reveal()
}

// send queues a message to one contact.
func (s *Service) send(ctx context.Context, who citizens.Citizen, key delivery.MessageKey, w way, ref string, words delivery.Words) error {
	m := message(who, key, w.channel, w.to.Value.Reveal())
	m.Ref = ref
	for name, value := range words {
		m.Words[name] = value
	}
	return s.outbox.Enqueue(ctx, m)
}

// way is a contact and the channel that reaches it.
type way struct {
	channel delivery.Channel
	to      citizens.Contact
}

// channelOf is what reaches a contact of a kind.
func channelOf(kind citizens.ContactKind) delivery.Channel {
	switch kind {
	case citizens.Mobile:
		return delivery.SMS
	case citizens.PEC:
		return delivery.PEC
	case citizens.Email:
	}
	return delivery.Email
}

// ways are a person's contacts whose channels are on.
func (s *Service) ways(who citizens.Citizen) map[citizens.ContactKind]way {
	all := map[citizens.ContactKind]way{}
	for _, kind := range citizens.ContactKinds() {
		channel := channelOf(kind)
		if c := who.Contacts.Of(kind); !c.IsZero() && s.outbox.Has(channel) {
			all[kind] = way{channel, c}
		}
	}
	return all
}
