package provider

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
)

// The certification tests do what the modules of the OpenID Foundation's
// conformance suite do, by their names; docs/conformance.md says which module is
// shown where. None of it depends on the dialect.

// suite is the house that the suite visits: its clients register themselves, for
// the profile oidc, with one citizen at their browser.
type suite struct {
	*house
	id citizens.ID
}

func newSuite(t *testing.T) suite {
	t.Helper()
	h := registering(t, databasetest.Open(t, databasetest.SQLite(t), &database.Clock{}), RegistrationOpen, clients.ProfileOIDC)
	return suite{h, h.people()}
}

// in is the suite for one module.
func (u suite) in(t *testing.T) suite {
	h := *u.house
	h.t = t
	return suite{&h, u.id}
}

var suiteKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// document is what the suite registers, changed by pairs.
func (u suite) document(pairs ...any) map[string]any {
	u.t.Helper()
	key := must[*rsa.PrivateKey](u.t)(suiteKey())
	doc := map[string]any{
		"client_name": "suite", "grant_types": []string{"authorization_code"}, "response_types": []string{"code"},
		"redirect_uris": []string{callback}, "contacts": []string{"certification@oidf.example"}, "token_endpoint_auth_method": "client_secret_basic",
		"jwks": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), Use: "sig", Algorithm: "RS256"}}},
	}
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		if delete(doc, name); pairs[i+1] != nil {
			doc[name] = pairs[i+1]
		}
	}
	return doc
}

func (u suite) registers(pairs ...any) answer {
	u.t.Helper()
	body := must[[]byte](u.t)(json.Marshal(u.document(pairs...)))
	return u.sendJSON(http.MethodPost, registerPath, "", string(body))
}

// client registers itself; its browser is new.
func (u suite) client(pairs ...any) visited {
	u.t.Helper()
	a := u.registers(pairs...)
	if a.StatusCode != http.StatusCreated {
		u.t.Fatalf("register = %d %s", a.StatusCode, a.body)
	}
	doc := a.json(u.t)
	id, _ := doc["client_id"].(string)
	secret, _ := doc["client_secret"].(string)
	c := must[clients.Client](u.t)(u.clients.Get(u.t.Context(), id))
	return visited{&service{house: u.house, client: c, secret: secret, browser: u.browser()}, u.id}
}

// visited is such a client.
type visited struct {
	*service
	id citizens.ID
}

// in is the same client for one module.
func (v visited) in(t *testing.T) visited {
	h, s := *v.house, *v.service
	h.t, s.house = t, &h
	return visited{&s, v.id}
}

// asks sends an authorization request as the suite does, without PKCE.
func (v visited) asks(pairs ...string) answer {
	v.t.Helper()
	return v.authorize(v.plain(pairs...)...)
}

func (v visited) plain(pairs ...string) []string {
	return append([]string{"scope", "openid", "code_challenge", "", "code_challenge_method", ""}, pairs...)
}

// goesOn does what the pages ask for, until the service is answered: the PIN,
// and a yes that is remembered. It says which pages there were.
func (v visited) goesOn(a answer) (answer, string) {
	v.t.Helper()
	pages := ""
	for range 10 {
		location := a.Header.Get("Location")
		parts := strings.Split(location, "/")
		if !strings.HasPrefix(location, "/") {
			return a, strings.TrimSpace(pages)
		}
		if parts[1] == "authorize" {
			a = v.follow(a)
			continue
		}
		pages += parts[1] + " "
		if page := v.follow(a); page.StatusCode != http.StatusOK {
			v.t.Fatalf("%s = %d\n%s", location, page.StatusCode, page.body)
		}
		i := must[login.Interaction](v.t)(v.interactions.Get(v.t.Context(), v.browserID(), parts[2]))
		if parts[1] == "consent" {
			v.answer(i, true, true)
		} else {
			v.types(i)
		}
		a = v.with(v.browser, v.get("/authorize/"+parts[2], ""))
	}
	v.t.Fatal("the pages have no end")
	return a, ""
}

// types is a right PIN.
func (v visited) types(i login.Interaction) {
	v.t.Helper()
	session, cookie, err := v.sessions.Start(v.t.Context(), operator(), login.SignIn{Browser: v.browserID(), Citizen: v.id, ACR: level1, AMR: []string{"pin"}})
	if err == nil {
		err = v.interactions.MarkSignedIn(v.t.Context(), i, session)
	}
	if err != nil {
		v.t.Fatal(err)
	}
	v.setSession([]*http.Cookie{{Name: "session", Value: cookie.Reveal()}})
}

// enters is a request that is followed to its end.
func (v visited) enters(pairs ...string) url.Values {
	v.t.Helper()
	a, _ := v.goesOn(v.asks(pairs...))
	return v.delivered(a)
}

// redeems is the token request of the suite.
func (v visited) redeems(code string, pairs ...string) answer {
	v.t.Helper()
	pairs = append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", callback}, pairs...)
	if v.client.TokenEndpointAuthMethod == clients.AuthPost {
		return v.do(v.post(tokenPath, append(pairs, "client_id", v.client.ID, "client_secret", v.secret)...))
	}
	return v.token(pairs...)
}

// tokensOf are those of a whole sign-in, with the claims of the ID token.
func (v visited) tokensOf(pairs ...string) (tokens, id map[string]any) {
	v.t.Helper()
	tokens = v.redeems(v.enters(pairs...).Get("code")).ok(v.t)
	text, _ := tokens["id_token"].(string)
	v.verifyID(text, v.client.IDTokenSignedResponseAlg)
	_, id = payload(v.t, text)
	return tokens, id
}

// told is userinfo.
func (v visited) told(token any) map[string]any {
	v.t.Helper()
	text, _ := token.(string)
	return v.do(v.get(userinfoPath, text)).ok(v.t)
}

// only fails where an answer says more than it may.
func only(t *testing.T, got url.Values, names ...string) {
	t.Helper()
	for name := range got {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+name+" ") {
			t.Errorf("the answer has %s: %v", name, got)
		}
	}
}
