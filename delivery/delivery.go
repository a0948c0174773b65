// Package delivery hands messages to people over a transport: SMS, e-mail,
// PEC (certified mail) and letters. It is an outbox: a message is written in
// the transaction of what caused it, sealed for its channel, and a worker hands
// it over afterwards, again and again until the transport has accepted it.
//
// It owns the tables deliveries, delivery_outcomes and receipt_mailboxes. It
// knows citizens and audit; the words come from whoever wires it, and so does
// what follows from a hand-over: the rules above it hang their consequences
// into Accepted and Failed, and into the hook of Outcomes for what a transport
// tells later. It speaks to gateways as a client and serves nothing itself.
//
// Nothing readable rests here: the body is sealed to a key that a node without
// that channel's worker does not hold, and is erased once it is accepted.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"ente.example/idp/citizens"
)

// Channel is a way to reach a person.
type Channel string

// The channels.
const (
	SMS   Channel = "sms"
	Email Channel = "email"
	PEC   Channel = "pec"
	Post  Channel = "post"
)

// Channels lists them all.
func Channels() []Channel { return []Channel{SMS, Email, PEC, Post} }

// MessageKey says which message it is; outsiders see it in outbox files.
type MessageKey string

// The messages of a first PIN.
const (
	PINHalf1 MessageKey = "pin-half-1"
	PINHalf2 MessageKey = "pin-half-2"
)

// Recipient is where a message goes: a number, an address. It does not print.
type Recipient struct{ value string }

// NewRecipient wraps an address.
func NewRecipient(address string) Recipient { return Recipient{address} }

// Reveal is the address in clear, for the transport.
func (r Recipient) Reveal() string { return r.value }

func (Recipient) String() string { return "[recipient]" }

// GoString covers %#v.
func (Recipient) GoString() string { return "[recipient]" }

// LogValue covers slog.
func (Recipient) LogValue() slog.Value { return slog.StringValue("[recipient]") }

// MarshalJSON refuses: a recipient leaves only sealed.
func (Recipient) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a recipient is never encoded")
}

// Words are what a message's text is filled with; they may hold half a PIN, so
// they do not print either.
type Words map[string]string

func (Words) String() string { return "[words]" }

// GoString covers %#v.
func (Words) GoString() string { return "[words]" }

// LogValue covers slog.
func (Words) LogValue() slog.Value { return slog.StringValue("[words]") }

// Format covers %v, %q and the like, which would walk a map's entries.
func (Words) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[words]")) }

// MarshalJSON refuses: words leave only sealed.
func (Words) MarshalJSON() ([]byte, error) { return nil, errors.New("words are never encoded") }

// Message is what Enqueue takes.
type Message struct {
	// ID is made when empty. It stays the same through every retry, so that a
	// transport can tell a repetition.
	ID       string
	Key      MessageKey
	Channel  Channel
	Citizen  citizens.ID
	To       Recipient
	Name     string
	Language string
	Words    Words
	// Ref names what the message belongs to, a credential for instance: the
	// hooks get it back, Release and Cancel go by it.
	Ref string
	// Held keeps the message back until Release.
	Held bool
}

// Letter is a message with its words, as a Sender gets it.
type Letter struct {
	ID       string
	Key      MessageKey
	Channel  Channel
	Citizen  citizens.ID
	To       Recipient
	Name     string
	Language string
	Subject  string
	Body     Text
	// QueuedAt is when the message was written: the same at every retry.
	QueuedAt time.Time
}

// Text is a message's body, which may hold half a PIN: it does not print.
type Text struct{ value string }

// NewText wraps a body.
func NewText(s string) Text { return Text{s} }

// Reveal is the body in clear, for the transport.
func (t Text) Reveal() string { return t.value }

func (Text) String() string { return "[text]" }

// GoString covers %#v.
func (Text) GoString() string { return "[text]" }

// LogValue covers slog.
func (Text) LogValue() slog.Value { return slog.StringValue("[text]") }

// MarshalJSON refuses, as Recipient's.
func (Text) MarshalJSON() ([]byte, error) { return nil, errors.New("a text is never encoded") }

// Sender is a transport. Send returns nil once the transport has accepted the
// letter and answers for it. The same letter may come twice, with the same ID,
// when a node died between hand-over and record.
type Sender interface {
	Send(ctx context.Context, l Letter) error
}

// ErrRejected is what a Sender wraps when trying again cannot help: the
// number does not exist, the address is refused for good.
var ErrRejected = errors.New("rejected by the transport")

// Receipt tells the rules above what became of a message.
type Receipt struct {
	ID      string
	Key     MessageKey
	Channel Channel
	Citizen citizens.ID
	Ref     string
}

// Policy is how stubborn the outbox is.
type Policy struct {
	// GiveUp is how long a transport may refuse before the message is dead.
	GiveUp time.Duration
	// Backoff is the pause after the first failure; it doubles up to BackoffMax.
	Backoff, BackoffMax time.Duration
	// Lease is how long one worker holds a message; longer than SendTimeout,
	// after which a hand-over counts as failed.
	Lease, SendTimeout time.Duration
	// Poll is how often a node looks for what other nodes have written.
	Poll time.Duration
	// Keep is how long the record of an ended delivery stays, without a body.
	Keep time.Duration
}

// DefaultPolicy is security P8 and pin-rules §0.2.
func DefaultPolicy() Policy {
	return Policy{
		GiveUp: 72 * time.Hour, Backoff: 5 * time.Second, BackoffMax: time.Hour,
		Lease: 2 * time.Minute, SendTimeout: 30 * time.Second, Poll: 500 * time.Millisecond,
		Keep: 731 * 24 * time.Hour,
	}
}

func (p Policy) valid() bool {
	return p.GiveUp > 0 && p.Backoff > 0 && p.BackoffMax >= p.Backoff && p.SendTimeout > 0 &&
		p.Lease > p.SendTimeout && p.Poll > 0 && p.Keep > 0
}
