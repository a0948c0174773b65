package provider

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/tink"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/consent"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
	"ente.example/idp/login"
	"ente.example/idp/provider/keys"
	"ente.example/idp/provider/keys/keystest"
	"ente.example/idp/secrets"
	"ente.example/idp/templates"
	"ente.example/idp/throttle"
	"ente.example/idp/web"
)

// house is a whole provider over one database, served by real HTTP. Everything
// in it is what the program uses; only keys are short and hashes cheap.
type house struct {
	t            testing.TB
	db           *database.DB
	ring         *secrets.Ring
	handler      http.Handler
	network      *http.Transport // leads every address to this node
	provider     *Provider
	issuer       string
	clients      *clients.Registry
	citizens     *citizens.Registry
	credentials  *credentials.Service
	outbox       *delivery.Outbox
	sessions     *login.Sessions
	interactions *login.Interactions
	consents     *consent.Consents
	audit        *audit.Log
}

// issuer is where every node says it is, wherever it listens.
const issuer = "http://localhost:8080"

// scopes are all that exist.
func allScopes() []string {
	return []string{"openid", "profile", "email", "phone", "address", "fiscal_code", "pin", "offline_access"}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// newHouse builds one node. Two nodes of one installation share their secrets.
func newHouse(t testing.TB, db *database.DB, ring *secrets.Ring) *house {
	t.Helper()
	return buildHouse(t, db, ring, func(*Deps) {})
}

// buildHouse is newHouse with a provider that differs.
func buildHouse(t testing.TB, db *database.DB, ring *secrets.Ring, change func(*Deps)) *house {
	t.Helper()
	h := &house{t: t, db: db, ring: ring, issuer: issuer}
	logger := slog.New(slog.DiscardHandler)
	h.audit = must[*audit.Log](t)(audit.New(audit.Deps{DB: db, Signer: ring.AuditSigner(), Verifier: ring.AuditVerifier()}))
	h.citizens = must[*citizens.Registry](t)(citizens.New(citizens.Deps{
		DB: db, Seal: ring.AEAD(secrets.CitizensSeal), Index: ring.PRF(secrets.CitizensIndex),
	}))
	h.clients = must[*clients.Registry](t)(clients.New(clients.Deps{
		DB: db, Audit: h.audit, Scopes: allScopes(), Authorizations: exampleTypes(t),
		Publishers: trustedPublishers(t), Issuer: h.issuer,
		// no statement of its own while others are counted
		Policy: clients.Policy{CacheFor: time.Minute, Fetch: clients.FetchPolicy{Loopback: true}},
	}))
	h.addCredentials(ring)
	h.interactions = must[*login.Interactions](t)(login.NewInteractions(db))
	h.sessions = must[*login.Sessions](t)(login.NewSessions(login.SessionsDeps{
		DB: db, Audit: h.audit,
		Ended: func(ctx context.Context, sid, reason string) error { return h.provider.EndSession(ctx, sid, reason) },
	}))
	h.consents = must[*consent.Consents](t)(consent.New(consent.Deps{DB: db, Audit: h.audit, Interactions: h.interactions, Sessions: h.sessions}))
	h.serve(ring, logger, change)
	return h
}

func (h *house) addCredentials(ring *secrets.Ring) {
	t := h.t
	guard := must[*throttle.Guard](t)(throttle.New(throttle.Deps{DB: h.db, Key: ring.PRF(secrets.Throttle), Policy: throttle.DefaultPolicy()}))
	h.outbox = must[*delivery.Outbox](t)(delivery.New(delivery.Deps{
		DB: h.db, Seal: ring.Seal, Audit: h.audit, Policy: delivery.DefaultPolicy(),
		Senders: map[delivery.Channel]delivery.Sender{
			delivery.Email: delivery.NewFolder(t.TempDir()), delivery.Post: delivery.NewFolder(t.TempDir()),
		},
	}))
	hasher := must[*credentials.Hasher](t)(credentials.NewHasher(credentials.HasherDeps{
		DB: h.db, Cost: credentials.Cost{Memory: 8, Passes: 1, Threads: 1},
	}))
	h.credentials = must[*credentials.Service](t)(credentials.New(credentials.Deps{
		DB: h.db, Citizens: h.citizens, Throttle: guard, Outbox: h.outbox, Audit: h.audit, Hasher: hasher,
		Pepper: ring.PRF(secrets.PINPepper), Wrap: ring.AEAD(secrets.PINWrap), Candidates: ring.AEAD(secrets.CandidateSeal),
		Policy: credentials.DefaultPolicy(), Eligibility: citizens.Open,
		Ended: func(ctx context.Context, id citizens.ID, why credentials.Reason) error {
			return h.provider.RevokeCitizen(ctx, id, string(why))
		},
	}))
}

// serve starts the HTTP server; its address is the issuer.
func (h *house) serve(ring *secrets.Ring, logger *slog.Logger, change func(*Deps)) {
	t := h.t
	signing := h.newKeys(ring.AEAD(secrets.SigningWrap))
	if err := signing.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := Deps{
		DB: h.db, Issuer: h.issuer, Clients: h.clients, Citizens: h.citizens, Credentials: h.credentials,
		Sessions: h.sessions, Interactions: h.interactions, Consents: h.consents, Audit: h.audit, Keys: signing,
		SubjectKey: ring.PRF(secrets.Subject), RefreshKey: ring.PRF(secrets.Refresh), TriesKey: ring.PRF(secrets.Throttle), AccessSeal: ring.AEAD(secrets.AccessSeal), Scopes: allScopes(),
		LevelACRs: []string{"https://www.spid.gov.it/SpidL1"}, Logger: logger, Authorizations: exampleTypes(t),
	}
	change(&d)
	h.provider = must[*Provider](t)(New(d))
	pages := must[*web.Server](t)(web.New(web.Options{
		Templates: must[*templates.Set](t)(templates.New(templates.Options{})), Issuer: h.issuer,
		Forms: ring.PRF(secrets.Forms), Logger: logger, Unavailable: database.IsUnavailable,
	}))
	h.provider.Mount(pages.Echo)
	h.mountSteps(pages)
	h.handler = pages.Echo
	server := httptest.NewServer(h.handler)
	t.Cleanup(server.Close)
	h.network = &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}}
	t.Cleanup(h.network.CloseIdleConnections)
}

