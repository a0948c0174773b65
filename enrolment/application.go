package enrolment

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

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
func (q *Requests) check(a Application, today citizens.Date) error {
	switch {
	case a.FiscalCode.IsZero() || a.FiscalCode.Provisional():
		return citizens.ErrProvisional
	case Minor(a.Declared.BirthDate, today):
		return ErrMinor
	case a.contact().IsZero() || !q.outbox.Has(a.Channel):
		return ErrChannelOff
	case a.Phone == "":
		return ErrNoCallPhone
	}
	return nil
}

// Minor reports whether somebody born on that day is under age (R10).
func Minor(born, today citizens.Date) bool { return !born.IsZero() && born.Age(today) < adulthood }

// Channels are those by which a first half can leave.
func (q *Requests) Channels() []delivery.Channel {
	var on []delivery.Channel
	for _, c := range []delivery.Channel{delivery.SMS, delivery.Email, delivery.PEC} {
		if q.outbox.Has(c) {
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
func (q *Requests) close(id string, a Application) ([]byte, error) {
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
	sealed, err := q.seal.Encrypt(plain, place(id))
	return sealed, wrap("seal a request", err)
}

// open is the way back.
func (q *Requests) open(r request) (Application, error) {
	plain, err := q.seal.Decrypt(r.Data, place(r.ID))
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

// place binds what is sealed to its row.
func place(id string) []byte { return []byte("enrolments/data/" + id) }
