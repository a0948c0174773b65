package demo

import (
	"cmp"
	"encoding/base64"
	"errors"
	"html/template"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Viewer shows what left by each channel: a phone, a mailbox, a PEC mailbox
// and a letter box.
type Viewer struct {
	Dir string // of the outbox files

	pages *template.Template
}

// Message is one outbox file.
type Message struct {
	Name, Channel, Key, To, Subject, Body string
	At                                    time.Time
}

// Handler is the viewer's site.
func (v *Viewer) Handler() (http.Handler, error) {
	pages, err := template.ParseFS(files, "pages/outbox.html")
	if err == nil {
		v.pages = pages
	}
	m := http.NewServeMux()
	m.HandleFunc("GET /{$}", v.list)
	m.HandleFunc("GET /style.css", style)
	return m, err
}

// box is one channel's messages, newest first.
type box struct {
	Channel, Title, Empty string
	Messages              []Message
}

func (v *Viewer) list(w http.ResponseWriter, _ *http.Request) {
	all, err := Read(v.Dir)
	if err != nil {
		http.Error(w, "the outbox cannot be read: "+err.Error(), http.StatusInternalServerError)
		return
	}
	boxes := []box{
		{Channel: "sms", Title: "Telefono", Empty: "Nessun SMS."}, {Channel: "email", Title: "E-mail", Empty: "Nessuna e-mail."},
		{Channel: "pec", Title: "PEC", Empty: "Nessun messaggio PEC."}, {Channel: "post", Title: "Cassetta delle lettere", Empty: "Nessuna lettera."},
	}
	for i := range boxes {
		for _, m := range all {
			if m.Channel == boxes[i].Channel {
				boxes[i].Messages = append(boxes[i].Messages, m)
			}
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	_ = v.pages.ExecuteTemplate(w, "outbox.html", boxes)
}

// Read returns the messages of an outbox folder, newest first. A folder that
// does not exist yet is empty.
func Read(dir string) ([]Message, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Message
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".eml" {
			continue
		}
		m, err := readMessage(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Message) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Name, a.Name)) })
	return all, nil
}

func readMessage(path string) (Message, error) {
	f, err := os.Open(path)
	if err != nil {
		return Message{}, err
	}
	defer func() { _ = f.Close() }()
	m, err := mail.ReadMessage(f)
	if err != nil {
		return Message{}, err
	}
	words := mime.WordDecoder{}
	header := func(name string) string {
		if text, err := words.DecodeHeader(m.Header.Get(name)); err == nil {
			return text
		}
		return m.Header.Get(name)
	}
	body, err := plain(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
	at, _ := m.Header.Date()
	return Message{
		Name: filepath.Base(path), Channel: header("X-Channel"), Key: header("X-Message"), To: header("To"),
		Subject: header("Subject"), Body: body, At: at,
	}, err
}

// plain reads the plain text of a Message, the first part of one in parts.
func plain(kind, encoding string, r io.Reader) (string, error) {
	media, params, err := mime.ParseMediaType(cmp.Or(kind, "text/plain"))
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(media, "multipart/") {
		part, err := multipart.NewReader(r, params["boundary"]).NextPart()
		if err != nil {
			return "", err
		}
		return plain(part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part)
	}
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	}
	b, err := io.ReadAll(r)
	return strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n")), err
}
