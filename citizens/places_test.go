package citizens

import (
	"errors"
	"testing"
)

func TestPlacesByCode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code string
		on   Date
		want string
	}{
		{"H501", Date{1980, 1, 1}, "Roma (RM)"},
		{"f205", Date{}, "Milano (MI)"},
		{" Z112 ", Date{1990, 1, 1}, "Germania"},
		{"Z404", Date{}, "Stati Uniti d'America"},
		{"Z106", Date{}, "Stato della Città del Vaticano"},
		{"A012", Date{2010, 1, 1}, "Abetone (PT)"}, // merged into Abetone Cutigliano
		{"A012", Date{2018, 1, 1}, ""},
		{"M376", Date{2018, 1, 1}, "Abetone Cutigliano (PT)"},
		{"M376", Date{2010, 1, 1}, ""},
		{"Z135", Date{1970, 1, 1}, "Unione Sovietica"}, // people born there are alive
		{"Z135", Date{1999, 1, 1}, ""},
		{"Z118", Date{}, "Repubblica Socialista Federale di Jugoslavia"},
		{"A000", Date{}, ""},
		{"", Date{}, ""},
	} {
		p, ok := Places().Lookup(c.code, c.on)
		if ok != (c.want != "") || ok && p.String() != c.want {
			t.Errorf("%q on %v: got %v, %t; want %q", c.code, c.on, p, ok, c.want)
		}
	}
	if p, _ := Places().Lookup("Z114", Date{}); p.Country != "GB" || !p.Foreign() || p.Province != "" {
		t.Errorf("the United Kingdom is %+v", p)
	}
	if p, _ := Places().Lookup("H501", Date{}); p.Country != "IT" || p.Foreign() {
		t.Errorf("Rome is %+v", p)
	}
}

func TestTheWholeTableIsThere(t *testing.T) {
	t.Parallel()
	comuni, states := 0, 0
	for code, places := range Places().byCode {
		for _, p := range places {
			if p.Foreign() {
				states++
			} else {
				comuni++
			}
			if p.Name == "" || !p.Foreign() && len(p.Province) != 2 || !p.Since.IsZero() && !p.Until.IsZero() && p.Until.Before(p.Since) {
				t.Errorf("%s is %+v", code, p)
			}
		}
	}
	if comuni < 9800 || states < 220 {
		t.Errorf("%d comuni and %d states, want 9,800 and 220 at least", comuni, states)
	}
}

func TestPlacesAsPeopleTypeThem(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		"roma":                  "H501",
		"  ROMA ":               "H501",
		"Roma (rm)":             "H501",
		"canicatti":             "B602",
		"Canicattì":             "B602",
		"reggio nell emilia":    "H223",
		"Reggio nell'Emilia":    "H223",
		"Reggio nell’Emilia":    "H223",
		"h501":                  "H501",
		"stati uniti":           "Z404",
		"stati uniti d'america": "Z404",
		"GERMANIA":              "Z112",
		"M999":                  "M999", // newer than the table, for all one knows
	} {
		if p, err := Places().Resolve(input, Date{1980, 1, 1}); err != nil || p.Code != want {
			t.Errorf("%q: got %v, %v; want %s", input, p, err, want)
		}
	}
	for _, input := range []string{"", "  ", "Rom", "H000", "N501", "(RM)", "qualche posto"} {
		if p, err := Places().Resolve(input, Date{}); !errors.Is(err, ErrPlace) {
			t.Errorf("%q: got %v, %v; want ErrPlace", input, p, err)
		}
	}
}

func TestANameOfSeveralPlacesAsksWhich(t *testing.T) {
	t.Parallel()
	_, err := Places().Resolve("Samone", Date{1980, 1, 1})
	var several *AmbiguousPlaceError
	if !errors.As(err, &several) || len(several.Places) < 2 {
		t.Fatalf("Samone: got %v, want the two of them", err)
	}
	for _, p := range several.Places {
		if got, err := Places().Resolve(p.String(), Date{1980, 1, 1}); err != nil || got != p {
			t.Errorf("%s: got %v, %v", p, got, err)
		}
	}
}
