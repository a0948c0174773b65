package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/cmd/idp/demo"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
	"ente.example/idp/secrets"
)

// house is the whole program running in this process: real listeners, a real
// database whose clock can be moved, and the sample service beside it.
type house struct {
	*services
	t       *testing.T
	service string // address of the sample service
	api     string
	client  clients.Client
	secret  string
	admin   string
	stop    func() error
	log     *logBuffer
}

// each runs fn against a house on SQLite and one on PostgreSQL.
func each(t *testing.T, fn func(h *house)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		fn(newHouse(t, databasetest.SQLite(t)))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		fn(newHouse(t, databasetest.Postgres(t)))
	})
}

func newHouse(t *testing.T, url string) *house {
	t.Helper()
	return nodeOf(t, url, newKeys(t), &database.Clock{}, filepath.Join(t.TempDir(), "outbox"))
}

// newKeys is the folder with the secrets of a new installation.
func newKeys(t testing.TB) string {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "secrets")
	if err := secrets.Init(keys); err != nil {
		t.Fatal(err)
	}
	return keys
}

// testPolicy makes PIN hashes cheap, which only a loopback issuer may.
const testPolicy = `{"hash.memory_kib": 64, "drain.delay": "1ms"}`

func nodeOf(t *testing.T, url, keys string, clock *database.Clock, outbox string) *house {
	t.Helper()
	s := houseSettings(t, url, keys)
	s.OutboxDir = outbox
	return nodeWith(t, s, clock, delivery.Network{})
}

// houseSettings are those of a house on free ports of this machine.
func houseSettings(t testing.TB, url, keys string) settings {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte(testPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	listen, admin := freePort(t), freePort(t)
	return settings{
		Issuer: "http://localhost:" + port(listen), Listen: listen, AdminListen: admin, DatabaseURL: url, SecretsDir: keys,
		PolicyFile: policy, Eligibility: "open", PINAlphabet: "digits", Captcha: "none", Registration: "off", RegistrationProfile: "oauth2.1",
		LogLevel: "debug", LogFormat: "json",
	}
}

func nodeWith(t *testing.T, s settings, clock *database.Clock, network delivery.Network) *house {
	t.Helper()
	log := &logBuffer{}
	v, err := wire(t.Context(), s, options{
		logger: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		open: func(context.Context, string) (*database.DB, error) {
			return databasetest.Open(t, s.DatabaseURL, clock), nil
		},
		network: network,
	})
	if err != nil {
		t.Fatal(err)
	}
	if v.receipts != nil {
		v.receipts.Poll = 20 * time.Millisecond
	}
	h := &house{services: v, t: t, admin: s.AdminListen, log: log}
	h.serve()
	return h
}

// serve runs the house until the test ends or stop is called.
func (h *house) serve() { h.serveWith(workerNames) }

func (h *house) serveWith(workers []string) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	up, ended := make(chan struct{}), make(chan error, 1)
	g.Go(func() error {
		return h.services.serve(ctx, workers, func(net.Addr, net.Addr) { close(up) })
	})
	go func() { ended <- g.Wait() }()
	select {
	case <-up:
	case err := <-ended:
		h.t.Fatal(err)
	}
	stopped := false
	h.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	h.t.Cleanup(func() {
		if err := h.stop(); err != nil {
			h.t.Errorf("serve ended with: %v", err)
		}
	})
}

// open registers the sample service and starts it at http://127.0.0.1, which
// for a browser is another site than http://localhost.
func (h *house) open(change func(*clients.Document)) *house {
	h.t.Helper()
	address := freePort(h.t)
	h.service, h.api = "http://"+address, "http://"+address+"/api"
	doc := clients.Document{
		Metadata: clients.Metadata{
			ClientName: "Estratto conto", ClientURI: h.service + "/", InitiateLoginURI: "",
			RedirectURIs: []string{h.service + "/callback"}, PostLogoutRedirectURIs: []string{h.service + "/"},
			GrantTypes: []string{"authorization_code", "refresh_token"},
			Scope:      clients.ParseScope("openid profile email phone address fiscal_code pin offline_access"),
			Purpose:    "Riconoscerti e mostrarti i contributi versati a tuo nome.",
		},
		Resources: []string{h.settings.Issuer, h.api},
	}
	if change != nil {
		change(&doc)
	}
	r, err := h.clients.Register(h.t.Context(), operator(), doc)
	if err != nil {
		h.t.Fatal(err)
	}
	h.client, h.secret = r.Client, r.Secret.Reveal()
	service := &demo.Service{
		Issuer: h.settings.Issuer, Address: h.service, ClientID: r.Client.ID, ClientSecret: h.secret, Scopes: doc.Scope,
	}
	if service.ScreenID, err = h.registerScreen(h.t.Context(), h.service); err != nil {
		h.t.Fatal(err)
	}
	site, err := service.Handler()
	if err != nil {
		h.t.Fatal(err)
	}
	h.beside(address, site)
	return h
}

func (h *house) beside(address string, site http.Handler) {
	h.t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		h.t.Fatal(err)
	}
	s := &http.Server{Handler: site}
	go func() { _ = s.Serve(l) }()
	h.t.Cleanup(func() { _ = s.Close() })
}

// people imports the demo's people.
func (h *house) people() *house {
	h.t.Helper()
	if _, err := h.importPeople(h.t.Context(), strings.NewReader(string(samplePeople)), citizens.ImportOptions{}); err != nil {
		h.t.Fatal(err)
	}
	return h
}

// firstPIN issues a PIN and reads its halves from the outbox.
func (h *house) firstPIN(cf string) string {
	h.t.Helper()
	if err := h.issue(h.t.Context(), cf); err != nil {
		h.t.Fatal(err)
	}
	return h.arrived(cf).Reveal()
}

// activePIN takes somebody through the first access.
func (h *house) activePIN(cf string) string {
	h.t.Helper()
	pin, err := h.activate(h.t.Context(), cf)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.forgetHalves(); err != nil { // the next person's halves must not be mixed with hers
		h.t.Fatal(err)
	}
	return pin.Reveal()
}

// arrived waits for somebody's halves and puts them together.
func (h *house) arrived(cf string) credentials.PIN {
	h.t.Helper()
	fc, err := parseCF(cf)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	pin, err := h.await(ctx, fc)
	if err != nil {
		h.t.Fatalf("the halves did not arrive: %v", err)
	}
	return pin
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
