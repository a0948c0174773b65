package delivery

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// NewFolder is the transport of development: every letter becomes a file in
// dir, readable by whoever may read dir, and counts as accepted.
func NewFolder(dir string) Sender { return folder{dir: dir} }

// NewLetterFolder is NewFolder for the post: the sheet that a print service
// would get is attached.
func NewLetterFolder(dir string, head Letterhead) (Sender, error) {
	set, err := newTypesetter()
	return folder{dir: dir, print: func(l Letter) ([]byte, error) { return set.printed(l, head) }}, err
}

type folder struct {
	dir   string
	print func(Letter) ([]byte, error) // nil: nothing is printed
}

// Send puts the letter in place by rename, so that a reader never sees half a
// file. The name is the same at every retry, so a repetition replaces.
func (f folder) Send(_ context.Context, l Letter) error {
	content, err := f.eml(l)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("open the outbox folder: %w", err)
	}
	t, err := os.CreateTemp(f.dir, ".outbox-*")
	if err != nil {
		return fmt.Errorf("write to the outbox folder: %w", err)
	}
	_, err = t.WriteString(content)
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
func (f folder) eml(l Letter) (string, error) {
	to := l.To.Reveal()
	if l.Channel == Post {
		to = l.Name + ", " + to
	}
	b := headers{
		{"Date", l.QueuedAt.UTC().Format(time.RFC1123Z)}, {"To", to}, {"Subject", l.Subject},
		{"Message-ID", "<" + l.ID + "@outbox.invalid>"}, {"X-Channel", string(l.Channel)}, {"X-Message", string(l.Key)},
		{"X-Citizen", string(l.Citizen)}, {"MIME-Version", "1.0"},
	}
	text := plainText.String() + "\n" + strings.ReplaceAll(strings.TrimRight(l.Body.Reveal(), "\r\n"), "\r\n", "\n") + "\n"
	if f.print == nil {
		return b.String() + text, nil
	}
	sheet, err := f.print(l)
	if err != nil {
		return "", err
	}
	return b.String() + withSheet(l.ID, text, sheet), nil
}

// withSheet are the two parts of a mail: the words, and the paper.
func withSheet(id, text string, sheet []byte) string {
	boundary, pdf := "sheet-"+id, base64.StdEncoding.EncodeToString(sheet)
	var b strings.Builder
	fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%q\n\n--%s\n%s\n--%s\n%s\n", boundary, boundary, text, boundary, headers{
		{"Content-Type", "application/pdf"}, {"Content-Disposition", `attachment; filename="` + id + `.pdf"`}, {"Content-Transfer-Encoding", "base64"},
	})
	for line := range slices.Chunk([]byte(pdf), 76) {
		b.Write(append(line, '\n'))
	}
	return b.String() + "--" + boundary + "--\n"
}

// headers are names and values, one a line.
type headers [][2]string

//nolint:gochecknoglobals // a list, never changed
var plainText = headers{{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "8bit"}}

func (h headers) String() string {
	var b strings.Builder
	for _, one := range h {
		fmt.Fprintf(&b, "%s: %s\n", one[0], header(one[1]))
	}
	return b.String()
}

// header makes one line of a value, whatever somebody wrote into an address.
func header(v string) string {
	v = strings.Join(strings.FieldsFunc(v, func(r rune) bool { return r == '\n' || r == '\r' }), ", ")
	return mime.QEncoding.Encode("utf-8", v)
}
