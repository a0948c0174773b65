package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/provider"
	"ente.example/idp/web"
)

type serveCommand struct {
	Migrate bool   `help:"Bring the database to this program's schema first."`
	Workers string `help:"all, none, or some of delivery,receipts,procedures,audit,janitor." default:"all"`
}

// finishWithin is how long requests under way may take after SIGTERM, once
// the drain delay is over.
const finishWithin = 25 * time.Second

// mostPerAddress is how many connections one address may hold: enough for an
// office behind one, too few to hold all of ours.
const mostPerAddress = 256

// Run serves until SIGTERM, then drains and returns nil (exit 0).
func (c *serveCommand) Run(i *invocation) error {
	lines := &gathered{to: i.err} // standard output stays free
	defer lines.flush()
	logger, err := newLogger(lines, i.settings)
	if err != nil {
		return err
	}
	names, err := chooseWorkers(c.Workers)
	if err != nil {
		return err
	}
	unlock := func() {}
	defer func() { unlock() }()
	// locked before it is migrated: the schema is not changed under another serve
	open := func(ctx context.Context, url string) (*database.DB, error) {
		db, err := openDatabase(ctx, url)
		if err != nil {
			return nil, err
		}
		if unlock, err = lockServe(db); err != nil {
			return nil, errors.Join(err, db.Close())
		}
		return db, nil
	}
	v, err := wire(i.ctx, i.settings, options{logger: logger, open: open, migrate: c.Migrate, self: i.self})
	if err != nil {
		return err
	}
	defer func() { _ = v.close() }()
	return v.serve(i.ctx, names, func(public, admin net.Addr) {
		logger.Info("serving", "issuer", v.settings.Issuer, "listen", public.String(), "admin", admin.String(), "version", version().Version)
		spareCollector(i.ctx, v.policy.hash)
	})
}

// serve runs the listeners and the workers named until ctx ends.
func (v *services) serve(ctx context.Context, workers []string, ready func(public, admin net.Addr)) error {
	if err := v.signing.Ensure(ctx); err != nil {
		return fmt.Errorf("prepare signing keys: %w", err)
	}
	public, err := v.listen(ctx)
	if err != nil {
		return err
	}
	site, err := v.site() //nolint:contextcheck // its handlers go by the context of their request
	if err != nil {
		return errors.Join(err, public.Close())
	}
	admin, err := (&net.ListenConfig{}).Listen(ctx, "tcp", v.settings.AdminListen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for administration: %w", err), public.Close())
	}
	certificates, err := v.listenForCertificates(ctx)
	if err != nil {
		return errors.Join(err, public.Close(), admin.Close())
	}
	if err := v.note(ctx, audit.ServeStarted); err != nil {
		return errors.Join(err, public.Close(), admin.Close(), closed(certificates))
	}
	s := &server{services: v, site: site.HTTP(nil)}
	if certificates != nil {
		s.certificates = site.HTTP(provider.AtCertificates(site.Echo))
	}
	s.admin = site.HTTP(s.adminRoutes())
	s.admin.WriteTimeout = 2 * time.Minute // a profile takes its time
	ready(public.Addr(), admin.Addr())
	return s.run(ctx, public, admin, certificates, workers)
}

func closed(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}

// server is one node while it serves.
type server struct {
	*services
	site *http.Server
	// certificates is the listener's that asks for them; nil without one.
	certificates *http.Server
	admin        *http.Server
	draining     atomic.Bool
}

// run ends in order: not ready, drain, finish requests, then the workers,
// then the admin listener, so that a probe sees the drain.
func (s *server) run(ctx context.Context, public, admin, certificates net.Listener, workers []string) error {
	listeners, lctx := errgroup.WithContext(context.WithoutCancel(ctx))
	listeners.Go(func() error { return serveUntilClosed(s.site, public) })
	listeners.Go(func() error { return serveUntilClosed(s.admin, admin) })
	if s.certificates != nil {
		listeners.Go(func() error { return serveUntilClosed(s.certificates, certificates) })
	}
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	running := s.startWorkers(work, workers)
	select {
	case <-ctx.Done():
	case <-lctx.Done(): // a listener broke
	}
	s.draining.Store(true)
	if lctx.Err() == nil {
		wait(lctx, s.policy.drain)
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	errs := []error{s.site.Shutdown(stop)}
	if s.certificates != nil {
		errs = append(errs, s.certificates.Shutdown(stop))
	}
	errs = append(errs, s.note(stop, audit.ServeStopped))
	stopWork()
	errs = append(errs, running.Wait(), s.admin.Shutdown(stop), listeners.Wait())
	return errors.Join(errs...)
}

func serveUntilClosed(s *http.Server, l net.Listener) error {
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// note records that this node starts or stops.
func (v *services) note(ctx context.Context, what audit.Type) error {
	return v.db.InTx(ctx, func(ctx context.Context) error {
		return v.audit.Record(ctx, audit.Event{
			Type: what, Outcome: audit.Succeeded, Actor: audit.Actor{Kind: audit.System, ID: "serve"},
			Details: map[string]string{"version": version().Version},
		})
	})
}

// listen opens the public listener, with TLS where there is a certificate.
func (v *services) listen(ctx context.Context) (net.Listener, error) {
	l, err := v.listenAt(ctx, v.settings.Listen, tls.NoClientCert)
	if err != nil {
		return nil, fmt.Errorf("listen for the public: %w", err)
	}
	return l, nil
}

func (v *services) listenAt(ctx context.Context, address string, ask tls.ClientAuthType) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	proxies, err := v.settings.proxies()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	// proxies bring everybody, and this machine's own are its operator's affair
	l = web.CapPerAddress(l, mostPerAddress, append(proxies, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::/64")))
	if v.settings.TLSCertFile == "" {
		return l, nil
	}
	c, err := newCertificate(v.settings.TLSCertFile, v.settings.TLSKeyFile, v.logger)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: cipherSuites(), GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}, ClientAuth: ask,
	}), nil
}

// cipherSuites are those that RFC 9325 §4.2 recommends for TLS 1.2, and no
// other: FAPI 2.0 §5.2.2 asks for that. TLS 1.3 has its own.
func cipherSuites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	}
}

// lockServe admits one serve to a SQLite file; commands come and go.
func lockServe(db *database.DB) (unlock func(), err error) {
	if db.Dialect() != database.SQLite {
		return func() {}, nil
	}
	f, err := os.OpenFile(db.Path()+".serve.lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return func() {}, fmt.Errorf("lock the database file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return func() {}, errors.Join(fmt.Errorf("another idp serve runs on %s; SQLite is for one node", db.Path()), f.Close())
	}
	return func() { _ = f.Close() }, nil
}
