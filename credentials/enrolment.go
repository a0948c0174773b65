package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// Archive is where the address comes from that a request is compared with and
// the second half is sent to (R13, R14). An error means that it cannot say now.
type Archive interface {
	Residence(ctx context.Context, id citizens.ID) (citizens.Address, error)
}

// EnrolmentPolicy holds the figures of a request for a PIN (pin-rules §0.2).
type EnrolmentPolicy struct {
	// CodeLife is how long a contact may take to be proved, CodeTries how many
	// wrong codes end the request.
	CodeLife  time.Duration
	CodeTries int
	// PerDay is how many requests one person, and one contact, may begin in a
	// day: more are answered like all others and forgotten.
	PerDay int
	// Patience is how long the archive may be away before the contact centre
	// takes over, Retry the first pause between two looks.
	Patience, Retry time.Duration
	// PostItaly and PostAbroad are how long a letter may take before it counts
	// as lost, Reissues how often two new halves leave without a call.
	PostItaly, PostAbroad time.Duration
	Reissues              int
	// CallAttempts is how often somebody is called, CallDays over how many
	// working days. A call is assigned for CallLease.
	CallAttempts int
	CallDays     int
	CallLease    time.Duration
	// IdentityTries is how often somebody may fail to say who he is before he
	// has to wait IdentityPause.
	IdentityTries int
	IdentityPause time.Duration
	// Keep is how long the rows of what is over stay, without what was typed.
	Keep time.Duration
}

// DefaultEnrolmentPolicy is pin-rules §0.2, §2.5 and §4.5.
func DefaultEnrolmentPolicy() EnrolmentPolicy {
	const day = 24 * time.Hour
	return EnrolmentPolicy{
		CodeLife: day, CodeTries: 5, PerDay: 3, Patience: 3 * day, Retry: time.Minute,
		PostItaly: 21 * day, PostAbroad: 42 * day, Reissues: 1,
		CallAttempts: 3, CallDays: 10, CallLease: 30 * time.Minute, IdentityTries: 2, IdentityPause: day, Keep: 90 * day,
	}
}

func (p EnrolmentPolicy) valid() bool {
	return p.CodeLife > 0 && p.CodeTries > 0 && p.PerDay > 0 && p.Patience > 0 && p.Retry > 0 && p.PostItaly > 0 && p.PostAbroad > 0 &&
		p.Reissues >= 0 && p.CallAttempts > 0 && p.CallDays > 0 && p.CallLease > 0 && p.IdentityTries > 0 && p.IdentityPause > 0 && p.Keep > 0
}

// EnrolmentDeps are what Enrolments are made of. Archive may be left out: the
// registry then says where people live. So may Hours, Policy and Logger.
type EnrolmentDeps struct {
	Pins    *Service
	Seal    tink.AEAD // what was typed, at rest
	Archive Archive
	Hours   Hours
	Policy  EnrolmentPolicy
	Logger  *slog.Logger
}

// Enrolments are the requests for a first PIN (R10–R22), from the form to the
// first access, and the calls that come of them. They are safe for concurrent
// use on any number of nodes.
type Enrolments struct {
	pins    *Service
	seal    tink.AEAD
	archive Archive
	hours   Hours
	policy  EnrolmentPolicy
	log     *slog.Logger
	store   enrolmentStore
	// wake is nudged after a commit on this node.
	wake chan struct{}
}

