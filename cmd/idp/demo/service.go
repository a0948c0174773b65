// Package demo is what stands around the provider in the demo: a relying
// service as its developers would write one, with a protected API, and a
// viewer of the outbox. It speaks to the provider over HTTP alone and imports
// nothing of ours.
package demo

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

//go:embed pages/*.html style.css
var files embed.FS

// Service is the sample relying service, "Estratto conto". It keeps its
// sessions in memory: it is a sample.
type Service struct {
	Issuer       string
	Address      string // its own, "http://localhost:8081"
	ClientID     string
	ClientSecret string
	Scopes       []string
	ScreenID     string // the client of its television; without one there is none

	mu       sync.Mutex
	sessions map[string]*visit
	provider *oidc.Provider
	keys     oidc.KeySet
	pages    *template.Template
}

// visit is one browser's state at the service.
type visit struct {
	pending           map[string]attempt // by state: tabs may sign in side by side
	token             *oauth2.Token
	rawIDToken        string
	idToken, userinfo map[string]any
	api               *apiAnswer
	refreshed         time.Time
	problem           string
	screen            *screen
}

// attempt is a sign-in under way.
type attempt struct{ nonce, verifier string }

// mostAttempts bounds what one browser can leave behind.
const mostAttempts = 20

type apiAnswer struct {
	Status int
	Body   string
}

// cookie is the service's own; on localhost cookies do not know ports, so its
// name differs from the provider's.
const cookie = "estratto_conto"

// Handler is the service's site, its API included.
func (s *Service) Handler() (http.Handler, error) {
	pages, err := template.New("").Funcs(template.FuncMap{"json": indented}).ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, err
	}
	s.pages, s.sessions = pages, map[string]*visit{}
	m := http.NewServeMux()
	m.HandleFunc("GET /{$}", s.home)
	m.HandleFunc("GET /login", s.login)
	m.HandleFunc("GET /callback", s.callback)
	m.HandleFunc("POST /refresh", s.refresh)
	m.HandleFunc("POST /call", s.call)
	m.HandleFunc("POST /logout", s.logout)
	m.Handle("GET /api/pensions", s.protect(http.HandlerFunc(pensions)))
	if s.ScreenID != "" {
		m.HandleFunc("GET /tv", s.television)
		m.HandleFunc("POST /tv", s.switchOn)
	}
	m.HandleFunc("GET /style.css", style)
	return http.NewCrossOriginProtection().Handler(m), nil
}

func style(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "style.css") }

func indented(v any) (string, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	return string(b), err
}

// discover asks the provider for its addresses, until it has answered once.
func (s *Service) discover(ctx context.Context) (*oidc.Provider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.provider != nil {
		return s.provider, nil
	}
	// the context given here lives on in the key set, hence not the request's
	p, err := oidc.NewProvider(context.WithoutCancel(ctx), s.Issuer)
	s.provider = p
	return p, err
}

func (s *Service) oauth(p *oidc.Provider) *oauth2.Config {
	endpoint := p.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // as registered; guessing would hide the real error
	return &oauth2.Config{
		ClientID: s.ClientID, ClientSecret: s.ClientSecret, Endpoint: endpoint,
		RedirectURL: s.Address + "/callback", Scopes: s.Scopes,
	}
}

// visitOf finds the browser's visit, or begins one.
func (s *Service) visitOf(w http.ResponseWriter, r *http.Request) *visit {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, err := r.Cookie(cookie); err == nil && s.sessions[c.Value] != nil {
		return s.sessions[c.Value]
	}
	id := rand.Text()
	v := &visit{}
	s.sessions[id] = v
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return v
}

func (s *Service) home(w http.ResponseWriter, r *http.Request) {
	v := s.visitOf(w, r)
	page := "home.html"
	if v.token != nil {
		page = "signed-in.html"
	}
	s.show(w, page, v)
}

func (s *Service) show(w http.ResponseWriter, page string, v *visit) {
	head(w)
	data := map[string]any{
		"IDToken": v.idToken, "Userinfo": v.userinfo, "API": v.api, "Problem": v.problem, "Issuer": s.Issuer, "Refreshed": v.refreshed,
		"CanRefresh": v.token != nil && v.token.RefreshToken != "", "Name": v.userinfo["name"], "Screen": s.ScreenID != "",
	}
	v.problem = ""
	_ = s.pages.ExecuteTemplate(w, page, data)
}

func head(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'")
}

// login sends the browser to the provider with state, nonce and PKCE.
func (s *Service) login(w http.ResponseWriter, r *http.Request) {
	v := s.visitOf(w, r)
	p, err := s.discover(r.Context())
	if err != nil {
		s.problem(w, r, v, "Il fornitore di identità non risponde.", err)
		return
	}
	state, a := rand.Text(), attempt{rand.Text(), oauth2.GenerateVerifier()}
	s.remember(v, state, a)
	address := s.oauth(p).AuthCodeURL(state, oidc.Nonce(a.nonce), oauth2.S256ChallengeOption(a.verifier))
	// one token for two audiences: the provider's userinfo and our API (RFC 8707)
	audiences := url.Values{"resource": {s.Issuer, s.Address + "/api"}}
	http.Redirect(w, r, address+"&"+audiences.Encode(), http.StatusSeeOther)
}

