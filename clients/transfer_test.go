package clients_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// exported is what `clients export` writes.
func (f fixture) exported() []byte {
	f.t.Helper()
	docs, err := f.Export(f.ctx)
	f.must(err)
	data, err := json.Marshal(docs)
	f.must(err)
	return data
}

func (f fixture) imports(data []byte) (clients.ImportReport, error) {
	f.t.Helper()
	docs, err := clients.DecodeList(bytes.NewReader(data))
	f.must(err)
	return f.Import(f.ctx, f.by, docs)
}

// TestMove: ids, secrets, rotated secrets and states survive a move from
// either database to either.
func TestMove(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, from *database.DB) {
		old := newFixture(t, from, clients.Policy{})
		first := old.register(web())
		second := old.rotate(first.Client.ID)
		machine := old.register(clients.Document{Metadata: clients.Metadata{GrantTypes: []string{clients.GrantClientCredentials}}})
		old.must(old.Disable(old.ctx, old.by, machine.Client.ID))
		data := old.exported()
		if bytes.Contains(data, []byte(second)) || !bytes.Contains(data, []byte("client_secret_digest")) {
			t.Errorf("exported %s", data)
		}

		databasetest.Each(t, func(t *testing.T, to *database.DB) {
			f := newFixture(t, to, clients.Policy{})
			report, err := f.imports(data)
			if want := (clients.ImportReport{Added: 2}); err != nil || report != want {
				t.Fatalf("Import = %+v, %v, want %+v", report, err, want)
			}
			f.accepts(first.Client.ID, first.Secret.Reveal(), true)
			f.accepts(first.Client.ID, second, true)
			if _, err := f.Get(f.ctx, machine.Client.ID); !errors.Is(err, clients.ErrDisabled) {
				t.Errorf("Get of the disabled one = %v", err)
			}
			var want, got any
			f.must(json.Unmarshal(data, &want))
			f.must(json.Unmarshal(f.exported(), &got))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("exported again (-first +second):\n%s", diff)
			}
			report, err = f.imports(data)
			if want := (clients.ImportReport{Unchanged: 2}); err != nil || report != want {
				t.Errorf("second Import = %+v, %v, want %+v", report, err, want)
			}
			databasetest.Shift(t, to, 25*time.Hour)
			f.accepts(first.Client.ID, first.Secret.Reveal(), false)
			f.accepts(first.Client.ID, second, true)
		})
	})
}

func TestImportUpdates(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		made := f.register(web())
		d := web()
		d.ClientID, d.ClientName = made.Client.ID, "Altro nome"
		report, err := f.Import(f.ctx, f.by, []clients.Document{d})
		if want := (clients.ImportReport{Updated: 1}); err != nil || report != want {
			t.Fatalf("Import = %+v, %v", report, err)
		}
		f.accepts(made.Client.ID, made.Secret.Reveal(), true) // it said nothing of secrets
		if c, err := f.Get(f.ctx, made.Client.ID); err != nil || c.ClientName != "Altro nome" {
			t.Errorf("Get = %q, %v", c.ClientName, err)
		}
	})
}

func TestImportIsAllOrNothing(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("ab", 32)
	good := func(id string) clients.Document {
		d := web()
		d.ClientID, d.SecretDigest = id, digest
		return d
	}
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		for name, spoil := range map[string]func(*clients.Document){
			"no id":                func(d *clients.Document) { d.ClientID = "" },
			"id of another":        func(d *clients.Document) { d.ClientID = "one" },
			"no digest":            func(d *clients.Document) { d.SecretDigest = "" },
			"short digest":         func(d *clients.Document) { d.SecretDigest = "sha256:abcd" },
			"digest of a public":   func(d *clients.Document) { d.TokenEndpointAuthMethod = clients.AuthNone },
			"bad redirect":         func(d *clients.Document) { d.RedirectURIs = []string{"http://a.example"} },
			"previous without end": func(d *clients.Document) { d.PreviousSecrets = []clients.PreviousSecret{{Digest: digest}} },
			"previous the same": func(d *clients.Document) {
				d.PreviousSecrets = []clients.PreviousSecret{{Digest: digest, EndsAt: time.Now()}}
			},
			"previous alone": func(d *clients.Document) {
				d.SecretDigest, d.PreviousSecrets = "", []clients.PreviousSecret{{Digest: digest, EndsAt: time.Now()}}
			},
		} {
			bad := good("two")
			spoil(&bad)
			_, err := f.Import(f.ctx, f.by, []clients.Document{good("one"), bad})
			if _, ok := errors.AsType[*clients.ValidationError](err); !ok || !strings.Contains(err.Error(), "client 2: ") {
				t.Errorf("%s: Import = %v, want client 2 refused", name, err)
			}
		}
		if list, err := f.List(f.ctx); err != nil || len(list) != 0 {
			t.Errorf("List = %d, %v, want nothing imported", len(list), err)
		}
	})
}

func TestRegisterTakesNoIDOrSecret(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		d := web()
		d.ClientID = "mine"
		if _, err := f.Register(f.ctx, f.by, d); err == nil {
			t.Error("registered with an id of its own")
		}
	})
}
