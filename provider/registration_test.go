package provider

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// registering is a house at which clients register themselves.
func registering(t *testing.T, db *database.DB, how Registration, profile clients.Profile) *house {
	t.Helper()
	return buildHouse(t, db, newSecrets(t), func(d *Deps) { d.Registration, d.RegistrationProfile = how, profile })
}

// sendJSON is a request with a JSON body and a bearer token, if there is one.
func (h *house) sendJSON(method, path, token, body string) answer {
	h.t.Helper()
	r := must[*http.Request](h.t)(http.NewRequestWithContext(h.t.Context(), method, h.issuer+path, strings.NewReader(body)))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return h.do(r)
}

func (h *house) invite(profile clients.Profile, uses int) string {
	h.t.Helper()
	i := clients.Invitation{Profile: profile, Uses: uses, Life: time.Hour}
	return must[clients.Secret](h.t)(h.clients.Invite(h.t.Context(), operator(), i)).Reveal()
}

const ownDocument = `{"redirect_uris": ["https://service.example/callback"], "client_name": "Mine", "client_name#de": "Meins", "never_heard_of": {"a": 1}}`

// RFC 7591 and RFC 7592, start to finish: registered, used, read, changed, ended.
func TestRegistration(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := registering(t, db, RegistrationOpen, clients.ProfileOIDC)
		a := h.sendJSON(http.MethodPost, registerPath, "", ownDocument)
		doc := a.json(t)
		if a.StatusCode != http.StatusCreated || a.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("register = %d %s", a.StatusCode, a.body)
		}
		id, _ := doc["client_id"].(string)
		secret, _ := doc["client_secret"].(string)
		token, _ := doc["registration_access_token"].(string)
		path := registerPath + "/" + id
		if doc["registration_client_uri"] != issuer+path || doc["client_secret_expires_at"] != 0.0 || doc["scope"] != "openid profile email phone address" ||
			doc["consent"] != "remember" || doc["client_name#de"] != "Meins" || doc["never_heard_of"] != nil {
			t.Errorf("registered as %v", doc)
		}
		s := &service{house: h, client: must[clients.Client](t)(h.clients.Get(t.Context(), id)), secret: secret, browser: h.browser()}
		s.signIn(h.people())
		s.authorize("scope", "openid") // consent is asked for; the client is known
		if got := h.sendJSON(http.MethodGet, path, token, "").ok(t); got["client_name"] != "Mine" || got["client_name#de"] != "Meins" || got["client_secret"] != nil {
			t.Errorf("read = %v", got)
		}
		changed := h.sendJSON(http.MethodPut, path, token, `{"client_id": "`+id+`", "client_secret": "`+secret+`", "redirect_uris": ["https://service.example/callback"], "client_name": "Ours"}`)
		if got := changed.ok(t); got["client_name"] != "Ours" || got["client_name#de"] != nil || got["registration_access_token"] != token {
			t.Errorf("changed = %v", got)
		}
		if got := h.sendJSON(http.MethodDelete, path, token, ""); got.StatusCode != http.StatusNoContent {
			t.Errorf("ended = %d %s", got.StatusCode, got.body)
		}
		if got := h.sendJSON(http.MethodGet, path, token, ""); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("after its end = %d", got.StatusCode)
		}
		wantUntrusted(t, "a client that has ended", s.authorize())
	})
}

// Nobody gets what only an administrator gives, whoever asks and how.
func TestRegistrationGivesNoPrivileges(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := registering(t, db, RegistrationOpen, clients.ProfileOAuth21)
		greedy := `{"redirect_uris": ["https://service.example/callback"], "consent": "trusted", "may_introspect": true, "profile": "oidc",
			"require_pkce": false, "resources": ["https://api.example/"], "sector": "bank.example", "client_id": "root", "client_secret_digest": "x"`
		doc := h.sendJSON(http.MethodPost, registerPath, "", greedy+`}`).json(t)
		id, _ := doc["client_id"].(string)
		token, _ := doc["registration_access_token"].(string)
		want := func(name string, doc map[string]any) {
			t.Helper()
			if doc["consent"] != "remember" || doc["may_introspect"] != nil || doc["profile"] != "oauth2.1" || doc["require_pkce"] != true ||
				doc["resources"] != nil || doc["sector"] != nil || doc["client_id"] == "root" {
				t.Errorf("%s: %v", name, doc)
			}
		}
		want("registered", doc)
		again := strings.Replace(greedy, `"root"`, `"`+id+`"`, 1) + `}`
		want("changed", h.sendJSON(http.MethodPut, registerPath+"/"+id, token, again).ok(t))
	})
}

func TestRegistrationsThatAreRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := registering(t, db, RegistrationToken, clients.ProfileOIDC)
		invited := h.invite(clients.ProfileOAuth21, 20)
		unauthorized := "Unauthorized " + codeInvalidToken
		wantRefusal(t, "nobody invited", h.sendJSON(http.MethodPost, registerPath, "", ownDocument), unauthorized)
		wantRefusal(t, "an invented token", h.sendJSON(http.MethodPost, registerPath, "x", ownDocument), unauthorized)
		for name, row := range map[string][2]string{
			"not JSON":          {`{`, "invalid_client_metadata"},
			"a list":            {`[]`, "invalid_client_metadata"},
			"no address":        {`{}`, "invalid_redirect_uri"},
			"a bad address":     {`{"redirect_uris": ["http://a.example/"]}`, "invalid_redirect_uri"},
			"an unknown method": {`{"redirect_uris": ["https://a.example/"], "token_endpoint_auth_method": "magic"}`, "invalid_client_metadata"},
			"implicit":          {`{"redirect_uris": ["https://a.example/"], "grant_types": ["implicit"], "response_types": ["id_token"]}`, "invalid_client_metadata"},
			"a statement":       {`{"redirect_uris": ["https://a.example/"], "software_statement": "a.b.c"}`, "invalid_software_statement"},
		} {
			wantRefusal(t, name, h.sendJSON(http.MethodPost, registerPath, invited, row[0]), "Bad Request "+row[1])
		}
		first := h.sendJSON(http.MethodPost, registerPath, invited, ownDocument).json(t)
		second := h.sendJSON(http.MethodPost, registerPath, invited, ownDocument).json(t)
		if first["profile"] != "oauth2.1" {
			t.Errorf("profile %v, want the token's", first["profile"])
		}
		id, _ := first["client_id"].(string)
		token, _ := second["registration_access_token"].(string)
		wantRefusal(t, "another's token", h.sendJSON(http.MethodGet, registerPath+"/"+id, token, ""), unauthorized)
		wantRefusal(t, "the invitation", h.sendJSON(http.MethodGet, registerPath+"/"+id, invited, ""), unauthorized)
		wantRefusal(t, "a client that is none", h.sendJSON(http.MethodGet, registerPath+"/none", token, ""), unauthorized)
		own, _ := first["registration_access_token"].(string)
		wantRefusal(t, "another's id", h.sendJSON(http.MethodPut, registerPath+"/"+id, own, ownDocument), "Bad Request invalid_client_metadata")
		databasetest.Shift(t, db, 2*time.Hour)
		wantRefusal(t, "an invitation that has run out", h.sendJSON(http.MethodPost, registerPath, invited, ownDocument), unauthorized)
		form := h.do(h.post(registerPath, "redirect_uris", "https://a.example/"))
		if form.StatusCode != http.StatusUnauthorized { // the token comes first
			t.Errorf("a form = %d", form.StatusCode)
		}
	})
}

// An invitation for three lets three in, however many come at once.
func TestInvitationsAreUsedUp(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := registering(t, db, RegistrationToken, "")
		token := h.invite(clients.ProfileOAuth21, 3)
		start := make(chan struct{})
		var all sync.WaitGroup
		var mu sync.Mutex
		got := map[int]int{}
		for range 12 {
			all.Go(func() {
				<-start
				a := h.sendJSON(http.MethodPost, registerPath, token, ownDocument)
				mu.Lock()
				defer mu.Unlock()
				got[a.StatusCode]++
			})
		}
		close(start)
		all.Wait()
		if got[http.StatusCreated] != 3 || got[http.StatusUnauthorized] != 9 {
			t.Errorf("answers = %v, want three registrations", got)
		}
	})
}

// Off is not there at all.
func TestRegistrationIsOffByDefault(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		if got := h.sendJSON(http.MethodPost, registerPath, "", ownDocument).StatusCode; got != http.StatusNotFound {
			t.Errorf("register = %d, want 404", got)
		}
		if doc := h.do(h.get(openIDPath, "")).json(t); doc["registration_endpoint"] != nil {
			t.Errorf("discovery names %v", doc["registration_endpoint"])
		}
	})
}

// The device grant is nothing that a client can give itself; one that has it
// from an administrator's invitation keeps it.
func TestOwnDeviceGrant(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := registering(t, db, RegistrationOpen, clients.ProfileOAuth21)
		const device = `{"client_name": "TV", "token_endpoint_auth_method": "none", "grant_types": ["` + clients.GrantDeviceCode + `"]}`
		wantRefusal(t, "register", h.sendJSON(http.MethodPost, registerPath, "", device), "Bad Request invalid_client_metadata")
		doc := h.sendJSON(http.MethodPost, registerPath, "", ownDocument).json(t)
		id, _ := doc["client_id"].(string)
		token, _ := doc["registration_access_token"].(string)
		own := `{"client_id": "` + id + `", ` + device[1:]
		wantRefusal(t, "update", h.sendJSON(http.MethodPut, registerPath+"/"+id, token, own), "Bad Request invalid_client_metadata")

		const exchange = `{"client_name": "API", "grant_types": ["` + clients.GrantTokenExchange + `"], "token_exchange": ["https://b.example"]}`
		wantRefusal(t, "exchange, even with an invitation", h.sendJSON(http.MethodPost, registerPath, h.invite(clients.ProfileOAuth21, 1), exchange),
			"Bad Request invalid_client_metadata")

		invited := h.sendJSON(http.MethodPost, registerPath, h.invite(clients.ProfileOAuth21, 1), device)
		if invited.StatusCode != http.StatusCreated {
			t.Fatalf("invited: %d %s", invited.StatusCode, invited.body)
		}
		id, _ = invited.json(t)["client_id"].(string)
		token, _ = invited.json(t)["registration_access_token"].(string)
		h.sendJSON(http.MethodPut, registerPath+"/"+id, token, `{"client_id": "`+id+`", `+device[1:]).ok(t)
	})
}
