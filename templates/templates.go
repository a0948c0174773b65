// Package templates turns typed pages into HTML and typed messages into mail, in
// every shipped language. It holds all the words and all the looks, and decides
// nothing: a page says what happened, the template says it to a person.
//
// It knows no other package of ours. Pages are shown by web.Render only; the
// texts of letters, SMS and e-mail are asked for by delivery through Mail.
package templates

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"
)

// Options say what an installation may change.
type Options struct {
	// Institution is whose pages these are; the zero value is the built-in sample.
	Institution Institution
	// Overrides may hold page templates (login.html, layout.html, …) that replace
	// the built-in ones of the same name. Nil for none.
	Overrides fs.FS
	// Figures are those of the policy that pages and messages name.
	Figures Figures
	// HexPIN says that PINs may hold letters: telephones then show a whole keyboard.
	HexPIN bool
}

// Set is every page in every language, parsed once. It is safe for concurrent use.
type Set struct {
	institution Institution
	desk        desk
	hexPIN      bool
	assets      assets
	languages   []Language
	pages       map[string]map[string]page // language, then page name
	words       map[string]*words          // by language
}

// Frame is what surrounds a page: whoever renders knows it, the page does not.
type Frame struct {
	Language string    // one of Set.Languages; anything else is Italian
	Query    string    // of this page's address, for the links to other languages
	Fixed    bool      // the page cannot be asked for again by GET: no links to other languages
	Service  *Service  // the service a sign-in is for; nil outside one
	SignedIn *SignedIn // who is signed in; nil for nobody
	Area     *Area     // the citizen's own area around this page; nil outside it
	Now      time.Time // the moment of rendering, for opening hours and minutes left
	// FormToken goes into every form of ours as form_token.
	FormToken string
}

// Service is the relying service named in the band under the header.
type Service struct {
	Name    string
	Host    string // the domain people know it by
	LogoURL string // empty: a neutral picture

	PolicyURL string // its privacy notice; may be empty
	TermsURL  string // its terms of use; may be empty
}

// SignedIn names the person whose session this is.
type SignedIn struct {
	Name string
}

// Area is the citizen's own area, as its pages show where one is in it.
type Area struct {
	Pages []AreaPage // none: one does not leave the page for another
}

// AreaPage is a page of the area in its navigation. Words are kept under Name.
type AreaPage struct {
	Name    string
	URL     string
	Current bool
}

// Render writes page p inside frame f, in one piece that w must not keep. Nothing
// is written when it fails, so that a broken template never leaves half a page.
func (s *Set) Render(w io.Writer, f Frame, p Page) error {
	if p == nil {
		return errors.New("render: no page")
	}
	if _, ok := s.words[f.Language]; !ok {
		f.Language = fallback
	}
	v, err := s.view(f, p)
	if err != nil {
		return fmt.Errorf("render %s: %w", p.Name(), err)
	}
	page, err := s.pages[f.Language][p.Name()]()
	if err != nil {
		return fmt.Errorf("render: %w", err)
	}
	out, _ := drafts.Get().(*bytes.Buffer)
	defer discard(out)
	if err := page.ExecuteTemplate(out, "layout", v); err != nil {
		return fmt.Errorf("render %s: %w", p.Name(), err)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write %s: %w", p.Name(), err)
	}
	return nil
}

// drafts are what pages are made in.
var drafts = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// discard keeps a buffer for the next page, and nothing of what somebody has read
// in it. One that a page of unusual length has made is not kept.
func discard(draft *bytes.Buffer) {
	const usual = 64 << 10
	if draft.Cap() > usual {
		return
	}
	clear(draft.Bytes())
	draft.Reset()
	drafts.Put(draft)
}
