package clients_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// invited registers a client by an invitation, and returns it with its token.
func (f fixture) invited(d clients.Document) (clients.Client, string, error) {
	f.t.Helper()
	invitation, err := f.Invite(f.ctx, f.by, clients.Invitation{Profile: clients.ProfileOAuth21, Uses: 1, Life: time.Hour})
	f.must(err)
	r, token, err := f.RegisterOwn(f.ctx, f.by, clients.OwnRegistration{Document: d, Token: invitation.Reveal()})
	return r.Client, token.Reveal(), err
}

// refuses wants the member named that is refused.
func (f fixture) refuses(what string, err error, field string) {
	f.t.Helper()
	if wrong, ok := errors.AsType[*clients.ValidationError](err); !ok || wrong.Field != field {
		f.t.Errorf("%s: %v, want %s refused", what, err, field)
	}
}

// What an administrator has just taken from a client, it does not give itself
// back through a node that has not heard of it yet.
func TestOwnUpdatesDoNotUndoTheAdministrator(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		here, there := newFixture(t, a, clients.Policy{}), newFixture(t, b, clients.Policy{CacheFor: time.Hour})
		d := web()
		d.GrantTypes = []string{clients.GrantAuthorizationCode}
		made, token, err := here.invited(d)
		here.must(err)
		id := made.ID
		given := d
		given.Consent, given.MayIntrospect, given.Resources = clients.ConsentTrusted, true, []string{"https://api.example/"}
		_, err = here.Update(here.ctx, here.by, id, given)
		here.must(err)
		known, err := there.Own(there.ctx, id, token) // as it was then
		there.must(err)
		_, err = here.Update(here.ctx, here.by, id, d)
		here.must(err)
		_, err = there.UpdateOwn(there.ctx, there.by, known, d)
		there.must(err)
		got, err := here.Lookup(here.ctx, id)
		here.must(err)
		if got.Consent != clients.ConsentRemember || got.MayIntrospect || len(got.Resources) > 0 {
			t.Errorf("after its own update: consent %s, may introspect %t, resources %v", got.Consent, got.MayIntrospect, got.Resources)
		}
	})
}

// A grant that was taken away is not kept by a node that remembers it.
func TestOwnUpdatesDoNotKeepGrants(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		here, there := newFixture(t, a, clients.Policy{}), newFixture(t, b, clients.Policy{CacheFor: time.Hour})
		device := clients.Document{Metadata: clients.Metadata{ClientName: "TV", GrantTypes: []string{clients.GrantDeviceCode}}}
		made, token, err := here.invited(device)
		here.must(err)
		known, err := there.Own(there.ctx, made.ID, token)
		there.must(err)
		_, err = here.Update(here.ctx, here.by, made.ID, web())
		here.must(err)
		_, err = there.UpdateOwn(there.ctx, there.by, known, device)
		there.refuses("a grant that was taken away", err, "grant_types")
	})
}

// The sub of a citizen at one sector is nobody else's: a client that answers
// reach without an address cannot point to the address, or the document, of
// another's sector.
func TestNobodyJoinsAnothersSector(t *testing.T) {
	t.Parallel()
	document := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `["https://victim.example/cb"]`)
	}))
	t.Cleanup(document.Close)
	policy := reaching(document)
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, policy)
		device := clients.Document{Metadata: clients.Metadata{ClientName: "TV", GrantTypes: []string{clients.GrantDeviceCode}}}
		alone := device
		alone.SectorIdentifierURI = document.URL
		_, err := f.Register(f.ctx, f.by, alone)
		f.refuses("a sector's document without an address", err, "sector_identifier_uri")
		both := device
		both.RedirectURIs = []string{"https://victim.example/cb"}
		_, _, err = f.invited(both)
		f.refuses("another's address beside the device grant", err, "redirect_uris")
		both.SectorIdentifierURI = document.URL
		_, _, err = f.invited(both)
		f.refuses("another's document beside the device grant", err, "redirect_uris")
		own, token, err := f.invited(device)
		f.must(err)
		c, err := f.Own(f.ctx, own.ID, token)
		f.must(err)
		_, err = f.UpdateOwn(f.ctx, f.by, c, both)
		f.refuses("later", err, "redirect_uris")
	})
}

