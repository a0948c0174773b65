package citizens

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// placesTable is made by places/convert.mjs; places/ATTRIBUTION.md says whose
// data it is.
//
//go:embed places/places.tsv.gz
var placesTable []byte

// Place is an Italian comune or a foreign state, as a codice fiscale names it.
type Place struct {
	Code string // Belfiore code
	Name string // in Italian
	// Province is the two-letter code of a comune's province; empty abroad.
	Province string
	// Country is ISO 3166-1 alpha-2; of a state that is no more, the code that
	// it had; empty where there never was one.
	Country string
	// Since and Until are the first and the last day; zero is an open end. A
	// place that ceased still stands in the codes of people alive.
	Since, Until Date
}

// Foreign reports whether the place is a state other than Italy.
func (p Place) Foreign() bool { return p.Code[0] == 'Z' }

// String is how pages show the place: Roma (RM), Germania.
func (p Place) String() string {
	if p.Province == "" {
		return p.Name
	}
	return p.Name + " (" + p.Province + ")"
}

// On reports whether the place existed on a day, the days of change included.
// An unknown day excludes nothing.
func (p Place) On(d Date) bool {
	return d.IsZero() ||
		(p.Since.IsZero() || !d.Before(p.Since)) && (p.Until.IsZero() || !d.After(p.Until))
}

// PlaceTable finds places by code and by name. The embedded one ends in January
// 2024: a code that is not in it is odd, not wrong.
type PlaceTable struct {
	byCode map[string][]Place
	byName map[string][]Place // by folded name
	names  []string           // folded, sorted
}

// Places returns the embedded table; it is read at the first call.
func Places() *PlaceTable { return embedded() }

var embedded = sync.OnceValue(func() *PlaceTable {
	t, err := readPlaces(bytes.NewReader(placesTable))
	if err != nil {
		panic("citizens: embedded places: " + err.Error()) // a test reads it
	}
	return t
})

func readPlaces(r io.Reader) (*PlaceTable, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("open places: %w", err)
	}
	t := &PlaceTable{byCode: map[string][]Place{}, byName: map[string][]Place{}}
	for lines := bufio.NewScanner(z); ; {
		if !lines.Scan() {
			t.index()
			return t, lines.Err()
		}
		p, err := readPlace(lines.Text())
		if err != nil {
			return nil, err
		}
		t.byCode[p.Code] = append(t.byCode[p.Code], p)
	}
}

func readPlace(line string) (Place, error) {
	f := strings.Split(line, "\t")
	if len(f) != 5 || !placeCode.MatchString(f[0]) {
		return Place{}, fmt.Errorf("read places: not a place: %q", line)
	}
	p := Place{Code: f[0], Name: f[4], Province: f[1], Country: "IT"}
	if p.Foreign() {
		p.Province, p.Country = "", f[1]
	}
	if err := p.Since.UnmarshalText([]byte(f[2])); err != nil {
		return Place{}, fmt.Errorf("read places: %q: %w", line, err)
	}
	if err := p.Until.UnmarshalText([]byte(f[3])); err != nil {
		return Place{}, fmt.Errorf("read places: %q: %w", line, err)
	}
	return p, nil
}

func (t *PlaceTable) index() {
	for _, places := range t.byCode {
		for _, p := range places {
			name := fold(p.Name)
			t.byName[name] = append(t.byName[name], p)
		}
	}
	for name, places := range t.byName {
		slices.SortFunc(places, func(a, b Place) int { return strings.Compare(a.Code, b.Code) })
		t.names = append(t.names, name)
	}
	slices.Sort(t.names)
}

// placeCode is the form of a Belfiore code. A code of this form that no table
// has yet may still be right.
var placeCode = regexp.MustCompile(`^[A-MZ][0-9]{3}$`)

// Lookup finds the place that a code meant on a day; an unknown day asks for
// the place at any time.
func (t *PlaceTable) Lookup(code string, on Date) (Place, bool) {
	for _, p := range t.byCode[strings.ToUpper(strings.TrimSpace(code))] {
		if p.On(on) {
			return p, true
		}
	}
	return Place{}, false
}

// Named finds the places that had a name on a day, case, accents and
// apostrophes aside: several, where comuni share it. "Castro (LE)" asks for
// one of a province. A name that nothing has entirely finds what begins with
// its words: Stati Uniti.
func (t *PlaceTable) Named(name string, on Date) []Place {
	name, province := splitProvince(name)
	key := fold(name)
	if key == "" {
		return nil
	}
	found := t.having(key, province, on)
	if len(found) > 0 {
		return found
	}
	from, _ := slices.BinarySearch(t.names, key+" ")
	for _, longer := range t.names[from:] {
		if !strings.HasPrefix(longer, key+" ") {
			break
		}
		found = append(found, t.having(longer, province, on)...)
	}
	return found
}

func (t *PlaceTable) having(key, province string, on Date) []Place {
	var found []Place
	for _, p := range t.byName[key] {
		if p.On(on) && (province == "" || p.Province == province) {
			found = append(found, p)
		}
	}
	return found
}

var withProvince = regexp.MustCompile(`^(.*?)\s*\(\s*([A-Za-z]{2})\s*\)\s*$`)

func splitProvince(name string) (bare, province string) {
	if m := withProvince.FindStringSubmatch(name); m != nil {
		return m[1], strings.ToUpper(m[2])
	}
	return name, ""
}

// AmbiguousPlaceError says that a name means several places; the page asks
// which.
type AmbiguousPlaceError struct{ Places []Place }

func (e *AmbiguousPlaceError) Error() string {
	return fmt.Sprintf("the name belongs to %d places: add the province", len(e.Places))
}

// ErrPlace refuses what is neither a Belfiore code nor the name of a place.
var ErrPlace = fmt.Errorf("not a place: write its name, or its Belfiore code as in H501")

// Resolve reads a place as people type it, by name or by Belfiore code. A name
// that belongs to a single place on the day wins; if it belongs to none on that
// day, one that it belonged to at another time is taken, because tables and
// memories of the day of change differ. A code that the table does not have is
// returned with no name.
func (t *PlaceTable) Resolve(input string, on Date) (Place, error) {
	code := strings.ToUpper(strings.TrimSpace(input))
	if placeCode.MatchString(code) && code[1:] != "000" {
		for _, day := range []Date{on, {}} {
			if p, ok := t.Lookup(code, day); ok {
				return p, nil
			}
		}
		return Place{Code: code}, nil
	}
	for _, day := range []Date{on, {}} {
		switch found := t.Named(input, day); len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return Place{}, &AmbiguousPlaceError{found}
		}
	}
	return Place{}, ErrPlace
}
