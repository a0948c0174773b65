package citizens

import (
	"regexp"
	"slices"
	"strings"
)

// SameResidence compares an address that somebody typed with the one of the
// archive (R13). It forgives what people and registry offices write in
// different ways: abbreviated toponyms, accents, where the number stands, "snc"
// for no number, a city's old general CAP, the two languages of South Tyrol. It
// does not guess: what could be another house is no match, and a person decides.
//
// The region is not compared: forms and archives put province, Land or nothing
// there.
func SameResidence(typed, archive Address) bool {
	if country(typed) != country(archive) || !sameLocality(typed, archive) || !samePostalCode(typed, archive) {
		return false
	}
	italian := country(archive) == "IT"
	for _, a := range streets(typed.Street, italian) {
		for _, b := range streets(archive.Street, italian) {
			if a.same(b, italian) {
				return true
			}
		}
	}
	return false
}

// staysAs reports whether an import only writes an address otherwise. One that
// was not known before is another: nobody has had a letter there yet.
func (a Address) staysAs(b Address) bool {
	return a == b || !a.IsZero() && SameResidence(a, b)
}

// country of an address that names none is Italy: its archives leave it out.
func country(a Address) string {
	if c := strings.ToUpper(strings.TrimSpace(a.Country)); c != "" {
		return c
	}
	return "IT"
}

func samePostalCode(a, b Address) bool {
	x, y := squeeze(a.PostalCode), squeeze(b.PostalCode)
	if x == "" || y == "" || x == y {
		return true // half of the addresses abroad have none
	}
	if country(a) != "IT" {
		return strings.TrimLeft(x, capitals) == y || x == strings.TrimLeft(y, capitals) // D-80331
	}
	// 00100 was all of Rome's before 00118 to 00199 took its place
	general := func(s string) bool { return len(s) == 5 && s[2:] == "100" }
	return len(x) == 5 && len(y) == 5 && x[:3] == y[:3] && (general(x) || general(y))
}

const capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// squeeze keeps letters and digits, in capitals and without marks.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, fold(s))
}

func sameLocality(a, b Address) bool {
	for _, x := range localities(a.Locality) {
		for _, y := range localities(b.Locality) {
			if x == y || samePlace(x, y) {
				return true
			}
		}
	}
	return false
}

// localities are the names in which a locality is written: "Bolzano/Bozen" and
// "Merano - Meran" are two, a province in brackets or behind is none.
func localities(s string) []string {
	s = provinceBehind.ReplaceAllString(withProvince.ReplaceAllString(s, "$1"), "$1")
	var names []string
	for _, part := range append([]string{s}, twoNames.Split(s, -1)...) {
		if name := saints.Replace(" " + fold(part) + " "); strings.TrimSpace(name) != "" {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

var (
	provinceBehind = regexp.MustCompile(`^(.*\S)\s*,\s*[A-Z]{2}\s*$`)
	twoNames       = regexp.MustCompile(`\s*/\s*|\s+[-–]\s+`)
	saints         = strings.NewReplacer(" S ", " SAN ", " ST ", " SANKT ", " STA ", " SANTA ", " SS ", " SANTI ")
)

// samePlace knows the two names of the comuni of South Tyrol, and those that are
// shortened in speech: Caldaro, Eppan.
func samePlace(x, y string) bool {
	return slices.ContainsFunc(southTyrol(), func(pair [2]string) bool {
		return calls(pair, x) && calls(pair, y)
	})
}

func calls(pair [2]string, name string) bool {
	for _, full := range pair {
		long, short := saints.Replace(" "+fold(full)+" "), fold(full)
		if i := strings.Index(short, " SULLA STRADA"); i > 0 {
			short = short[:i]
		} else if i := strings.Index(short, " AN DER WEINSTRASSE"); i > 0 {
			short = short[:i]
		}
		if name == strings.TrimSpace(long) || name == short {
			return true
		}
	}
	return false
}
