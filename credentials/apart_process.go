package credentials

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"runtime"
	"syscall"
)

// HashArgument is the one argument of a program that is to call HashApart.
const HashArgument = "hash-apart"

// work is what a process is to hash: the head of a message, which the secret and
// the salt follow.
type work struct {
	Cost         Cost
	Secret, Salt uint8 // bytes of each
}

func (w work) append(secret, salt []byte) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.BigEndian, w) // a buffer takes everything
	return append(append(b.Bytes(), secret...), salt...)
}

// HashApart is what a process does that hashes for another (HasherDeps.Program):
// it computes Argon2id of what it reads from in and writes the results to out,
// until in ends. It has the least priority that still gets on beside other work,
// leaves no core dump, and is the first to go where memory is short.
//
// It is started with GOGC=off, and collects when it has answered and nobody
// waits: so all its hashes use the same memory, which is on huge pages where the
// kernel gives them. That is worth a fifth of a hash.
func HashApart(in io.Reader, out io.Writer) error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM) // what drains still hashes; the end of in is the end
	if err := confine(); err != nil {
		return fmt.Errorf("confine a process that hashes: %w", err)
	}
	var memory uint32
	for {
		var w work
		if err := binary.Read(in, binary.BigEndian, &w); err != nil {
			return gone(err)
		}
		text := make([]byte, int(w.Secret)+int(w.Salt))
		if _, err := io.ReadFull(in, text); err != nil {
			return gone(err)
		}
		if w.Cost.Memory > memory {
			memory = w.Cost.Memory
			enlarge(int(memory) << 10)
		}
		sum := stretch(text[:w.Secret], text[w.Secret:], w.Cost)
		clear(text)
		if _, err := out.Write(sum); err != nil {
			return gone(err)
		}
		runtime.GC()
	}
}

// gone is nil where the process that wanted hashes is gone.
func gone(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return fmt.Errorf("hash for another process: %w", err)
}
