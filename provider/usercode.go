package provider

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/tink-crypto/tink-go/v2/prf"

	"ente.example/idp/templates"
)

// userAlphabet has no vowels, so that no code is a word, and is large enough
// that eight letters cannot be found by trying as long as tries are counted
// (RFC 8628 §6.1).
const (
	userAlphabet = "BCDFGHJKLMNPQRSTVWXZ"
	userLength   = 8
)

// userCode is what a citizen reads off a device and types in a browser. It
// must not be printed.
type userCode struct{ text string }

func (userCode) String() string { return "[user code]" }

// Format keeps every verb from printing the code.
func (c userCode) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// reveal is the code as people read it: XXXX-XXXX.
func (c userCode) reveal() string { return c.text[:userLength/2] + "-" + c.text[userLength/2:] }

func newUserCode() userCode {
	b := make([]byte, userLength)
	for i := range b {
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(userAlphabet)))) // never fails
		b[i] = userAlphabet[n.Int64()]
	}
	return userCode{string(b)}
}

// parseUserCode takes a code as people type it: in any case, with whatever they
// put between the letters. The Problem says what is wrong with it.
func parseUserCode(typed string) (userCode, templates.Problem) {
	if strings.TrimSpace(typed) == "" {
		return userCode{}, templates.FieldMissing
	}
	text := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -–_.\t\u00a0", r) {
			return -1
		}
		return r
	}, strings.ToUpper(typed))
	if len(text) != userLength || strings.Trim(text, userAlphabet) != "" {
		return userCode{}, templates.FieldShape
	}
	return userCode{text}, ""
}

// hash is what the database keeps of the code: keyed, for there are so few codes
// that a plain digest could be searched.
func (c userCode) hash(key prf.PRF) ([]byte, error) {
	h, err := key.ComputePRF([]byte("device/v1/user-code\x00"+c.text), 32)
	if err != nil {
		return nil, fmt.Errorf("key user code: %w", err)
	}
	return h, nil
}

// userHashes are those under every key, the one in use first: a code outlives
// the rotation of its key.
func (p *Provider) userHashes(c userCode) ([][]byte, error) {
	primary, ok := p.refreshKey.PRFs[p.refreshKey.PrimaryID]
	if !ok {
		return nil, errors.New("no key for user codes")
	}
	keys := []prf.PRF{primary}
	for id, key := range p.refreshKey.PRFs {
		if id != p.refreshKey.PrimaryID {
			keys = append(keys, key)
		}
	}
	hashes := make([][]byte, 0, len(keys))
	for _, key := range keys {
		h, err := c.hash(key)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}
