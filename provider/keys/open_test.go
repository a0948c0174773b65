package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/provider/keys/keystest"
)

func keyAlgs() []jose.KeyAlgorithm {
	return []jose.KeyAlgorithm{jose.RSA_OAEP_256, jose.ECDH_ES, jose.ECDH_ES_A256KW}
}

func contentEncs() []jose.ContentEncryption {
	return []jose.ContentEncryption{jose.A128CBC_HS256, jose.A256GCM}
}

// kindOf is the key that something of this alg is encrypted to.
func kindOf(alg jose.KeyAlgorithm) string {
	if alg == jose.RSA_OAEP_256 {
		return RSAOAEP
	}
	return ECDHES
}

// sealTo encrypts text as a service does that has read the JWKS.
func sealTo(t testing.TB, k *Set, kid string, alg jose.KeyAlgorithm, enc jose.ContentEncryption, text string, o *jose.EncrypterOptions) string {
	t.Helper()
	found := published(t, k).Key(kid)
	if len(found) != 1 || found[0].Use != useEncryption || !found[0].IsPublic() {
		t.Fatalf("the JWKS has %v for %s, want one public key to encrypt to", found, kid)
	}
	e, err := jose.NewEncrypter(enc, jose.Recipient{Algorithm: alg, Key: found[0].Key, KeyID: kid}, o)
	if err != nil {
		t.Fatal(err)
	}
	jwe, err := e.Encrypt([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := jwe.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func opens(t testing.TB, k *Set, sealed string) bool {
	t.Helper()
	plain, err := k.Open(t.Context(), sealed, keyAlgs(), contentEncs())
	if err != nil && !errors.Is(err, ErrBadToken) {
		t.Fatal(err)
	}
	return err == nil && string(plain) == "a request"
}

func TestWhatIsEncryptedToThePublishedKeysOpens(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		wrap := keystest.AEAD(t)
		one, two := ensured(t, a, wrap), ensured(t, b, wrap)
		for _, alg := range keyAlgs() {
			for _, enc := range contentEncs() {
				sealed := sealTo(t, one, activeKid(t, one, kindOf(alg)), alg, enc, "a request", nil)
				if !opens(t, one, sealed) || !opens(t, two, sealed) {
					t.Errorf("%s with %s is not opened by every node", alg, enc)
				}
			}
		}
	})
}

// A service picks a key by its use; one for signatures opens nothing, and one
// to encrypt to signs nothing.
func TestAKeyHasOneUse(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		uses := map[string]int{}
		for _, one := range published(t, k).Keys {
			if one.KeyID == "" {
				t.Error("a key is published without a name")
			}
			uses[one.Use]++
		}
		if uses[useSignature] != len(Algorithms()) || uses[useEncryption] != len(Encryptions()) || len(uses) != 2 {
			t.Errorf("published keys by use: %v", uses)
		}
		signing := published(t, k).Key(activeKid(t, k, RS256))[0]
		e, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: signing.Key, KeyID: signing.KeyID}, nil)
		if err != nil {
			t.Fatal(err)
		}
		jwe, err := e.Encrypt([]byte("a request"))
		if err != nil {
			t.Fatal(err)
		}
		if sealed, err := jwe.CompactSerialize(); err != nil || opens(t, k, sealed) {
			t.Errorf("a key that signs opens what is encrypted to it (%v)", err)
		}
		for _, alg := range Encryptions() {
			if token, err := k.Sign(t.Context(), alg, idToken, struct{}{}); err == nil {
				t.Errorf("%s signed %s", alg, token)
			}
		}
	})
}

