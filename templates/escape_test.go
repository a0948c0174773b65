package templates

import (
	"html/template"
	"strings"
	"testing"
)

// What is not escaped by html/template itself comes out as if it were.
func TestSwiftEscapersAgreeWithTheLibrary(t *testing.T) {
	t.Parallel()
	samples := []string{
		"", "Estratto conto", "d’Aversa è qui", "d'Aversa & <C.> + \"x\"\x00", "\xff\xc3", "\ufdd0\uffff",
		"/a/b?c=d#e", "//evil.example", "https://a.example:8443/b_c~d.e-f", "HTTPS://a.example", "http://a.example",
		"https:", "javascript:alert(1)", "?ui_locales=it&a=b", "?a:b", "a:b/c", "mailto:a@b.example", "tel:+39", "/%41%zz% ",
	}
	for c := range 256 {
		samples = append(samples, string([]byte{byte(c)}), "/"+string([]byte{byte(c)})+"x", "https://"+string([]byte{byte(c)}))
	}
	for _, place := range []struct {
		source string
		escape func(string) (string, error)
	}{
		{`<p>{{.}}</p>`, escaped},
		{`<p title="{{.}}">`, escaped},
		{`<p title='{{.}}'>`, escaped},
		{`<title>{{.}}</title>`, escaped},
		{`<textarea>{{.}}</textarea>`, escaped},
		{`<a href="{{.}}">`, address},
		{`<img src="{{.}}">`, address},
		{`<form action="{{.}}">`, address},
	} {
		library := template.Must(template.New("place").Parse(place.source))
		for _, sample := range samples {
			var want strings.Builder
			if err := library.Execute(&want, sample); err != nil {
				t.Fatal(err)
			}
			text, err := place.escape(sample)
			if got := strings.Replace(place.source, "{{.}}", text, 1); err != nil || got != want.String() {
				t.Errorf("%q: %s, %v; want %s", sample, got, err, want.String())
			}
		}
	}
}
