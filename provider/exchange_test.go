package provider

import (
	"net/http"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

const (
	apiAudience  = "https://api.example"
	backAudience = "https://back.example"
)

// api is a service that a citizen's tokens are sent to, and that may exchange
// them for others; document has further members.
func (h *house) api(document string) *service {
	h.t.Helper()
	return h.service(`{"grant_types": ["` + clients.GrantTokenExchange + `"], "scope": "openid profile email", ` +
		`"own_audiences": ["` + apiAudience + `"], "token_exchange": ["` + backAudience + `", "a-client"]` + document + `}`)
}

// trades asks for an exchange, changed by pairs; an empty value takes one away.
func (s *service) trades(token string, pairs ...string) answer {
	s.t.Helper()
	return s.do(s.tradeRequest(token, pairs...))
}

func (s *service) tradeRequest(token string, pairs ...string) *http.Request {
	v := map[string]string{
		"grant_type": clients.GrantTokenExchange, "subject_token": token, "subject_token_type": tokenTypeAccess, "resource": backAudience,
	}
	for i := 0; i < len(pairs); i += 2 {
		v[pairs[i]] = pairs[i+1]
	}
	var all []string
	for name, value := range v {
		all = append(all, name, value)
	}
	return s.tokenRequest(all...)
}

// sent is a token of a service that signs citizens in, for the API.
func (s *service) sent(scope string) string {
	s.t.Helper()
	token, _ := s.tokens("scope", scope, "resource", apiAudience)["access_token"].(string)
	return token
}

const badSubject = "Bad Request invalid_request"

// RFC 8693: less than the token said, no longer, for somebody else, and it says
// by whom.
func TestExchange(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"resources": ["` + apiAudience + `"]}`)
		s.signIn(h.people())
		api := h.api("")
		token := s.sent("openid profile phone offline_access")
		_, before := payload(t, token)
		databasetest.Shift(t, db, 4*time.Minute)
		got := api.trades(token).ok(t)
		if got["issued_token_type"] != tokenTypeAccess || got["token_type"] != "Bearer" || got["scope"] != "openid profile" ||
			got["refresh_token"] != nil || got["id_token"] != nil || got["expires_in"].(float64) > 361 || got["expires_in"].(float64) < 300 {
			t.Errorf("answer = %v", got)
		}
		header, claims := payload(t, got["access_token"])
		if header["typ"] != "at+jwt" || claims["aud"] != backAudience || claims["client_id"] != api.client.ID || claims["exp"] != before["exp"] ||
			claims["jti"] == before["jti"] {
			t.Errorf("token = %v %v", header, claims)
		}
		for _, name := range []string{"iss", "sub", "gid", "sid", "acr", "auth_time"} {
			if claims[name] != before[name] {
				t.Errorf("%s = %v, want %v", name, claims[name], before[name])
			}
		}
		if act, _ := claims["act"].(map[string]any); act["sub"] != api.client.ID || act["act"] != nil {
			t.Errorf("act = %v", claims["act"])
		}
		if got := api.trades(token, "scope", "profile", "audience", "a-client").ok(t); got["scope"] != "profile" {
			t.Errorf("narrowed to %v", got["scope"])
		}
		if n := events(t, db, audit.TokenExchanged); n != 2 {
			t.Errorf("%d records, want 2", n)
		}

		// The chain, at the next one, and introspection of it.
		back := h.service(`{"grant_types": ["` + clients.GrantTokenExchange + `"], "scope": "openid", "own_audiences": ["` + backAudience + `"],
			"token_exchange": ["urn:deep"], "may_introspect": true}`)
		text, _ := got["access_token"].(string)
		deep := back.trades(text, "resource", "urn:deep").ok(t)
		_, claims = payload(t, deep["access_token"])
		act, _ := claims["act"].(map[string]any)
		if first, _ := act["act"].(map[string]any); act["sub"] != back.client.ID || first["sub"] != api.client.ID {
			t.Errorf("act = %v", claims["act"])
		}
		if info := back.do(back.introspectRequest(deep["access_token"].(string))).ok(t); info["active"] != true || info["act"] == nil {
			t.Errorf("introspection = %v", info)
		}
		if h.do(h.get(userinfoPath, text)).StatusCode != http.StatusUnauthorized {
			t.Error("userinfo takes an exchanged token")
		}
	})
}

// What is exchanged ends with the grant that it came of, and with its own
// revocation, which is nobody else's end.
func TestExchangedTokensEnd(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"resources": ["` + apiAudience + `"]}`)
		citizen := h.people()
		s.signIn(citizen)
		api := h.api(`, "may_introspect": true`)
		active := func(token any) bool {
			return api.do(api.introspectRequest(token.(string))).ok(t)["active"] == true
		}
		token := s.sent("openid profile")
		one, two := api.trades(token).ok(t)["access_token"], api.trades(token).ok(t)["access_token"]
		r := api.post(revokePath, "token", one.(string))
		r.SetBasicAuth(api.client.ID, api.secret)
		if got := api.do(r); got.StatusCode != http.StatusOK {
			t.Fatalf("revoke: %d %s", got.StatusCode, got.body)
		}
		if active(one) || !active(two) || !active(token) {
			t.Errorf("after the revocation of one: %t, %t, %t; want it alone dead", active(one), active(two), active(token))
		}
		if err := h.provider.RevokeCitizen(t.Context(), citizen, "suspended"); err != nil {
			t.Fatal(err)
		}
		if active(two) || active(token) {
			t.Error("a token outlives its grant")
		}
		wantRefusal(t, "a token of an ended grant", api.trades(token), badSubject)
	})
}

