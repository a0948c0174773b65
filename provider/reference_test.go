package provider

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys"
	"ente.example/idp/provider/keys/keystest"
)

const byReference = `{"access_token_format": "reference", "resources": ["` + apiAudience + `"]}`

// asked is what introspection says of a token to a service.
func (s *service) asked(token any) map[string]any {
	s.t.Helper()
	text, _ := token.(string)
	return s.do(s.introspectRequest(text)).ok(s.t)
}

// A token by reference does all that a JWT does, and says nothing by itself.
func TestTokensByReference(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s, api := h.service(byReference), h.api("")
		session := s.signIn(h.people())
		tokens := s.tokens()
		token, _ := tokens["access_token"].(string)
		if raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "at_")); err != nil || !strings.HasPrefix(token, "at_") ||
			strings.Contains(string(raw), s.client.ID) || strings.Contains(string(raw), "openid") {
			t.Errorf("the token is %q, %v: want at_ and nothing to read", token, err)
		}
		if id := s.verifyID(tokens["id_token"].(string), keys.RS256); id.VerifyAccessToken(token) != nil {
			t.Error("at_hash of the ID token is another token's")
		}
		if !s.alive(token) {
			t.Error("userinfo refuses it")
		}
		info := s.asked(token)
		for name, want := range map[string]any{
			"active": true, "iss": h.issuer, "aud": h.issuer, "sub": h.provider.subject(s.client, session.Citizen), "client_id": s.client.ID,
			"scope": "openid offline_access", "acr": level1, "auth_time": float64(session.AuthTime.Unix()), "token_type": "Bearer",
		} {
			if info[name] != want {
				t.Errorf("introspection: %s = %v, want %v", name, info[name], want)
			}
		}
		if info["exp"].(float64)-info["iat"].(float64) != 600 || info["jti"] == "" || cmp.Diff([]any{"pin"}, info["amr"]) != "" {
			t.Errorf("introspection = %v", info)
		}

		// narrowed at the refresh, for an API that is asked by nobody else
		narrow := s.refresh(tokens["refresh_token"].(string), "scope", "openid", "resource", apiAudience).ok(t)["access_token"]
		if info := api.asked(narrow); info["aud"] != apiAudience || info["scope"] != "openid" || info["sub"] == nil {
			t.Errorf("the API is told %v", info)
		}
		if info := api.asked(token); info["active"] != false {
			t.Errorf("the API is told of a token that is not for it: %v", info)
		}
		if s.alive(narrow) {
			t.Error("userinfo takes a token for the API")
		}
	})
}

// What is handed out by reference costs the database what a JWT costs.
func TestAReferenceCostsNoStatement(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		statements := func(document string) (counts []int) {
			s := h.service(document)
			s.signIn(id)
			code := s.code()
			c := databasetest.Count(t, db)
			counted := func() {
				counts = append(counts, len(c.Statements()))
				c.Reset()
			}
			token := s.exchange(code).ok(t)["access_token"]
			counted()
			s.asked(token)
			counted()
			own := s.token("grant_type", credentialsGrant).ok(t)["access_token"]
			counted()
			s.asked(own)
			counted()
			return counts
		}
		want := statements("")
		if got := statements(byReference); cmp.Diff(want, got) != "" {
			t.Errorf("code, introspection, machine, introspection: %v statements, want %v", got, want)
		}
	})
}

