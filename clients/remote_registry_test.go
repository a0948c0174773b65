package clients_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// partner is a relying party's own server, which publishes value at any path.
func partner(t *testing.T, value *atomic.Value) (string, clients.Policy) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(value.Load()); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, reaching(s)
}

// reaching is a policy under which this server may be asked.
func reaching(s *httptest.Server) clients.Policy {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return clients.Policy{Fetch: clients.FetchPolicy{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, RootCAs: roots,
	}}
}

func TestKeysBehindAnAddress(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		var published atomic.Value
		published.Store(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "2026"}}})
		address, policy := partner(t, &published)
		f := newFixture(t, db, policy)
		d := web()
		d.TokenEndpointAuthMethod, d.JWKSURI = clients.AuthPrivateKeyJWT, address+"/jwks"
		made := f.register(d)
		if !made.Secret.IsZero() {
			t.Error("private_key_jwt got a secret")
		}
		keys, err := f.Keys(f.ctx, made.Client, "2026")
		if err != nil || len(keys) != 1 || !key.PublicKey.Equal(keys[0].Key) {
			t.Errorf("Keys = %v, %v", keys, err)
		}
		if keys, err := f.Keys(f.ctx, made.Client, "2025"); err != nil || len(keys) != 0 {
			t.Errorf("Keys of an unknown kid = %v, %v", keys, err)
		}
		strict := newFixture(t, db, clients.Policy{}) // nothing inside is allowed here
		if _, err := strict.Keys(f.ctx, made.Client, "2026"); !errors.Is(err, clients.ErrKeys) {
			t.Errorf("Keys from the loopback = %v, want ErrKeys", err)
		}
	})
}

func TestKeysInTheDocument(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		f := newFixture(t, db, clients.Policy{})
		d := web()
		d.TokenEndpointAuthMethod = clients.AuthPrivateKeyJWT
		d.JWKS, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public()}}}) // no use, no kid
		f.must(err)
		id := f.register(d).Client.ID
		c, err := f.Get(f.ctx, id)
		f.must(err)
		keys, err := f.Keys(f.ctx, c, "any")
		if err != nil || len(keys) != 1 || !key.PublicKey.Equal(keys[0].Key) {
			t.Errorf("Keys = %v, %v", keys, err)
		}
	})
}

// TestSectorDocument: a client joins only the sector that lists it.
func TestSectorDocument(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		var listed atomic.Value
		listed.Store([]string{"https://a.example/cb"})
		address, policy := partner(t, &listed)
		f := newFixture(t, db, policy)
		d := web()
		d.SectorIdentifierURI = address + "/sector"
		if got := f.register(d).Client.SectorID(); got != "127.0.0.1" {
			t.Errorf("SectorID = %q", got)
		}
		d.RedirectURIs = append(d.RedirectURIs, "https://b.example/cb")
		_, err := f.Register(f.ctx, f.by, d)
		if wrong, ok := errors.AsType[*clients.ValidationError](err); !ok || wrong.Field != "sector_identifier_uri" {
			t.Errorf("Register = %v, want the sector refused", err)
		}
		d.SectorIdentifierURI = "https://10.0.0.1/sector"
		_, err = f.Register(f.ctx, f.by, d)
		if wrong, ok := errors.AsType[*clients.ValidationError](err); !ok || wrong.Reason != "cannot be read" {
			t.Errorf("Register = %v, want no more than that it cannot be read", err)
		}
	})
}

// TestConcurrentChanges: of many on two nodes each takes effect once, and has
// its record.
func TestConcurrentChanges(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		nodes := []fixture{newFixture(t, a, clients.Policy{}), newFixture(t, b, clients.Policy{})}
		id := nodes[0].register(web()).Client.ID
		databasetest.Barrier(20, func(i int) {
			f := nodes[i%2]
			var err error
			if i < 10 {
				err = f.Disable(t.Context(), f.by, id)
			} else {
				_, err = f.Register(t.Context(), f.by, web())
			}
			if err != nil {
				t.Error(err)
			}
		})
		if got := nodes[0].events(id); !slices.Equal(got, []string{"client.registered", "client.disabled"}) {
			t.Errorf("audited %v", got)
		}
		list, err := nodes[1].List(t.Context())
		nodes[1].must(err)
		versions := map[int64]bool{}
		for _, c := range list {
			versions[c.Version] = true
		}
		if len(list) != 11 || len(versions) != 11 {
			t.Errorf("%d clients with %d versions, want 11", len(list), len(versions))
		}
	})
}
