package templates

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// whole is an institution file that says everything.
const whole = `{
	"name": {"it": "Ente <Prova>", "en": "Agency"}, "tagline": {"it": "Accesso"}, "owner": {"it": "Ministero"},
	"logo": "own.svg", "address": "accesso.prova.example",
	"phones": [{"number": "803164", "shown": "803 164", "note": {"it": "gratis"}}],
	"opening_hours": [{"days": ["mon"], "from": "08:00", "to": "12:00"}], "closed": ["2026-12-25"],
	"legal": [{"name": {"it": "Privacy"}, "url": "https://prova.example/privacy"}],
	"report_url": "https://prova.example/segnala", "correct_url": "mailto:dati@prova.example",
	"alternatives": [{"kind": "spid", "url": "https://prova.example/spid"}, {"kind": "cie", "url": ""}],
	"channels": [{"name": {"it": "Scrivici"}, "note": {"it": "Risposta in 5 giorni."}, "url": "mailto:scrivi@prova.example"}],
	"colours": {"brand": "#8a0030", "brand_tint": "#fff5f8"}
}`

func load(t *testing.T, text string) (Institution, error) {
	t.Helper()
	dir := t.TempDir()
	for name, body := range map[string]string{"own.svg": "<svg/>", "institution.json": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return LoadInstitution(filepath.Join(dir, "institution.json"))
}

func TestInstitutionOnThePage(t *testing.T) {
	t.Parallel()
	i, err := load(t, whole)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Institution: i})
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := s.Render(&page, Frame{Now: time.Now()}, Login{Action: "/login/1"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Ente &lt;Prova&gt;", "Ministero", `href="tel:803164"`, `href="https://prova.example/privacy"`,
		`href="https://prova.example/segnala"`, "Entra con SPID", s.assets.url("logo.svg"), s.assets.url("brand.css"),
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page does not show %s", want)
		}
	}
	if !strings.Contains(page.String(), "Il PIN è per chi vive all’estero") {
		t.Error("R6: the alternatives do not say who may still use a PIN")
	}
	if strings.Contains(page.String(), "Entra con CIE") {
		t.Error("an alternative without an address is shown")
	}
	page.Reset()
	if err := s.Render(&page, Frame{Now: time.Now()}, PINHome{LostURL: "/pin/lost"}); err != nil {
		t.Fatal(err)
	}
	if want := `<a href="mailto:scrivi@prova.example">Scrivici</a><p>Risposta in 5 giorni.</p>`; !strings.Contains(page.String(), want) {
		t.Errorf("R61: the page does not show %s", want)
	}
	sheet, ok := s.Asset(strings.TrimPrefix(s.assets.url("brand.css"), "/assets/"))
	if want := ":root{--idp-brand:#8a0030;--idp-brand-tint:#fff5f8;}"; !ok || string(sheet.Body) != want {
		t.Errorf("colours are %s, want %s", sheet.Body, want)
	}
}

func TestInstitutionIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	for old, bad := range map[string]string{
		`"it": "Ente <Prova>", `:              ``,
		`"own.svg"`:                           `"institution.json"`,
		`"08:00"`:                             `"8"`,
		`"to": "12:00"`:                       `"to": "07:00"`,
		`["mon"]`:                             `["lunedì"]`,
		`"2026-12-25"`:                        `"25/12"`,
		`"https://prova.example/privacy"`:     `"javascript:alert(1)"`,
		`"https://prova.example/segnala"`:     `"//evil.example"`,
		`"kind": "spid"`:                      `"kind": "facebook"`,
		`"#8a0030"`:                           `"#ffd000"`,
		`"#fff5f8"`:                           `"red"`,
		`"owner"`:                             `"owners"`,
		`"803164"`:                            `"call us"`,
		`"address": "accesso.prova.example",`: ``,
	} {
		text := strings.Replace(whole, old, bad, 1)
		if text == whole {
			t.Fatalf("%s is not in the file", old)
		}
		if _, err := load(t, text); err == nil {
			t.Errorf("%s instead of %s was accepted", bad, old)
		}
	}
}

func TestOverridePage(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Overrides: fstest.MapFS{
		"home.html": {Data: []byte(`{{define "title"}}Altra{{end}}{{define "main"}}<h1>Nostra</h1>{{end}}`)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := s.Render(&page, Frame{}, Home{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page.String(), "<h1>Nostra</h1>") {
		t.Error("the operator's own page is not shown")
	}
	if _, err := New(Options{Overrides: fstest.MapFS{"home.html": {Data: []byte(`{{define`)}}}); err == nil {
		t.Error("a broken page was accepted at start")
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	empty, err := loadAssets(fstest.MapFS{".gitkeep": {}})
	if err != nil || empty.url("site.css") != "" {
		t.Errorf("an empty folder: %q, %v", empty.url("site.css"), err)
	}
	built, err := loadAssets(fstest.MapFS{
		"manifest.json": {Data: []byte(`{"site.css": "site-1.css"}`)}, "site-1.css": {Data: []byte("a{}")},
	})
	if err != nil || built.url("site.css") != "/assets/site-1.css" || built.files["site-1.css"].Type != "text/css; charset=utf-8" {
		t.Errorf("a built folder: %v, %v", built, err)
	}
	if _, err := loadAssets(fstest.MapFS{"manifest.json": {Data: []byte(`{"site.css": "gone.css"}`)}}); err == nil {
		t.Error("a manifest that names a missing file was accepted")
	}
}

// The answer to a service goes to an address, a native app's own scheme included,
// and never to something that runs.
func TestFormPostAddress(t *testing.T) {
	t.Parallel()
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for address, fine := range map[string]bool{
		"https://rp.example/cb?a=1&b=2": true, "it.ente.app:/callback": true, "http://127.0.0.1:9999/cb": true,
		"javascript:alert(1)": false, "JavaScript:alert(1)": false, "data:text/html,x": false, "vbscript:x": false,
		"/relative": false, "": false, "//rp.example": false, "\x01javascript:alert(1)": false,
	} {
		var page bytes.Buffer
		err := s.Render(&page, Frame{}, FormPost{Action: address})
		if (err == nil) != fine {
			t.Errorf("form post to %q: %v", address, err)
		}
		if err != nil && page.Len() > 0 {
			t.Errorf("form post to %q left half a page", address)
		}
		if fine && strings.Contains(page.String(), "ZgotmplZ") {
			t.Errorf("form post to %q: the address is gone", address)
		}
	}
}

// A client's name and words are somebody else's text.
func TestForeignTextIsEscaped(t *testing.T) {
	t.Parallel()
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	const evil = `"><script>alert(1)</script>`
	var page bytes.Buffer
	err = s.Render(&page, Frame{Service: &Service{Name: evil, Host: evil, LogoURL: "javascript:alert(1)", PolicyURL: "javascript:alert(1)", TermsURL: "javascript:alert(1)"}, Query: "a=" + evil}, Consent{
		Action: evil, Purpose: evil, Person: evil, SignOutURL: "javascript:alert(1)",
		Attributes: []Attribute{{Claim: evil, Value: evil}, {Claim: "birthdate", Value: evil}, {Claim: "gender", Value: evil}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>alert", `"javascript:`} {
		if strings.Contains(page.String(), bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
}
