package clients

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// Encryption is how a client wants one kind of answer encrypted to a key of its
// own; zero is not at all.
type Encryption struct {
	Alg string // how the content's key travels (RFC 7518 §4)
	Enc string // how the content is encrypted (RFC 7518 §5)
}

// IsZero reports whether nothing is encrypted.
func (e Encryption) IsZero() bool { return e.Alg == "" }

// Encryptions are a client's, as OpenID Connect Registration §2, JARM §3 and
// RFC 9701 §6 name them.
type Encryptions struct {
	IDTokenEncAlg       string `json:"id_token_encrypted_response_alg,omitempty"`
	IDTokenEncEnc       string `json:"id_token_encrypted_response_enc,omitempty"`
	UserinfoEncAlg      string `json:"userinfo_encrypted_response_alg,omitempty"`
	UserinfoEncEnc      string `json:"userinfo_encrypted_response_enc,omitempty"`
	AuthorizationEncAlg string `json:"authorization_encrypted_response_alg,omitempty"`
	AuthorizationEncEnc string `json:"authorization_encrypted_response_enc,omitempty"`
	IntrospectionEncAlg string `json:"introspection_encrypted_response_alg,omitempty"`
	IntrospectionEncEnc string `json:"introspection_encrypted_response_enc,omitempty"`

	// What the client says that it may use for requests that it encrypts to us.
	// It may use another way, or none (Registration §2): nothing is held to it.
	RequestObjectEncAlg string `json:"request_object_encryption_alg,omitempty"`
	RequestObjectEncEnc string `json:"request_object_encryption_enc,omitempty"`
}

// OfIDTokens is how ID tokens are encrypted.
func (e Encryptions) OfIDTokens() Encryption { return Encryption{e.IDTokenEncAlg, e.IDTokenEncEnc} }

// OfUserinfo is how userinfo is encrypted.
func (e Encryptions) OfUserinfo() Encryption { return Encryption{e.UserinfoEncAlg, e.UserinfoEncEnc} }

// OfAnswers is how answers of the authorization endpoint are encrypted (JARM).
func (e Encryptions) OfAnswers() Encryption {
	return Encryption{e.AuthorizationEncAlg, e.AuthorizationEncEnc}
}

// OfIntrospection is how answers about tokens are encrypted.
func (e Encryptions) OfIntrospection() Encryption {
	return Encryption{e.IntrospectionEncAlg, e.IntrospectionEncEnc}
}

// KeyEncryptions is every way in which a content's key can travel. RSA1_5 is
// none of them: whoever can ask for answers can take it apart.
func KeyEncryptions() []string { return []string{"RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW"} }

// ContentEncryptions is every way to encrypt content; the first is the default.
func ContentEncryptions() []string { return []string{"A128CBC-HS256", "A256GCM"} }

// pairs are the members by name, alg before enc.
func (e *Encryptions) pairs() []struct {
	name     string
	alg, enc *string
} {
	return []struct {
		name     string
		alg, enc *string
	}{
		{"id_token", &e.IDTokenEncAlg, &e.IDTokenEncEnc}, {"userinfo", &e.UserinfoEncAlg, &e.UserinfoEncEnc},
		{"authorization", &e.AuthorizationEncAlg, &e.AuthorizationEncEnc}, {"introspection", &e.IntrospectionEncAlg, &e.IntrospectionEncEnc},
	}
}

// withEncryption fills in how content is encrypted, where it is.
func withEncryption(d Document) Document {
	for _, p := range d.pairs() {
		if *p.alg != "" {
			fill(p.enc, ContentEncryptions()[0])
		}
	}
	if d.RequestObjectEncAlg != "" {
		fill(&d.RequestObjectEncEnc, ContentEncryptions()[0])
	}
	return d
}

// checkObjectEncryption is about requests that the client encrypts to us. Only
// what it has signed is ever taken, so that it needs keys for that.
func checkObjectEncryption(d Document) error {
	alg, enc := d.RequestObjectEncAlg, d.RequestObjectEncEnc
	switch {
	case alg == "" && enc != "":
		return invalid("request_object_encryption_enc", "needs request_object_encryption_alg beside it")
	case alg == "":
		return nil
	case !slices.Contains(KeyEncryptions(), alg):
		return unsupported("request_object_encryption_alg", alg, KeyEncryptions())
	case !slices.Contains(ContentEncryptions(), enc):
		return unsupported("request_object_encryption_enc", enc, ContentEncryptions())
	case d.JWKS == nil && d.JWKSURI == "":
		return invalid("jwks", "or jwks_uri is needed for encrypted request objects: they are signed first")
	}
	return nil
}

func checkEncryption(d Document) error {
	keys, _ := parseKeys(d.JWKS)
	for _, p := range d.pairs() {
		alg, enc := p.name+"_encrypted_response_alg", p.name+"_encrypted_response_enc"
		fits := func(k jose.JSONWebKey) bool { return encrypts(k, *p.alg) }
		switch {
		case *p.alg == "" && *p.enc != "":
			return invalid(enc, "needs %s beside it", alg)
		case *p.alg == "":
			continue
		case !slices.Contains(KeyEncryptions(), *p.alg):
			return unsupported(alg, *p.alg, KeyEncryptions())
		case !slices.Contains(ContentEncryptions(), *p.enc):
			return unsupported(enc, *p.enc, ContentEncryptions())
		case d.JWKS == nil && d.JWKSURI == "":
			return invalid("jwks", "or jwks_uri is needed for %s", alg)
		case d.JWKS != nil && !slices.ContainsFunc(keys, fits):
			return invalid("jwks", "has no key fit for %s %s, with use enc or none", alg, *p.alg)
		}
	}
	return nil
}

// encrypts reports whether something can be encrypted to this key in such a way.
func encrypts(k jose.JSONWebKey, alg string) bool {
	if k.Use != "" && k.Use != "enc" || k.Algorithm != "" && k.Algorithm != alg {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		bits := key.N.BitLen()
		return alg == "RSA-OAEP-256" && bits >= minRSABits && bits <= maxRSABits
	case *ecdsa.PublicKey:
		return alg == "ECDH-ES" || alg == "ECDH-ES+A256KW"
	}
	return false
}

// EncryptionKey is the client's key to encrypt to: one that is there for it
// before one that is there for anything. ErrKeys says that there is none, or
// that it cannot be read now. It may go to the network and must not be called
// with a transaction open.
func (r *Registry) EncryptionKey(ctx context.Context, c Client, alg string) (jose.JSONWebKey, error) {
	keys, err := r.keysOf(ctx, c, "", func(k jose.JSONWebKey) bool { return encrypts(k, alg) })
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	if len(keys) == 0 {
		return jose.JSONWebKey{}, fmt.Errorf("%w: %w", ErrKeys, errors.New("none is fit for "+alg))
	}
	best := slices.IndexFunc(keys, func(k jose.JSONWebKey) bool { return k.Use == "enc" })
	return keys[max(best, 0)], nil
}

// usableKeys is what keys are chosen from: those that can check a signature,
// and those that something can be encrypted to.
func usableKeys(data json.RawMessage) ([]jose.JSONWebKey, error) {
	keys, err := parseKeys(data)
	return slices.DeleteFunc(keys, func(k jose.JSONWebKey) bool {
		return !Verifies(k) && !slices.ContainsFunc(KeyEncryptions(), func(alg string) bool { return encrypts(k, alg) })
	}), err
}
