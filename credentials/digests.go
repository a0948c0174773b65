package credentials

import (
	"crypto/subtle"

	"github.com/tink-crypto/tink-go/v2/prf"
)

// Digests makes what is kept of codes, links and addresses: keyed HMACs, by
// which they are found and compared, and from which nobody reads them. The label
// keeps one room's from passing for another's.
type Digests struct {
	Keys  *prf.Set
	Label string
}

// Of are the digests of a text, under the key in use first: those of older keys
// find what was written before a rotation.
func (d Digests) Of(text string) [][]byte {
	list := make([][]byte, 0, len(d.Keys.PRFs))
	for id, key := range d.Keys.PRFs {
		sum, err := key.ComputePRF([]byte(d.Label+text), hashLength)
		if err != nil {
			continue // a key that cannot be used matches nothing
		}
		if list = append(list, sum); id == d.Keys.PrimaryID {
			list[0], list[len(list)-1] = list[len(list)-1], list[0]
		}
	}
	return list
}

// Match reports whether what is kept is one of the digests, in the time that
// looking at all of them takes. What is not kept matches nothing.
func Match(kept []byte, digests [][]byte) bool {
	found := 0
	for _, d := range digests {
		found |= subtle.ConstantTimeCompare(kept, d)
	}
	return found == 1 && len(kept) > 0
}
