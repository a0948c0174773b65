package provider

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"ente.example/idp/audit"
	"ente.example/idp/authorizations"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
)

// exampleTypes are those of the documentation.
func exampleTypes(t testing.TB) *authorizations.Types {
	t.Helper()
	return must[*authorizations.Types](t)(authorizations.Load("../docs/guides/authorization-types.json"))
}

const (
	paymentType = "https://pagamenti.example/authorizations/payment"
	recordsType = "https://archivio.example/authorizations/records"
	archive     = "https://archivio.example/api"

	paymentDetail = `{"type": "` + paymentType + `", "amount": {"value": "12.50"}, "payee": "Comune di Roma", "day": "2026-12-01"}`
	recordsDetail = `{"type": "` + recordsType + `", "actions": ["read", "add"], "locations": ["` + archive + `"], "year": 2025}`
	readDetail    = `{"type": "` + recordsType + `", "actions": ["read"], "locations": ["` + archive + `"], "year": 2025}`

	badDetails = "Bad Request invalid_authorization_details"
)

// detailed is a service that may ask for both types of the example.
func (h *house) detailed(document string) *service {
	h.t.Helper()
	return h.service(`{"authorization_details_types": ["` + paymentType + `", "` + recordsType + `"],
		"resources": ["` + archive + `", "` + apiAudience + `"]` + document + `}`)
}

// allows answers the consent page of a request, through its form, and returns
// what the service is told and the page.
func (s *service) allows(a answer) (code, page string) {
	s.t.Helper()
	i := s.interaction(a)
	s.leadsTo(s.resume(a), i, "/consent/{id}")
	press, page := s.consentPage(i, "answer", "allow", "remember", "yes")
	return s.reply(press()).Get("code"), page
}

// consentPage looks at the page; press sends its form, filled in.
func (s *service) consentPage(i login.Interaction, pairs ...string) (press func() answer, page string) {
	s.t.Helper()
	shown := s.with(s.browser, s.get("/consent/"+i.ID, ""))
	m := formToken.FindStringSubmatch(shown.body)
	if m == nil {
		s.t.Fatalf("no form on %d %s", shown.StatusCode, shown.body)
	}
	pairs = append(pairs, "form_token", m[1], "session", string(s.current().ID))
	return func() answer {
		r := s.post("/consent/"+i.ID, pairs...)
		r.Header.Set("Origin", s.issuer)
		return s.with(s.browser, r)
	}, shown.body
}

