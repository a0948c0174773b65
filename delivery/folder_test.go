package delivery

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func letter() Letter {
	return Letter{
		ID: "01890000-0000-7000-8000-00000000000a", Key: PINHalf2, Channel: Post, Citizen: somebody,
		To: NewRecipient("Straße 1, 10115 Berlin, DE"), Name: "Niccolò Rossi", Subject: "Il suo PIN è pronto",
		Body: NewText("La seconda parte:\r\n" + half + "\r\n"), QueuedAt: time.Date(2026, 3, 1, 8, 9, 10, 11000, time.UTC),
	}
}

// contract §2, "Outbox file".
func TestOutboxFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "outbox")
	for range 2 { // the second is a retry
		if err := NewFolder(dir).Send(t.Context(), letter()); err != nil {
			t.Fatal(err)
		}
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d files, %v, want one", len(list), err)
	}
	if got, want := list[0].Name(), "20260301T080910.000011Z-post-01890000-0000-7000-8000-00000000000a.eml"; got != want {
		t.Errorf("the file is %s, want %s", got, want)
	}
	f, err := os.Open(filepath.Join(dir, list[0].Name()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	m, err := mail.ReadMessage(f)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"X-Channel": "post", "X-Message": "pin-half-2", "X-Citizen": somebody,
		"To": "Niccolò Rossi, Straße 1, 10115 Berlin, DE", "Subject": "Il suo PIN è pronto",
	} {
		got, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get(name))
		if err != nil || got != want {
			t.Errorf("%s is %q, %v, want %q", name, got, err, want)
		}
	}
	body, err := io.ReadAll(m.Body)
	if err != nil || !regexp.MustCompile(`(?m)^`+half+`$`).Match(body) || !strings.Contains(string(body), "seconda parte") {
		t.Errorf("the body is %q, %v, want the half alone on its line", body, err)
	}
}

// A letter's words come first, as they do without its paper.
func TestOutboxFileOfALetterHasItsSheet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sender, err := NewLetterFolder(dir, func(string, string, time.Time) (string, string, error) { return "Istituto", "1", nil })
	if err != nil {
		t.Fatal(err)
	}
	l := letter()
	l.Body = NewText("La seconda parte:\n\n" + half + "\n")
	if err := sender.Send(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, fileName(letter())))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	words, err := parts.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(words)
	if err != nil || !regexp.MustCompile(`(?m)^`+half+`$`).Match(text) {
		t.Errorf("the words are %q, %v, want the half alone on its line", text, err)
	}
	sheet, err := parts.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	pdf, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, sheet))
	if err != nil || !bytes.HasPrefix(pdf, []byte("%PDF")) || sheet.FileName() != letter().ID+".pdf" {
		t.Errorf("attached is %q, %.20q, %v, want the letter's PDF", sheet.FileName(), pdf, err)
	}
	if _, err := parts.NextPart(); !errors.Is(err, io.EOF) {
		t.Errorf("a third part: %v", err)
	}
}

func TestOutboxFileHeadersStayInTheirLine(t *testing.T) {
	t.Parallel()
	l := letter()
	l.Name, l.Subject = "Eva\r\nX-Message: pin-half-1", "a\nX-Channel: sms\n\nbody"
	content, err := folder{}.eml(l)
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Header["X-Message"]; len(got) != 1 || got[0] != "pin-half-2" {
		t.Errorf("X-Message is %q, want the letter's own", got)
	}
	if got := m.Header["X-Channel"]; len(got) != 1 || got[0] != "post" {
		t.Errorf("X-Channel is %q, want the letter's own", got)
	}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := NewFolder(file).Send(t.Context(), letter())
	if err == nil || strings.Contains(err.Error(), half) {
		t.Errorf("Send = %v, want an error without the half", err)
	}
}
