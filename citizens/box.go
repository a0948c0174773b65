package citizens

import (
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// keyLength is that of an HMAC-SHA-256.
const keyLength = 32

// index separates what keyed HMACs are made of, so that equal texts of
// different nature have different keys.
type index string

const (
	indexFiscalCode index = "fiscal_code"
	indexPhone      index = "phone"
	indexMail       index = "mail" // of e-mail and PEC alike (R11)
	indexCard       index = "health_card"
)

// box seals values for one place in one person's rows, and makes the keys by
// which they are found again.
type box struct {
	seal    tink.AEAD
	primary prf.PRF
	older   []prf.PRF // keys that rotation has retired; still looked up
}

func newBox(seal tink.AEAD, set *prf.Set) (*box, error) {
	b := &box{seal: seal, primary: set.PRFs[set.PrimaryID]}
	if b.primary == nil {
		return nil, errors.New("the index has no primary key")
	}
	for id, p := range set.PRFs {
		// Tried once here, so that making a key cannot fail later.
		if _, err := p.ComputePRF(nil, keyLength); err != nil {
			return nil, fmt.Errorf("index key %d: %w", id, err)
		}
		if id != set.PrimaryID {
			b.older = append(b.older, p)
		}
	}
	return b, nil
}

// key returns the HMAC of a value under the key in use.
func (b *box) key(of index, value string) []byte { return compute(b.primary, of, value) }

// codeKeys returns the HMACs of a codice fiscale under every key, the one in
// use first.
func (b *box) codeKeys(f FiscalCode) [][]byte {
	all := [][]byte{b.key(indexFiscalCode, f.Reveal())}
	for _, p := range b.older {
		all = append(all, compute(p, indexFiscalCode, f.Reveal()))
	}
	return all
}

func compute(p prf.PRF, of index, value string) []byte {
	k, err := p.ComputePRF([]byte(string(of)+"\x00"+value), keyLength)
	if err != nil {
		panic("citizens: " + err.Error()) // newBox has tried it
	}
	return k
}

// close seals a value for one column of one person. Moved to another column or
// another person's row, it does not open.
func (b *box) close(place string, id ID, value string) ([]byte, error) {
	sealed, err := b.seal.Encrypt([]byte(value), associated(place, id))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", place, err)
	}
	return sealed, nil
}

func (b *box) open(place string, id ID, sealed []byte) (string, error) {
	value, err := b.seal.Decrypt(sealed, associated(place, id))
	if err != nil {
		return "", fmt.Errorf("open %s of citizen %s: %w", place, id, err)
	}
	return string(value), nil
}

// associated binds a sealed value to table, column and citizen id.
func associated(place string, id ID) []byte { return []byte(place + "/" + string(id)) }

// contactKey finds a contact however its case was written (R36).
func (b *box) contactKey(v ContactValue) []byte {
	if v.kind == Mobile {
		return b.key(indexPhone, v.canonical())
	}
	return b.key(indexMail, v.canonical())
}
