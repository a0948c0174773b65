package clients_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/secrets"
)

var scopes = strings.Fields("openid profile email phone address fiscal_code pin offline_access")

// fixture is a registry on a database, and the operator who uses it.
type fixture struct {
	*clients.Registry
	t   *testing.T
	ctx context.Context
	db  *database.DB
	by  audit.Actor
}

// newFixture asks the database at every Get, unless the policy says otherwise.
func newFixture(t *testing.T, db *database.DB, p clients.Policy) fixture {
	t.Helper()
	keys, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.New(audit.Deps{DB: db, Signer: keys.AuditSigner(), Verifier: keys.AuditVerifier()})
	if err != nil {
		t.Fatal(err)
	}
	if p.CacheFor == 0 {
		p.CacheFor = time.Nanosecond
	}
	r, err := clients.New(clients.Deps{DB: db, Audit: log, Policy: p, Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{r, t, t.Context(), db, audit.Actor{Kind: audit.Operator, ID: "anna"}}
}

// web is a web client's document.
func web() clients.Document {
	return clients.Document{Metadata: clients.Metadata{RedirectURIs: []string{"https://a.example/cb"}, ClientName: "Servizio"}}
}

func (f fixture) register(d clients.Document) clients.Registered {
	f.t.Helper()
	got, err := f.Register(f.ctx, f.by, d)
	if err != nil {
		f.t.Fatal(err)
	}
	return got
}

func (f fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// accepts checks a secret against the client as Get answers it.
func (f fixture) accepts(id, secret string, want bool) {
	f.t.Helper()
	c, err := f.Get(f.ctx, id)
	f.must(err)
	got, err := f.CheckSecret(f.ctx, c, secret)
	if err != nil || got != want {
		f.t.Errorf("CheckSecret = %v, %v, want %v", got, err, want)
	}
}

// events are the types of what was audited for a client, oldest first.
func (f fixture) events(id string) []string {
	f.t.Helper()
	var types []string
	f.must(f.db.Read(f.ctx).Raw("SELECT type FROM audit_events WHERE client_id = ? ORDER BY id", id).Scan(&types).Error)
	return types
}

func TestRegister(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		made := f.register(web())
		if len(made.Secret.Reveal()) != 43 { // 256 bits in base64url
			t.Errorf("secret has %d characters, want 43", len(made.Secret.Reveal()))
		}
		c, err := f.Get(f.ctx, made.Client.ID)
		if err != nil || c.ClientName != "Servizio" || !c.RequirePKCE || c.SectorID() != "a.example" {
			t.Errorf("Get = %+v, %v", c, err)
		}
		f.accepts(c.ID, made.Secret.Reveal(), true)
		f.accepts(c.ID, made.Secret.Reveal()+"x", false)
		f.accepts(c.ID, "", false)
		var answer map[string]any
		data, err := made.Encode()
		if err != nil || json.Unmarshal(data, &answer) != nil || answer["client_secret"] != made.Secret.Reveal() ||
			answer["client_id"] != c.ID || answer["client_secret_expires_at"] != 0.0 || answer["scope"] != clients.DefaultScope {
			t.Errorf("Encode = %s, %v", data, err)
		}
		if got := f.events(c.ID); !slices.Equal(got, []string{"client.registered"}) {
			t.Errorf("audited %v", got)
		}
	})
}

func TestSecretIsNowhere(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		made := f.register(web())
		c, err := f.Get(f.ctx, made.Client.ID)
		f.must(err)
		for _, printed := range []string{fmt.Sprintf("%v %+v %#v %s", made, made, made, made.Secret), fmt.Sprintf("%+v", c)} {
			if strings.Contains(printed, made.Secret.Reveal()) {
				t.Errorf("the secret is printed: %s", printed)
			}
		}
		if _, err := json.Marshal(made); err == nil {
			t.Error("a secret was encoded without being asked for")
		}
		var stored []string
		f.must(db.Read(f.ctx).Raw("SELECT metadata FROM clients").Scan(&stored).Error)
		if strings.Contains(stored[0], made.Secret.Reveal()) || strings.Contains(stored[0], "client_id") {
			t.Errorf("stored %s", stored)
		}
	})
}

func TestClientsWithoutSecret(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		d := web()
		d.TokenEndpointAuthMethod = clients.AuthNone
		made := f.register(d)
		if !made.Secret.IsZero() {
			t.Error("a public client got a secret")
		}
		f.accepts(made.Client.ID, "", false)
		if _, err := f.RotateSecret(f.ctx, f.by, made.Client.ID); !errors.Is(err, clients.ErrNoSecret) {
			t.Errorf("RotateSecret = %v, want ErrNoSecret", err)
		}
		if ok, err := f.CheckSecret(f.ctx, clients.Client{}, "x"); ok || err != nil {
			t.Errorf("CheckSecret of an unknown client = %v, %v", ok, err)
		}
	})
}

