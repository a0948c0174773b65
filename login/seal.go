package login

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// request is what of an interaction is sealed: all that the service sent, or
// where our own sign-in leads. A
// login_hint is often a codice fiscale.
type request struct {
	Params    string `json:"params"`
	Wants     Wants  `json:"wants"`
	Lang      string `json:"lang,omitempty"`
	LoginHint string `json:"login_hint,omitempty"`
	Own       *Own   `json:"own,omitempty"`
}

// seal encrypts what the service sent under the interaction's id. Only the
// browser has the id, so that a copy of the database opens none of it.
func seal(i Interaction) ([]byte, error) {
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false) // every & of the parameters would be six characters, and slow to read
	if err := e.Encode(request{i.Params, i.Wants, i.Lang, i.LoginHint, i.Own}); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	box, err := sealer(i.ID)
	if err != nil {
		return nil, err
	}
	return box.Seal(nil, nil, plain.Bytes(), nil), nil //nolint:gosec // G407: the cipher draws its own nonce
}

func unseal(id string, sealed []byte) (request, error) {
	box, err := sealer(id)
	if err != nil {
		return request{}, err
	}
	plain, err := box.Open(nil, nil, sealed, nil)
	if err != nil {
		return request{}, fmt.Errorf("unseal request: %w", err)
	}
	var r request
	if err := json.Unmarshal(plain, &r); err != nil {
		return request{}, fmt.Errorf("decode request: %w", err)
	}
	return r, nil
}

// sealer derives a key of its own for each id: nothing needs to be said about
// nonces or about rows changed for one another.
func sealer(id string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(id), nil, "login/interaction/seal/v1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
