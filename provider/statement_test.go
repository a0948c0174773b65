package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

const editor = "https://editore.example"

// publisherKey is that of the one publisher that every house trusts.
var publisherKey = sync.OnceValues(func() (*ecdsa.PrivateKey, error) { //nolint:gochecknoglobals // made once
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
})

func trustedPublishers(t testing.TB) []clients.Publisher {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(publisherKey())
	return []clients.Publisher{{Issuer: editor, JWKS: json.RawMessage(publicSet(t, key))}}
}

// statement is a good one, changed by pairs; nil takes a claim away.
func statement(t testing.TB, pairs ...any) string {
	t.Helper()
	claims := map[string]any{"iss": editor, "software_id": "sportello", "client_name": "Sportello", "redirect_uris": []string{callback}}
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		if delete(claims, name); pairs[i+1] != nil {
			claims[name] = pairs[i+1]
		}
	}
	return stated(t, must[*ecdsa.PrivateKey](t)(publisherKey()), jose.ES256, nil, claims)
}

func stated(t testing.TB, key any, alg jose.SignatureAlgorithm, headers map[jose.HeaderKey]any, claims any) string {
	t.Helper()
	o := &jose.SignerOptions{ExtraHeaders: headers}
	signer := must[jose.Signer](t)(jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, o))
	jws := must[*jose.JSONWebSignature](t)(signer.Sign(must[[]byte](t)(json.Marshal(claims))))
	return must[string](t)(jws.CompactSerialize())
}

// bringing is a document that brings a statement.
func bringing(statement, members string) string {
	return `{"software_statement": "` + statement + `"` + members + `}`
}

const badStatement = "Bad Request invalid_software_statement"

// RFC 7591 §2.3: what the statement says counts, whatever stands beside it, and
// it comes back as it was.
func TestSoftwareStatement(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := registering(t, db, RegistrationToken, clients.ProfileOAuth21)
		invited := h.invite(clients.ProfileOAuth21, 5)
		text := statement(t, "scope", "openid profile", "never_heard_of", 1)
		a := h.sendJSON(http.MethodPost, registerPath, invited,
			bringing(text, `, "client_name": "Banca", "client_name#it": "Banca", "purpose#it": "Contarli", "redirect_uris": ["https://evil.example/"], "scope": "openid email", "contacts": ["a@b.example"]`))
		doc := a.json(t)
		if a.StatusCode != http.StatusCreated || doc["client_name"] != "Sportello" || doc["client_name#it"] != nil || doc["purpose#it"] != "Contarli" || doc["scope"] != "openid profile" || doc["software_id"] != "sportello" ||
			doc["software_statement"] != text {
			t.Fatalf("registered = %d %s", a.StatusCode, a.body)
		}
		sameDetails(t, "addresses", doc["redirect_uris"], `["`+callback+`"]`)
		sameDetails(t, "contacts", doc["contacts"], `["a@b.example"]`)
		if n := registeredBy(t, db, editor); n != 1 {
			t.Errorf("%d records name the publisher, want 1", n)
		}

		// It comes back at every look, and cannot be got rid of.
		id, _ := doc["client_id"].(string)
		token, _ := doc["registration_access_token"].(string)
		path, own := registerPath+"/"+id, `, "client_id": "`+id+`"`
		if got := h.sendJSON(http.MethodGet, path, token, "").ok(t); got["software_statement"] != text {
			t.Errorf("read = %v", got)
		}
		wantRefusal(t, "without it", h.sendJSON(http.MethodPut, path, token, `{"redirect_uris": ["https://evil.example/"]`+own+`}`), badStatement)
		if got := h.sendJSON(http.MethodPut, path, token, bringing(text, own+`, "client_name": "Banca"`)).ok(t); got["client_name"] != "Sportello" {
			t.Errorf("changed = %v", got)
		}
		newer := statement(t, "client_name", "Sportello 2")
		if got := h.sendJSON(http.MethodPut, path, token, bringing(newer, own)).ok(t); got["client_name"] != "Sportello 2" || got["software_statement"] != newer {
			t.Errorf("renewed = %v", got)
		}
		// What it says in one language is not said otherwise in another.
		german := statement(t, "client_name", nil, "client_name#de", "Schalter")
		got := h.sendJSON(http.MethodPut, path, token, bringing(german, own+`, "client_name": "Banca", "client_name#it": "Banca"`)).ok(t)
		if got["client_name#de"] != "Schalter" || got["client_name"] != nil || got["client_name#it"] != nil {
			t.Errorf("named in German = %v", got)
		}
		got = h.sendJSON(http.MethodPut, path, token, bringing(newer, own)).ok(t)
		if got["client_name"] != "Sportello 2" {
			t.Errorf("named again = %v", got)
		}
		// An administrator looks at it, and brings none.
		d := must[clients.Client](t)(h.clients.Lookup(t.Context(), id)).Document()
		d.ClientIDIssuedAt, d.SecretExpiresAt, d.ClientName = 0, nil, "Renamed"
		must[clients.Registered](t)(h.clients.Update(t.Context(), operator(), id, d))
		d.SoftwareStatement = text
		if _, err := h.clients.Update(t.Context(), operator(), id, d); err == nil {
			t.Error("an administrator's document brings a statement that nobody has looked at")
		}
		d.ClientID = ""
		if _, err := h.clients.Register(t.Context(), operator(), d); err == nil {
			t.Error("an administrator registers a statement")
		}
	})
}