// NewEnrolments makes Enrolments.
func NewEnrolments(d EnrolmentDeps) (*Enrolments, error) {
	if d.Pins == nil || d.Seal == nil {
		return nil, errors.New("credentials: enrolments need Pins and Seal")
	}
	if d.Archive == nil {
		d.Archive = registryArchive{d.Pins.citizens}
	}
	if d.Policy == (EnrolmentPolicy{}) {
		d.Policy = DefaultEnrolmentPolicy()
	}
	if !d.Policy.valid() {
		return nil, errors.New("credentials: every figure of the enrolment policy must be positive")
	}
	if len(d.Hours.Openings) == 0 {
		closed := d.Hours.Closed
		d.Hours = DefaultHours()
		d.Hours.Closed = closed
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return &Enrolments{
		pins: d.Pins, seal: d.Seal, archive: d.Archive, hours: d.Hours, policy: d.Policy, log: d.Logger,
		store: enrolmentStore{db: d.Pins.db, keep: d.Policy.Keep}, wake: make(chan struct{}, 1),
	}, nil
}

// registryArchive is the archive of an institution that has imported it.
type registryArchive struct{ citizens *citizens.Registry }

// Residence says where the registry has a person live.
func (a registryArchive) Residence(ctx context.Context, id citizens.ID) (citizens.Address, error) {
	who, err := a.citizens.ByID(ctx, id)
	return who.Residence, err
}

// Application is what somebody types who asks for a PIN (R10). It holds
// personal data and does not print.
type Application struct {
	FiscalCode citizens.FiscalCode
	Declared   citizens.Declared
	Residence  citizens.Address
	Phone      string // E.164, for the contact centre; no secret is sent there
	Slot       Slot
	Contacts   citizens.Contacts
	Channel    delivery.Channel // of the first half
	Language   string
}

func (Application) String() string       { return "[application]" }
func (Application) GoString() string     { return "[application]" }
func (Application) LogValue() slog.Value { return slog.StringValue("[application]") }

// Format keeps every verb from looking inside.
func (Application) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[application]")) }

// MarshalJSON refuses: what was typed is kept sealed only.
func (Application) MarshalJSON() ([]byte, error) {
	return nil, errors.New("an application is never encoded")
}

// Refusals of an application. Pages find out about each before they send it.
var (
	ErrMinor       = errors.New("people under age ask at an office")
	ErrChannelOff  = errors.New("no contact, or no gateway, for the channel of the first half")
	ErrNoCallPhone = errors.New("a telephone number for the contact centre is needed")
)

// adulthood is the age from which one may ask for a PIN without a parent.
const adulthood = 18

// check refuses what no form of ours sends.
func (e *Enrolments) check(a Application, today citizens.Date) error {
	switch {
	case a.FiscalCode.IsZero() || a.FiscalCode.Provisional():
		return citizens.ErrProvisional
	case Minor(a.Declared.BirthDate, today):
		return ErrMinor
	case a.contact().IsZero() || !e.pins.outbox.Has(a.Channel):
		return ErrChannelOff
	case a.Phone == "":
		return ErrNoCallPhone
	}
	return nil
}

// Minor reports whether somebody born on that day is under age (R10).
func Minor(born, today citizens.Date) bool { return !born.IsZero() && born.Age(today) < adulthood }

// Channels are those by which a first half can leave.
func (e *Enrolments) Channels() []delivery.Channel {
	var on []delivery.Channel
	for _, c := range []delivery.Channel{delivery.SMS, delivery.Email, delivery.PEC} {
		if e.pins.outbox.Has(c) {
			on = append(on, c)
		}
	}
	return on
}

// contact is where the first half goes.
func (a Application) contact() citizens.Contact { return a.Contacts.Of(kindOf(a.Channel)) }

func kindOf(c delivery.Channel) citizens.ContactKind {
	switch c {
	case delivery.SMS:
		return citizens.Mobile
	case delivery.Email:
		return citizens.Email
	case delivery.PEC:
		return citizens.PEC
	case delivery.Post:
	}
	return ""
}

// proved are the contacts that count from the first access on: the one that was
// proved, and the others as they are.
func (a Application) proved() citizens.Contacts {
	c := a.Contacts
	c.Mobile.Verified, c.Email.Verified, c.PEC.Verified = a.Channel == delivery.SMS, a.Channel == delivery.Email, a.Channel == delivery.PEC
	return c
}

// sealedApplication is an Application at rest, only while it is sealed.
type sealedApplication struct {
	FiscalCode string   `json:"fiscal_code"`
	GivenName  string   `json:"given_name"`
	FamilyName string   `json:"family_name"`
	Sex        string   `json:"sex"`
	BirthDate  string   `json:"birth_date"`
	BirthPlace string   `json:"birth_place"`
	Residence  []string `json:"residence"`
	Phone      string   `json:"phone"`
	Slot       string   `json:"slot"`
	Mobile     string   `json:"mobile,omitempty"`
	Email      string   `json:"email,omitempty"`
	PEC        string   `json:"pec,omitempty"`
	Channel    string   `json:"channel"`
	Language   string   `json:"language"`
}

// close seals an application for its row.
func (e *Enrolments) close(id string, a Application) ([]byte, error) {
	r := a.Residence
	plain, err := json.Marshal(sealedApplication{
		FiscalCode: a.FiscalCode.Reveal(), GivenName: a.Declared.GivenName, FamilyName: a.Declared.FamilyName,
		Sex: string(a.Declared.Sex), BirthDate: a.Declared.BirthDate.String(), BirthPlace: a.Declared.BirthPlace,
		Residence: []string{r.Street, r.PostalCode, r.Locality, r.Region, r.Country}, Phone: a.Phone, Slot: string(a.Slot),
		Mobile: a.Contacts.Mobile.Value.Reveal(), Email: a.Contacts.Email.Value.Reveal(), PEC: a.Contacts.PEC.Value.Reveal(),
		Channel: string(a.Channel), Language: a.Language,
	})
	if err != nil {
		return nil, errors.New("a request cannot be encoded") // err could quote it
	}
	defer clear(plain)
	sealed, err := e.seal.Encrypt(plain, enrolmentPlace(id))
	return sealed, wrap("seal a request", err)
}

// open is the way back.
func (e *Enrolments) open(r enrolmentRow) (Application, error) {
	plain, err := e.seal.Decrypt(r.Data, enrolmentPlace(r.ID))
	if err != nil {
		return Application{}, fmt.Errorf("unseal request %s: %w", r.ID, err)
	}
	defer clear(plain)
	var s sealedApplication
	if json.Unmarshal(plain, &s) != nil || len(s.Residence) != 5 {
		return Application{}, fmt.Errorf("request %s cannot be read", r.ID) // the cause could quote it
	}
	a := Application{
		Declared:  citizens.Declared{GivenName: s.GivenName, FamilyName: s.FamilyName, Sex: citizens.Sex(s.Sex), BirthPlace: s.BirthPlace},
		Residence: citizens.Address{Street: s.Residence[0], PostalCode: s.Residence[1], Locality: s.Residence[2], Region: s.Residence[3], Country: s.Residence[4]},
		Phone:     s.Phone, Slot: Slot(s.Slot), Channel: delivery.Channel(s.Channel), Language: s.Language,
	}
	if a.FiscalCode, err = citizens.ParseFiscalCode(s.FiscalCode); err == nil {
		err = a.Declared.BirthDate.UnmarshalText([]byte(s.BirthDate))
	}
	for kind, value := range map[citizens.ContactKind]string{citizens.Mobile: s.Mobile, citizens.Email: s.Email, citizens.PEC: s.PEC} {
		if err == nil && value != "" {
			err = a.setContact(kind, value)
		}
	}
	return a, wrap("read a request", err)
}

func (a *Application) setContact(kind citizens.ContactKind, value string) error {
	v, err := citizens.ParseContact(kind, value)
	switch c := (citizens.Contact{Value: v}); kind {
	case citizens.Mobile:
		a.Contacts.Mobile = c
	case citizens.Email:
		a.Contacts.Email = c
	case citizens.PEC:
		a.Contacts.PEC = c
	}
	return err
}

// enrolmentPlace binds what is sealed to its row.
func enrolmentPlace(id string) []byte { return []byte("enrolments/data/" + id) }

func (e *Enrolments) nudge() {
	select {
	case e.wake <- struct{}{}:
	default: // one is waiting already
	}
}

// event is an audit event about a request.
func (r enrolmentRow) event(t audit.Type, by audit.Actor, why string) audit.Event {
	ev := audit.Event{Type: t, Outcome: audit.Succeeded, Actor: by, Subject: r.CitizenID, Reason: why,
		Details: map[string]string{"request": r.ID, "state": string(r.State)}}
	if r.CredentialID != "" {
		ev.Details["credential"] = string(r.CredentialID)
	}
	return ev
}

// Restricted reports whether not everybody may ask for a PIN (R7), so that
// pages can say who may.
func (e *Enrolments) Restricted() bool { return e.pins.eligibility != citizens.Open }
