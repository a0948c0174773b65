package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The file of publishers is read at the start, and every fault said then.
func TestPublishers(t *testing.T) {
	t.Parallel()
	const key = `{"keys": [{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	one := func(members string) string { return `{"publishers": [{` + members + `}]}` }
	for name, c := range map[string]struct{ file, says string }{
		"keys":           {one(`"issuer": "https://editore.example", "jwks": ` + key), ""},
		"an address":     {one(`"issuer": "https://editore.example", "jwks_uri": "https://editore.example/jwks"`), ""},
		"no JSON":        {`{`, "EOF"},
		"more":           {one(`"issuer": "a", "jwks": `+key) + `{}`, "end"},
		"nobody":         {`{"publishers": []}`, "nobody"},
		"unknown member": {one(`"isuer": "a"`), "isuer"},
		"no issuer":      {one(`"jwks": ` + key), "issuer"},
		"no keys":        {one(`"issuer": "a"`), "keys"},
		"both keys":      {one(`"issuer": "a", "jwks_uri": "https://editore.example/jwks", "jwks": ` + key), "keys"},
		"http":           {one(`"issuer": "a", "jwks_uri": "http://editore.example/jwks"`), "https"},
		"twice":          {`{"publishers": [{"issuer": "a", "jwks": ` + key + `}, {"issuer": "a", "jwks": ` + key + `}]}`, "twice"},
	} {
		file := filepath.Join(t.TempDir(), "publishers.json")
		if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := LoadPublishers(file)
		if err == nil {
			err = rules{}.checkPublishers(list)
		}
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want a word about %q", name, err, c.says)
		}
	}
	if _, err := LoadPublishers(filepath.Join(t.TempDir(), "none.json")); err == nil {
		t.Error("a file that is not there is read")
	}
}