// registeredBy counts the records of registrations that name a publisher.
func registeredBy(t testing.TB, db *database.DB, publisher string) (n int) {
	t.Helper()
	err := db.Read(t.Context()).Raw(`SELECT count(*) FROM audit_events WHERE type = ? AND CAST(details AS text) LIKE ?`,
		audit.ClientRegistered, "%"+publisher+"%").Scan(&n).Error
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestStatementsThatAreRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := registering(t, db, RegistrationOpen, clients.ProfileOAuth21)
		key := must[*ecdsa.PrivateKey](t)(publisherKey())
		stranger := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		good := map[string]any{"iss": editor, "redirect_uris": []string{callback}}
		now := time.Now()
		const unapproved = "Bad Request unapproved_software_statement"
		for name, row := range map[string]struct{ text, want string }{
			"no token":          {"a.b.c", badStatement},
			"nobody's":          {statement(t, "iss", "https://evil.example"), unapproved},
			"of no issuer":      {statement(t, "iss", nil), unapproved},
			"a stranger's key":  {stated(t, stranger, jose.ES256, nil, good), badStatement},
			"a symmetric key":   {stated(t, []byte(strings.Repeat("k", 32)), jose.HS256, nil, good), badStatement},
			"another type":      {stated(t, key, jose.ES256, map[jose.HeaderKey]any{"typ": "at+jwt"}, good), badStatement},
			"critical headers":  {stated(t, key, jose.ES256, map[jose.HeaderKey]any{"crit": []string{"x"}, "x": 1}, good), badStatement},
			"not an object":     {stated(t, key, jose.ES256, nil, []string{"x"}), unapproved},
			"expired":           {statement(t, "exp", now.Add(-time.Minute).Unix()), badStatement},
			"an end in words":   {statement(t, "exp", "soon"), badStatement},
			"not yet":           {statement(t, "nbf", now.Add(time.Hour).Unix()), badStatement},
			"from the future":   {statement(t, "iat", now.Add(time.Hour).Unix()), badStatement},
			"for another":       {statement(t, "aud", "https://other.example"), badStatement},
			"for a number":      {statement(t, "aud", 7), badStatement},
			"another within":    {statement(t, "software_statement", "a.b.c"), badStatement},
			"a wrong member":    {statement(t, "client_name", 7), badStatement},
			"too long":          {statement(t, "client_uri", strings.Repeat("x", 16<<10)), badStatement},
			"an address so bad": {statement(t, "redirect_uris", []string{"http://a.example/"}), "Bad Request invalid_redirect_uri"},
		} {
			wantRefusal(t, name, h.sendJSON(http.MethodPost, registerPath, "", bringing(row.text, "")), row.want)
		}
		for name, text := range map[string]string{
			"for us":         statement(t, "aud", []string{"https://other.example", issuer}),
			"good for years": statement(t, "exp", now.AddDate(5, 0, 0).Unix(), "nbf", now.AddDate(-1, 0, 0).Unix()),
			"nothing else":   statement(t, "client_name", nil, "software_id", nil),
			"a null":         statement(t, "client_uri", json.RawMessage("null")),
			"a typ":          stated(t, key, jose.ES256, map[jose.HeaderKey]any{"typ": "JWT"}, good),
		} {
			if a := h.sendJSON(http.MethodPost, registerPath, "", bringing(text, "")); a.StatusCode != http.StatusCreated {
				t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
			}
		}
		// Somebody who says no more than a stranger may.
		wantRefusal(t, "not a string", h.sendJSON(http.MethodPost, registerPath, "", `{"software_statement": {}}`), "Bad Request invalid_client_metadata")
	})
}

