package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// leastKey is how long a keyset's key data must be: 256 bits and framing.
const leastKey = 34

// leastVariety is how many different bytes random key data of that length
// surely has; text typed by hand or a repeated byte has fewer.
const leastVariety = 18

// Init makes every key of an installation as files in dir, which it creates.
// A dir that exists is refused: keys are never overwritten.
func Init(dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("%s exists already; keys are never overwritten", dir)
	}
	// everything or nothing: made beside dir, put in place by one rename
	parent := filepath.Dir(filepath.Clean(dir))
	tmp, err := os.MkdirTemp(parent, ".secrets-")
	if err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	if err := fill(tmp); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, dir); err != nil {
		return errors.Join(fmt.Errorf("make %s: %w", dir, err), os.RemoveAll(tmp))
	}
	return nil
}

func fill(dir string) error {
	for name, template := range kinds {
		h, err := keyset.NewHandle(template())
		if err != nil {
			return fmt.Errorf("make key %s: %w", name, err)
		}
		var b bytes.Buffer
		if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&b)); err != nil {
			return fmt.Errorf("encode key %s: %w", name, err)
		}
		if err := write(dir, string(name)+".json", b.Bytes(), 0o400); err != nil {
			return err
		}
	}
	for _, c := range channels {
		if err := fillPublic(dir, c); err != nil {
			return err
		}
	}
	return nil
}

// fillPublic writes a channel's public key beside the private one, for nodes
// that only write messages.
func fillPublic(dir, channel string) error {
	h, err := read(filepath.Join(dir, string(outbox(channel))+".json"))
	if err != nil {
		return err
	}
	public, err := h.Public()
	if err != nil {
		return fmt.Errorf("derive public key of %s: %w", channel, err)
	}
	var b bytes.Buffer
	if err := public.WriteWithNoSecrets(keyset.NewJSONWriter(&b)); err != nil {
		return fmt.Errorf("encode public key of %s: %w", channel, err)
	}
	return write(dir, string(outbox(channel))+".public.json", b.Bytes(), 0o444)
}

func write(dir, name string, b []byte, mode fs.FileMode) error {
	if err := os.WriteFile(filepath.Join(dir, name), b, mode); err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	return nil
}

// Load reads the key files of dir. It refuses a missing, malformed, short or
// sample key and a file that everybody may read, and its error says in one
// line what to do. A channel's private key may be missing where its public
// one is there: such a node queues messages and sends none of that channel.
func Load(dir string) (*Ring, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("no keys in %s: run idp secrets init %s", dir, dir)
	}
	handles, public := map[Name]*keyset.Handle{}, map[string]*keyset.Handle{}
	for _, name := range names() {
		h, err := read(filepath.Join(dir, string(name)+".json"))
		if channel, found := channelOf(name); errors.Is(err, fs.ErrNotExist) && found {
			p, err := readPublic(filepath.Join(dir, string(name)+".public.json"))
			if err != nil {
				return nil, missing(dir, name)
			}
			public[channel] = p
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, missing(dir, name)
		}
		if err != nil {
			return nil, err
		}
		handles[name] = h
	}
	return assemble(handles, public)
}

func missing(dir string, name Name) error {
	return fmt.Errorf("key file %s is missing: restore it, or for a new installation run idp secrets init on another folder",
		filepath.Join(dir, string(name)+".json"))
}

func names() []Name {
	var all []Name
	for n := range kinds {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

func channelOf(name Name) (string, bool) {
	for _, c := range channels {
		if outbox(c) == name {
			return c, true
		}
	}
	return "", false
}

// read loads one keyset. Its errors never carry the file's contents.
func read(path string) (*keyset.Handle, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("key file %s may be read by everybody: run chmod 0400 on it", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(b)))
	if err != nil {
		return nil, fmt.Errorf("key file %s is not a keyset: make it with idp secrets init", path)
	}
	return h, strong(path, h)
}

func readPublic(path string) (*keyset.Handle, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return keyset.ReadWithNoSecrets(keyset.NewJSONReader(bytes.NewReader(b)))
}

// strong refuses a key that is too short to be ours, and one that was typed
// rather than drawn.
func strong(path string, h *keyset.Handle) error {
	for _, k := range insecurecleartextkeyset.KeysetMaterial(h).GetKey() {
		material := k.GetKeyData().GetValue()
		if len(material) < leastKey {
			return fmt.Errorf("key file %s holds a key shorter than 256 bits: make it with idp secrets init", path)
		}
		seen := map[byte]bool{}
		for _, c := range material {
			seen[c] = true
		}
		if len(seen) < leastVariety {
			return fmt.Errorf("key file %s holds a sample key: make it with idp secrets init", path)
		}
	}
	return nil
}
