//go:build browser

package main

import (
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"ente.example/idp/clients"
)

// partner is a service that shows what it was answered, for requests that the
// sample service does not make. It lives on another site than the provider.
type partner struct {
	h       *house
	address string
	client  clients.Client
	onward  string // where its callback sends the browser on to, if anywhere
}

// pages of the partner: what came back, and a form that asks by POST.
const partnerPages = `{{define "answer"}}<!doctype html><html lang="it"><title>Servizio</title>
<main data-page="partner"><h1>Servizio</h1><p id="by">{{.By}}</p>
<dl>{{range $name, $value := .Values}}<dt>{{$name}}</dt><dd id="{{$name}}">{{$value}}</dd>{{end}}</dl></main></html>{{end}}
{{define "ask"}}<!doctype html><html lang="it"><title>Servizio</title>
<main data-page="partner-ask"><h1>Servizio</h1><form method="post" action="{{.Action}}">
{{range $name, $value := .Values}}<input type="hidden" name="{{$name}}" value="{{index $value 0}}">{{end}}
<button>Entra</button></form></main></html>{{end}}`

// partner registers and starts one more service.
func (h *house) partner(change func(*clients.Document)) *partner {
	h.t.Helper()
	address := freePort(h.t)
	p := &partner{h: h, address: "http://" + address}
	doc := clients.Document{Metadata: clients.Metadata{
		ClientName: "Anagrafe", ClientURI: p.address + "/", RedirectURIs: []string{p.address + "/callback"},
		PostLogoutRedirectURIs: []string{p.address + "/callback"},
		Scope:                  clients.ParseScope("openid profile"), Purpose: "Mostrarti i tuoi dati.",
	}}
	if change != nil {
		change(&doc)
	}
	r, err := h.clients.Register(h.t.Context(), operator(), doc)
	if err != nil {
		h.t.Fatal(err)
	}
	p.client = r.Client
	h.beside(address, p.site())
	return p
}

func (p *partner) site() http.Handler {
	pages := template.Must(template.New("").Parse(partnerPages))
	m := http.NewServeMux()
	m.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		if p.onward != "" {
			http.Redirect(w, r, p.onward+"?"+r.Form.Encode(), http.StatusSeeOther)
			return
		}
		answered(w, r, pages)
	})
	m.HandleFunc("GET /ask", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = pages.ExecuteTemplate(w, "ask", map[string]any{"Action": p.h.settings.Issuer + "/authorize", "Values": p.params(nil)})
	})
	m.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { answered(w, r, pages) })
	m.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return m
}

// answered shows what a request carried.
func answered(w http.ResponseWriter, r *http.Request, pages *template.Template) {
	_ = r.ParseForm()
	values := map[string]string{}
	for name := range r.Form {
		values[name] = r.Form.Get(name)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = pages.ExecuteTemplate(w, "answer", map[string]any{"By": r.Method + " " + r.Host, "Values": values})
}

func (p *partner) params(more url.Values) url.Values {
	q := url.Values{
		"client_id": {p.client.ID}, "redirect_uri": {p.address + "/callback"}, "response_type": {"code"},
		"scope": {strings.Join(p.client.Scope, " ")}, "state": {"s1"}, "nonce": {"n1"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	maps.Copy(q, more)
	return q
}

// request is the address that a visit to the provider begins with.
func (p *partner) request(more url.Values) string {
	return p.h.settings.Issuer + "/authorize?" + p.params(more).Encode()
}

// third starts one more site, which sees what the partner was told.
func (p *partner) third() *partner {
	p.h.t.Helper()
	address := freePort(p.h.t)
	last := &partner{h: p.h, address: "http://terzo.localhost:" + port(address)}
	p.h.beside(address, last.site())
	p.onward = last.address + "/callback"
	return p
}