// A service may have the JWKS in its cache, and what it encrypted may lie there
// for a while: the old key opens longer than it is published, and then no more.
func TestAnOldKeyOpensForAWhile(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		wrap := keystest.AEAD(t)
		k, other := ensured(t, a, wrap), ensured(t, b, wrap)
		other.again = 0 // two new keys within a second are two looks
		for _, alg := range Encryptions() {
			old := activeKid(t, k, alg)
			before := sealTo(t, k, old, jose.KeyAlgorithm(alg), jose.A256GCM, "a request", nil)
			next, err := k.Rotate(t.Context(), operator(), alg)
			if err != nil {
				t.Fatal(err)
			}
			if !opens(t, other, sealTo(t, k, next.Kid, jose.KeyAlgorithm(alg), jose.A256GCM, "a request", nil)) {
				t.Errorf("%s: the new key is published and opens nothing", alg)
			}
			databasetest.Shift(t, a, 16*time.Minute+time.Second)
			tend(t, k, other)
			if activeKid(t, k, alg) != next.Kid || len(published(t, k).Key(old)) != 0 {
				t.Errorf("%s: the old key is still published", alg)
			}
			databasetest.Shift(t, a, 75*time.Minute)
			tend(t, k, other)
			if fresh := newSet(t, b, wrap); !opens(t, k, before) || !opens(t, other, before) || fresh.Load(t.Context()) != nil || !opens(t, fresh, before) {
				t.Errorf("%s: what was encrypted to the old key no longer opens", alg)
			}
			databasetest.Shift(t, a, 2*time.Minute)
			tend(t, k, other)
			if opens(t, k, before) || opens(t, other, before) {
				t.Errorf("%s: the old key opens for ever", alg)
			}
			if got := kept(t, a, old); got != 0 {
				t.Errorf("%s: %d bytes of the old key's private part are kept", alg, got)
			}
		}
	})
}

// kept is how much of a key's private part is in the database.
func kept(t *testing.T, db *database.DB, kid string) (n int) {
	t.Helper()
	err := db.Read(t.Context()).Raw(`SELECT coalesce(length(sealed), 0) FROM provider_keys WHERE kid = ?`, kid).Scan(&n).Error
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestARevokedKeyOpensNothing(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		wrap := keystest.AEAD(t)
		one, two := ensured(t, a, wrap), ensured(t, b, wrap)
		kid := activeKid(t, one, ECDHES)
		sealed := sealTo(t, one, kid, jose.ECDH_ES, jose.A256GCM, "a request", nil)
		if err := one.Revoke(t.Context(), operator(), kid); err != nil {
			t.Fatal(err)
		}
		tend(t, two)
		if opens(t, one, sealed) || opens(t, two, sealed) || kept(t, a, kid) != 0 {
			t.Error("the revoked key still opens, or is kept")
		}
		next := activeKid(t, two, ECDHES)
		if next == kid || !opens(t, two, sealTo(t, two, next, jose.ECDH_ES_A256KW, jose.A256GCM, "a request", nil)) {
			t.Error("it has no successor")
		}
	})
}

func TestRewrapMovesKeysToDecryptWith(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		sealed := sealTo(t, k, activeKid(t, k, RSAOAEP), jose.RSA_OAEP_256, jose.A256GCM, "a request", nil)
		rotate(t, k, db, RSAOAEP)
		if _, total, err := k.Rewrap(t.Context(), operator()); err != nil || total != len(Kinds())+1 {
			t.Fatalf("Rewrap: %d keys, %v", total, err)
		}
		if fresh := newSet(t, db, k.wrap); fresh.Load(t.Context()) != nil || !opens(t, fresh, sealed) {
			t.Error("the retiring key opens no more")
		}
	})
}

func TestWhatDoesNotOpen(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		ec := activeKid(t, k, ECDHES)
		good := sealTo(t, k, ec, jose.ECDH_ES, jose.A256GCM, "a request", nil)
		if !opens(t, k, good) {
			t.Fatal("the good one does not open")
		}
		for name, sealed := range sealedWrongly(t, k, good, ec) {
			if _, err := k.Open(t.Context(), sealed, keyAlgs(), contentEncs()); !errors.Is(err, ErrBadToken) || err.Error() != ErrBadToken.Error() {
				t.Errorf("%s: got %v, want ErrBadToken and no reason", name, err)
			}
		}
	})
}

