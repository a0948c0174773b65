package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

const sister = "https://ente-gemello.example"

// vouched is a service for which another institution vouches with a key.
type vouched struct {
	*service
	key *ecdsa.PrivateKey
}

func publicSet(t testing.TB, key *ecdsa.PrivateKey) string {
	t.Helper()
	return string(must[[]byte](t)(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Use: "sig"}}})))
}

// vouched registers a client with the JWT bearer grant; document has further members.
func (h *house) vouched(document string) vouched {
	h.t.Helper()
	key := must[*ecdsa.PrivateKey](h.t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return vouched{h.service(`{"grant_types": ["` + clients.GrantJWTBearer + `"], "scope": "openid profile offline_access", "resources": ["` + apiAudience + `"],
		"assertion_issuers": [{"issuer": "` + sister + `", "jwks": ` + publicSet(h.t, key) + `, "accounts": ["lotto-notturno"]}]` + document + `}`), key}
}

// word is a good assertion about the client, changed by pairs; nil takes a claim away.
func (v vouched) word(pairs ...any) string {
	v.t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": sister, "sub": v.client.ID, "aud": v.issuer, "jti": uuid.NewString(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		if delete(claims, name); pairs[i+1] != nil {
			claims[name] = pairs[i+1]
		}
	}
	return v.signed(v.key, jose.ES256, nil, claims)
}

func (v vouched) signed(key any, alg jose.SignatureAlgorithm, typ any, claims any) string {
	v.t.Helper()
	o := &jose.SignerOptions{}
	if typ != nil {
		o = o.WithHeader("typ", typ)
	}
	signer := must[jose.Signer](v.t)(jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, o))
	jws := must[*jose.JSONWebSignature](v.t)(signer.Sign(must[[]byte](v.t)(json.Marshal(claims))))
	return must[string](v.t)(jws.CompactSerialize())
}

// asks presents an assertion.
func (v vouched) asks(assertion string, pairs ...string) answer {
	v.t.Helper()
	return v.token(append([]string{"grant_type", clients.GrantJWTBearer, "assertion", assertion}, pairs...)...)
}

func (v vouched) at(h *house) vouched { return vouched{v.service.at(h), v.key} }

// RFC 7523 §2.1: a token of the client's own, that says who vouched.
func TestJWTBearer(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		v := h.vouched(`, "may_introspect": true`)
		got := v.asks(v.word(), "scope", "profile", "resource", apiAudience).ok(t)
		if got["token_type"] != "Bearer" || got["scope"] != "profile" || got["refresh_token"] != nil || got["id_token"] != nil || got["expires_in"] != 600.0 {
			t.Errorf("answer = %v", got)
		}
		_, claims := payload(t, got["access_token"])
		if claims["sub"] != v.client.ID || claims["client_id"] != v.client.ID || claims["aud"] != apiAudience || claims["gid"] != nil || claims["sid"] != nil || claims["acr"] != nil {
			t.Errorf("token = %v", claims)
		}
		if act, _ := claims["act"].(map[string]any); act["sub"] != v.client.ID || act["iss"] != sister {
			t.Errorf("act = %v", claims["act"])
		}
		// An account of the client is who acts; the subject stays the client.
		token, _ := v.asks(v.word("sub", "lotto-notturno")).ok(t)["access_token"].(string)
		_, claims = payload(t, token)
		if act, _ := claims["act"].(map[string]any); claims["sub"] != v.client.ID || act["sub"] != "lotto-notturno" || act["iss"] != sister {
			t.Errorf("token = %v", claims)
		}
		if info := v.do(v.introspectRequest(token)).ok(t); info["active"] != true || info["act"] == nil {
			t.Errorf("introspection = %v", info)
		}
		if v.alive(v.asks(v.word(), "scope", "openid profile").ok(t)["access_token"]) {
			t.Error("userinfo takes the token")
		}
		if got := v.asks(v.word(), "scope", "profile offline_access").ok(t); got["scope"] != "profile" || got["refresh_token"] != nil {
			t.Errorf("answer = %v", got)
		}
		if n := events(t, db, audit.TokenVouched); n != 4 {
			t.Errorf("%d records, want 4", n)
		}
		// It is revoked like the client's own, and cannot be exchanged.
		api := h.api("")
		toAPI, _ := v.asks(v.word(), "resource", apiAudience).ok(t)["access_token"].(string)
		wantRefusal(t, "exchanged", api.trades(toAPI), badSubject)
		revoke := v.tokenRequest("token", token)
		revoke.URL.Path = revokePath
		v.do(revoke)
		if info := v.do(v.introspectRequest(token)).ok(t); info["active"] != false {
			t.Errorf("after its revocation: %v", info)
		}
	})
}

