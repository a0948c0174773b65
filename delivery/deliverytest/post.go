package deliverytest

import (
	"bytes"
	"encoding/csv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"filippo.io/age"
)

// PrintService takes letters from a folder, and has the key that opens them.
type PrintService struct {
	Dir   string
	t     testing.TB
	key   *age.X25519Identity
	known map[string]string // what was read, by letter
}

// NewPrintService has a folder of its own, which is made by whoever writes first.
func NewPrintService(t testing.TB) *PrintService {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return &PrintService{Dir: filepath.Join(t.TempDir(), "post"), t: t, key: key, known: map[string]string{}}
}

// Recipient is the key to which letters are sealed.
func (p *PrintService) Recipient() string { return p.key.Recipient().String() }

// Open opens a sealed letter.
func (p *PrintService) Open(file string) []byte {
	p.t.Helper()
	raw, err := os.ReadFile(filepath.Join(p.Dir, file))
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(raw), p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	pdf, err := io.ReadAll(r)
	if err != nil {
		p.t.Fatal(err)
	}
	return pdf
}

// Paper is a letter as it is read.
type Paper struct{ ID, Text string }

// Letters are those of the manifest, in its order. Reading them needs pdftotext.
func (p *PrintService) Letters() []Paper {
	p.t.Helper()
	raw, err := os.ReadFile(filepath.Join(p.Dir, "manifest.csv"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		p.t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(raw[:bytes.LastIndexByte(raw, '\n')+1])).ReadAll()
	if err != nil {
		p.t.Fatal(err)
	}
	var list []Paper
	for _, row := range rows[min(1, len(rows)):] {
		if p.known[row[0]] == "" {
			p.known[row[0]] = p.read(p.Open(row[1]))
		}
		list = append(list, Paper{row[0], p.known[row[0]]})
	}
	return list
}

func (p *PrintService) read(pdf []byte) string {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "pdftotext", "-layout", "-", "-")
	cmd.Stdin = bytes.NewReader(pdf)
	text, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("read a letter (apt-get install poppler-utils): %v", err)
	}
	return string(text)
}
