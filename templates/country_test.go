package templates

import "testing"

// Services are told the code of a country, people its name.
func TestCountryInWords(t *testing.T) {
	t.Parallel()
	for language, names := range map[string]map[string]string{
		"it": {"DE": "Germania", "BE": "Belgio", "US": "Stati Uniti", "ZZ9": "ZZ9", "80331 München": "80331 München", "<b>": "<b>"},
		"en": {"DE": "Germany", "CH": "Switzerland", "de facto": "de facto"},
	} {
		w, err := loadWords(language)
		if err != nil {
			t.Fatal(err)
		}
		for code, want := range names {
			if got := w.country(code); got != want {
				t.Errorf("country(%q) in %s = %q, want %q", code, language, got, want)
			}
		}
	}
	w, err := loadWords("it")
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.value(Attribute{Claim: "address", Value: "Leopoldstraße 12\n80802 München\nDE"})
	if want := "Leopoldstraße 12<br>80802 München<br>Germania"; err != nil || string(got) != want {
		t.Errorf("value = %q, %v, want %q", got, err, want)
	}
}