// RFC 7523 §3, §3.1: whatever is wrong with an assertion is one answer, and what
// fails does not use it up.
func TestJWTBearerRefusals(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		v, other := h.vouched(""), h.vouched("")
		citizen := h.people()
		now := time.Now()
		at := func(d time.Duration) int64 { return now.Add(d).Unix() }
		for name, claims := range map[string][]any{
			"an issuer nobody named":  {"iss", "https://evil.example"},
			"our own issuer":          {"iss", v.issuer},
			"the client of itself":    {"iss", v.client.ID},
			"no issuer":               {"iss", nil},
			"another client":          {"sub", other.client.ID},
			"an account nobody named": {"sub", "direttore"},
			"a citizen":               {"sub", string(citizen)},
			"a citizen's sub":         {"sub", h.provider.subject(v.client, citizen)},
			"a codice fiscale":        {"sub", mario},
			"no subject":              {"sub", nil},
			"another audience":        {"aud", "https://other.example"},
			"the PAR endpoint":        {"aud", v.issuer + parPath},
			"no audience":             {"aud", nil},
			"no jti":                  {"jti", nil},
			"a long jti":              {"jti", strings.Repeat("x", 600)},
			"no end":                  {"exp", nil},
			"expired":                 {"exp", at(-61 * time.Second)},
			"six minutes":             {"exp", at(6 * time.Minute)},
			"not yet":                 {"nbf", at(61 * time.Second)},
			"from the future":         {"iat", at(61 * time.Second)},
			"a subject of a number":   {"sub", 7},
		} {
			wantRefusal(t, name, v.asks(v.word(claims...)), badGrant)
		}
		stranger := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		good := map[string]any{"iss": sister, "sub": v.client.ID, "aud": v.issuer, "jti": "one", "exp": at(time.Minute)}
		wantRefusal(t, "a stranger's key", v.asks(v.signed(stranger, jose.ES256, nil, good)), badGrant)
		wantRefusal(t, "a symmetric key", v.asks(v.signed([]byte(strings.Repeat("k", 32)), jose.HS256, nil, good)), badGrant)
		wantRefusal(t, "of another type", v.asks(v.signed(v.key, jose.ES256, "client-authentication+jwt", good)), badGrant)
		wantRefusal(t, "no assertion at all", v.asks("x.y.z"), badGrant)
		wantRefusal(t, "of another client's issuer", v.asks(other.word("sub", v.client.ID)), badGrant)
		wantRefusal(t, "missing", v.asks(""), "Bad Request invalid_request")
		wantRefusal(t, "a scope not its", v.asks(v.signed(v.key, jose.ES256, nil, good), "scope", "email"), "Bad Request invalid_scope")
		wantRefusal(t, "a resource not its", v.asks(v.signed(v.key, jose.ES256, nil, good), "resource", backAudience), "Bad Request invalid_target")
		wantRefusal(t, "a type not its", v.asks(v.signed(v.key, jose.ES256, nil, good), "authorization_details", "["+readDetail+"]"), badDetails)
		v.asks(v.signed(v.key, jose.ES256, "authorization-grant+jwt", good)).ok(t)
		wantRefusal(t, "used before", v.asks(v.signed(v.key, jose.ES256, nil, good)), badGrant)
		r := v.post(tokenPath, "grant_type", clients.GrantJWTBearer, "assertion", v.word())
		wantRefusal(t, "nobody's", v.do(r), badClient)
		s := h.service("")
		wantRefusal(t, "a client without the grant", s.token("grant_type", clients.GrantJWTBearer, "assertion", v.word()), "Bad Request unauthorized_client")
	})
}

