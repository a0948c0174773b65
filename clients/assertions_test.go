package clients

import (
	"encoding/json"
	"strings"
	"testing"
)

// The JWT bearer grant and whose word counts go together, and each issuer's keys
// are there once.
func TestAssertionIssuers(t *testing.T) {
	t.Parallel()
	const key = `{"keys": [{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	one := func(members string) string { return `[{"issuer": "https://other.example", ` + members + `}]` }
	good := one(`"jwks": ` + key + `, "accounts": ["a", "b"]`)
	const both = `["` + GrantJWTBearer + `"]`
	for name, c := range map[string]struct{ grants, issuers, method, says string }{
		"good":             {both, good, "", ""},
		"an address":       {both, one(`"jwks_uri": "https://other.example/jwks"`), "", ""},
		"the grant alone":  {both, `[]`, "", "assertion_issuers"},
		"issuers alone":    {`["client_credentials"]`, good, "", "assertion_issuers"},
		"a public client":  {both, good, AuthNone, "authenticate"},
		"no keys":          {both, one(`"accounts": ["a"]`), "", "jwks"},
		"both keys":        {both, one(`"jwks": ` + key + `, "jwks_uri": "https://other.example/jwks"`), "", "jwks"},
		"an empty set":     {both, one(`"jwks": {"keys": []}`), "", "no key"},
		"a private key":    {both, one(`"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}`), "", "private"},
		"http":             {both, one(`"jwks_uri": "http://other.example/jwks"`), "", "https"},
		"nobody":           {both, `[{"jwks": ` + key + `}]`, "", "issuer"},
		"twice":            {both, good[:len(good)-1] + "," + good[1:], "", "twice"},
		"an empty account": {both, one(`"jwks": ` + key + `, "accounts": [""]`), "", "accounts"},
		"many accounts":    {both, one(`"jwks": ` + key + `, "accounts": ["x"` + strings.Repeat(`, "x"`, maxAccounts) + `]`), "", "accounts"},
	} {
		d := Document{}
		d.TokenEndpointAuthMethod = c.method
		text := `{"scope": "", "grant_types": ` + c.grants + `, "assertion_issuers": ` + c.issuers + `}`
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		client, _, err := rules{scopes: []string{"openid"}}.client(d)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want a word about %q", name, err, c.says)
		}
		if name != "good" || err != nil {
			continue
		}
		i, ok := client.AssertionIssuer("https://other.example")
		client.ID = "me"
		if !ok || !i.MaySpeakOf(client, "a") || !i.MaySpeakOf(client, "me") || i.MaySpeakOf(client, "c") || i.MaySpeakOf(client, "") {
			t.Errorf("issuer = %v", i)
		}
		if _, ok := client.AssertionIssuer(""); ok {
			t.Error("nobody is trusted")
		}
	}
}