// It ends as any other does: in ten minutes, given back, with its grant, its
// citizen's PIN or its client.
func TestReferencesEnd(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		watcher := h.service(`{"may_introspect": true}`)
		for name, end := range map[string]func(s *service, token string){
			"time":      func(*service, string) { databasetest.Shift(t, db, 10*time.Minute) },
			"given up":  func(s *service, token string) { s.by(party{s.client, s.secret}, revokePath, "token", token) },
			"sign-out":  func(s *service, _ string) { s.signOut() },
			"its PIN":   func(*service, string) { _ = h.provider.RevokeCitizen(t.Context(), id, "revoked") },
			"its owner": func(s *service, _ string) { _ = h.clients.Disable(t.Context(), operator(), s.client.ID) },
		} {
			s := h.service(byReference)
			s.signIn(id)
			token := s.tokens("scope", "openid")["access_token"].(string)
			if watcher.asked(token)["active"] != true {
				t.Fatalf("%s: the token never counted", name)
			}
			end(s, token)
			if diff := cmp.Diff(inactive(), watcher.asked(token)); diff != "" || s.alive(token) {
				t.Errorf("%s: the token still counts: %s", name, diff)
			}
		}
		s := h.service(byReference)
		own, other := s.token("grant_type", credentialsGrant).ok(t)["access_token"].(string), s.token("grant_type", credentialsGrant).ok(t)["access_token"]
		if info := s.asked(own); info["active"] != true || info["sub"] != s.client.ID || info["auth_time"] != nil {
			t.Errorf("a machine's token: %v", info)
		}
		if got := watcher.by(party{watcher.client, watcher.secret}, revokePath, "token", own); got.StatusCode != http.StatusBadRequest || s.asked(own)["active"] != true {
			t.Errorf("a stranger gave it back: %d", got.StatusCode)
		}
		s.by(party{s.client, s.secret}, revokePath, "token", own)
		if s.asked(own)["active"] != false || s.asked(other)["active"] != true {
			t.Error("one machine's token was given back: want it and no other to end")
		}
	})
}

func TestReferencesAreBoundToKeys(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		d := h.service(`{"access_token_format": "reference", "dpop_bound_access_tokens": true}`).prover()
		d.signIn(h.people())
		tokens := d.redeem(d.code(), d.proof("POST", tokenPath)).ok(t)
		access, _ := tokens["access_token"].(string)
		ath := tokenHash(access)
		d.info("DPoP", access, d.proof("GET", userinfoPath, "ath", ath)).ok(t)
		for name, got := range map[string]answer{
			"as a bearer token": d.info("Bearer", access, ""),
			"another key":       d.info("DPoP", access, d.prover().proof("GET", userinfoPath, "ath", ath)),
		} {
			if got.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: %d, want 401", name, got.StatusCode)
			}
		}
		info := d.asked(access)
		if cnf, _ := info["cnf"].(map[string]any); info["token_type"] != "DPoP" || cnf["jkt"] != d.thumbprint() {
			t.Errorf("introspection = %v", info)
		}

	})
}

func TestReferencesAreBoundToCertificates(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		m := newMTLSHouse(t, db)
		cert := m.ca.issue(asItIs)
		s := m.service(`{"access_token_format": "reference", "tls_client_certificate_bound_access_tokens": true, "token_endpoint_auth_method": "tls_client_auth",
			"tls_client_auth_san_dns": "a.example"}`)
		bound, _ := m.machine(s, cert).ok(t)["access_token"].(string)
		watcher := m.service(`{"may_introspect": true}`)
		if cnf, _ := watcher.asked(bound)["cnf"].(map[string]any); cnf["x5t#S256"] != hashOf(cert) {
			t.Errorf("cnf = %v, want the certificate's hash", cnf)
		}
	})
}

// An API that may exchange gets its own format, whatever it was sent.
func TestExchangeOfReferences(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(byReference)
		session := s.signIn(h.people())
		token := s.sent("openid profile")
		jwt := h.api("").trades(token).ok(t)["access_token"]
		if _, claims := payload(t, jwt); claims["sub"] != h.provider.subject(s.client, session.Citizen) || claims["acr"] != level1 || claims["sid"] == "" {
			t.Errorf("a JWT of a reference: %v, want what the grant knows", claims)
		}
		api := h.api(`, "access_token_format": "reference", "may_introspect": true`)
		got := api.trades(token).ok(t)["access_token"]
		info := api.asked(got)
		if act, _ := info["act"].(map[string]any); act["sub"] != api.client.ID || info["client_id"] != api.client.ID || info["aud"] != backAudience ||
			info["sub"] != h.provider.subject(s.client, session.Citizen) {
			t.Errorf("a reference of a reference: %v", info)
		}
		s.signOut()
		if api.asked(got)["active"] != false || api.asked(token)["active"] != false {
			t.Error("the tokens outlive their grant")
		}
	})
}

