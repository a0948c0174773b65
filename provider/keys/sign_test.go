package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys/keystest"
)

func TestEachAlgorithmVerifiesWithThePublishedKeys(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		for _, alg := range Algorithms() {
			token := sign(t, k, alg, idToken)
			jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
			if err != nil {
				t.Fatal(err)
			}
			keys := published(t, k).Key(jws.Signatures[0].Header.KeyID)
			if len(keys) != 1 || keys[0].Algorithm != alg || keys[0].Use != "sig" || !keys[0].IsPublic() {
				t.Fatalf("%s: the JWKS has %v for its kid", alg, keys)
			}
			if _, err := jws.Verify(keys[0].Key); err != nil {
				t.Errorf("%s: %v", alg, err)
			}
			claims, h, err := k.Verify(t.Context(), token, idToken)
			if err != nil || h.Alg != alg || string(claims) != `{"sub":"x"}` {
				t.Errorf("%s: Verify got %s, %v, %v", alg, claims, h, err)
			}
		}
	})
}

// RFC 7518 §3.5. Some verify with any length of salt, go-jose among them.
func TestTheSaltOfPS256IsAsLongAsItsHash(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		token := sign(t, k, PS256, idToken)
		end := strings.LastIndexByte(token, '.')
		signature, err := base64.RawURLEncoding.DecodeString(token[end+1:])
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(token[:end]))
		public := k.snap.Load().active[PS256].public.Key.(*rsa.PublicKey)
		if err := rsa.VerifyPSS(public, crypto.SHA256, sum[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}); err != nil {
			t.Error(err)
		}
	})
}

func TestKidIsTheThumbprint(t *testing.T) {
	t.Parallel()
	private, err := generate(EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	public, err := publicKey(EdDSA, private)
	if err != nil {
		t.Fatal(err)
	}
	// RFC 8037 appendix A.3: the members in this order, and nothing else
	x := base64.RawURLEncoding.EncodeToString(public.Key.(ed25519.PublicKey))
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	if want := base64.RawURLEncoding.EncodeToString(sum[:]); public.KeyID != want {
		t.Errorf("kid: got %q, want %q", public.KeyID, want)
	}
}

// forge assembles a token from parts that no library would put together.
func forge(header, payload string, signature func(input []byte) []byte) string {
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	return input + "." + base64.RawURLEncoding.EncodeToString(signature([]byte(input)))
}

func unsigned([]byte) []byte { return nil }

func TestForeignJOSEIsRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		good := sign(t, k, ES256, idToken)
		for name, token := range forgeries(t, k, good) {
			if _, _, err := k.Verify(t.Context(), token, idToken); !errors.Is(err, ErrBadToken) {
				t.Errorf("%s: got %v, want ErrBadToken", name, err)
			}
		}
		if !verifies(t, k, good) {
			t.Error("the genuine token is refused")
		}
	})
}

func forgeries(t *testing.T, k *Set, good string) map[string]string {
	kid, rsaKid := activeKid(t, k, ES256), activeKid(t, k, RS256)
	es256, err := k.active(t.Context(), ES256)
	if err != nil {
		t.Fatal(err)
	}
	ours := func(input []byte) []byte { return ecdsaSign(t, es256.private.(*ecdsa.PrivateKey), input) }
	mallory, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	theirs := func(input []byte) []byte { return ecdsaSign(t, mallory, input) }
	jwk, err := json.Marshal(jose.JSONWebKey{Key: mallory.Public()})
	if err != nil {
		t.Fatal(err)
	}
	rsaPublic, err := x509.MarshalPKIXPublicKey(k.snap.Load().byKid[rsaKid].public.Key)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	const claims = `{"sub":"y"}`
	head := func(more string) string { return `{"alg":"ES256","typ":"JWT","kid":"` + kid + `"` + more + `}` }
	return map[string]string{
		"empty":                    "",
		"no JOSE":                  "abc",
		"alg none":                 forge(`{"alg":"none","typ":"JWT","kid":"`+kid+`"}`, claims, unsigned),
		"alg none, other case":     forge(`{"alg":"nOnE","typ":"JWT","kid":"`+kid+`"}`, claims, unsigned),
		"signature cut off":        parts[0] + "." + parts[1] + ".",
		"HS256 with a public key":  forge(`{"alg":"HS256","typ":"JWT","kid":"`+rsaKid+`"}`, claims, hs256(rsaPublic)),
		"alg of another key":       forge(`{"alg":"PS256","typ":"JWT","kid":"`+rsaKid+`"}`, claims, ours),
		"unknown kid":              forge(`{"alg":"ES256","typ":"JWT","kid":"other"}`, claims, theirs),
		"no kid":                   forge(`{"alg":"ES256","typ":"JWT"}`, claims, ours),
		"kid injection":            forge(`{"alg":"ES256","typ":"JWT","kid":"' OR '1'='1"}`, claims, theirs),
		"kid as a path":            forge(`{"alg":"ES256","typ":"JWT","kid":"../../dev/null"}`, claims, theirs),
		"jwk":                      forge(head(`,"jwk":`+string(jwk)), claims, theirs),
		"jwk, though ours":         forge(head(`,"jwk":`+string(jwk)), claims, ours),
		"jku":                      forge(head(`,"jku":"https://mallory.example/jwks"`), claims, ours),
		"x5u":                      forge(head(`,"x5u":"https://mallory.example/x"`), claims, ours),
		"zip":                      forge(head(`,"zip":"DEF"`), claims, ours),
		"crit":                     forge(head(`,"crit":["b64"],"b64":false`), claims, ours),
		"deep header":              forge(head(`,"x":`+strings.Repeat("[", 200)+strings.Repeat("]", 200)), claims, ours),
		"deep claims":              forge(head(""), `{"a":`+strings.Repeat("[", 4000)+strings.Repeat("]", 4000)+`}`, ours),
		"huge":                     forge(head(""), `{"a":"`+strings.Repeat("a", maxToken)+`"}`, ours),
		"signed by somebody else":  forge(head(""), claims, theirs),
		"claims exchanged":         parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "." + parts[2],
		"JSON serialization":       `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"JWE":                      good + "..",
		"padding":                  parts[0] + "=." + parts[1] + "." + parts[2],
		"typ of an access token":   sign(t, k, ES256, accessToken),
		"typ of a sign-out ticket": sign(t, k, ES256, "end-session+jwt"),
		"typ missing":              sign(t, k, ES256, ""),
		"typ in other case":        sign(t, k, ES256, "jwt"),
	}
}

func hs256(secret []byte) func([]byte) []byte {
	return func(input []byte) []byte {
		m := hmac.New(sha256.New, secret)
		m.Write(input)
		return m.Sum(nil)
	}
}

func ecdsaSign(t *testing.T, private *ecdsa.PrivateKey, input []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(input)
	r, s, err := ecdsa.Sign(rand.Reader, private, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func TestIDTokenIsNoAccessToken(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		if _, _, err := k.Verify(t.Context(), sign(t, k, ES256, idToken), accessToken); !errors.Is(err, ErrBadToken) {
			t.Errorf("got %v, want ErrBadToken", err)
		}
	})
}

func FuzzVerify(f *testing.F) {
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("..")
	f.Add(`{"payload":""}`)
	f.Fuzz(func(t *testing.T, token string) {
		if h, err := readHeader(token); err == nil && len(h.Alg)+len(h.Kid)+len(h.Typ) > 512 {
			t.Errorf("a header of %d bytes was accepted", len(h.Alg)+len(h.Kid)+len(h.Typ))
		}
	})
}
