package delivery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery/deliverytest"
	"ente.example/idp/templates"
)

func words1(t *testing.T) *templates.Set {
	t.Helper()
	s, err := templates.New(templates.Options{Institution: templates.Sample()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// secondHalf is a letter as the outbox hands it over.
func secondHalf(t *testing.T, set *templates.Set, lang, name, address string) Letter {
	t.Helper()
	subject, body, err := set.Mail(lang, string(PINHalf2), string(Post), map[string]string{"Name": name, "Half": "50937718", "Days": "60"})
	if err != nil {
		t.Fatal(err)
	}
	return Letter{
		ID: delivery1, Key: PINHalf2, Channel: Post, Citizen: somebody, To: NewRecipient(address), Name: name, Language: lang,
		Subject: subject, Body: NewText(body), QueuedAt: time.Date(2026, 11, 18, 9, 0, 0, 0, time.UTC),
	}
}

type postBox struct {
	Sender
	*deliverytest.PrintService
	t   *testing.T
	dir string
}

func newPostBox(t *testing.T, set *templates.Set) *postBox {
	t.Helper()
	p := deliverytest.NewPrintService(t)
	b := &postBox{PrintService: p, t: t, dir: p.Dir}
	b.Sender = b.node(set)
	return b
}

func (b *postBox) node(set *templates.Set) Sender {
	b.t.Helper()
	s, err := NewLettersFromDir(b.dir, b.Recipient(), false, set.Letterhead)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *postBox) send(l Letter) {
	b.t.Helper()
	if err := b.Send(b.t.Context(), l); err != nil {
		b.t.Fatal(err)
	}
}

func (b *postBox) file(name string) []byte {
	b.t.Helper()
	raw, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return raw
}

func (b *postBox) manifest() [][]string {
	b.t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(b.file("manifest.csv"))).ReadAll()
	if err != nil {
		b.t.Fatal(err)
	}
	return rows
}

func (b *postBox) files() []string {
	b.t.Helper()
	list, err := os.ReadDir(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestLetter(t *testing.T) {
	t.Parallel()
	set := words1(t)
	b := newPostBox(t, set)
	l := secondHalf(t, set, "it", "Mario Rossi", "Musterstraße 12\n80331 München\nGERMANIA")
	b.send(l)
	rows := b.manifest()
	if len(rows) != 2 || strings.Join(rows[0], ",")+"\n" != manifestHeader {
		t.Fatalf("manifest %v, want the header and one row", rows)
	}
	name, sealed := delivery1+".pdf.age", b.file(delivery1+".pdf.age")
	sum := sha256.Sum256(sealed)
	if got := rows[1]; got[0] != delivery1 || got[1] != name || got[2] != hex.EncodeToString(sum[:]) {
		t.Errorf("row %v, want the letter, its file and its digest", got)
	}
	if at, err := time.Parse(time.RFC3339, rows[1][3]); err != nil || time.Since(at) > time.Hour {
		t.Errorf("created at %v %v", rows[1][3], err)
	}
	if diff := cmp.Diff([]string{name, "manifest.csv"}, b.files()); diff != "" {
		t.Errorf("the folder (-want +got):\n%s", diff)
	}
	if bytes.Contains(sealed, []byte("%PDF")) || !bytes.HasPrefix(b.Open(name), []byte("%PDF")) {
		t.Error("the file must be a PDF for the print service alone")
	}
}

// A letter is one letter: through a repetition, a crash between file and
// manifest, a crash in the middle of a row, and a print service that has taken
// the file.
func TestLetterComesOnce(t *testing.T) {
	t.Parallel()
	set := words1(t)
	b := newPostBox(t, set)
	l := secondHalf(t, set, "it", "Mario Rossi", "Via Roma 1\n00100 Roma")
	b.send(l)
	first := b.file(delivery1 + ".pdf.age")
	b.send(l)
	if err := os.WriteFile(filepath.Join(b.dir, "manifest.csv"), []byte(manifestHeader+delivery1+",01890"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.send(l)
	if rows := b.manifest(); len(rows) != 2 || len(rows[1]) != 4 || !bytes.Equal(first, b.file(delivery1+".pdf.age")) {
		t.Errorf("after a crash: %v, want the row of the same file", rows)
	}
	if err := os.Remove(filepath.Join(b.dir, delivery1+".pdf.age")); err != nil {
		t.Fatal(err)
	}
	b.send(l)
	if diff := cmp.Diff([]string{"manifest.csv"}, b.files()); diff != "" {
		t.Errorf("a letter that was taken is written again:\n%s", diff)
	}
	if err := os.Rename(filepath.Join(b.dir, "manifest.csv"), filepath.Join(b.dir, "taken.csv")); err != nil {
		t.Fatal(err)
	}
	l.ID = "01890000-0000-7000-8000-0000000000a2"
	b.send(l)
	if rows := b.manifest(); len(rows) != 2 || rows[1][0] != l.ID {
		t.Errorf("a new manifest: %v, want header and one row", rows)
	}
}

func TestLettersFromManyNodesAtOnce(t *testing.T) {
	t.Parallel()
	set := words1(t)
	b := newPostBox(t, set)
	const nodes, letters = 4, 3
	var senders [nodes]Sender
	for i := range senders {
		senders[i] = b.node(set)
	}
	base := secondHalf(t, set, "it", "Mario Rossi", "Via Roma 1\n00100 Roma")
	databasetest.Barrier(nodes*letters, func(i int) { // every letter by every node
		l := base
		l.ID = delivery1[:len(delivery1)-1] + string(rune('1'+i/nodes))
		if err := senders[i%nodes].Send(t.Context(), l); err != nil {
			t.Error(err)
		}
	})
	if rows := b.manifest(); len(rows) != 1+letters || len(b.files()) != 1+letters {
		t.Errorf("%d rows and %d files, want one header, %d rows and as many files", len(rows), len(b.files()), letters)
	}
}

func TestLetterSettings(t *testing.T) {
	t.Parallel()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	head := words1(t).Letterhead
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir, recipient string
		loopback       bool
		want           string
	}{
		{"", key.Recipient().String(), false, "IDP_POST_DIR"},
		{file, key.Recipient().String(), false, "IDP_POST_DIR"},
		{t.TempDir(), "", false, "IDP_POST_RECIPIENT"},
		{t.TempDir(), "age1nonsense", true, "IDP_POST_RECIPIENT"},
		{t.TempDir(), key.String(), false, "IDP_POST_RECIPIENT"}, // the private key
	} {
		_, err := NewLettersFromDir(c.dir, c.recipient, c.loopback, head)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v, want one line about %s", c, err, c.want)
		}
	}
	dir := t.TempDir()
	s, err := NewLettersFromDir(dir, "", true, head)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), secondHalf(t, words1(t), "it", "Mario Rossi", "Via Roma 1\n00100 Roma")); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(filepath.Join(dir, delivery1+".pdf")); err != nil || !bytes.HasPrefix(raw, []byte("%PDF")) {
		t.Errorf("on this machine: %v, want a readable PDF", err)
	}
}

// Letters are read back as pdftotext sees them. IDP_TEST_LETTERS names a folder
// that keeps them, to be looked at.
func TestLetterOnPaper(t *testing.T) {
	t.Parallel()
	set := words1(t)
	b := newPostBox(t, set)
	for i, c := range []struct{ lang, name, address string }{
		{"it", "Mario Rossi", "Musterstraße 12\n80331 München\nGERMANIA"},
		{"en", "Ștefania Brașoveanu-Țepeș", "Strada Lungă 131\n500059 Brașov\nROMANIA"},
		{"it", "Γιώργος Παπαδόπουλος", "Οδός Ερμού 15\n105 63 Αθήνα\nGRECIA"},
		{"it", "Maria Guadalupe Esperanza de la Santísima Trinidad Hernández y Villanueva-Montenegro", "Calle del Licenciado Don Francisco Verdad y Ramos 1217, interior 43, colonia Centro Histórico\n06060 Ciudad de México\nMESSICO"},
	} {
		l := secondHalf(t, set, c.lang, c.name, c.address)
		l.ID = delivery1[:len(delivery1)-1] + string(rune('1'+i))
		b.send(l)
		pdf := b.Open(l.ID + ".pdf.age")
		again, err := b.Sender.(*letters).set.pdf(l, "Istituto Nazionale Esempio", "x")
		if err != nil {
			t.Fatal(err)
		}
		if other, err := b.Sender.(*letters).set.pdf(l, "Istituto Nazionale Esempio", "x"); err != nil || !bytes.Equal(again, other) {
			t.Errorf("%s: a retry sets another page: %v", c.name, err)
		}
		if dir := os.Getenv("IDP_TEST_LETTERS"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, l.ID+".pdf"), pdf, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		checkPaper(t, pdf, c.name)
	}
}

// checkPaper reads the page back.
func checkPaper(t *testing.T, pdf []byte, name string) {
	t.Helper()
	if n := bytes.Count(pdf, []byte("/Type /Page\n")); n != 1 {
		t.Errorf("%s: %d pages, want one", name, n)
	}
	tool, err := exec.LookPath("pdftotext")
	if err != nil {
		t.Skip("reading a letter back needs pdftotext: make setup-tools")
	}
	text := func(area ...string) string {
		cmd := exec.CommandContext(t.Context(), tool, append(append([]string{"-r", "254"}, area...), "-layout", "-", "-")...)
		cmd.Stdin = bytes.NewReader(pdf)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	// at 254 dpi a pixel is a tenth of a millimetre
	window := text("-x", "1100", "-y", "520", "-W", "800", "-H", "300")
	if strings.Contains(window, "5093") || strings.Contains(window, delivery1[:8]) || len(strings.TrimSpace(window)) == 0 {
		t.Errorf("%s: the window shows %q", name, window)
	}
	above, middle, below := text("-x", "0", "-y", "0", "-W", "2100", "-H", "990"), text("-x", "0", "-y", "990", "-W", "2100", "-H", "990"), text("-x", "0", "-y", "1980", "-W", "2100", "-H", "990")
	if !strings.Contains(strings.Join(strings.Fields(middle), " "), "5093 7718") || strings.Contains(above+below, "5093") {
		t.Errorf("%s: the half must stand between the folds:\n%s", name, middle)
	}
	whole := text()
	if !strings.Contains(whole, strings.Fields(name)[0]) {
		t.Errorf("%s: not on the page:\n%s", name, whole)
	}
	if strings.Contains(whole, somebody) || strings.Contains(whole, "+39340") {
		t.Errorf("%s: the page tells too much:\n%s", name, whole)
	}
}

func TestLetterThatCannotBePrinted(t *testing.T) {
	t.Parallel()
	set := words1(t)
	b := newPostBox(t, set)
	for name, l := range map[string]Letter{
		"a sign in no font": secondHalf(t, set, "it", "Mario 山田", "Via Roma 1\n00100 Roma"),
		"a picture":         secondHalf(t, set, "it", "Mario 🙂", "Via Roma 1\n00100 Roma"),
		"too many lines":    secondHalf(t, set, "it", "Mario", strings.Repeat("Via Roma\n", 20)),
		"too long":          secondHalf(t, set, "it", strings.Repeat("Mario ", 200), "Via Roma"),
	} {
		if err := b.Send(t.Context(), l); !errors.Is(err, ErrRejected) || strings.Contains(err.Error(), "Mario") {
			t.Errorf("%s: %v, want ErrRejected without the name", name, err)
		}
	}
	if rows := b.manifest(); len(rows) != 1 {
		t.Errorf("manifest %v, want the header alone", rows)
	}
	if err := b.Send(t.Context(), Letter{ID: "../../etc/passwd"}); err == nil {
		t.Error("an id that is a path was taken")
	}
}

func TestR21LettersReport(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		r := newReports(t, f)
		letter := numbered(sms("credential"), delivery1)
		letter.Channel, letter.Key = Post, PINHalf2
		f.enqueue(letter)
		other := numbered(letter, "01890000-0000-7000-8000-0000000000a2")
		f.enqueue(other)
		for range 2 { // the same file may come again
			got, err := r.LettersReport(t.Context(), strings.NewReader("\ufeffdate,letter_id,status,batch\n"+
				"2026-11-19,"+delivery1+",posted,7\n2026-12-01,"+delivery1+",returned,7\n2026-11-19,"+other.ID+",posted,7\n"+
				"2026-11-19,01890000-0000-7000-8000-0000000000ff,posted,7\n19/11/2026,"+delivery1+",posted,7\n2026-11-19,"+delivery1+",burnt,7\n2026-11-19\n"))
			if err != nil {
				t.Fatal(err)
			}
			var lines []int
			for _, b := range got.Bad {
				lines = append(lines, b.Line)
			}
			if diff := cmp.Diff([]int{5, 6, 7, 8}, lines); diff != "" || got.Posted+got.Returned+got.Known != 3 {
				t.Errorf("%+v: bad lines (-want +got):\n%s", got, diff)
			}
		}
		if len(r.told) != 3 || r.told[1].Result != LetterReturned || !r.told[1].Result.Lost() || r.told[1].Ref != "credential" ||
			!r.told[1].At.Equal(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("told %+v, want two posted and one returned", r.told)
		}
		for _, bad := range []string{"", "letter_id,status\n", "letter_id,status,date\n\"unclosed"} {
			if _, err := r.LettersReport(t.Context(), strings.NewReader(bad)); err == nil {
				t.Errorf("%q was taken", bad)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.LettersReport(ctx, strings.NewReader("letter_id,status,date\n"+delivery1+",posted,2026-11-20\n")); err == nil {
			t.Error("without a database the report must fail")
		}
	})
}
