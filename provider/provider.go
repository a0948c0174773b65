// Package provider speaks OAuth 2.0 and OpenID Connect to the clients: it
// takes their authorization requests, decides what a citizen still has to do,
// hands out tokens and answers for them.
//
// It is the only place that knows fosite, and keeps it behind an HTTP layer of
// its own: parsing, client authentication, the response writers and the store
// are ours. It owns the tables grants, assertion_jtis,
// revoked_tokens, session_clients, logouts and devices, and imports the rules, login and consent, never the other
// way round: what must follow from a rule (a revoked PIN ends grants) is one of
// the methods RevokeCitizen, RevokeConsent and EndSession, handed in at wiring.
package provider

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/ory/fosite"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"

	"ente.example/idp/audit"
	"ente.example/idp/authorizations"
	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/consent"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/login"
	"ente.example/idp/provider/keys"
)

// The paths of the endpoints that tokens are asked for at.
const (
	authorizePath = "/authorize"
	tokenPath     = "/token"
)

// Lifetimes are how long what this provider issues can be used. The zero value
// of a field is the default.
type Lifetimes struct {
	Code         time.Duration // 60 seconds
	AccessToken  time.Duration // 10 minutes
	IDToken      time.Duration // 10 minutes
	Refresh      time.Duration // 30 days from the sign-in, whatever the use
	RefreshGrace time.Duration // 30 seconds for a retry of a refresh
	// PushedRequest is how long a pushed request waits for its browser: 60 seconds.
	PushedRequest time.Duration
}

func (l Lifetimes) withDefaults() Lifetimes {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&l.Code, time.Minute)
	or(&l.AccessToken, 10*time.Minute)
	or(&l.IDToken, 10*time.Minute)
	or(&l.Refresh, 30*24*time.Hour)
	or(&l.RefreshGrace, 30*time.Second)
	or(&l.PushedRequest, time.Minute)
	return l
}

// Deps is what a Provider works with. All are required but Authorizations, Metrics and what is about registration.
type Deps struct {
	DB           *database.DB
	Issuer       string
	Clients      *clients.Registry
	Citizens     *citizens.Registry
	Credentials  *credentials.Service
	Sessions     *login.Sessions
	Interactions *login.Interactions
	Consents     *consent.Consents
	Audit        *audit.Log
	Keys         *keys.Set
	SubjectKey   *prf.Set  // pairwise sub; its primary key never changes
	RefreshKey   *prf.Set  // tags and chains refresh tokens, finds the codes that citizens type for a device
	TriesKey     *prf.Set  // keys the counters of wrong ones
	AccessSeal   tink.AEAD // seals access tokens by reference
	Lifetimes    Lifetimes
	Devices      DevicePolicy
	Scopes       []string // that exist
	// Authorizations are the types of authorization that exist; nil for none.
	Authorizations *authorizations.Types
	LevelACRs      []string // levels that are built, lowest first
	// Crowded is why nobody should begin to sign in now: *credentials.BusyError.
	// Without it everybody may.
	Crowded func() error
	Logger  *slog.Logger
	Metrics prometheus.Registerer

	// Registration says who may register clients at /register; zero is nobody.
	// RegistrationProfile is the one of those that nobody invited.
	Registration        Registration
	RegistrationProfile clients.Profile

	MutualTLS MutualTLS // zero: clients bring no certificates
}

func (d Deps) check() error {
	for name, missing := range map[string]bool{
		"DB": d.DB == nil, "Issuer": d.Issuer == "", "Clients": d.Clients == nil, "Citizens": d.Citizens == nil,
		"Credentials": d.Credentials == nil, "Sessions": d.Sessions == nil, "Interactions": d.Interactions == nil,
		"Consents": d.Consents == nil, "Audit": d.Audit == nil, "Keys": d.Keys == nil, "SubjectKey": d.SubjectKey == nil,
		"RefreshKey": d.RefreshKey == nil, "TriesKey": d.TriesKey == nil, "AccessSeal": d.AccessSeal == nil, "Scopes": len(d.Scopes) == 0, "LevelACRs": len(d.LevelACRs) == 0, "Logger": d.Logger == nil,
	} {
		if missing {
			return fmt.Errorf("provider: %s is missing", name)
		}
	}
	if strings.HasSuffix(d.Issuer, "/") {
		return errors.New("provider: the issuer must not end with a slash")
	}
	return nil
}