// newKeys is a node's set without keys. It polls once a minute: no statement of
// its own while others are counted.
func (h *house) newKeys(wrap tink.AEAD) *keys.Set {
	return must[*keys.Set](h.t)(keys.New(keys.Deps{
		DB: h.db, Wrap: wrap, Audit: h.audit, Generate: keystest.Generate,
		Policy: keys.Policy{Poll: time.Minute, Skew: 8 * time.Minute},
	}))
}

// rotate takes alg through a whole rotation.
func (h *house) rotate(alg string) {
	h.t.Helper()
	next := must[keys.Key](h.t)(h.provider.keys.Rotate(h.t.Context(), operator(), alg))
	databasetest.Shift(h.t, h.db, 24*time.Minute) // the JWKS's cache and the skew
	if err := h.provider.keys.Tend(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	if kid, err := h.provider.keys.Active(h.t.Context(), alg); err != nil || kid != next.Kid {
		h.t.Fatalf("after the rotation %q is active, %v; want %s", kid, err, next.Kid)
	}
}

// published is the key of that kid in the JWKS.
func (h *house) published(kid string) jose.JSONWebKey {
	h.t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(h.do(h.get(jwksPath, "")).body), &set); err != nil || len(set.Key(kid)) != 1 {
		h.t.Fatalf("the JWKS has %d keys named %q, %v; want one", len(set.Key(kid)), kid, err)
	}
	return set.Key(kid)[0]
}