// sameDetails compares a member of an answer with JSON.
func sameDetails(t testing.TB, what string, got any, want string) {
	t.Helper()
	var list any
	if want != "" {
		if err := json.Unmarshal([]byte(want), &list); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(list, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

// RFC 9396: asked about in words, granted, in every token and answer, and never
// more than was granted.
func TestAuthorizationDetails(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.detailed(`, "may_introspect": true`)
		s.signIn(h.people())
		both := "[" + recordsDetail + "," + paymentDetail + "]"
		code, page := s.allows(s.authorize("authorization_details", both))
		for _, words := range []string{"<strong>12,50</strong> euro a <strong>Comune di Roma</strong>", "leggere i documenti", "archivio dell’ente"} {
			if !strings.Contains(page, words) {
				t.Errorf("the page does not say %q", words)
			}
		}
		if strings.Contains(page, `name="remember"`) {
			t.Error("the page offers to remember")
		}
		// The audience is where the details are for; the other one names no place.
		got := s.exchange(code).ok(t)
		sameDetails(t, "answer", got["authorization_details"], both)
		_, claims := payload(t, got["access_token"])
		sameDetails(t, "token", claims["authorization_details"], both)
		if claims["aud"] != archive {
			t.Errorf("aud = %v, want %s", claims["aud"], archive)
		}
		info := s.do(s.introspectRequest(got["access_token"].(string))).ok(t)
		sameDetails(t, "introspection", info["authorization_details"], both)
		info = s.do(s.introspectRequest(got["refresh_token"].(string))).ok(t)
		sameDetails(t, "introspection of a refresh token", info["authorization_details"], both)

		// At a refresh: fewer, for one audience, and never more.
		token := got["refresh_token"].(string)
		for _, c := range []struct{ what, details, resource, want string }{
			{"one", "[" + paymentDetail + "]", "", "[" + paymentDetail + "]"},
			{"a part of one", "[" + readDetail + "]", "", "[" + readDetail + "]"},
			{"for another audience", "", apiAudience, "[" + paymentDetail + "]"},
			{"for its own audience", "", archive, both},
			{"nothing said", "", "", both},
		} {
			pairs := []string{}
			if c.details != "" {
				pairs = append(pairs, "authorization_details", c.details)
			}
			if c.resource != "" {
				pairs = append(pairs, "resource", c.resource)
			}
			got := s.refresh(token, pairs...).ok(t)
			token = got["refresh_token"].(string)
			sameDetails(t, c.what, got["authorization_details"], c.want)
			_, claims := payload(t, got["access_token"])
			sameDetails(t, c.what+" in the token", claims["authorization_details"], c.want)
		}
		wantRefusal(t, "more at a refresh", s.refresh(token, "authorization_details", "["+changedDetail("12.50", "99.50")+"]"), badDetails)
		wantRefusal(t, "nonsense at a refresh", s.refresh(token, "authorization_details", "[1]"), badDetails)

		// The administrator takes a resource away: what is for it is in no token.
		d := s.client.Document()
		d.Resources = []string{apiAudience}
		d.ClientIDIssuedAt, d.SecretExpiresAt = 0, nil
		must[clients.Registered](t)(h.clients.Update(t.Context(), operator(), s.client.ID, d))
		got = s.refresh(token).ok(t)
		token = got["refresh_token"].(string)
		sameDetails(t, "after the resource was taken away", got["authorization_details"], "["+paymentDetail+"]")
		if _, claims = payload(t, got["access_token"]); claims["aud"] != issuer {
			t.Errorf("aud = %v after the resource was taken away", claims["aud"])
		}

		// And so is a type that was taken away.
		d = s.client.Document()
		d.AuthorizationTypes = []string{paymentType}
		d.ClientIDIssuedAt, d.SecretExpiresAt = 0, nil
		must[clients.Registered](t)(h.clients.Update(t.Context(), operator(), s.client.ID, d))
		got = s.refresh(token).ok(t)
		sameDetails(t, "after the type was taken away", got["authorization_details"], "["+paymentDetail+"]")
	})
}

func changedDetail(old, now string) string { return strings.Replace(paymentDetail, old, now, 1) }

// However often and whatever the policy: what is asked for in detail is asked
// about, and no kept consent comes of it.
func TestDetailsAreAlwaysAskedAbout(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		for _, policy := range []string{"trusted", "remember", "always"} {
			s := h.detailed(`, "consent": "` + policy + `"`)
			s.signIn(h.people())
			for range 2 {
				if code, _ := s.allows(s.authorize("authorization_details", "["+paymentDetail+"]")); code == "" {
					t.Errorf("%s: no code", policy)
				}
			}
			if got := s.refused("authorization_details", "["+paymentDetail+"]", "prompt", "none"); got != codeConsentRequired {
				t.Errorf("%s: prompt=none got %q", policy, got)
			}
			if policy == "remember" {
				again := s.authorize()
				s.leadsTo(s.resume(again), s.interaction(again), "/consent/{id}")
			}
		}
		var told int
		if err := db.Read(t.Context()).Raw(`SELECT count(*) FROM audit_events WHERE type = ? AND CAST(details AS text) LIKE ?`,
			audit.ConsentGiven, "%"+paymentType+"%").Scan(&told).Error; err != nil || told != 6 {
			t.Errorf("%d consents name the type, want 6 (%v)", told, err)
		}
		var leaked int
		if err := db.Read(t.Context()).Raw(`SELECT count(*) FROM audit_events WHERE CAST(details AS text) LIKE ?`,
			"%Comune%").Scan(&leaked).Error; err != nil || leaked != 0 {
			t.Errorf("%d records hold a value (%v)", leaked, err)
		}
	})
}

func TestDetailsOfRequestsThatAreRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"authorization_details_types": ["` + paymentType + `", "` + recordsType + `"]}`)
		s.signIn(h.people())
		for name, details := range map[string]string{
			"no JSON":            "{",
			"unknown type":       `[{"type": "other"}]`,
			"unknown field":      "[" + changedDetail(`"payee"`, `"other": "x", "payee"`) + "]",
			"wrong value":        "[" + changedDetail(`"12.50"`, `12.50`) + "]",
			"too big":            "[" + paymentDetail + strings.Repeat(" ", authorizations.MaxLength) + "]",
			"location not its":   "[" + recordsDetail + "]",
			"location elsewhere": "[" + strings.ReplaceAll(recordsDetail, archive, "https://evil.example") + "]",
		} {
			if got := s.refused("authorization_details", details); got != codeInvalidDetails {
				t.Errorf("%s: %q", name, got)
			}
		}
		other := h.service(`{"authorization_details_types": ["` + recordsType + `"]}`)
		other.signIn(h.person(mario))
		if got := other.refused("authorization_details", "["+paymentDetail+"]"); got != codeInvalidDetails {
			t.Errorf("a type of somebody else: %q", got)
		}
		wantRefusal(t, "pushed", s.pushes("authorization_details", `[{"type": "other"}]`), badDetails)
	})
}

// pushes posts the parameters to the PAR endpoint.
func (s *service) pushes(pairs ...string) answer {
	s.t.Helper()
	var all []string
	for name, values := range s.params(pairs...) {
		all = append(all, name, values[0])
	}
	r := s.tokenRequest(all...)
	r.URL.Path = parPath
	return s.do(r)
}

// Details come in every way that a scope can: pushed, in a request object, from
// a device.
func TestDetailsByOtherWays(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.detailed("")
		s.signIn(h.people())
		want := "[" + paymentDetail + "]"
		uri, _ := s.pushes("authorization_details", want).json(t)["request_uri"].(string)
		took := s.with(s.browser, s.get("/authorize?client_id="+s.client.ID+"&request_uri="+uri, ""))
		page := took.Header.Get("Location")
		if !strings.HasPrefix(page, "/consent/") {
			t.Fatalf("a pushed request leads to %d %q", took.StatusCode, page)
		}
		code, _ := s.allows(took)
		sameDetails(t, "pushed", s.exchange(code).ok(t)["authorization_details"], want)

		a := h.asserter(jose.ES256, "sig")
		d0 := a.client.Document()
		d0.ClientIDIssuedAt, d0.AuthorizationTypes = 0, []string{paymentType}
		must[clients.Registered](t)(h.clients.Update(t.Context(), operator(), a.client.ID, d0))
		a.signIn(h.person(mario))
		var list any
		if err := json.Unmarshal([]byte(want), &list); err != nil {
			t.Fatal(err)
		}
		took = a.request(a.object("authorization_details", list))
		i := a.interaction(took)
		if i.Wants.Details == "" || a.resume(took).Header.Get("Location") != "/consent/"+i.ID {
			t.Errorf("a request object wants %q", i.Wants.Details)
		}

		d := h.device(`"authorization_details_types": ["` + paymentType + `"]`)
		d.signIn(h.person(mario))
		wantRefusal(t, "a device's nonsense", d.asks("authorization_details", "[]"), badDetails)
		d.begin("authorization_details", want)
		d.allowAsked()
		got := d.poll().ok(t)
		sameDetails(t, "device", got["authorization_details"], want)
		_, claims := payload(t, got["access_token"])
		sameDetails(t, "device's token", claims["authorization_details"], want)
	})
}

// allowAsked types the code and answers the consent page.
func (d *device) allowAsked() {
	d.t.Helper()
	a := d.types("user_code", d.user, "action", "continue")
	i := d.interaction(a)
	d.leadsTo(d.resume(a), i, "/consent/{id}")
	d.answer(i, true, false)
	if end := d.with(d.browser, d.get("/authorize/"+i.ID, "")); end.StatusCode != http.StatusOK {
		d.t.Fatalf("ends with %d %s", end.StatusCode, end.body)
	}
}

// A client has for itself what its type allows it to have without a citizen.
func TestDetailsOfAClient(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.detailed("")
		ask := func(pairs ...string) answer {
			return s.token(append([]string{"grant_type", "client_credentials", "scope", "profile"}, pairs...)...)
		}
		got := ask("authorization_details", "["+readDetail+"]").ok(t)
		sameDetails(t, "answer", got["authorization_details"], "["+readDetail+"]")
		_, claims := payload(t, got["access_token"])
		sameDetails(t, "token", claims["authorization_details"], "["+readDetail+"]")
		if claims["aud"] != archive || claims["sub"] != s.client.ID {
			t.Errorf("token = %v", claims)
		}
		if got := ask().ok(t); got["authorization_details"] != nil {
			t.Errorf("nothing was asked for, and %v given", got["authorization_details"])
		}
		wantRefusal(t, "a citizen's type", ask("authorization_details", "["+paymentDetail+"]"), badDetails)
		wantRefusal(t, "nonsense", ask("authorization_details", "x"), badDetails)
		other := h.service(`{"scope": "profile"}`)
		wantRefusal(t, "not its type", other.token("grant_type", "client_credentials", "authorization_details", "["+readDetail+"]"), badDetails)
	})
}

// An exchanged token says nothing of what the citizen allowed another in detail.
func TestDetailsAreNotExchanged(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.detailed("")
		s.signIn(h.people())
		api := h.api("")
		code, _ := s.allows(s.authorize("scope", "openid profile", "resource", apiAudience, "authorization_details", "["+paymentDetail+"]"))
		token := s.exchange(code).ok(t)["access_token"].(string)
		_, claims := payload(t, api.trades(token).ok(t)["access_token"])
		sameDetails(t, "exchanged", claims["authorization_details"], "")
		wantRefusal(t, "asked for", api.trades(token, "authorization_details", "["+paymentDetail+"]"), badDetails)
	})
}

// Whoever was invited may name the types that citizens are asked about; what a
// client has of itself, and whoever came by itself, only an administrator gives.
func TestWhoMayNameAuthorizationTypes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		naming := func(name string) string {
			return `{"redirect_uris": ["https://service.example/callback"], "authorization_details_types": ["` + name + `"]`
		}
		h := registering(t, db, RegistrationOpen, clients.ProfileOAuth21)
		const refused = "Bad Request invalid_client_metadata"
		wantRefusal(t, "whoever comes", h.sendJSON(http.MethodPost, registerPath, "", naming(paymentType)+"}"), refused)
		invited := h.invite(clients.ProfileOAuth21, 5)
		wantRefusal(t, "for itself", h.sendJSON(http.MethodPost, registerPath, invited, naming(recordsType)+"}"), refused)
		wantRefusal(t, "unknown", h.sendJSON(http.MethodPost, registerPath, invited, naming("other")+"}"), refused)
		a := h.sendJSON(http.MethodPost, registerPath, invited, naming(paymentType)+"}")
		doc := a.json(t)
		sameDetails(t, "registered", doc["authorization_details_types"], `["`+paymentType+`"]`)
		id, _ := doc["client_id"].(string)
		token, _ := doc["registration_access_token"].(string)
		change := func(name string) answer {
			return h.sendJSON(http.MethodPut, registerPath+"/"+id, token, naming(name)+`, "client_id": "`+id+`"}`)
		}
		sameDetails(t, "kept", change(paymentType).ok(t)["authorization_details_types"], `["`+paymentType+`"]`)
		wantRefusal(t, "taken later", change(recordsType), refused)
	})
}

// RFC 9396 §10: the types that clients may name.
func TestDiscoveryNamesAuthorizationTypes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		got := h.do(h.get(openIDPath, "")).ok(t)
		sameDetails(t, "discovery", got["authorization_details_types_supported"], `["`+paymentType+`", "`+recordsType+`"]`)
		d := clients.Document{}
		d.RedirectURIs, d.AuthorizationTypes = []string{callback}, []string{"other"}
		if _, err := h.clients.Register(t.Context(), operator(), d); err == nil {
			t.Error("a type that does not exist is registered")
		}
	})
}
