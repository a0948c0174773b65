package templates_test

import (
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/templates"
	"ente.example/idp/templates/templatestest"
)

// folding are two sets of the same pages: as they are served, and as they are written.
func folding(t testing.TB, overrides fs.FS) (folded, written *templates.Set) {
	t.Helper()
	var sets [2]*templates.Set
	for i := range sets {
		var err error
		if sets[i], err = templates.New(templates.Options{Overrides: overrides}); err != nil {
			t.Fatal(err)
		}
	}
	if err := sets[1].Unfold(overrides); err != nil {
		t.Fatal(err)
	}
	return sets[0], sets[1]
}

// What was folded is, to the byte, what would have been written there.
func TestFoldingChangesNoPage(t *testing.T) {
	t.Parallel()
	folded, written := folding(t, nil)
	for _, l := range folded.Languages() {
		for _, st := range templatestest.States() {
			if diff := cmp.Diff(render(t, written, l.Tag, st), render(t, folded, l.Tag, st)); diff != "" {
				t.Errorf("%s/%s (-as written +folded):\n%s", l.Tag, st.Name, diff)
			}
		}
	}
}

// The same words in every place that html/template escapes for in its own way, on
// a page of the operator's.
func TestFoldingEscapesAsThePlaceAsks(t *testing.T) {
	t.Parallel()
	folded, written := folding(t, fstest.MapFS{"home.html": {Data: []byte(`
{{define "title"}}{{t "home.title"}}{{end}}{{define "attribute"}} data-word="{{t "login.pin.hint"}}"{{end}}
{{define "main"}}<h1 title="{{rich "footer.never"}}" class={{t "login.submit"}}{{template "attribute"}}>{{rich "footer.never"}}</h1>
<!-- {{t "layout.skip"}} --><a href="{{t "layout.skip"}}?q={{t "layout.skip"}}">{{print "<b>" | html}}</a>
<script>const word = {{t "consent.wrong"}}, all = {{institution.Phones}}, quoted = "{{t "consent.wrong"}}";</script><style>p { color: {{t "layout.skip"}} }</style>
{{range $i, $p := institution.Phones}}{{$i}}{{.Number}}{{break}}{{end}}{{range institution.Phones}}{{$.Page.Name}}{{continue}}{{end}}
{{with $word := t "layout.skip"}}{{$word}}{{end}}{{if false}}{{t "no.such.message"}}{{else if institution.Name}}{{in (institution).Owner}}{{institution.Address}}{{end}}
{{with institution.Hours}}{{range .}}{{.From}}{{range .Days}}{{.}}{{end}}{{end}}{{end}}{{if .Page.Area}}{{t "no.such.message"}}{{end}}{{end}}`)}})
	for _, l := range folded.Languages() {
		st := state(t, "home")
		want := render(t, written, l.Tag, st)
		if diff := cmp.Diff(want, render(t, folded, l.Tag, st)); diff != "" {
			t.Errorf("%s (-as written +folded):\n%s", l.Tag, diff)
		}
		if !strings.Contains(want, "&lt;b&gt;") {
			t.Errorf("%s: nothing was escaped:\n%s", l.Tag, want)
		}
	}
	st := state(t, "home")
	st.Page = templates.Home{Area: true}
	if err := folded.Render(io.Discard, st.Frame, st.Page); err == nil {
		t.Error("a page says a message that there is not")
	}
}

// What is left to be made for each reader is far less than all.
func TestFoldingSparesWork(t *testing.T) {
	folded, written := folding(t, nil)
	for _, name := range []string{"login", "consent"} {
		st := state(t, name)
		made := func(s *templates.Set) float64 {
			return testing.AllocsPerRun(20, func() {
				if err := s.Render(io.Discard, st.Frame, st.Page); err != nil {
					t.Fatal(err)
				}
			})
		}
		if got, all := made(folded), made(written); got > all*2/3 {
			t.Errorf("%s: %v objects made for a page, of %v unfolded; want two thirds at most", name, got, all)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	folded, written := folding(b, nil)
	for name, s := range map[string]*templates.Set{"folded": folded, "written": written} {
		for _, st := range templatestest.States() {
			if st.Name != "login" && st.Name != "consent" {
				continue
			}
			st.Frame.Query = "ui_locales=it"
			b.Run(name+"/"+st.Name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := s.Render(io.Discard, st.Frame, st.Page); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