// Who may not exchange what.
func TestExchangeRefusals(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"resources": ["` + apiAudience + `"]}`)
		s.signIn(h.people())
		api, other := h.api(""), h.service(`{"grant_types": ["`+clients.GrantTokenExchange+`"], "scope": "openid", "token_exchange": ["`+backAudience+`"]}`)
		self := h.api(`, "token_exchange": ["` + issuer + `"]`)
		token := s.sent("openid profile phone offline_access")
		plain, _ := s.tokens("scope", "openid")["access_token"].(string)
		machine, _ := s.token("grant_type", clients.GrantClientCredentials, "resource", apiAudience).ok(t)["access_token"].(string)
		_, refresh := h.grant(s.client, s.current().Citizen, s.current(), "openid", "offline_access")
		id, _ := s.tokens()["id_token"].(string)
		for name, row := range map[string]struct {
			got  answer
			want string
		}{
			"not its grant":           {s.trades(token), "Bad Request unauthorized_client"},
			"sent to another":         {other.trades(token), badSubject},
			"for the issuer":          {api.trades(plain), badSubject},
			"of no citizen":           {api.trades(machine), badSubject},
			"a refresh token":         {api.trades(refresh), badSubject},
			"an ID token":             {api.trades(id), badSubject},
			"no token":                {api.trades(""), badSubject},
			"of another type":         {api.trades(token, "subject_token_type", "urn:ietf:params:oauth:token-type:id_token"), badSubject},
			"for another type":        {api.trades(token, "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), badSubject},
			"with another actor":      {api.trades(token, "actor_token", token), badSubject},
			"no target":               {api.trades(token, "resource", ""), "Bad Request invalid_target"},
			"another target":          {api.trades(token, "resource", apiAudience), "Bad Request invalid_target"},
			"one good and one bad":    {api.trades(token, "audience", "somebody"), "Bad Request invalid_target"},
			"for ourselves":           {self.trades(token, "resource", issuer), "Bad Request invalid_target"},
			"more than the token has": {api.trades(token, "scope", "openid email"), "Bad Request invalid_scope"},
			"more than the client":    {api.trades(token, "scope", "phone"), "Bad Request invalid_scope"},
			"offline":                 {api.trades(token, "scope", "openid offline_access"), "Bad Request invalid_scope"},
		} {
			wantRefusal(t, name, row.got, row.want)
		}
		databasetest.Shift(t, db, 11*time.Minute)
		wantRefusal(t, "an old token", api.trades(token), badSubject)
	})
}

// A token that is bound to a key becomes none for whoever bears it; the new one
// is bound to the key of the client that exchanges.
func TestExchangeOfABoundToken(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		d := h.service(`{"dpop_bound_access_tokens": true, "resources": ["` + apiAudience + `"]}`).prover()
		d.signIn(h.people())
		token, _ := d.redeem(d.code("scope", "openid", "resource", apiAudience), d.proof("POST", tokenPath)).ok(t)["access_token"].(string)
		api := h.api("").prover()
		wantRefusal(t, "without a proof", api.trades(token), "Bad Request "+codeInvalidProof)
		r := api.tradeRequest(token)
		r.Header.Set(dpopHeader, api.proof("POST", tokenPath))
		got := api.do(r).ok(t)
		_, claims := payload(t, got["access_token"])
		if cnf, _ := claims["cnf"].(map[string]any); got["token_type"] != "DPoP" || cnf["jkt"] != api.thumbprint() {
			t.Errorf("%v, cnf %v", got["token_type"], claims["cnf"])
		}
	})
}

// However long services call one another, the chain ends.
func TestExchangeChainEnds(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"resources": ["` + apiAudience + `"]}`)
		s.signIn(h.people())
		loop := h.api(`, "own_audiences": ["` + apiAudience + `", "` + backAudience + `"]`)
		token := s.sent("openid")
		for range longestChain {
			token, _ = loop.trades(token).ok(t)["access_token"].(string)
		}
		wantRefusal(t, "once more", loop.trades(token), badSubject)
	})
}
