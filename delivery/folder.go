package delivery

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// NewFolder is the transport of development: every letter becomes a file in
// dir, readable by whoever may read dir, and counts as accepted.
func NewFolder(dir string) Sender { return folder{dir} }

type folder struct{ dir string }

// Send puts the letter in place by rename, so that a reader never sees half a
// file. The name is the same at every retry, so a repetition replaces.
func (f folder) Send(_ context.Context, l Letter) error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("open the outbox folder: %w", err)
	}
	t, err := os.CreateTemp(f.dir, ".outbox-*")
	if err != nil {
		return fmt.Errorf("write to the outbox folder: %w", err)
	}
	_, err = t.WriteString(eml(l))
	if err = errors.Join(err, t.Sync(), t.Close()); err == nil {
		err = os.Rename(t.Name(), filepath.Join(f.dir, fileName(l)))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write to the outbox folder: %w", err), os.Remove(t.Name()))
	}
	return nil
}

func fileName(l Letter) string {
	return fmt.Sprintf("%s-%s-%s.eml", l.QueuedAt.UTC().Format("20060102T150405.000000Z"), l.Channel, l.ID)
}

// eml is the letter as a mail, with plain newlines: the files are read by
// people and scripts, not sent.
func eml(l Letter) string {
	to := l.To.Reveal()
	if l.Channel == Post {
		to = l.Name + ", " + to
	}
	var b strings.Builder
	for _, h := range [][2]string{
		{"Date", l.QueuedAt.UTC().Format(time.RFC1123Z)},
		{"To", to},
		{"Subject", l.Subject},
		{"Message-ID", "<" + l.ID + "@outbox.invalid>"},
		{"X-Channel", string(l.Channel)},
		{"X-Message", string(l.Key)},
		{"X-Citizen", string(l.Citizen)},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "8bit"},
	} {
		fmt.Fprintf(&b, "%s: %s\n", h[0], header(h[1]))
	}
	return b.String() + "\n" + strings.ReplaceAll(strings.TrimRight(l.Body.Reveal(), "\r\n"), "\r\n", "\n") + "\n"
}

// header makes one line of a value, whatever somebody wrote into an address.
func header(v string) string {
	v = strings.Join(strings.FieldsFunc(v, func(r rune) bool { return r == '\n' || r == '\r' }), ", ")
	return mime.QEncoding.Encode("utf-8", v)
}