func TestUnknownClients(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		for _, id := range []string{"", "x", "a\x00b", "é", strings.Repeat("a", 256)} {
			if _, err := f.Get(f.ctx, id); !errors.Is(err, clients.ErrUnknown) {
				t.Errorf("Get(%q) = %v, want ErrUnknown", id, err)
			}
			if err := f.Disable(f.ctx, f.by, id); !errors.Is(err, clients.ErrUnknown) {
				t.Errorf("Disable(%q) = %v, want ErrUnknown", id, err)
			}
			if _, err := f.Update(f.ctx, f.by, id, web()); !errors.Is(err, clients.ErrUnknown) {
				t.Errorf("Update(%q) = %v, want ErrUnknown", id, err)
			}
		}
	})
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		made := f.register(web())
		id := made.Client.ID

		shown := made.Client.Document() // what `clients show` gives may be given back
		if _, err := f.Update(f.ctx, f.by, id, shown); err != nil {
			t.Fatal(err)
		}
		if got := f.events(id); len(got) != 1 {
			t.Errorf("an update of nothing was audited: %v", got)
		}
		shown.RedirectURIs = []string{"https://b.example/cb"}
		done, err := f.Update(f.ctx, f.by, id, shown)
		if err != nil || len(done.Notes) != 1 || !strings.Contains(done.Notes[0], "sector") {
			t.Errorf("Update = notes %v, %v; want the new sector noted", done.Notes, err)
		}
		c, err := f.Get(f.ctx, id)
		if err != nil || !c.MatchRedirect("https://b.example/cb") || c.MatchRedirect("https://a.example/cb") {
			t.Errorf("Get = %v, %v", c.RedirectURIs, err)
		}
		f.accepts(id, made.Secret.Reveal(), true)
		if got := f.events(id); !slices.Equal(got, []string{"client.registered", "client.updated"}) {
			t.Errorf("audited %v", got)
		}
		shown.RedirectURIs = []string{"http://b.example/cb"}
		if _, err := f.Update(f.ctx, f.by, id, shown); err == nil {
			t.Error("a bad redirect URI was accepted")
		}
		shown = c.Document()
		shown.ClientID = "another"
		if _, err := f.Update(f.ctx, f.by, id, shown); err == nil {
			t.Error("another client's document was accepted")
		}
		shown.ClientID, shown.Disabled = "", true
		if _, err := f.Update(f.ctx, f.by, id, shown); err == nil {
			t.Error("update disabled a client")
		}
	})
}

func TestUpdateChangesTheAuthenticationMethod(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		made := f.register(web())
		id := made.Client.ID
		d := web()
		d.TokenEndpointAuthMethod = clients.AuthNone
		if done, err := f.Update(f.ctx, f.by, id, d); err != nil || !done.Secret.IsZero() {
			t.Fatalf("Update to none = %v, %v", done, err)
		}
		f.accepts(id, made.Secret.Reveal(), false)
		d.TokenEndpointAuthMethod = clients.AuthPost
		done, err := f.Update(f.ctx, f.by, id, d)
		if err != nil || done.Secret.IsZero() {
			t.Fatalf("Update to client_secret_post = %v, %v; want a secret", done, err)
		}
		f.accepts(id, made.Secret.Reveal(), false)
		f.accepts(id, done.Secret.Reveal(), true)
	})
}

func TestDisable(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		id := f.register(web()).Client.ID
		for range 2 { // the second changes nothing
			f.must(f.Disable(f.ctx, f.by, id))
		}
		if _, err := f.Get(f.ctx, id); !errors.Is(err, clients.ErrDisabled) {
			t.Errorf("Get = %v, want ErrDisabled", err)
		}
		if c, err := f.Lookup(f.ctx, id); err != nil || !c.Disabled {
			t.Errorf("Lookup = %v, %v", c.Disabled, err)
		}
		if done, err := f.Update(f.ctx, f.by, id, web()); err != nil || !done.Client.Disabled {
			t.Errorf("an update enabled the client: %v", err)
		}
		f.must(f.Enable(f.ctx, f.by, id))
		if _, err := f.Get(f.ctx, id); err != nil {
			t.Errorf("Get = %v", err)
		}
		want := []string{"client.registered", "client.disabled", "client.enabled"}
		if got := f.events(id); !slices.Equal(got, want) {
			t.Errorf("audited %v, want %v", got, want)
		}
	})
}

// TestNoChangeWithoutItsRecord: an event that cannot be written takes the
// change with it.
func TestNoChangeWithoutItsRecord(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		made := f.register(web())
		f.must(db.Write(f.ctx).Exec("ALTER TABLE audit_queue RENAME TO elsewhere").Error)
		if _, err := f.Register(f.ctx, f.by, web()); err == nil {
			t.Error("registered without a record")
		}
		if _, err := f.RotateSecret(f.ctx, f.by, made.Client.ID); err == nil {
			t.Error("rotated without a record")
		}
		if err := f.Disable(f.ctx, f.by, made.Client.ID); err == nil {
			t.Error("disabled without a record")
		}
		f.accepts(made.Client.ID, made.Secret.Reveal(), true)
		if list, err := f.List(f.ctx); err != nil || len(list) != 1 {
			t.Errorf("List = %d, %v, want the one client", len(list), err)
		}
	})
}
