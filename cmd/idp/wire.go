package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"ente.example/idp/audit"
	"ente.example/idp/authorizations"
	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/consent"
	"ente.example/idp/contacts"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/delivery"
	"ente.example/idp/enrolment"
	"ente.example/idp/login"
	"ente.example/idp/migrations"
	"ente.example/idp/provider"
	"ente.example/idp/provider/keys"
	"ente.example/idp/secrets"
	"ente.example/idp/selfservice"
	"ente.example/idp/templates"
	"ente.example/idp/throttle"
	"ente.example/idp/web"
)

// levelPIN is the level of a sign-in with codice fiscale and PIN alone.
const levelPIN = "https://www.spid.gov.it/SpidL1"

// scopes are those that exist.
var scopes = []string{"openid", "profile", "email", "phone", "address", "fiscal_code", "pin", "offline_access"} //nolint:gochecknoglobals // a list, never changed

// services is the whole of the house, wired once and in the same way for
// serve, the demo, the workers and every command: so what a command changes
// has every consequence that a page would have.
type services struct {
	settings settings
	policy   *policy
	logger   *slog.Logger
	metrics  *prometheus.Registry
	counters *counters
	network  delivery.Network // how gateways are reached
	self     string

	db           *database.DB
	keys         *secrets.Ring
	audit        *audit.Log
	citizens     *citizens.Registry
	throttle     *throttle.Guard
	captchas     *throttle.Captchas // nil: no page asks for one
	outbox       *delivery.Outbox
	outcomes     *delivery.Outcomes
	receipts     *delivery.Receipts   // nil without a PEC mailbox
	smsReports   *delivery.SMSReports // nil without an SMS gateway
	hasher       *credentials.Hasher
	pins         *credentials.Service
	requests     *enrolment.Requests
	contacts     *contacts.Service
	hours        enrolment.Hours // of the contact centre
	clients      *clients.Registry
	interactions *login.Interactions
	sessions     *login.Sessions
	consents     *consent.Consents
	signing      *keys.Set
	provider     *provider.Provider
	templates    *templates.Set

	authorizations *authorizations.Types // nil: there are none
}

// options are what differs between a server, a command and a test.
type options struct {
	logger *slog.Logger
	open   func(ctx context.Context, url string) (*database.DB, error)
	// migrated skips the check of the schema, which serve --migrate makes good
	migrate bool
	network delivery.Network
	self    string // this program, for hashes in processes of their own
}

func openDatabase(ctx context.Context, url string) (*database.DB, error) {
	return database.Open(ctx, url, database.Options{})
}

// wire builds the services. What must follow from a rule but lives above it is
// handed down here as a function.
func wire(ctx context.Context, s settings, o options) (_ *services, err error) {
	v := &services{settings: s, logger: o.logger, metrics: prometheus.NewRegistry(), network: o.network, self: o.self}
	if err := s.check(); err != nil {
		return nil, err
	}
	if v.policy, err = loadPolicy(s); err != nil {
		return nil, err
	}
	if v.keys, err = secrets.Load(s.SecretsDir); err != nil {
		return nil, err
	}
	if v.db, err = o.open(ctx, s.DatabaseURL); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.db.Close())
		}
	}()
	if err := v.schema(ctx, o.migrate); err != nil {
		return nil, err
	}
	v.counters = newCounters(v.metrics)
	for _, build := range []func() error{v.ground, v.people, v.services, v.registry, v.protocol} {
		if err := build(); err != nil {
			return nil, err
		}
	}
	return v, v.observe() //nolint:contextcheck // a gauge is read long after this context
}

func (v *services) schema(ctx context.Context, migrate bool) error {
	if !migrate {
		return migrations.Check(ctx, v.db)
	}
	applied, err := migrations.Up(ctx, v.db)
	if len(applied) > 0 {
		v.logger.InfoContext(ctx, "migrated the database", "migrations", len(applied))
	}
	return err
}

// ground is what every rule stands on: the audit and the words.
func (v *services) ground() error {
	anchors, err := v.settings.anchors()
	if err != nil {
		return err
	}
	node, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("read this node's name: %w", err)
	}
	v.audit, err = audit.New(audit.Deps{
		DB: v.db, Signer: v.keys.AuditSigner(), Verifier: v.keys.AuditVerifier(), Anchors: anchors, Node: node,
	})
	if err != nil {
		return err
	}
	institution := templates.Sample()
	if v.settings.InstitutionFile != "" {
		if institution, err = templates.LoadInstitution(v.settings.InstitutionFile); err != nil {
			return err
		}
	}
	if v.hours, err = deskHours(institution); err != nil {
		return err
	}
	v.templates, err = templates.New(templates.Options{Institution: institution, HexPIN: v.policy.pins.Alphabet == credentials.Hex, Figures: v.policy.told()})
	return err
}

