package clients

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func TestRegistrationsWithEncryption(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec := ecKey(t, elliptic.P384()).Public()
	both := publicKeys(t, jose.JSONWebKey{Key: rsaKey.Public(), Use: "enc", KeyID: "r"}, jose.JSONWebKey{Key: ec, KeyID: "e"})
	signing := publicKeys(t, jose.JSONWebKey{Key: rsaKey.Public(), Use: "sig"})
	with := func(keys, members string) Document {
		return doc(t, `{"redirect_uris": ["https://a.example/"], "jwks": `+keys+`, `+members+`}`)
	}
	c, _, err := testRules().client(with(both, `"id_token_encrypted_response_alg": "ECDH-ES", "userinfo_encrypted_response_alg": "RSA-OAEP-256",
		"userinfo_encrypted_response_enc": "A256GCM", "authorization_encrypted_response_alg": "ECDH-ES+A256KW"`))
	if err != nil || c.OfIDTokens() != (Encryption{"ECDH-ES", "A128CBC-HS256"}) || c.OfUserinfo() != (Encryption{"RSA-OAEP-256", "A256GCM"}) ||
		c.OfAnswers() != (Encryption{"ECDH-ES+A256KW", "A128CBC-HS256"}) || !c.OfIntrospection().IsZero() {
		t.Fatalf("client = %+v, %v", c.Encryptions, err)
	}
	sends, _, err := testRules().client(with(signing, `"request_object_encryption_alg": "RSA-OAEP-256"`))
	if err != nil || sends.RequestObjectEncEnc != "A128CBC-HS256" || !strings.Contains(strings.Join(sends.Words(), "\n"), "may encrypt by RSA-OAEP-256") {
		t.Errorf("client = %+v, %v; want the standard's default", sends.Encryptions, err)
	}
	r := &Registry{}
	for alg, kid := range map[string]string{"RSA-OAEP-256": "r", "ECDH-ES": "e", "ECDH-ES+A256KW": "e"} {
		if k, err := r.EncryptionKey(t.Context(), c, alg); err != nil || k.KeyID != kid {
			t.Errorf("%s: key %q, %v; want %q", alg, k.KeyID, err, kid)
		}
	}
	if _, err := r.EncryptionKey(t.Context(), Client{}, "ECDH-ES"); !errors.Is(err, ErrKeys) {
		t.Errorf("without keys: %v, want ErrKeys", err)
	}
	if keys, err := r.Keys(t.Context(), c, ""); err != nil || len(keys) != 0 {
		t.Errorf("keys for signatures = %v, %v; want none", keys, err)
	}
	for _, row := range []struct{ keys, members, field, reason string }{
		{both, `"id_token_encrypted_response_enc": "A256GCM"`, "id_token_encrypted_response_enc", "beside it"},
		{both, `"id_token_encrypted_response_alg": "RSA1_5"`, "id_token_encrypted_response_alg", "RSA-OAEP-256, ECDH-ES"},
		{both, `"userinfo_encrypted_response_alg": "dir"`, "userinfo_encrypted_response_alg", "RSA-OAEP-256, ECDH-ES"},
		{both, `"authorization_encrypted_response_alg": "ECDH-ES", "authorization_encrypted_response_enc": "A128GCM"`, "authorization_encrypted_response_enc", "A256GCM"},
		{signing, `"introspection_encrypted_response_alg": "RSA-OAEP-256"`, "jwks", "no key fit for introspection_encrypted_response_alg"},
		{signing, `"id_token_encrypted_response_alg": "ECDH-ES"`, "jwks", "no key fit"},
		{"null", `"id_token_encrypted_response_alg": "ECDH-ES"`, "jwks", "needed"},
		{signing, `"request_object_encryption_alg": "RSA1_5"`, "request_object_encryption_alg", "RSA-OAEP-256, ECDH-ES"},
		{signing, `"request_object_encryption_alg": "ECDH-ES", "request_object_encryption_enc": "A128GCM"`, "request_object_encryption_enc", "A256GCM"},
		{signing, `"request_object_encryption_enc": "A256GCM"`, "request_object_encryption_enc", "beside it"},
		{"null", `"request_object_encryption_alg": "ECDH-ES"`, "jwks", "signed first"},
		{both, `"introspection_signed_response_alg": "none"`, "introspection_signed_response_alg", "not supported yet"},
	} {
		_, _, err := testRules().client(with(row.keys, row.members))
		wrong, ok := errors.AsType[*ValidationError](err)
		if !ok || wrong.Field != row.field || !strings.Contains(wrong.Reason, row.reason) {
			t.Errorf("%s = %v, want %s … %s", row.members, err, row.field, row.reason)
		}
	}
}
