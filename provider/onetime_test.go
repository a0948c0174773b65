package provider

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// consumer is a place that takes a secret or a token: the one that it is named
// after, and those of own. took tells an answer to a value that was taken.
type consumer struct {
	name string
	own  []string
	try  func(value string) answer
	took func(a answer) bool
}

// fits is any answer that a good value gets.
func fits(a answer) bool { return a.StatusCode < http.StatusBadRequest }

// TestNothingIsTakenForAnother feeds everything that this provider hands out to
// every place that takes something, in the name of the very client and browser
// that it belongs to. It is taken where it belongs and nowhere else, and what
// was tried in vain elsewhere is still good.
func TestNothingIsTakenForAnother(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := registering(t, db, RegistrationToken, clients.ProfileOAuth21)
		d := &device{service: h.service(`{"resources": ["https://a.example/"], "own_audiences": ["https://a.example/"], "token_exchange": ["https://b.example/"],
			"grant_types": ["authorization_code", "refresh_token", "` + clients.GrantDeviceCode + `", "` + clients.GrantTokenExchange + `"]}`)}
		d.signIn(h.people())
		values := d.handOut()
		for _, c := range d.consumers() {
			for name, value := range values {
				if name == c.name || slices.Contains(c.own, name) {
					continue
				}
				if a := c.try(value); c.took(a) || a.StatusCode >= http.StatusInternalServerError {
					t.Errorf("%s, taken as %s: %d to %q %s", name, c.name, a.StatusCode, a.Header.Get("Location"), a.body)
				}
			}
		}
		for _, c := range d.consumers() {
			if value, ok := values[c.name]; ok {
				if a := c.try(value); !c.took(a) {
					t.Errorf("%s where it belongs, after all that: %d %s", c.name, a.StatusCode, a.body)
				}
			}
		}
	})
}

// handOut is one of everything.
func (d *device) handOut() map[string]string {
	d.t.Helper()
	h, values := d.house, map[string]string{}
	tokens := d.tokens("scope", "openid offline_access", "resource", "https://a.example/")
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		values[name], _ = tokens[name].(string)
	}
	d.begin()
	values["device_code"], values["user_code"], values["code"] = d.code, d.user, d.service.code()
	values["device code as its hash has it"] = "device\x00" + d.code
	values["request_uri"] = d.pushedURI(d.push("prompt", "login"))
	values["interaction"] = strings.TrimPrefix(d.leads("/authorize?"+d.params("prompt", "login").Encode()), "/login/")
	values["invitation"] = h.invite(clients.ProfileOAuth21, 1)
	registered := h.sendJSON(http.MethodPost, registerPath, h.invite(clients.ProfileOAuth21, 1), ownDocument).json(h.t)
	values["registration_access_token"], _ = registered["registration_access_token"].(string)
	values["registered"], _ = registered["client_id"].(string)
	values["client_secret"] = d.secret
	values["ticket"] = strings.TrimPrefix(d.leads("/logout?client_id="+d.client.ID), "/logout/confirm?ticket=")
	return values
}

// leads is where this browser is sent from there.
func (d *device) leads(path string) string {
	return d.with(d.browser, d.get(path, "")).Header.Get("Location")
}

func (d *device) consumers() []consumer {
	h := d.house
	post := func(path, name string, pairs ...string) func(string) answer {
		return func(value string) answer {
			r := d.tokenRequest(append(pairs, name, value)...)
			r.URL.Path = path
			return h.do(r)
		}
	}
	active := func(a answer) bool { return strings.Contains(a.body, `"active":true`) }
	get := func(path string) func(string) answer {
		return func(value string) answer {
			return d.with(d.browser, d.get(path+url.QueryEscape(value), ""))
		}
	}
	own := h.selfRegistered()
	return []consumer{
		{"code", nil, post(tokenPath, "code", "grant_type", "authorization_code", "redirect_uri", callback, "code_verifier", verifier), fits},
		{"refresh_token", nil, post(tokenPath, "refresh_token", "grant_type", "refresh_token"), fits},
		{"device_code", nil, post(tokenPath, "device_code", "grant_type", clients.GrantDeviceCode), func(a answer) bool {
			return !strings.Contains(a.body, codeInvalidGrant) && !strings.Contains(a.body, codeInvalidRequest)
		}},
		{"access_token", nil, post(tokenPath, "subject_token", "grant_type", clients.GrantTokenExchange, "subject_token_type", tokenTypeAccess, "audience", "https://b.example/"), fits},
		{"client_secret", nil, func(value string) answer {
			r := h.post(introspectPath, "token", "x")
			r.SetBasicAuth(url.QueryEscape(d.client.ID), url.QueryEscape(value))
			return h.do(r)
		}, fits},
		{"introspected", []string{"access_token", "refresh_token"}, post(introspectPath, "token"), active},
		{"userinfo", nil, func(value string) answer {
			r := d.get(userinfoPath, "")
			r.Header.Set("Authorization", "Bearer "+strings.ReplaceAll(value, "\x00", ""))
			return h.do(r)
		}, fits},
		{"registration_access_token", nil, func(value string) answer {
			return h.sendJSON(http.MethodGet, registerPath+"/"+own, strings.ReplaceAll(value, "\x00", ""), "")
		}, fits},
		{"invitation", nil, func(value string) answer {
			return h.sendJSON(http.MethodPost, registerPath, strings.ReplaceAll(value, "\x00", ""), ownDocument)
		}, fits},
		{"user_code", nil, func(value string) answer { return d.types("user_code", value) }, func(a answer) bool { return strings.Contains(a.body, `data-page="device-confirm"`) }},
		{"request_uri", nil, get("/authorize?client_id=" + d.client.ID + "&request_uri="), fits},
		{"a pushed request", []string{"request_uri", "interaction"}, get("/authorize?client_id=" + d.client.ID + "&request_uri=" + url.QueryEscape(pushedPrefix)), fits},
		{"interaction", nil, get("/authorize/"), fits},
		{"id_token", nil, get("/authorize?" + d.params("prompt", "none").Encode() + "&id_token_hint="), func(a answer) bool { return strings.Contains(a.Header.Get("Location"), "code=") }},
		{"ticket", nil, get("/logout/confirm?ticket="), func(a answer) bool { return a.StatusCode == http.StatusOK }},
	}
}

// selfRegistered is the client that has registered itself.
func (h *house) selfRegistered() (id string) {
	h.t.Helper()
	if err := h.db.Read(h.t.Context()).Raw("SELECT client_id FROM client_registrations ORDER BY client_id LIMIT 1").Scan(&id).Error; err != nil {
		h.t.Fatal(err)
	}
	return id
}