// people is the registry and what reaches them.
func (v *services) people() (err error) {
	v.citizens, err = citizens.New(citizens.Deps{
		DB: v.db, Seal: v.keys.AEAD(secrets.CitizensSeal), Index: v.keys.PRF(secrets.CitizensIndex),
	})
	if err != nil {
		return err
	}
	v.throttle, err = throttle.New(throttle.Deps{DB: v.db, Key: v.keys.PRF(secrets.Throttle), Policy: v.policy.lock})
	if err != nil {
		return err
	}
	if v.settings.Captcha != "none" {
		if v.captchas, err = throttle.NewCaptchas(throttle.CaptchaDeps{DB: v.db, Key: v.keys.PRF(secrets.Throttle)}); err != nil {
			return err
		}
	}
	senders, err := v.senders()
	if err != nil {
		return err
	}
	v.outbox, err = delivery.New(delivery.Deps{
		DB: v.db, Seal: v.keys.Seal, Open: v.keys.Open, Senders: senders, Audit: v.audit, Words: v.templates.Mail,
		Accepted: func(ctx context.Context, r delivery.Receipt) error {
			if err := v.pins.Accepted(ctx, r); err != nil {
				return err
			}
			return v.requests.Accepted(ctx, r)
		},
		Failed: func(ctx context.Context, r delivery.Receipt) error {
			if err := v.pins.Failed(ctx, r); err != nil {
				return err
			}
			if err := v.requests.Failed(ctx, r); err != nil {
				return err
			}
			return v.contacts.Failed(ctx, r)
		},
		Observe: v.counters.delivered, Logger: v.logger, Policy: v.policy.delivery,
	})
	return err
}

// services are the PIN and what a sign-in leaves behind.
func (v *services) services() (err error) {
	v.hasher, err = credentials.NewHasher(credentials.HasherDeps{DB: v.db, Cost: v.policy.hash, Program: v.self, Logger: v.logger})
	if err != nil {
		return err
	}
	v.sessions, err = login.NewSessions(login.SessionsDeps{
		DB: v.db, Audit: v.audit, Policy: v.policy.sessions,
		Ended: func(ctx context.Context, sid, reason string) error { return v.provider.EndSession(ctx, sid, reason) },
	})
	if err != nil {
		return err
	}
	v.pins, err = credentials.New(credentials.Deps{
		DB: v.db, Citizens: v.citizens, Throttle: v.throttle, Outbox: v.outbox, Audit: v.audit,
		Pepper: v.keys.PRF(secrets.PINPepper), Wrap: v.keys.AEAD(secrets.PINWrap), Candidates: v.keys.AEAD(secrets.CandidateSeal),
		Hasher: v.hasher, Policy: v.policy.pins, Eligibility: citizens.Eligibility(v.settings.Eligibility),
		FirstAccess: func(ctx context.Context, id citizens.ID, first credentials.ID) error {
			return v.requests.FirstAccess(ctx, id, first)
		},
		Changed: v.sessions.EndElsewhere, Ended: v.endedPIN, Reported: func(ctx context.Context, id citizens.ID) error {
			v.requests.Contest(ctx, id)
			return v.contacts.Contest(ctx, id)
		}, Site: v.settings.Issuer, Observe: v.counters.guessed, Logger: v.logger,
	})
	if err != nil {
		return err
	}
	v.requests, err = enrolment.New(enrolment.Deps{
		DB: v.db, Citizens: v.citizens, Outbox: v.outbox, Audit: v.audit, Pins: v.pins,
		Seal: v.keys.AEAD(secrets.RequestsSeal), Index: v.keys.PRF(secrets.RequestsIndex),
		Hours: v.hours, Policy: v.policy.requests, Logger: v.logger,
	})
	if err != nil {
		return err
	}
	v.contacts, err = contacts.New(contacts.Deps{
		DB: v.db, Citizens: v.citizens, Pins: v.pins, Outbox: v.outbox, Audit: v.audit, Seal: v.keys.AEAD(secrets.RequestsSeal),
		Keys: v.keys.PRF(secrets.RequestsIndex), Notify: v.pins.Warn, Receipts: v.settings.PECIMAPURL != "", Site: v.settings.Issuer,
		Policy: v.policy.contacts, Logger: v.logger,
	})
	if err != nil {
		return err
	}
	return v.reports()
}

// registry are the services that delegate to us, and what they may ask for.
func (v *services) registry() (err error) {
	if file := v.settings.AuthorizationTypes; file != "" {
		if v.authorizations, err = authorizations.Load(file); err != nil {
			return err
		}
	}
	var publishers []clients.Publisher
	if file := v.settings.SoftwarePublishers; file != "" {
		if publishers, err = clients.LoadPublishers(file); err != nil {
			return err
		}
	}
	policy := v.policy.clients
	policy.Fetch.Loopback = v.settings.loopback()
	v.clients, err = clients.New(clients.Deps{DB: v.db, Audit: v.audit, Policy: policy, Scopes: scopes, Authorizations: v.authorizations,
		Publishers: publishers, Issuer: v.settings.Issuer,
		Ended: func(ctx context.Context, id string) error { return v.provider.RevokeClient(ctx, id, "client-disabled") },
	})
	return err
}