// events counts the recorded ones of a type.
func events(t testing.TB, db *database.DB, typ audit.Type) int {
	t.Helper()
	var n int
	err := db.Read(context.Background()).Raw(`SELECT count(*) FROM audit_events WHERE type = ?`, string(typ)).Scan(&n).Error
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func operator() audit.Actor { return audit.Actor{Kind: audit.Operator, ID: "test"} }

// mountSteps adds the pages that a sign-in goes through.
func (h *house) mountSteps(pages *web.Server) {
	h.t.Helper()
	must[*login.Handler](h.t)(login.New(login.Deps{
		DB: h.db, Interactions: h.interactions, Sessions: h.sessions, Credentials: h.credentials, Citizens: h.citizens,
		Clients: h.clients, Issuer: h.issuer, ACR: "https://www.spid.gov.it/SpidL1", Onward: h.provider.Onward,
	})).Mount(pages.Echo)
	must[*consent.Handler](h.t)(consent.NewHandler(consent.HandlerDeps{
		Interactions: h.interactions, Sessions: h.sessions, Consents: h.consents, Clients: h.clients, Citizens: h.citizens,
		Authorizations: exampleTypes(h.t), Issuer: h.issuer, LevelACRs: []string{"https://www.spid.gov.it/SpidL1"},
		Onward: h.provider.Onward,
	})).Mount(pages.Echo)
}

// newSecrets are those of one installation.
func newSecrets(t testing.TB) *secrets.Ring {
	t.Helper()
	return must[*secrets.Ring](t)(secrets.New())
}

// newInstallation is a house of its own.
func newInstallation(t testing.TB, db *database.DB) *house {
	t.Helper()
	return newHouse(t, db, newSecrets(t))
}

// another is a second node of the installation.
func (h *house) another(db *database.DB) *house {
	h.t.Helper()
	return newHouse(h.t, db, h.ring)
}

const (
	mario = "RSSMRA80A01H501U"
	anna  = "VRDNNA85D41F205V"
)

// people imports two citizens and returns the first.
func (h *house) people() citizens.ID {
	h.t.Helper()
	const file = `fiscal_code,given_name,family_name,sex,birth_date,birth_place,residence_street,residence_postal_code,residence_locality,residence_region,residence_country,italian_document,category,health_card_number,health_card_expiry,mobile,email,pec,deceased_on
` + mario + `,Mario,Rossi,M,1980-01-01,H501,Leopoldstraße 1,80802,München,,DE,yes,,,,+393331234567,mario.rossi@example.it,,
` + anna + `,Anna,Verdi,F,1985-04-01,F205,,,,,,,,,,,,,
`
	report, err := h.citizens.Import(h.t.Context(), strings.NewReader(file), citizens.ImportOptions{})
	if err != nil || len(report.Bad) > 0 {
		h.t.Fatalf("import: %v, %v", report.Bad, err)
	}
	return h.person(mario)
}

func (h *house) person(code string) citizens.ID {
	h.t.Helper()
	fc := must[citizens.FiscalCode](h.t)(citizens.ParseFiscalCode(code))
	return must[citizens.Citizen](h.t)(h.citizens.ByFiscalCode(h.t.Context(), fc)).ID
}

// register registers a client; what document leaves open is a web client with
// one redirect URI and every scope.
func (h *house) register(document string) (clients.Client, string) {
	h.t.Helper()
	d := clients.Document{}
	d.ClientName, d.RedirectURIs = "Servizio di prova", []string{"https://service.example/callback"}
	d.GrantTypes = []string{clients.GrantAuthorizationCode, clients.GrantRefreshToken, clients.GrantClientCredentials}
	d.Scope = allScopes()
	if err := json.Unmarshal([]byte(document), &d); err != nil {
		h.t.Fatal(err)
	}
	r := must[clients.Registered](h.t)(h.clients.Register(h.t.Context(), operator(), d))
	return r.Client, r.Secret.Reveal()
}

// newBrowser is the value of a browser's cookie.
func newBrowser() string {
	id := [32]byte{}
	_, _ = rand.Read(id[:])
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// session signs a citizen in without a form; the cookies belong in a browser.
func (h *house) session(id citizens.ID) (login.Session, []*http.Cookie) {
	h.t.Helper()
	browser := newBrowser()
	s, cookie, err := h.sessions.Start(h.t.Context(), operator(), login.SignIn{
		Browser: browser, Citizen: id, ACR: "https://www.spid.gov.it/SpidL1", AMR: []string{"pin"},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return s, []*http.Cookie{{Name: "idp", Value: browser}, {Name: "session", Value: cookie.Reveal()}}
}

// grant is a redeemed authorization, as /token leaves it, and its refresh token.
func (h *house) grant(c clients.Client, id citizens.ID, s login.Session, scopes ...string) (grantRow, string) {
	h.t.Helper()
	ctx, p := h.t.Context(), h.provider
	now := must[time.Time](h.t)(h.db.Now(ctx))
	code := sha256.Sum256([]byte(uuid.NewString()))
	row := grantRow{
		ID: uuid.NewString(), CodeHash: code[:], ClientID: c.ID, CitizenID: id, Subject: p.subject(c, id),
		SessionID: string(s.ID), Scopes: scopes, Offline: strings.Contains(strings.Join(scopes, " "), "offline_access"),
		ACR: "https://www.spid.gov.it/SpidL1", AMR: words{"pin"}, AuthTime: now,
	}
	first := newRefreshToken(p.refreshKey, row.ID)
	if err := p.grants.insert(ctx, &row); err != nil {
		h.t.Fatal(err)
	}
	redemption := p.grants.redemption(row.ID, "", &first)
	if n, err := h.db.Writer(ctx).Do(redemption.text, redemption.args...); err != nil || n != 1 {
		h.t.Fatalf("redeem: %d rows, %v", n, err)
	}
	return row, must[string](h.t)(first.reveal(p.refreshKey))
}

// claims are those of a good access token of a grant.
func (h *house) claims(g grantRow) accessClaims {
	h.t.Helper()
	now := must[time.Time](h.t)(h.db.Now(h.t.Context()))
	return accessClaims{
		Issuer: h.issuer, Subject: g.Subject, ClientID: g.ClientID, Audience: audience{h.issuer},
		Scope: strings.Join(g.Scopes, " "), JTI: tokenID(), GID: g.ID, SID: g.SessionID, AuthTime: g.AuthTime.Unix(),
		ACR: g.ACR, AMR: g.AMR, IssuedAt: now.Unix(), ExpiresAt: now.Add(10 * time.Minute).Unix(),
	}
}

func (h *house) signed(typ string, claims any) string {
	h.t.Helper()
	return must[string](h.t)(h.provider.keys.Sign(h.t.Context(), keys.ES256, typ, claims))
}

// token is a good access token of a grant.
func (h *house) token(g grantRow) string { return h.signed(TypAccessToken, h.claims(g)) }

// answer is a response, read to its end.
type answer struct {
	*http.Response
	body string
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("%d %q: %v", a.StatusCode, a.body, err)
	}
	return m
}

// do sends a request as it is and follows no redirect.
func (h *house) do(r *http.Request) answer {
	h.t.Helper()
	return h.with(h.browser(), r)
}

func (h *house) with(c *http.Client, r *http.Request) answer {
	h.t.Helper()
	res, err := c.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer{res, string(body)}
}

// browser keeps cookies and follows no redirect.
func (h *house) browser(cookies ...*http.Cookie) *http.Client {
	h.t.Helper()
	jar := must[*cookiejar.Jar](h.t)(cookiejar.New(nil))
	jar.SetCookies(must[*url.URL](h.t)(url.Parse(h.issuer)), cookies)
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Jar: jar, Transport: h.network, CheckRedirect: stay}
}

func (h *house) get(path, bearer string) *http.Request {
	h.t.Helper()
	r := must[*http.Request](h.t)(http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.issuer+path, nil))
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	return r
}

// post is a form; pairs are name, value, name, value…
func (h *house) post(path string, pairs ...string) *http.Request {
	h.t.Helper()
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	r := must[*http.Request](h.t)(http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.issuer+path, strings.NewReader(v.Encode())))
	r.Header.Set("Content-Type", formContentType)
	return r
}
