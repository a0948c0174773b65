package delivery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"
)

// Letterhead puts into words what stands around a letter's text: who writes,
// the name on the first line, and the day and the letter's number.
type Letterhead func(lang, number string, at time.Time) (from, about string, err error)

// manifestHeader names the columns of the manifest.
const manifestHeader = "letter_id,file,sha256,created_at\n"

// letters is the transport of the post: a folder from which a print service
// takes PDF files, each sealed to its key, with a manifest.
type letters struct {
	dir  string
	key  age.Recipient // nil: in the clear
	head Letterhead
	set  *typesetter
}

// NewLettersFromDir takes IDP_POST_DIR and IDP_POST_RECIPIENT. Without a
// recipient the letters lie there readable: only for a loopback issuer.
func NewLettersFromDir(dir, recipient string, loopback bool, head Letterhead) (Sender, error) {
	if dir == "" || head == nil {
		return nil, errors.New("IDP_POST_DIR must name a folder for letters")
	}
	l := &letters{dir: dir, head: head}
	var err error
	switch {
	case recipient != "":
		key, err := age.ParseX25519Recipient(strings.TrimSpace(recipient))
		if err != nil {
			return nil, errors.New("IDP_POST_RECIPIENT must be an X25519 public key as age makes it: age1…") // err quotes it: it could be the private one
		}
		l.key = key
	case !loopback:
		return nil, errors.New("IDP_POST_RECIPIENT is needed: letters lie in the clear only where the issuer is on a loopback host")
	}
	// the print service reads as another user of the same group
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("open IDP_POST_DIR: %w", err)
	}
	l.set, err = newTypesetter()
	return l, err
}

// Send puts a letter into the folder. It is there, whole and in the manifest,
// or it is not: and once, however often it comes, even after the print service
// has taken the file away.
func (s *letters) Send(_ context.Context, l Letter) error {
	if _, err := uuid.Parse(l.ID); err != nil {
		return errors.New("write a letter: its id is no file name")
	}
	return s.locked(func(manifest *os.File) error {
		done, err := listed(manifest, l.ID)
		if err != nil || done {
			return err
		}
		file := l.ID + ".pdf"
		if s.key != nil {
			file += ".age"
		}
		// a node may have died between file and manifest: the file counts
		sum, err := digest(filepath.Join(s.dir, file))
		if errors.Is(err, os.ErrNotExist) {
			sum, err = s.write(l, file)
		}
		if err != nil {
			return err
		}
		return appendRow(manifest, l.ID+","+file+","+sum+","+time.Now().UTC().Format(time.RFC3339)+"\n")
	})
}

// locked runs fn with the manifest of the moment held: other nodes wait, and a
// manifest that the print service moves away meanwhile is not written to.
func (s *letters) locked(fn func(manifest *os.File) error) (err error) {
	path := filepath.Join(s.dir, "manifest.csv")
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o640) //nolint:gosec // the print service reads it; it names nobody
		if err != nil {
			return fmt.Errorf("open the manifest: %w", err)
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err == nil && !current(f, path) {
			err = f.Close()
			if err == nil {
				continue
			}
		}
		if err == nil {
			err = fn(f)
		}
		return errors.Join(err, f.Close()) // which lets go of the lock
	}
}

// current reports whether path still names the file.
func current(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(mine, now)
}

// write puts a file in place by rename. Nothing readable touches the disk on
// the way, unless the letters are in the clear anyway.
func (s *letters) write(l Letter, file string) (sum string, err error) {
	content, err := s.set.printed(l, s.head)
	if err == nil && s.key != nil {
		content, err = s.seal(content)
	}
	if err != nil {
		return "", err
	}
	t, err := os.CreateTemp(s.dir, ".letter-*")
	if err != nil {
		return "", fmt.Errorf("write a letter: %w", err)
	}
	_, err = t.Write(content)
	if s.key != nil {
		err = errors.Join(err, t.Chmod(0o640))
	}
	if err = errors.Join(err, t.Sync(), t.Close()); err == nil {
		err = os.Rename(t.Name(), filepath.Join(s.dir, file))
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("write a letter: %w", err), os.Remove(t.Name()))
	}
	if err := syncFolder(s.dir); err != nil {
		return "", err
	}
	h := sha256.Sum256(content)
	return hex.EncodeToString(h[:]), nil
}

func (s *letters) seal(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := age.Encrypt(&b, s.key)
	if err == nil {
		_, err = w.Write(content)
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("seal a letter: %w", err)
	}
	return b.Bytes(), nil
}

// syncFolder makes a rename last through a power cut.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return fmt.Errorf("write a letter: %w", err)
	}
	return nil
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read a letter: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// listed looks for a letter in the manifest. Half a line at its end is what a
// crash has left, and goes.
func listed(manifest *os.File, id string) (bool, error) {
	raw, err := io.ReadAll(manifest)
	if err != nil {
		return false, fmt.Errorf("read the manifest: %w", err)
	}
	whole := raw[:bytes.LastIndexByte(raw, '\n')+1]
	if len(whole) < len(raw) {
		if err := manifest.Truncate(int64(len(whole))); err != nil {
			return false, fmt.Errorf("mend the manifest: %w", err)
		}
	}
	if len(whole) == 0 {
		return false, appendRow(manifest, manifestHeader)
	}
	return bytes.Contains(whole, []byte("\n"+id+",")), nil
}

// appendRow writes in one go, so that a reader sees a row or does not.
func appendRow(manifest *os.File, row string) error {
	if _, err := manifest.WriteString(row); err != nil {
		return fmt.Errorf("write to the manifest: %w", err)
	}
	if err := manifest.Sync(); err != nil {
		return fmt.Errorf("write to the manifest: %w", err)
	}
	return nil
}
