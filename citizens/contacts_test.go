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