// What the pages show beside a service's name has to be where its answers go:
// a client that registers itself cannot borrow another's host.
func TestOwnClientsShowNoHostOfAnothers(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		app := clients.Document{Metadata: clients.Metadata{
			ClientName: "App", TokenEndpointAuthMethod: clients.AuthNone, ClientURI: "https://bank.example/",
			RedirectURIs: []string{"com.evil.app:/cb"},
		}}
		c, _, err := f.invited(app)
		f.must(err)
		if got := c.HostAt("com.evil.app:/cb"); got != "" {
			t.Errorf("an app shows the host %q", got)
		}
		app.RedirectURIs = []string{"https://bank.example/cb", "com.evil.app:/cb"}
		app.ApplicationType = clients.ApplicationNative
		c, _, err = f.invited(app)
		f.must(err)
		if got := c.HostAt("com.evil.app:/cb"); got != "" {
			t.Errorf("an app with a second address shows the host %q", got)
		}
		several := web()
		several.RedirectURIs, several.SubjectType = []string{"https://bank.example/cb", "https://evil.example/cb"}, clients.SubjectPublic
		c, _, err = f.invited(several)
		f.must(err)
		if got := c.HostAt("https://evil.example/cb"); got != "evil.example" {
			t.Errorf("a service with two hosts shows %q", got)
		}
		device := clients.Document{Metadata: clients.Metadata{
			ClientName: "TV", GrantTypes: []string{clients.GrantDeviceCode}, ClientURI: "https://bank.example/",
		}}
		c, _, err = f.invited(device)
		f.must(err)
		if got := c.HostAt(""); got != "" {
			t.Errorf("a device shows the host %q", got)
		}
		by := f.register(device).Client
		if got := by.HostAt(""); got != "bank.example" {
			t.Errorf("a device that an administrator registered shows the host %q", got)
		}
	})
}

// What was no lie when it was registered stays none: the addresses that it was
// held against cannot be changed under it.
func TestOwnUpdatesLeaveNoOldAddressBehind(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		d := web()
		d.ApplicationType, d.TokenEndpointAuthMethod = clients.ApplicationNative, clients.AuthNone
		d.ClientURI, d.BackchannelLogoutURI = "https://bank.example/", "https://a.example/out"
		c, _, err := f.invited(d)
		f.must(err)
		moved := d
		moved.RedirectURIs = []string{"https://victim.example/cb"}
		_, err = f.UpdateOwn(f.ctx, f.by, c, moved)
		f.refuses("another's address, and the own ear", err, "backchannel_logout_uri")
		app := d
		app.RedirectURIs, app.BackchannelLogoutURI = []string{"com.evil.app:/cb"}, ""
		r, err := f.UpdateOwn(f.ctx, f.by, c, app)
		f.must(err)
		if got := r.Client.HostAt("com.evil.app:/cb"); got != "" {
			t.Errorf("an app shows the host %q of when it was a web service", got)
		}
	})
}

// Who ends sessions is told of them where its sign-ins end: not at a third
// party that learns somebody else's subjects and sessions.
func TestLogoutAddressesBelongToTheClient(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		front := web()
		front.FrontchannelLogoutURI = "https://elsewhere.example/out"
		_, err := f.Register(f.ctx, f.by, front)
		f.refuses("front channel", err, "frontchannel_logout_uri")
		front.FrontchannelLogoutURI = "https://a.example:444/out"
		_, err = f.Register(f.ctx, f.by, front)
		f.refuses("front channel at another port", err, "frontchannel_logout_uri")
		front.FrontchannelLogoutURI = "https://a.example/out"
		f.register(front)
		back := web()
		back.BackchannelLogoutURI = "https://elsewhere.example/out"
		f.register(back) // an administrator knows
		_, _, err = f.invited(back)
		f.refuses("back channel", err, "backchannel_logout_uri")
		back.BackchannelLogoutURI = "https://a.example:8443/out"
		_, _, err = f.invited(back)
		f.must(err)
	})
}

// Text that a database does not store, and keys that nothing can be encrypted
// to, are refused when they come and not found out later.
func TestRegistrationsThatWouldFailLater(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		nul := web()
		nul.RequestURIs = []string{"https://a.example/object#\x00"}
		_, err := f.Register(f.ctx, f.by, nul)
		f.refuses("NUL in a digest", err, "request_uris")
		zone := web()
		zone.TokenEndpointAuthMethod, zone.SANIP = clients.AuthTLS, "fe80::1%\x00"
		_, err = f.Register(f.ctx, f.by, zone)
		f.refuses("NUL in an address", err, "tls_client_auth_san_ip")
	})
}
