package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"time"
)

var b64 = base64.RawURLEncoding

// claims are all that any token here carries.
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Client   string `json:"client_id,omitempty"`
	Scope    string `json:"scope,omitempty"`
	ID       string `json:"jti,omitempty"`
	Grant    string `json:"gid,omitempty"`
	Nonce    string `json:"nonce,omitempty"`
	At       string `json:"at_hash,omitempty"`
	AuthTime int64  `json:"auth_time,omitempty"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

const life = 10 * time.Minute

// sign makes a JWT with ES256 (RFC 7515, RFC 7518 §3.4).
func (f *floor) sign(typ string, c claims) (string, error) {
	input, err := f.input("ES256", typ, c)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, f.key, sum[:])
	if err != nil {
		return "", err
	}
	var raw [64]byte
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return input + "." + b64.EncodeToString(raw[:]), nil
}

// signRSA makes one with RS256 (RFC 7518 §3.3).
func (f *floor) signRSA(typ string, c claims) (string, error) {
	input, err := f.input("RS256", typ, c)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(input))
	raw, err := rsa.SignPKCS1v15(nil, f.rsa, crypto.SHA256, sum[:])
	return input + "." + b64.EncodeToString(raw), err
}

// input is what is signed.
func (f *floor) input(alg, typ string, c claims) (string, error) {
	now := time.Now()
	c.Issuer, c.Issued, c.Expires = f.Issuer, now.Unix(), now.Add(life).Unix()
	payload, err := json.Marshal(c)
	return b64.EncodeToString([]byte(`{"alg":"`+alg+`","kid":"`+alg+`","typ":"`+typ+`"}`)) + "." + b64.EncodeToString(payload), err
}

// open checks an access token's signature and its time.
func (f *floor) open(token string) (c claims, err error) {
	input, signature, ok := cutLast(token)
	raw, err := b64.DecodeString(signature)
	if err != nil || !ok || len(raw) != 64 {
		return c, errRefused
	}
	sum := sha256.Sum256([]byte(input))
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	if !ecdsa.Verify(&f.key.PublicKey, sum[:], r, s) {
		return c, errRefused
	}
	_, body, _ := strings.Cut(input, ".")
	b, err := b64.DecodeString(body)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, err
	}
	if time.Now().Unix() >= c.Expires {
		return c, errRefused
	}
	return c, nil
}

func cutLast(token string) (before, after string, ok bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 {
		return "", "", false
	}
	return token[:i], token[i+1:], true
}

func (f *floor) publicKeys() []any {
	point, err := f.key.PublicKey.Bytes()
	if err != nil {
		return nil
	}
	return []any{
		map[string]string{
			"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "ES256",
			"x": b64.EncodeToString(point[1:33]), "y": b64.EncodeToString(point[33:]),
		},
		map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "RS256", "n": b64.EncodeToString(f.rsa.N.Bytes()), "e": "AQAB"},
	}
}

func random() string { return rand.Text() + rand.Text() }

func hash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}