// Each is one token in one spelling, of this issuer and this key alone.
func TestForeignReferencesAreRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(byReference)
		s.signIn(h.people())
		token := s.tokens()["access_token"].(string)
		other := *h.provider
		other.accessSeal = keystest.AEAD(t)
		elsewhere := *h.provider
		elsewhere.issuer = "https://other.example"
		claims := must[accessClaims](t)(h.provider.readReference(token))
		foreign := func(p *Provider) string { return must[string](t)(p.writeAccess(t.Context(), s.client, claims)) }
		for name, text := range map[string]string{
			"the prefix alone":  "at_",
			"cut off":           token[:len(token)-1],
			"longer":            token + "A",
			"padded":            token + "=",
			"one letter":        token[:40] + string('A'+(token[40]-'A'+1)%26) + token[41:],
			"huge":              "at_" + strings.Repeat("A", 50<<10),
			"without prefix":    strings.TrimPrefix(token, "at_"),
			"another key":       foreign(&other),
			"another issuer":    foreign(&elsewhere),
			"sealed signature":  "at_" + h.signed(TypAccessToken, claims),
			"a refresh token's": "at_" + strings.TrimPrefix(s.tokens()["refresh_token"].(string), "rt_"),
		} {
			if info := s.asked(text); info["active"] != false {
				t.Errorf("%s counts", name)
			}
		}
		if _, err := h.provider.readAccess(t.Context(), token[:20]+"\n"+token[20:]); err == nil {
			t.Error("one with a line break counts")
		}
		if s.asked(token)["active"] != true || s.asked(foreign(h.provider))["active"] != true {
			t.Error("the good one does not count")
		}
	})
}

// How long a token is tells little of what it is for.
func TestReferencesDifferLittleInLength(t *testing.T) {
	t.Parallel()
	p := &Provider{issuer: issuer, accessSeal: keystest.AEAD(t)}
	c := clients.Client{ID: "a"}
	c.AccessTokenFormat = clients.FormatReference
	lengths := map[int]bool{}
	for n := range 128 {
		token := must[string](t)(p.writeAccess(t.Context(), c, accessClaims{ClientID: "a", JTI: "x", Scope: strings.Repeat("s", n)}))
		a := must[accessClaims](t)(p.readAccess(t.Context(), token))
		if a.Scope != strings.Repeat("s", n) {
			t.Fatalf("scope of %d letters came back as %d", n, len(a.Scope))
		}
		lengths[len(token)] = true
	}
	if len(lengths) > 3 {
		t.Errorf("%d lengths for scopes of 0 to 127 letters", len(lengths))
	}
}

func FuzzReference(f *testing.F) {
	p := &Provider{issuer: issuer, accessSeal: keystest.AEAD(f)}
	f.Add("at_AAAA")
	f.Add("at_")
	f.Fuzz(func(t *testing.T, text string) {
		if a, err := p.readReference(text); err == nil {
			t.Errorf("%+v came of nothing", a)
		}
	})
}

// What was granted in detail is told by introspection, and read nowhere else.
func TestReferencesCarryDetails(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.detailed(`, "may_introspect": true, "access_token_format": "reference"`)
		s.signIn(h.people())
		both := "[" + recordsDetail + "," + paymentDetail + "]"
		code, _ := s.allows(s.authorize("authorization_details", both))
		tokens := s.exchange(code).ok(t)
		info := s.asked(tokens["access_token"])
		sameDetails(t, "introspection", info["authorization_details"], both)
		if info["aud"] != archive {
			t.Errorf("aud = %v, want %s", info["aud"], archive)
		}
		one := "[" + readDetail + "]"
		narrow := s.refresh(tokens["refresh_token"].(string), "authorization_details", one).ok(t)["access_token"]
		sameDetails(t, "after a narrower refresh", s.asked(narrow)["authorization_details"], one)
	})
}
