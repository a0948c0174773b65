//go:build browser

package main

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/database/databasetest"
)

// singlePage serves docs/guides/spa as it stands there, with the addresses of
// this test, on another site than the provider's.
func (h *house) singlePage() (address, id string) {
	h.t.Helper()
	installed(h.t, "oidc-client-ts")
	host := freePort(h.t)
	address = "http://" + host + "/"
	document, err := os.ReadFile(guides(h.t, "spa", "service.json"))
	if err != nil {
		h.t.Fatal(err)
	}
	doc, err := clients.Decode(bytes.NewReader(bytes.ReplaceAll(document, []byte("http://127.0.0.1:3000/"), []byte(address))))
	if err != nil {
		h.t.Fatal(err)
	}
	r, err := h.clients.Register(h.t.Context(), operator(), doc)
	if err != nil {
		h.t.Fatal(err)
	}
	here := strings.NewReplacer("http://localhost:8080", h.settings.Issuer, "CLIENT_ID", r.Client.ID)
	m := http.NewServeMux()
	m.HandleFunc("GET /oidc-client-ts.min.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join("..", "..", "node_modules", "oidc-client-ts", "dist", "browser", "oidc-client-ts.min.js"))
	})
	for path, name := range map[string]string{"/{$}": "index.html", "/app.js": "app.js"} {
		source, err := os.ReadFile(guides(h.t, "spa", name))
		if err != nil {
			h.t.Fatal(err)
		}
		m.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, name, time.Time{}, strings.NewReader(here.Replace(string(source))))
		})
	}
	h.beside(host, m)
	return address, r.Client.ID
}

// says waits until an element of the page shows that text.
func (p *person) says(selector, want string) *person {
	p.t.Helper()
	within(p.t, selector+" to say "+want, func(context.Context) (bool, string) {
		seen := p.try(`(document.querySelector('` + selector + `')?.innerText ?? '') + ' / ' + (document.querySelector('#problem')?.innerText ?? '')`)
		return strings.HasPrefix(seen, want+" / "), seen
	})
	return p
}

// kept is one of the tokens that the page keeps.
func (p *person) kept(token string) string {
	p.t.Helper()
	return p.ask(`Object.entries(sessionStorage).filter(([k]) => k.startsWith('oidc.user:')).map(([, v]) => JSON.parse(v)["` + token + `"])[0] ?? ''`)
}

// docs/guides/spa.md: a page without a server of its own signs in, renews with
// its refresh token, says what went wrong, and leaves.
func testSinglePage(t *testing.T, b chromium) {
	h := newHouse(t, databasetest.SQLite(t)).people()
	address, id := h.singlePage()
	pin := h.activePIN(regular)
	const nobody, somebody = "Nessuno ha fatto l’accesso.", "Buongiorno, Anna Maria"
	p := newPerson(t, b).open(address).says("#who", nobody)
	p.press("#enter").signIn(regular, pin).on("consent").press(deny).says("#who", nobody).says("#problem", "access_denied")
	p.press("#enter").on("consent").press(allow).says("#who", somebody)
	if at := p.at(); at != address {
		t.Errorf("the answer stays in the address: %s", at)
	}
	access, refresh := p.kept("access_token"), p.kept("refresh_token")
	p.tick("#renew")
	within(t, "another access token", func(context.Context) (bool, string) { return p.kept("access_token") != access, p.text("#problem") })
	again := p.kept("refresh_token")
	if again == "" || again == refresh {
		t.Error("the renewal brought no new refresh token")
	}
	p.reload().says("#who", somebody)
	p.press("#leave").says("#who", nobody).says("#problem", "")
	if p.kept("access_token") != "" {
		t.Error("tokens are kept after the sign-out")
	}
	p.press("#enter").on("login")
	a, err := http.PostForm(h.settings.Issuer+"/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {again}, "client_id": {id}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	if a.StatusCode != http.StatusBadRequest {
		t.Errorf("the refresh token outlived the sign-out: %s", a.Status)
	}
}