func (s *Service) remember(v *visit, state string, a attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.pending == nil || len(v.pending) >= mostAttempts {
		v.pending = map[string]attempt{}
	}
	v.pending[state] = a
}

// take returns the attempt that an answer belongs to, once.
func (s *Service) take(v *visit, state string) (attempt, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := v.pending[state]
	delete(v.pending, state)
	return a, ok
}

func (s *Service) problem(w http.ResponseWriter, r *http.Request, v *visit, words string, err error) {
	if err != nil {
		words += " (" + err.Error() + ")"
	}
	v.problem = words
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// callback takes the answer, checks who sent it, and redeems the code.
func (s *Service) callback(w http.ResponseWriter, r *http.Request) {
	v, q := s.visitOf(w, r), r.URL.Query()
	p, err := s.discover(r.Context())
	if err != nil {
		s.problem(w, r, v, "Il fornitore di identità non risponde.", err)
		return
	}
	a, ours := s.take(v, q.Get("state"))
	switch {
	case !ours:
		s.problem(w, r, v, "La risposta non appartiene a questa visita.", nil)
	case q.Get("iss") != s.Issuer: // RFC 9207
		s.problem(w, r, v, "La risposta viene da qualcun altro.", nil)
	case q.Get("error") != "":
		s.problem(w, r, v, "Accesso non riuscito: "+q.Get("error")+".", nil)
	default:
		if err := s.redeem(r.Context(), p, v, a, q.Get("code")); err != nil {
			s.problem(w, r, v, "Accesso non riuscito.", err)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func (s *Service) redeem(ctx context.Context, p *oidc.Provider, v *visit, a attempt, code string) error {
	token, err := s.oauth(p).Exchange(ctx, code, oauth2.VerifierOption(a.verifier))
	if err != nil {
		return err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: s.ClientID}).Verify(ctx, raw)
	if err != nil {
		return err
	}
	if id.Nonce != a.nonce {
		return errors.New("the ID token's nonce is not ours")
	}
	v.token, v.rawIDToken, v.api = token, raw, nil
	if err := id.Claims(&v.idToken); err != nil {
		return err
	}
	return s.readUserinfo(ctx, p, v)
}

// readUserinfo uses the token as it is: a static source never refreshes.
func (s *Service) readUserinfo(ctx context.Context, p *oidc.Provider, v *visit) error {
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(v.token))
	if err != nil {
		return err
	}
	v.userinfo = nil
	return info.Claims(&v.userinfo)
}

// refresh trades the refresh token for new tokens and asks for the claims
// again.
func (s *Service) refresh(w http.ResponseWriter, r *http.Request) {
	v := s.visitOf(w, r)
	p, err := s.discover(r.Context())
	if err != nil || v.token == nil {
		s.problem(w, r, v, "Prima bisogna entrare.", err)
		return
	}
	old := &oauth2.Token{RefreshToken: v.token.RefreshToken}
	token, err := s.oauth(p).TokenSource(r.Context(), old).Token()
	if err == nil {
		v.token, v.refreshed = token, time.Now()
		err = s.readUserinfo(r.Context(), p, v)
	}
	if err != nil {
		v.token = nil
		s.problem(w, r, v, "Il rinnovo non è riuscito: bisogna entrare di nuovo.", err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// call asks the protected API with the access token.
func (s *Service) call(w http.ResponseWriter, r *http.Request) {
	v := s.visitOf(w, r)
	if v.token == nil {
		s.problem(w, r, v, "Prima bisogna entrare.", nil)
		return
	}
	q, err := http.NewRequestWithContext(r.Context(), http.MethodGet, s.Address+"/api/pensions", nil)
	if err == nil {
		v.token.SetAuthHeader(q)
		var a *http.Response
		if a, err = http.DefaultClient.Do(q); err == nil {
			v.api = readAnswer(a)
		}
	}
	if err != nil {
		s.problem(w, r, v, "L’API non risponde.", err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// logout forgets the visit and takes the browser to the provider's sign-out.
func (s *Service) logout(w http.ResponseWriter, r *http.Request) {
	v := s.visitOf(w, r)
	p, err := s.discover(r.Context())
	if err != nil {
		s.problem(w, r, v, "Il fornitore di identità non risponde.", err)
		return
	}
	var meta struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := p.Claims(&meta); err != nil {
		s.problem(w, r, v, "Il fornitore di identità non ha un’uscita.", err)
		return
	}
	hint := v.rawIDToken
	*v = visit{}
	http.Redirect(w, r, fmt.Sprintf("%s?%s", meta.EndSession, url.Values{
		"id_token_hint": {hint}, "post_logout_redirect_uri": {s.Address + "/"},
	}.Encode()), http.StatusSeeOther)
}