// An assertion counts once, at any number of nodes, and of two clients that both
// may use it for one.
func TestJWTBearerIsUsedOnce(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, one, two *database.DB) {
		h := newInstallation(t, one)
		v := h.vouched("")
		twin := vouched{h.service(`{"grant_types": ["` + clients.GrantJWTBearer + `"], "scope": "profile",
			"assertion_issuers": [{"issuer": "` + sister + `", "jwks": ` + publicSet(t, v.key) + `, "accounts": ["lotto-notturno"]}]}`), v.key}
		second := h.another(two)
		nodes := []vouched{v, twin.at(second), v.at(second), twin}
		assertion := v.word("sub", "lotto-notturno")
		var won, lost atomic.Int64
		databasetest.Barrier(20, func(i int) {
			if got := nodes[i%4].asks(assertion); got.StatusCode == http.StatusOK {
				won.Add(1)
			} else if got.refusal(t) == badGrant {
				lost.Add(1)
			}
		})
		if won.Load() != 1 || lost.Load() != 19 {
			t.Errorf("an assertion counted %d times, and was refused %d times", won.Load(), lost.Load())
		}
		if n := events(t, one, audit.TokenVouched); n != 1 {
			t.Errorf("%d records, want 1", n)
		}
	})
}

// Keys behind an address are fetched; where they cannot be, nothing is believed.
func TestJWTBearerKeysBehindAnAddress(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/nothing" {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/jwk-set+json")
			_, _ = w.Write([]byte(publicSet(t, key)))
		}))
		defer there.Close()
		at := func(uri string) vouched {
			return vouched{h.service(`{"grant_types": ["` + clients.GrantJWTBearer + `"], "assertion_issuers": [{"issuer": "` + sister + `", "jwks_uri": "` + uri + `"}]}`), key}
		}
		v, lost := at(there.URL), at(there.URL+"/nothing")
		v.asks(v.word()).ok(t)
		wantRefusal(t, "keys that cannot be read", lost.asks(lost.word()), badGrant)
	})
}

// Only an administrator says whose word counts.
func TestNobodyGivesItselfTheJWTBearerGrant(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := registering(t, db, RegistrationToken, clients.ProfileOAuth21)
		key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		const refused = "Bad Request invalid_client_metadata"
		issuers := `"assertion_issuers": [{"issuer": "` + sister + `", "jwks": ` + publicSet(t, key) + `}]`
		with := func(grants string) string {
			return `{"redirect_uris": ["https://service.example/callback"], "grant_types": [` + grants + `], ` + issuers + `}`
		}
		invited := h.invite(clients.ProfileOAuth21, 5)
		wantRefusal(t, "the grant", h.sendJSON(http.MethodPost, registerPath, invited, with(`"authorization_code", "`+clients.GrantJWTBearer+`"`)), refused)
		doc := h.sendJSON(http.MethodPost, registerPath, invited, with(`"authorization_code"`)).json(t)
		if doc["assertion_issuers"] != nil || doc["client_id"] == nil {
			t.Errorf("registered as %v", doc)
		}

		// What an administrator has given stays at the client's own changes.
		id, _ := doc["client_id"].(string)
		token, _ := doc["registration_access_token"].(string)
		d := must[clients.Client](t)(h.clients.Get(t.Context(), id)).Document()
		d.ClientIDIssuedAt, d.SecretExpiresAt = 0, nil
		d.GrantTypes = append(d.GrantTypes, clients.GrantJWTBearer)
		d.AssertionIssuers = []clients.AssertionIssuer{{Issuer: sister, JWKS: json.RawMessage(publicSet(t, key)), Accounts: []string{"a"}}}
		must[clients.Registered](t)(h.clients.Update(t.Context(), operator(), id, d))
		own := `{"client_id": "` + id + `", "redirect_uris": ["https://service.example/callback"], "grant_types": ["authorization_code", "` + clients.GrantJWTBearer + `"],
			"assertion_issuers": [{"issuer": "https://evil.example", "jwks": ` + publicSet(t, key) + `}]}`
		got := h.sendJSON(http.MethodPut, registerPath+"/"+id, token, own).ok(t)
		if text := string(must[[]byte](t)(json.Marshal(got["assertion_issuers"]))); !strings.Contains(text, sister) || strings.Contains(text, "evil") {
			t.Errorf("issuers = %s", text)
		}
	})
}