// endedPIN is what follows when a PIN is revoked, suspended or replaced by a
// recovery: sessions and grants built on it end in the same transaction, and so
// do the changes of contacts that were asked for with it.
func (v *services) endedPIN(ctx context.Context, id citizens.ID, why credentials.Reason) error {
	if err := v.sessions.EndCitizen(ctx, id, string(why)); err != nil {
		return err
	}
	if err := v.provider.RevokeCitizen(ctx, id, string(why)); err != nil {
		return err
	}
	return v.contacts.Ended(ctx, id, why)
}

// protocol is what the relying services speak to.
func (v *services) protocol() (err error) {
	if v.interactions, err = login.NewInteractions(v.db); err != nil {
		return err
	}
	v.consents, err = consent.New(consent.Deps{DB: v.db, Audit: v.audit, Interactions: v.interactions, Sessions: v.sessions})
	if err != nil {
		return err
	}
	v.signing, err = keys.New(keys.Deps{
		DB: v.db, Wrap: v.keys.AEAD(secrets.SigningWrap), Audit: v.audit, Policy: v.policy.keys, Logger: v.logger,
	})
	if err != nil {
		return err
	}
	certificates, err := v.settings.mutualTLS()
	if err != nil {
		return err
	}
	v.provider, err = provider.New(provider.Deps{
		MutualTLS: certificates,
		DB:        v.db, Issuer: v.settings.Issuer, Clients: v.clients, Citizens: v.citizens, Credentials: v.pins,
		Sessions: v.sessions, Interactions: v.interactions, Consents: v.consents, Audit: v.audit, Keys: v.signing,
		SubjectKey: v.keys.PRF(secrets.Subject), RefreshKey: v.keys.PRF(secrets.Refresh), TriesKey: v.keys.PRF(secrets.Throttle), AccessSeal: v.keys.AEAD(secrets.AccessSeal),
		Registration: provider.Registration(v.settings.Registration), RegistrationProfile: clients.Profile(v.settings.RegistrationProfile),
		Lifetimes: v.policy.tokens, Devices: v.policy.devices, Scopes: scopes, Authorizations: v.authorizations, LevelACRs: []string{levelPIN}, Crowded: v.hasher.Crowded, Logger: v.logger, Metrics: v.metrics,
	})
	return err
}

// site mounts every page and endpoint.
func (v *services) site() (*web.Server, error) {
	proxies, err := v.settings.proxies()
	if err != nil {
		return nil, err
	}
	server, err := web.New(web.Options{
		Templates: v.templates, Issuer: v.settings.Issuer, TrustedProxies: proxies, Forms: v.keys.PRF(secrets.Forms),
		Logger: v.logger, Metrics: v.metrics, Unavailable: database.IsUnavailable,
	})
	if err != nil {
		return nil, err
	}
	signIn, err := login.New(login.Deps{
		DB: v.db, Interactions: v.interactions, Sessions: v.sessions, Credentials: v.pins, Citizens: v.citizens,
		Clients: v.clients, Issuer: v.settings.Issuer, ACR: levelPIN, Onward: v.provider.Onward, Frames: v.provider.FrontChannel, Lock: v.policy.lock, Observe: v.counters.signedIn,
	})
	if err != nil {
		return nil, err
	}
	ask, err := consent.NewHandler(consent.HandlerDeps{
		Consents: v.consents, Interactions: v.interactions, Sessions: v.sessions, Citizens: v.citizens,
		Clients: v.clients, Onward: v.provider.Onward, Authorizations: v.authorizations, Issuer: v.settings.Issuer, LevelACRs: []string{levelPIN}, OfflineFor: v.policy.tokens.Refresh,
	})
	if err != nil {
		return nil, err
	}
	own, err := selfservice.New(selfservice.Deps{
		DB: v.db, Sessions: v.sessions, Citizens: v.citizens, Issuer: v.settings.Issuer,
		Interactions: v.interactions, Clients: v.clients, Credentials: v.pins, Captchas: v.captchas, Lock: v.policy.lock,
		Requests: v.requests, Contacts: v.contacts,
	})
	if err != nil {
		return nil, err
	}
	own.Mount(server.Echo)
	v.mountHooks(server.Echo)
	v.provider.Mount(server.Echo)
	signIn.Mount(server.Echo)
	ask.Mount(server.Echo)
	return server, nil
}

// close lets go of the database.
func (v *services) close() error {
	v.hasher.Close()
	return v.db.Close()
}
