package clients_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// People see the language that fits best, else what is in none, else any.
func TestNamesInLanguages(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		untagged string
		in       clients.Translations
		wanted   string
		want     string
	}{
		"none":                 {"Servizio", nil, "it", "Servizio"},
		"the language":         {"Service", clients.Translations{"client_name#it": "Servizio", "client_name#en": "Ours"}, "it", "Servizio"},
		"the other":            {"Service", clients.Translations{"client_name#it": "Servizio", "client_name#en": "Ours"}, "en", "Ours"},
		"in any case":          {"Service", clients.Translations{"client_name#IT": "Servizio"}, "it", "Servizio"},
		"of a country":         {"Service", clients.Translations{"client_name#it-CH": "Servizio"}, "it", "Servizio"},
		"for a country":        {"Service", clients.Translations{"client_name#it": "Servizio"}, "it-CH", "Servizio"},
		"nearer":               {"Service", clients.Translations{"client_name#it-CH": "Svizzero", "client_name#it": "Servizio"}, "it", "Servizio"},
		"another alone":        {"Service", clients.Translations{"client_name#de": "Dienst"}, "it", "Service"},
		"another, and nothing": {"", clients.Translations{"client_name#fr": "Le service", "client_name#de": "Dienst"}, "it", "Dienst"},
		"of another member":    {"Service", clients.Translations{"purpose#it": "Contare"}, "it", "Service"},
	} {
		c := clients.Client{ID: "a", Metadata: clients.Metadata{ClientName: row.untagged, Translations: row.in}}
		if got := c.In(row.wanted).Name(); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
	all := clients.Client{Metadata: clients.Metadata{Translations: clients.Translations{
		"client_uri#it": "https://a.example/it", "logo_uri#it": "https://a.example/logo", "policy_uri#it": "https://a.example/p", "tos_uri#it": "https://a.example/t", "purpose#it": "Contare",
	}}}.In("it")
	if all.ClientURI != "https://a.example/it" || all.LogoURI != "https://a.example/logo" || all.PolicyURI != "https://a.example/p" ||
		all.TosURI != "https://a.example/t" || all.Purpose != "Contare" {
		t.Errorf("in Italian: %+v", all.Metadata)
	}
}

// Each language is held to what its member is held to.
func TestTranslationsThatAreRefused(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 151 {
		fmt.Fprintf(&many, `, "client_name#en-x-%d": "S"`, i)
	}
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		for members, field := range map[string]string{
			`, "client_name#it": "` + strings.Repeat("a", 101) + `"`:       "client_name#it",
			`, "client_name#it": "a\u202eb"`:                               "client_name#it",
			`, "purpose#it": "` + strings.Repeat("a", 501) + `"`:           "purpose#it",
			`, "logo_uri#it": "http://a.example/logo"`:                     "logo_uri#it",
			`, "policy_uri#it": "javascript:alert(1)"`:                     "policy_uri#it",
			`, "client_uri#it": "a.example"`:                               "client_uri#it",
			`, "tos_uri#it": "a.example"`:                                  "tos_uri#it",
			`, "client_name#it": "a", "client_name#IT": "a"`:               "client_name#it",
			`, "client_name#it": "a", "client_name#it": "a"`:               "client_name#it",
			`, "client_name#": "a"`:                                        "client_name",
			`, "client_name#qq-": "a"`:                                     "client_name",
			`, "client_name#it_CH": "a"`:                                   "client_name",
			`, "client_name#it\n": "a"`:                                    "client_name",
			`, "client_name#it-x-` + strings.Repeat("a1-", 11) + `a": "a"`: "client_name",
			`, "client_name#it": 1`:                                        "client_name",
			`, "redirect_uris#it": ["https://b.example/"]`:                 "document",
			many.String(): "document",
		} {
			d, err := clients.Decode(strings.NewReader(`{"redirect_uris": ["https://a.example/cb"]` + members + `}`))
			if err == nil {
				_, err = f.Register(f.ctx, f.by, d)
			}
			f.refuses(fmt.Sprintf("%.60s", members), err, field)
		}
	})
}

// What was registered comes back as it was, and moves.
func TestTranslationsAreKept(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		d, err := clients.DecodeOwn(strings.NewReader(`{"redirect_uris": ["https://a.example/cb"], "client_name": "Service", "client_name#IT": "  Il  servizio",
			"client_name#ja-Hani-JP": "サービス", "purpose#it": " ", "logo_uri#it": "https://a.example/logo.svg", "jwks_uri#it": "ignored"}`))
		f.must(err)
		made, _, err := f.invited(d)
		f.must(err)
		want := clients.Translations{"client_name#IT": "Il servizio", "client_name#ja-Hani-JP": "サービス", "logo_uri#it": "https://a.example/logo.svg"}
		c, err := f.Lookup(f.ctx, made.ID)
		f.must(err)
		if diff := cmp.Diff(want, c.Translations); diff != "" {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
		answer, err := clients.Registered{Client: c}.Encode()
		f.must(err)
		if !bytes.Contains(answer, []byte(`"client_name#IT": "Il servizio"`)) || !bytes.Contains(answer, []byte(`"client_id": "`+c.ID)) {
			t.Errorf("shown: %s", answer)
		}
		report, err := f.imports(f.exported())
		if want := (clients.ImportReport{Unchanged: 1}); err != nil || report != want {
			t.Errorf("Import = %+v, %v, want %+v", report, err, want)
		}
		var moved []map[string]any
		f.must(json.Unmarshal(f.exported(), &moved))
		moved[0]["client_name#IT"] = "Un altro"
		data, err := json.Marshal(moved)
		f.must(err)
		if report, err := f.imports(data); err != nil || report.Updated != 1 {
			t.Errorf("Import of another name = %+v, %v", report, err)
		}
		if c, err = f.Get(f.ctx, c.ID); err != nil || c.In("it").Name() != "Un altro" {
			t.Errorf("Get = %q, %v", c.In("it").Name(), err)
		}
	})
}

// An app or a device that registers itself borrows no host in a language either.
func TestOwnClientsShowNoHostOfAnothersInALanguage(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db, clients.Policy{})
		device := clients.Document{Metadata: clients.Metadata{
			ClientName: "TV", GrantTypes: []string{clients.GrantDeviceCode},
			Translations: clients.Translations{"client_uri#it": "https://bank.example/", "client_name#it": "Televisore"},
		}}
		c, token, err := f.invited(device)
		f.must(err)
		if got := c.In("it"); got.HostAt("") != "" || got.Name() != "Televisore" {
			t.Errorf("a device shows the host %q of %q", got.HostAt(""), got.Name())
		}
		_, err = f.Update(f.ctx, f.by, c.ID, device) // an administrator knows
		f.must(err)
		for host, uri := range map[string]string{"bank.example": "https://bank.example/", "": "https://other.example/"} {
			device.Translations = clients.Translations{"client_uri#it": uri}
			known, err := f.Own(f.ctx, c.ID, token)
			f.must(err)
			_, err = f.Update(f.ctx, f.by, c.ID, clients.Document{Metadata: clients.Metadata{
				GrantTypes: device.GrantTypes, Translations: clients.Translations{"client_uri#it": "https://bank.example/"},
			}})
			f.must(err)
			r, err := f.UpdateOwn(f.ctx, f.by, known, device)
			f.must(err)
			if got := r.Client.In("it").HostAt(""); got != host {
				t.Errorf("after a change to %s: %q, want %q", uri, got, host)
			}
		}
	})
}