// Provider is one issuer.
type Provider struct {
	db           *database.DB
	issuer       string
	clients      *clients.Registry
	citizens     *citizens.Registry
	credentials  *credentials.Service
	sessions     *login.Sessions
	interactions *login.Interactions
	consents     *consent.Consents
	audit        *audit.Log
	keys         *keys.Set
	subjectKey   *prf.Set
	refreshKey   *prf.Set
	accessSeal   tink.AEAD
	proven       *proven
	lifetimes    Lifetimes
	scopes       []string
	levels       []string
	crowded      func() error
	logger       *slog.Logger
	grants       *grants
	devices      *devices
	tries        tries
	logouts      logouts
	wake         chan struct{} // nudges the worker of back-channel logout
	sending      chan struct{} // its places
	fosite       *fosite.Fosite
	metrics      metrics
	lost         login.Lost

	authorizations      *authorizations.Types
	registration        Registration
	registrationProfile clients.Profile
	mtls                MutualTLS

	resources
}

// New builds a Provider. It refuses to work without any of its parts.
func New(d Deps) (*Provider, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	p := &Provider{
		db: d.DB, issuer: d.Issuer, clients: d.Clients, citizens: d.Citizens, credentials: d.Credentials,
		sessions: d.Sessions, interactions: d.Interactions, consents: d.Consents, audit: d.Audit, keys: d.Keys,
		subjectKey: d.SubjectKey, refreshKey: d.RefreshKey, accessSeal: d.AccessSeal, proven: &proven{}, lifetimes: d.Lifetimes.withDefaults(),
		scopes: d.Scopes, authorizations: d.Authorizations, levels: d.LevelACRs, crowded: d.Crowded, logger: d.Logger,
		registration: d.Registration, registrationProfile: d.RegistrationProfile, mtls: d.MutualTLS,
	}
	if p.crowded == nil {
		p.crowded = func() error { return nil }
	}
	p.grants = &grants{db: d.DB, lifetimes: p.lifetimes}
	p.devices = &devices{db: d.DB, policy: d.Devices.withDefaults()}
	p.logouts, p.wake, p.sending = logouts{db: d.DB}, make(chan struct{}, 1), make(chan struct{}, logoutPlaces)
	p.lost = login.Lost{Clients: d.Clients, Issuer: d.Issuer}
	p.fosite = newFosite(p)
	return p, p.complete(d)
}

// complete does what may fail, so that it fails at the start.
func (p *Provider) complete(d Deps) (err error) {
	if p.metrics, err = newMetrics(d.Metrics); err != nil {
		return err
	}
	if p.tries, err = newTries(d); err != nil {
		return err
	}
	if _, err = computeSubject(d.SubjectKey, "", ""); err != nil {
		return err
	}
	if _, err = newRefreshToken(d.RefreshKey, newGrantID()).reveal(d.RefreshKey); err != nil {
		return err
	}
	p.resources, err = newResources(p)
	return err
}

// Mount registers every endpoint of the issuer.
func (p *Provider) Mount(e *echo.Echo) {
	e.GET(authorizePath, p.authorize)
	e.POST(authorizePath, p.keepAuthorize)
	e.GET(authorizePath+"/:id", p.resume, p.lost.Catch)
	open(e, parPath, p.push, http.MethodPost)
	open(e, tokenPath, p.token, http.MethodPost)
	open(e, deviceAuthorizationPath, p.deviceAuthorization, http.MethodPost)
	e.GET(devicePath, p.showDevice)
	e.POST(devicePath, p.enterDevice)
	p.mountRegistration(e)
	p.mountResources(e)
}
