package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/tink"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/database"
)

// Deps are what an Outbox is made of. Enqueue needs DB and Seal, and Senders
// only to tell which channels there are; Run needs everything but Observe.
type Deps struct {
	DB      *database.DB
	Seal    func(channel string) tink.HybridEncrypt
	Open    func(channel string) (tink.HybridDecrypt, bool)
	Senders map[Channel]Sender
	Audit   *audit.Log
	Words   func(lang, key, channel string, data map[string]string) (subject, body string, err error)
	// Accepted and Failed run in the transaction that ends a delivery.
	Accepted, Failed func(ctx context.Context, r Receipt) error
	// Observe counts outcomes ("accepted", "retry", "dead") for the metrics.
	Observe func(c Channel, result string)
	Logger  *slog.Logger
	Policy  Policy
}

// Outbox keeps messages until they are handed over.
type Outbox struct {
	db                   *database.DB
	sealer               func(channel string) tink.HybridEncrypt
	opener               func(channel string) (tink.HybridDecrypt, bool)
	senders              map[Channel]Sender
	audit                *audit.Log
	words                func(lang, key, channel string, data map[string]string) (subject, body string, err error)
	observe              func(c Channel, result string)
	log                  *slog.Logger
	policy               Policy
	store                store
	onAccepted, onFailed func(ctx context.Context, r Receipt) error
	// wake is nudged after a commit on this node, so that nothing waits for
	// the next poll.
	wake chan struct{}
}

// New makes an Outbox.
func New(d Deps) (*Outbox, error) {
	if d.DB == nil || d.Seal == nil {
		return nil, errors.New("delivery: DB and Seal are needed")
	}
	for c, s := range d.Senders {
		if s == nil {
			return nil, fmt.Errorf("delivery: the sender of %s is nil", c)
		}
	}
	if !d.Policy.valid() {
		return nil, errors.New("delivery: the policy's figures must be positive, and the lease longer than a hand-over")
	}
	if d.Observe == nil {
		d.Observe = func(Channel, string) {}
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return &Outbox{
		db: d.DB, sealer: d.Seal, opener: d.Open, senders: d.Senders, audit: d.Audit, words: d.Words, onAccepted: d.Accepted,
		onFailed: d.Failed, observe: d.Observe, log: d.Logger, policy: d.Policy,
		store: store{db: d.DB, policy: d.Policy}, wake: make(chan struct{}, 1),
	}, nil
}

// Has reports whether messages can leave by this channel at all.
func (o *Outbox) Has(c Channel) bool { return o.senders[c] != nil }

// ErrNoTransaction says that a message was enqueued on its own, where it could
// survive what it tells about, or be lost without it.
var ErrNoTransaction = errors.New("delivery: a message is enqueued inside the transaction of its cause")

// Enqueue seals messages and writes them in the caller's transaction.
func (o *Outbox) Enqueue(ctx context.Context, messages ...Message) error {
	if !database.Inside(ctx) {
		return ErrNoTransaction
	}
	for _, m := range messages {
		d, err := o.seal(m)
		if err != nil {
			return fmt.Errorf("enqueue %s by %s: %w", m.Key, m.Channel, err)
		}
		if err := o.store.insert(ctx, d); err != nil {
			return fmt.Errorf("enqueue %s by %s: %w", m.Key, m.Channel, err)
		}
	}
	o.db.AfterCommit(ctx, o.nudge)
	return nil
}

// Release lets held messages go; in the caller's transaction.
func (o *Outbox) Release(ctx context.Context, ref string) error {
	if err := o.store.release(ctx, ref); err != nil {
		return fmt.Errorf("release deliveries: %w", err)
	}
	o.db.AfterCommit(ctx, o.nudge)
	return nil
}

// Cancel erases what has not left yet; in the caller's transaction. What a
// transport is taking at this moment may still arrive.
func (o *Outbox) Cancel(ctx context.Context, ref string) error {
	if err := o.store.cancel(ctx, ref); err != nil {
		return fmt.Errorf("cancel deliveries: %w", err)
	}
	return nil
}

// Oldest is how long the oldest waiting message of each channel has waited.
func (o *Outbox) Oldest(ctx context.Context) (map[Channel]time.Duration, error) {
	ages, err := o.store.oldest(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the outbox's age: %w", err)
	}
	return ages, nil
}

func (o *Outbox) nudge() {
	select {
	case o.wake <- struct{}{}:
	default: // one is waiting already
	}
}

// body is what is sealed: everything that a thief of the database must not
// read.
type body struct {
	To       string            `json:"to"`
	Name     string            `json:"name"`
	Language string            `json:"language"`
	Words    map[string]string `json:"words"`
}

func (o *Outbox) seal(m Message) (delivery, error) {
	d := delivery{ID: m.ID, Channel: string(m.Channel), Message: string(m.Key), CitizenID: string(m.Citizen), Ref: m.Ref}
	if m.Key == "" || m.Citizen == "" || m.To.value == "" {
		return d, errors.New("a message needs a key, a citizen and a recipient")
	}
	if d.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return d, fmt.Errorf("make an id: %w", err)
		}
		d.ID = id.String()
	}
	if d.State = queued; m.Held {
		d.State = held
	}
	key := o.sealer(d.Channel)
	if key == nil {
		return d, errors.New("no key seals this channel")
	}
	plain, err := json.Marshal(body{m.To.value, m.Name, m.Language, m.Words})
	if err != nil {
		return d, errors.New("a message cannot be encoded") // err could quote it
	}
	defer clear(plain)
	d.Body, err = key.Encrypt(plain, d.context())
	if err != nil {
		return d, fmt.Errorf("seal: %w", err)
	}
	return d, nil
}

// context binds a sealed body to its row: moved to another row, to another
// channel's worker or to another person, it does not open.
func (d delivery) context() []byte {
	return []byte(strings.Join([]string{d.ID, d.Channel, d.CitizenID}, "|"))
}

func (d delivery) receipt() Receipt {
	return Receipt{ID: d.ID, Key: MessageKey(d.Message), Channel: Channel(d.Channel), Citizen: citizens.ID(d.CitizenID), Ref: d.Ref}
}

// open unseals a row and puts it into words.
func (o *Outbox) open(d delivery) (Letter, error) {
	key, ok := o.opener(d.Channel)
	if !ok {
		return Letter{}, errors.New("no key opens this channel here")
	}
	plain, err := key.Decrypt(d.Body, d.context())
	if err != nil {
		return Letter{}, fmt.Errorf("unseal: %w", err)
	}
	defer clear(plain)
	var b body
	if err := json.Unmarshal(plain, &b); err != nil {
		return Letter{}, errors.New("a sealed message cannot be read") // err could quote it
	}
	subject, text, err := o.words(b.Language, d.Message, d.Channel, b.Words)
	if err != nil {
		return Letter{}, fmt.Errorf("put %s into words: %w", d.Message, err)
	}
	return Letter{
		ID: d.ID, Key: MessageKey(d.Message), Channel: Channel(d.Channel), Citizen: citizens.ID(d.CitizenID),
		To: NewRecipient(b.To), Name: b.Name, Language: b.Language, Subject: subject, Body: NewText(text), QueuedAt: d.CreatedAt.Time,
	}, nil
}
