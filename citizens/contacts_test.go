package citizens_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ente.example/idp/citizens"
)

// R52: what is not given again is not inherited.
func TestR52ReplaceContacts(t *testing.T) {
	each(t, func(f fixture) {
		f.imports("RSSMRA80A01H501U,Mario,Rossi"+strings.Repeat(",", 13)+"+393401234567,mario@posta.example,,\n", citizens.ImportOptions{})
		before := f.person("RSSMRA80A01H501U")
		contact := func(kind citizens.ContactKind, s string, proved bool) citizens.Contact {
			v, err := citizens.ParseContact(kind, s)
			if err != nil {
				f.Fatal(err)
			}
			return citizens.Contact{Value: v, Verified: proved}
		}
		want := citizens.Contacts{
			Email: contact(citizens.Email, "altro@posta.example", true), PEC: contact(citizens.PEC, "mario@pec.example", false),
		}
		if err := f.registry.ReplaceContacts(f.Context(), before.ID, want); !errors.Is(err, citizens.ErrNoTransaction) {
			f.Errorf("outside a transaction: %v, want ErrNoTransaction", err)
		}
		err := f.db.InTx(f.Context(), func(ctx context.Context) error { return f.registry.ReplaceContacts(ctx, before.ID, want) })
		if err != nil {
			f.Fatal(err)
		}
		if got := f.person("RSSMRA80A01H501U").Contacts; got != want {
			f.Errorf("contacts differ: mobile is gone: %v, email: %v, PEC: %v", got.Mobile.IsZero(), got.Email == want.Email, got.PEC == want.PEC)
		}
	})
}

// One contact changes and the others stay; nothing happens to nobody, and
// nothing outside a transaction.
func TestOneContactChanges(t *testing.T) {
	each(t, func(f fixture) {
		f.imports("RSSMRA80A01H501U,Mario,Rossi"+strings.Repeat(",", 13)+"+393401234567,mario@posta.example,,\n", citizens.ImportOptions{})
		before := f.person("RSSMRA80A01H501U")
		v, err := citizens.ParseContact(citizens.Mobile, "+393497654321")
		if err != nil {
			f.Fatal(err)
		}
		in := func(fn func(ctx context.Context) error) error { return f.db.InTx(f.Context(), fn) }
		set := func(ctx context.Context) error {
			return f.registry.SetContact(ctx, before.ID, citizens.Contact{Value: v, Verified: true})
		}
		remove := func(ctx context.Context) error { return f.registry.RemoveContact(ctx, before.ID, citizens.Email) }
		hold := func(ctx context.Context) error { return f.registry.Hold(ctx, before.ID) }
		for name, fn := range map[string]func(ctx context.Context) error{"set": set, "remove": remove, "hold": hold} {
			if err := fn(f.Context()); !errors.Is(err, citizens.ErrNoTransaction) {
				f.Errorf("%s outside a transaction: %v, want ErrNoTransaction", name, err)
			}
		}
		for _, nobody := range []citizens.ID{"01890000-0000-7000-8000-000000000001", "nobody"} {
			if err := in(func(ctx context.Context) error { return f.registry.Hold(ctx, nobody) }); !errors.Is(err, citizens.ErrUnknown) {
				f.Errorf("hold %s: %v, want ErrUnknown", nobody, err)
			}
		}
		for _, fn := range []func(ctx context.Context) error{hold, set} {
			if err := in(fn); err != nil {
				f.Fatal(err)
			}
		}
		got := f.person("RSSMRA80A01H501U").Contacts
		if got.Mobile.Value != v || !got.Mobile.Verified || got.Email != before.Contacts.Email {
			f.Error("a mobile that is set is not there, or the e-mail is another")
		}
		if err := in(remove); err != nil {
			f.Fatal(err)
		}
		if got := f.person("RSSMRA80A01H501U").Contacts; !got.Email.IsZero() || got.Mobile.Value != v {
			f.Error("an e-mail that is removed is there, or the mobile is gone")
		}
	})
}
