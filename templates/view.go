package templates

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:embed pages/*.html
var sources embed.FS

// New prepares every page in every language. It fails on what would otherwise
// fail in front of somebody: a missing page, an operator's own page that cannot be
// parsed, an institution that does not hold together.
func New(o Options) (*Set, error) {
	if o.Institution.Name == nil {
		o.Institution = Sample()
	}
	desk, err := o.Institution.hours()
	if err != nil {
		return nil, err
	}
	dist, err := fs.Sub(built, "assets/dist")
	if err != nil {
		return nil, fmt.Errorf("open assets: %w", err)
	}
	s := &Set{
		institution: o.Institution, desk: desk, hexPIN: o.HexPIN, languages: shipped(),
		pages: map[string]map[string]page{}, words: map[string]*words{},
	}
	if s.assets, err = loadAssets(dist); err != nil {
		return nil, err
	}
	s.addOwn()
	texts, err := pageTexts(o.Overrides)
	if err != nil {
		return nil, err
	}
	for _, l := range s.languages {
		if s.words[l.Tag], err = loadWords(l.Tag); err != nil {
			return nil, err
		}
		if err := s.words[l.Tag].tell(o.Figures); err != nil {
			return nil, err
		}
		if s.pages[l.Tag], err = s.parse(s.words[l.Tag], texts, (*folder).fold); err != nil {
			return nil, err
		}
	}
	if o.Overrides != nil {
		return s, s.parseAll()
	}
	return s, nil
}

// addOwn serves the institution's own logo and colours beside the built files.
func (s *Set) addOwn() {
	if name, sheet, ok := s.institution.Colours.sheet(); ok {
		s.assets.files[name], s.assets.names["brand.css"] = sheet, name
	}
	if mark := s.institution.mark; mark != "" {
		s.assets.files[mark] = s.institution.logo
		s.assets.names["logo.svg"], s.assets.names["icon.svg"] = mark, mark
	}
}

// pageTexts are the sources of all templates, the operator's before ours.
func pageTexts(overrides fs.FS) (map[string]string, error) {
	texts := map[string]string{}
	names, err := fs.Glob(sources, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("list pages: %w", err)
	}
	for _, name := range names {
		raw, err := sources.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read page: %w", err)
		}
		base := strings.TrimPrefix(name, "pages/")
		if overrides != nil {
			own, err := fs.ReadFile(overrides, base)
			if err == nil {
				raw = own
			} else if !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("read override %s: %w", base, err)
			}
		}
		texts[base] = string(raw)
	}
	return texts, nil
}

// page is a template set, made when it is first asked for: few are in a node's
// first second, and none in most commands.
type page func() (*template.Template, error)

// parse makes one template set for each page: the layout, the shared pieces and
// the page itself, with the functions of one language; finish has the last word on each.
func (s *Set) parse(w *words, texts map[string]string, finish func(*folder) error) (map[string]page, error) {
	kinds := map[string]Page{}
	for _, p := range kindsOfPages() {
		kinds[p.Name()+".html"] = p
	}
	functions := s.functions(w)
	shared := template.New("").Funcs(functions)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if kinds[name] != nil {
			continue
		}
		if _, err := shared.New(name).Parse(texts[name]); err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, err)
		}
	}
	pages := map[string]page{}
	for name, kind := range kinds {
		text, ok := texts[name]
		if !ok {
			return nil, fmt.Errorf("no template %s", name)
		}
		pages[kind.Name()] = sync.OnceValues(func() (*template.Template, error) {
			page, err := extend(shared, kind, text)
			if err != nil {
				return nil, err
			}
			return page, finish(&folder{page: page, kind: kind, words: w, functions: functions})
		})
	}
	return pages, nil
}

// extend adds a page to the shared pieces.
func extend(shared *template.Template, kind Page, text string) (*template.Template, error) {
	page, err := shared.Clone()
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", kind.Name(), err)
	}
	page.Funcs(template.FuncMap{"page": kind.Name})
	if _, err := page.New(kind.Name() + ".html").Parse(text); err != nil {
		return nil, fmt.Errorf("parse %s: %w", kind.Name(), err)
	}
	return page, nil
}

// parseAll reads every page now: an operator's own may not hold together.
func (s *Set) parseAll() error {
	for _, pages := range s.pages {
		for _, page := range pages {
			if _, err := page(); err != nil {
				return err
			}
		}
	}
	return nil
}