// A publisher gives nobody what only an administrator gives, nor another profile
// than the token's.
func TestStatementsGiveNoPrivileges(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := registering(t, db, RegistrationOpen, clients.ProfileOAuth21)
		greedy := statement(t, "consent", "trusted", "may_introspect", true, "profile", "oidc", "require_pkce", false, "resources", []string{"https://api.example/"},
			"sector", "bank.example", "client_id", "root", "client_secret_digest", "x", "token_exchange", []string{"https://api.example/"}, "own_audiences", []string{"https://api.example/"},
			"assertion_issuers", []any{map[string]any{"issuer": "x"}})
		doc := h.sendJSON(http.MethodPost, registerPath, "", bringing(greedy, "")).json(t)
		if doc["client_id"] == nil || doc["consent"] != "remember" || doc["may_introspect"] != nil || doc["profile"] != "oauth2.1" || doc["require_pkce"] != true ||
			doc["resources"] != nil || doc["sector"] != nil || doc["client_id"] == "root" || doc["token_exchange"] != nil || doc["own_audiences"] != nil || doc["assertion_issuers"] != nil {
			t.Errorf("registered as %v", doc)
		}
		const refused = "Bad Request invalid_client_metadata"
		for name, text := range map[string]string{
			"a grant of administrators": statement(t, "grant_types", []string{clients.GrantTokenExchange}),
			"a device":                  statement(t, "grant_types", []string{clients.GrantDeviceCode}),
			"an implicit answer":        statement(t, "grant_types", []string{"implicit"}, "response_types", []string{"id_token"}),
			"a type of authorization":   statement(t, "authorization_details_types", []string{paymentType}),
		} {
			wantRefusal(t, name, h.sendJSON(http.MethodPost, registerPath, "", bringing(text, "")), refused)
		}
		invited := h.invite(clients.ProfileFAPI2, 1)
		wantRefusal(t, "a secret under fapi2", h.sendJSON(http.MethodPost, registerPath, invited, bringing(statement(t, "token_endpoint_auth_method", "client_secret_basic"), "")), refused)
	})
}

// Where only software that somebody vouches for may register, nothing else does.
func TestRegistrationByStatement(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := registering(t, db, RegistrationStatement, clients.ProfileOAuth21)
		if got := h.do(h.get(openIDPath, "")).ok(t)["registration_endpoint"]; got != issuer+registerPath {
			t.Errorf("registration_endpoint = %v", got)
		}
		wantRefusal(t, "nobody's software", h.sendJSON(http.MethodPost, registerPath, "", ownDocument), badStatement)
		if a := h.sendJSON(http.MethodPost, registerPath, "", bringing(statement(t), "")); a.StatusCode != http.StatusCreated {
			t.Errorf("a publisher's = %d %s", a.StatusCode, a.body)
		}
		if a := h.sendJSON(http.MethodPost, registerPath, h.invite(clients.ProfileOAuth21, 1), ownDocument); a.StatusCode != http.StatusCreated {
			t.Errorf("whoever was invited = %d %s", a.StatusCode, a.body)
		}
	})
}
