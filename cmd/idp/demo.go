package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/cmd/idp/demo"
	"ente.example/idp/credentials"
)

// demoCommand runs everything on one machine, with real parts: a provider, a
// service that signs people in with it, and a viewer of what it sends.
type demoCommand struct {
	Provider string `help:"Where the provider listens." default:"localhost:8080"`
	Service  string `help:"Where the sample service listens." default:"localhost:8081"`
	Viewer   string `help:"Where the outbox viewer listens." default:"localhost:8082"`
	Admin    string `help:"Where health and metrics listen." default:"localhost:9090"`
}

//go:embed demo/people.csv
var samplePeople []byte

// The two sample people that the terminal speaks of.
const (
	newcomer = "RSSMRA80A01H501U" // his first PIN waits in the outbox
	regular  = "BNCNMR72H55F839M" // her PIN is in use
)

// Run prepares a temporary installation and serves it until interrupted.
func (c *demoCommand) Run(i *invocation) error {
	dir, err := os.MkdirTemp("", "idp-demo-")
	if err != nil {
		return err
	}
	return errors.Join(c.run(i, dir), os.RemoveAll(dir))
}

func (c *demoCommand) run(i *invocation, dir string) error {
	s := c.settings(dir)
	setup := invocation{program: program{in: i.in, out: io.Discard, err: i.err}, ctx: i.ctx, settings: s}
	if err := (&secretsInit{Dir: s.SecretsDir}).Run(&setup); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(i.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	v, err := wire(i.ctx, s, options{logger: logger, open: openDatabase, migrate: true, self: i.self})
	if err != nil {
		return err
	}
	return errors.Join(c.serve(i, v), v.close())
}

// settings are those of a provider on this machine, everything in dir.
func (c *demoCommand) settings(dir string) settings {
	return settings{
		Issuer: "http://" + c.Provider, Listen: c.Provider, AdminListen: c.Admin,
		DatabaseURL: "sqlite:" + filepath.Join(dir, "idp.db"), SecretsDir: filepath.Join(dir, "secrets"),
		Eligibility: string(citizens.Open), PINAlphabet: string(credentials.Digits), Captcha: "image", Registration: "off", RegistrationProfile: "oauth2.1",
		OutboxDir: filepath.Join(dir, "outbox"), LogLevel: "warn", LogFormat: "text",
	}
}

func (c *demoCommand) serve(i *invocation, v *services) error {
	v.policy.drain = time.Millisecond // nobody balances a load here
	ctx, cancel := context.WithCancel(i.ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	up := make(chan struct{})
	g.Go(func() error {
		return v.serve(ctx, workerNames, func(net.Addr, net.Addr) { close(up) })
	})
	g.Go(func() error {
		select {
		case <-up:
		case <-ctx.Done():
			return nil
		}
		return c.open(ctx, i, v, g)
	})
	return g.Wait()
}

// open fills the registry, starts what stands around the provider, and says
// what to look at.
func (c *demoCommand) open(ctx context.Context, i *invocation, v *services, g *errgroup.Group) error {
	if _, err := v.importPeople(ctx, bytes.NewReader(samplePeople), citizens.ImportOptions{}); err != nil {
		return err
	}
	service, err := c.register(ctx, v)
	if err != nil {
		return err
	}
	if service.ScreenID, err = v.registerScreen(ctx, service.Address); err != nil {
		return err
	}
	site, err := service.Handler()
	if err != nil {
		return err
	}
	box, err := (&demo.Viewer{Dir: v.settings.OutboxDir}).Handler()
	if err != nil {
		return err
	}
	for address, h := range map[string]http.Handler{c.Service: site, c.Viewer: box} {
		if err := beside(ctx, g, address, h); err != nil {
			return err
		}
	}
	pin, err := v.activate(ctx, regular)
	if err != nil {
		return fmt.Errorf("prepare the person with an active PIN: %w", err)
	}
	// her halves are used up: those that are left in the outbox are his alone
	if err := v.forgetHalves(); err != nil {
		return err
	}
	if err := v.issue(ctx, newcomer); err != nil {
		return fmt.Errorf("prepare the person with a first PIN: %w", err)
	}
	return c.tell(i.out, pin)
}

func (c *demoCommand) tell(out io.Writer, pin credentials.PIN) error {
	_, err := fmt.Fprintf(out, `
  Sample service   http://%s   open this one and choose "Entra", or
                                           enter from its television with a QR code
  Outbox viewer    http://%s   phone, mailbox, PEC, letter box
  Provider         http://%s

  First access     codice fiscale %s, PIN: the 16 characters
                   of the two halves in the outbox viewer, first half first
  PIN in use       codice fiscale %s, PIN %s

  Ctrl-C ends it and leaves nothing behind.

`, c.Service, c.Viewer, c.Provider, newcomer, regular, pin.Reveal())
	return err
}

// register makes the sample service a client.
func (c *demoCommand) register(ctx context.Context, v *services) (*demo.Service, error) {
	address := "http://" + c.Service
	asked := clients.ParseScope("openid profile email phone address fiscal_code pin offline_access")
	r, err := v.clients.Register(ctx, operator(), clients.Document{
		Metadata: clients.Metadata{
			ClientName: "Estratto conto", ClientURI: address + "/", InitiateLoginURI: address + "/login",
			RedirectURIs: []string{address + "/callback"}, PostLogoutRedirectURIs: []string{address + "/"},
			GrantTypes: []string{"authorization_code", "refresh_token"}, Scope: asked,
			Purpose: "Riconoscerti e mostrarti i contributi versati a tuo nome.",
		},
		Resources: []string{v.settings.Issuer, address + "/api"},
	})
	if err != nil {
		return nil, fmt.Errorf("register the sample service: %w", err)
	}
	return &demo.Service{
		Issuer: v.settings.Issuer, Address: address, ClientID: r.Client.ID, ClientSecret: r.Secret.Reveal(), Scopes: asked,
	}, nil
}

// registerScreen makes the sample service's television a client of its own: it
// keeps no secret, and its user signs in elsewhere.
func (v *services) registerScreen(ctx context.Context, address string) (id string, err error) {
	r, err := v.clients.Register(ctx, operator(), clients.Document{
		Metadata: clients.Metadata{
			ClientName: "Estratto conto sul televisore", ClientURI: address + "/",
			TokenEndpointAuthMethod: clients.AuthNone, GrantTypes: []string{clients.GrantDeviceCode}, Scope: clients.ParseScope("openid profile"),
			Purpose: "Mostrarti i contributi versati a tuo nome su uno schermo grande.",
		},
	})
	if err != nil {
		return "", fmt.Errorf("register the sample service's television: %w", err)
	}
	return r.Client.ID, nil
}

// beside serves h at address until ctx ends.
func beside(ctx context.Context, g *errgroup.Group, address string, h http.Handler) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	g.Go(func() error { return serveUntilClosed(s, l) })
	g.Go(func() error {
		<-ctx.Done()
		return s.Close()
	})
	return nil
}

// issue makes a first PIN, as idp pins issue does.
func (v *services) issue(ctx context.Context, cf string) error {
	fc, err := citizens.ParseFiscalCode(cf)
	if err != nil {
		return err
	}
	return v.pins.Issue(ctx, operator(), fc, credentials.Ordinario)
}

// activate takes somebody through the first access, with the halves that
// really left, and returns the PIN that she has now.
func (v *services) activate(ctx context.Context, cf string) (credentials.PIN, error) {
	if err := v.issue(ctx, cf); err != nil {
		return credentials.PIN{}, err
	}
	fc, err := citizens.ParseFiscalCode(cf)
	if err != nil {
		return credentials.PIN{}, err
	}
	first, err := v.await(ctx, fc)
	if err != nil {
		return credentials.PIN{}, err
	}
	known, err := v.pins.Verify(ctx, operator(), fc, first)
	if err != nil {
		return credentials.PIN{}, err
	}
	id, err := v.pins.StartChange(ctx, operator(), known)
	if err != nil {
		return credentials.PIN{}, err
	}
	change, err := v.pins.Change(ctx, id)
	if err != nil {
		return credentials.PIN{}, err
	}
	_, err = v.pins.Confirm(ctx, operator(), id, first, change.Candidate)
	return change.Candidate, err
}

// forgetHalves takes halves that are used up out of the outbox. Notices stay,
// and may be arriving still.
func (v *services) forgetHalves() error {
	messages, err := demo.Read(v.settings.OutboxDir)
	for _, m := range messages {
		if strings.HasPrefix(m.Key, "pin-half-") {
			err = errors.Join(err, os.Remove(filepath.Join(v.settings.OutboxDir, m.Name)))
		}
	}
	return err
}

// halves reads a first PIN from the outbox.
func (v *services) halves() (credentials.PIN, error) {
	messages, err := demo.Read(v.settings.OutboxDir)
	if err != nil {
		return credentials.PIN{}, err
	}
	halves := map[string]string{}
	for _, m := range messages {
		if half := alone.FindString(m.Body); half != "" && halves[m.Key] == "" { // newest first
			halves[m.Key] = half
		}
	}
	return credentials.ParsePIN(halves["pin-half-1"] + halves["pin-half-2"])
}

// alone is a half on its line.
var alone = regexp.MustCompile(`(?m)^[0-9A-F]{8}$`)

// await reads both halves from the outbox as soon as the PIN they make can be
// used: a file lies there a moment before its hand-over is recorded.
func (v *services) await(ctx context.Context, fc citizens.FiscalCode) (credentials.PIN, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := v.pins.Status(ctx, fc)
		if err != nil {
			return credentials.PIN{}, err
		}
		if s.State == credentials.Issued {
			return v.halves()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return credentials.PIN{}, ctx.Err()
		}
	}
}