func sealedWrongly(t *testing.T, k *Set, good, ec string) map[string]string {
	parts := strings.Split(good, ".")
	reheaded := func(change func(map[string]any)) string {
		raw, err := base64.RawURLEncoding.DecodeString(parts[0])
		var header map[string]any
		if err != nil || json.Unmarshal(raw, &header) != nil {
			t.Fatal("the header cannot be read")
		}
		change(header)
		raw, err = json.Marshal(header)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(append([]string{base64.RawURLEncoding.EncodeToString(raw)}, parts[1:]...), ".")
	}
	set := func(name string, value any) string {
		return reheaded(func(h map[string]any) { h[name] = value })
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"empty":                  "",
		"no JWE":                 "a.b.c.d.e",
		"a signature":            sign(t, k, ES256, idToken),
		"JSON form":              `{"protected":"` + parts[0] + `","ciphertext":"` + parts[3] + `"}`,
		"compressed":             sealTo(t, k, ec, jose.ECDH_ES, jose.A256GCM, strings.Repeat("a request", 1000), &jose.EncrypterOptions{Compression: jose.DEFLATE}),
		"said to be compressed":  set("zip", "DEF"),
		"zip that says nothing":  set("zip", ""),
		"no kid":                 reheaded(func(h map[string]any) { delete(h, "kid") }),
		"unknown kid":            set("kid", "made-up"),
		"kid of a signing key":   set("kid", activeKid(t, k, ES256)),
		"kid of the RSA key":     set("kid", activeKid(t, k, RSAOAEP)),
		"RSA1_5":                 set("alg", "RSA1_5"),
		"RSA-OAEP with SHA-1":    set("alg", "RSA-OAEP"),
		"dir":                    set("alg", "dir"),
		"a password":             set("alg", "PBES2-HS256+A128KW"),
		"another alg of the key": set("alg", "ECDH-ES+A256KW"),
		"another enc":            set("enc", "A128CBC-HS256"),
		"an enc not offered":     set("enc", "A128GCM"),
		"critical":               set("crit", []string{"exp"}),
		"no epk":                 reheaded(func(h map[string]any) { delete(h, "epk") }),
		"epk on another curve":   set("epk", jose.JSONWebKey{Key: other.Public()}),
		"epk on no curve":        set("epk", map[string]any{"kty": "EC", "crv": "P-256", "x": strings.Repeat("A", 43), "y": strings.Repeat("A", 42) + "E"}),
		"another tag":            strings.Join(append(parts[:4:4], strings.Repeat("A", 22)), "."),
		"no tag":                 strings.Join(append(parts[:4:4], ""), "."),
		"a line break":           good[:10] + "\n" + good[10:],
		"huge":                   sealTo(t, k, ec, jose.ECDH_ES, jose.A256GCM, strings.Repeat("a", maxSealed), nil),
	}
}

func TestOpeningWithoutTheDatabase(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		k := ensured(t, db, keystest.AEAD(t))
		sealed := sealTo(t, k, activeKid(t, k, ECDHES), jose.ECDH_ES, jose.A256GCM, "a request", nil)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		age(k, time.Hour)
		if _, err := k.Open(t.Context(), sealed, keyAlgs(), contentEncs()); !errors.Is(err, ErrStale) {
			t.Errorf("with keys that may be revoked: got %v, want ErrStale", err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add("eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImtpZCI6IngifQ..AAAA.AAAA.AAAA")
	f.Add("....")
	private, err := keystest.Generate(ECDHES)
	if err != nil {
		f.Fatal(err)
	}
	k := &Set{policy: Policy{Poll: time.Hour}.withDefaults(), again: time.Hour, tried: time.Now().Add(time.Hour)}
	s := emptySnapshot()
	s.asked = time.Now().Add(time.Hour)
	s.byKid["x"] = &key{kid: "x", alg: ECDHES, private: private}
	k.snap.Store(s)
	f.Fuzz(func(t *testing.T, sealed string) {
		if plain, err := k.Open(t.Context(), sealed, keyAlgs(), contentEncs()); err == nil {
			t.Errorf("%q was opened from thin air", plain)
		}
	})
}
