package throttle

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
)

// stream are random numbers that only our key can begin, and begins the same
// each time: AES in counter mode, keyed by what the key makes of a random id.
type stream struct{ cipher.Stream }

func newStream(key compute, label, id string) (stream, error) {
	sum, err := key([]byte(label+"\x00"+id), 32)
	if err != nil {
		return stream{}, fmt.Errorf("key a captcha: %w", err)
	}
	return streamOf(sum)
}

// newNoise is a stream that begins differently each time.
func newNoise() (stream, error) {
	seed := make([]byte, 32)
	_, _ = rand.Read(seed) // never fails
	return streamOf(seed)
}

func streamOf(seed []byte) (stream, error) {
	block, err := aes.NewCipher(seed[:aes.BlockSize])
	if err != nil {
		return stream{}, fmt.Errorf("key a captcha: %w", err)
	}
	return stream{cipher.NewCTR(block, seed[aes.BlockSize:])}, nil
}

func (s stream) next() uint64 {
	var b [8]byte
	s.XORKeyStream(b[:], b[:])
	return binary.BigEndian.Uint64(b[:])
}

// below is a number from 0 to n-1; of 64 bits, small n take no noticeable bias.
func (s stream) below(n int) int { return int(s.next() % uint64(n)) }

// between is a number from a to b.
func (s stream) between(a, b float64) float64 { return a + (b-a)*float64(s.next()>>11)/(1<<53) }
