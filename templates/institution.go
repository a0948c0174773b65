package templates

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Institution is whose provider this is: what IDP_INSTITUTION_FILE says.
type Institution struct {
	Name    Text   `json:"name"`
	Tagline Text   `json:"tagline"`
	Owner   Text   `json:"owner"` // the slim line on top: who the institution belongs to
	Logo    string `json:"logo"`  // SVG or PNG, beside the institution file; empty: the sample's
	// Address is where people type it in, for letters: accesso.ente.example.
	Address string `json:"address"`
	// PostalAddress stands under the name on letters; lines as on an envelope.
	PostalAddress string        `json:"postal_address"`
	Phones        []Phone       `json:"phones"` // the last one can be called from abroad
	Hours         []Opening     `json:"opening_hours"`
	Closed        []string      `json:"closed"`       // days without service, YYYY-MM-DD
	Legal         []Link        `json:"legal"`        // footer: privacy, accessibility, …
	ReportURL     string        `json:"report_url"`   // where to report that somebody asked for a PIN
	CorrectURL    string        `json:"correct_url"`  // where to have wrong data corrected
	Alternatives  []Alternative `json:"alternatives"` // other ways to sign in
	Channels      []Channel     `json:"channels"`     // other ways to reach us: in writing, by PEC, at an office
	Colours       Colours       `json:"colours"`

	logo Asset
	mark string // the logo's hashed name
}

// Text is a text in each language; a language that is missing falls back to Italian.
type Text map[string]string

// In is the text in that language.
func (t Text) In(language string) string {
	if s, ok := t[language]; ok {
		return s
	}
	return t[fallback]
}

// Phone is one number of the contact centre.
type Phone struct {
	Number string `json:"number"` // E.164, or the national form of a number that has none
	Shown  string `json:"shown"`  // as people write it
	Note   Text   `json:"note"`   // who pays what
}

// Opening is a stretch of opening hours: the same hours on some days of the week.
type Opening struct {
	Days []string `json:"days"` // mon, tue, wed, thu, fri, sat, sun
	From string   `json:"from"` // 08:00, in Rome
	To   string   `json:"to"`
}

// Link is a named address.
type Link struct {
	Name Text   `json:"name"`
	URL  string `json:"url"`
}

// Channel is another way to reach the institution than the telephone (R61).
type Channel struct {
	Name Text   `json:"name"`
	Note Text   `json:"note"` // may be empty
	URL  string `json:"url"`
}

// Alternative is another way to sign in, shown on the sign-in page if it has an address.
type Alternative struct {
	Kind string `json:"kind"` // spid, cie, cns, eidas
	URL  string `json:"url"`
}

// LoadInstitution reads an institution file. What it leaves out is left out of
// the pages, too: only the logo falls back to the sample's.
func LoadInstitution(file string) (Institution, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return Institution{}, fmt.Errorf("read institution: %w", err)
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	var i Institution
	if err := d.Decode(&i); err != nil {
		return Institution{}, fmt.Errorf("read institution %s: %w", file, err)
	}
	if i.Logo != "" {
		body, err := os.ReadFile(filepath.Join(filepath.Dir(file), filepath.Base(i.Logo)))
		if err != nil {
			return Institution{}, fmt.Errorf("read institution's logo: %w", err)
		}
		i.logo = Asset{Type: mediaType(i.Logo), Body: body}
		sum := sha256.Sum256(body)
		i.mark = "institution-" + hex.EncodeToString(sum[:8]) + filepath.Ext(i.Logo)
	}
	if err := i.validate(); err != nil {
		return Institution{}, fmt.Errorf("institution %s: %w", file, err)
	}
	return i, nil
}

// validate refuses at start what would otherwise be a hole in a page.
func (i Institution) validate() error {
	if i.Name.In(fallback) == "" {
		return fmt.Errorf("name has no %q", fallback)
	}
	if len(i.Phones) == 0 || i.Address == "" {
		return errors.New("phones and address are needed: letters and messages name them")
	}
	for _, p := range i.Phones {
		if !regexp.MustCompile(`^\+?[0-9]{3,15}$`).MatchString(p.Number) || p.Shown == "" {
			return fmt.Errorf("phones: %q shown as %q", p.Number, p.Shown)
		}
	}
	if i.Logo != "" && !strings.HasPrefix(i.logo.Type, "image/") {
		return errors.New("logo must be an SVG or a PNG file")
	}
	for _, l := range i.Legal {
		if l.Name.In(fallback) == "" || !webAddress(l.URL) {
			return fmt.Errorf("legal: %q at %q", l.Name.In(fallback), l.URL)
		}
	}
	for _, c := range i.Channels {
		if c.Name.In(fallback) == "" || !webAddress(c.URL) {
			return fmt.Errorf("channels: %q at %q", c.Name.In(fallback), c.URL)
		}
	}
	for _, a := range i.Alternatives {
		if !slices.Contains([]string{"spid", "cie", "cns", "eidas"}, a.Kind) || a.URL != "" && !webAddress(a.URL) {
			return fmt.Errorf("alternatives: %q at %q", a.Kind, a.URL)
		}
	}
	for _, u := range []string{i.ReportURL, i.CorrectURL} {
		if u != "" && !webAddress(u) {
			return fmt.Errorf("%q is not an address", u)
		}
	}
	for _, day := range i.Closed {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			return fmt.Errorf("closed: %q is not YYYY-MM-DD", day)
		}
	}
	if err := i.Colours.check(); err != nil {
		return err
	}
	_, err := i.hours()
	return err
}

// call is the number to give to somebody who may be anywhere: the last one, and
// the only one if there is one. Nil for none.
func (i Institution) call() *Phone {
	if len(i.Phones) == 0 {
		return nil
	}
	return &i.Phones[len(i.Phones)-1]
}

// leading are the other ways to sign in that lead somewhere.
func (i Institution) leading() []Alternative {
	return slices.DeleteFunc(slices.Clone(i.Alternatives), func(a Alternative) bool { return a.URL == "" })
}

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http" || u.Scheme == "mailto")
}

// Sample is the institution of the demo and of whoever has not configured one yet.
func Sample() Institution {
	weekdays := []string{"mon", "tue", "wed", "thu", "fri"}
	return Institution{
		Name:    Text{"it": "Istituto Nazionale Esempio", "en": "Istituto Nazionale Esempio"},
		Tagline: Text{"it": "Accesso ai servizi", "en": "Access to services"},
		Owner:   Text{"it": "Amministrazione pubblica", "en": "Public administration"},
		Address: "accesso.ente.example", PostalAddress: "Via dell’Esempio 1, 00100 Roma",
		Phones: []Phone{
			{Number: "800000000", Shown: "800 000 000", Note: Text{"it": "gratis da telefono fisso", "en": "free from an Italian landline"}},
			{Number: "+390600000000", Shown: "+39 06 0000 0000", Note: Text{"it": "da cellulare e dall’estero, al costo del tuo piano", "en": "from a mobile or from abroad, at your plan’s rate"}},
		},
		Hours: []Opening{
			{Days: weekdays, From: "08:00", To: "20:00"},
			{Days: []string{"sat"}, From: "08:00", To: "14:00"},
		},
	}
}
