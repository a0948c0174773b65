package templates_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

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

// Nor does what people and services may call themselves: one field after the
// other of each page holds what must be escaped, or must not lead anywhere.
func TestFoldingChangesNoValue(t *testing.T) {
	t.Parallel()
	folded, written := folding(t, nil)
	values := []string{`<b title="d'Aversa">& C.</b> + {{.}}` + "\x00", "javascript:alert(1)", "/à?a=1&b='2'#%zz", "https://a.example/b?c=d"}
	shown := 0
	for i, st := range templatestest.States() {
		for n, changed := range withEach(st, values, i) {
			var want, got bytes.Buffer
			wantErr := written.Render(&want, changed.Frame, changed.Page)
			if err := folded.Render(&got, changed.Frame, changed.Page); (err == nil) != (wantErr == nil) {
				t.Errorf("%s with another text %d: %v; as written: %v", st.Name, n, err, wantErr)
			}
			if diff := cmp.Diff(want.String(), got.String()); diff != "" {
				t.Errorf("%s with another text %d (-as written +folded):\n%s", st.Name, n, diff)
			}
			if wantErr == nil {
				shown++
			}
		}
	}
	if shown < 500 {
		t.Errorf("%d pages were compared", shown)
	}
}

// withEach are copies of a state that differ in one text each. The pages of a
// sign-in get each value there, the others take turns.
func withEach(st templatestest.State, values []string, turn int) []templatestest.State {
	if name := st.Page.Name(); name == "login" || name == "consent" {
		var all []templatestest.State
		for _, v := range values {
			all = append(all, withOne(st, []string{v}, 0)...)
		}
		return all
	}
	st.Frame = templates.Frame{Now: st.Frame.Now, Service: st.Frame.Service}
	return withOne(st, values, turn)
}

func withOne(st templatestest.State, values []string, turn int) []templatestest.State {
	var all []templatestest.State
	for n := 0; ; n++ {
		changed := templatestest.State{Name: st.Name, Frame: st.Frame}
		left, value := n, values[(n+turn)%len(values)]
		changed.Frame = change(reflect.ValueOf(st.Frame), value, &left).Interface().(templates.Frame)
		changed.Page = change(reflect.ValueOf(st.Page), value, &left).Interface().(templates.Page)
		if left >= 0 {
			return all
		}
		all = append(all, changed)
	}
}

// change copies a value, with another text in the place of the one after so many.
func change(v reflect.Value, text string, left *int) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	switch v.Kind() {
	case reflect.String:
		if *left == 0 && v.Type() == reflect.TypeFor[string]() {
			c.SetString(text)
		}
		*left--
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				c.Field(i).Set(change(v.Field(i), text, left))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() && v.Type() != reflect.TypeFor[*time.Time]() {
			c.Set(reflect.New(v.Type().Elem()))
			c.Elem().Set(change(v.Elem(), text, left))
		}
	case reflect.Slice:
		c.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			c.Index(i).Set(change(v.Index(i), text, left))
		}
	default: // holds no text
	}
	return c
}

// The same words and values in every place that html/template escapes for in its
// own way, and whatever a page can be made of, on a page of the operator's.
func TestFoldingEscapesAsThePlaceAsks(t *testing.T) {
	t.Parallel()
	own, err := os.ReadFile("testdata/folding.html")
	if err != nil {
		t.Fatal(err)
	}
	folded, written := folding(t, fstest.MapFS{"home.html": {Data: own}})
	for _, l := range folded.Languages() {
		for _, name := range []string{"Estratto conto", `<b title="x">d'Aversa</b> & C. + 1`, "javascript:alert(1)", ""} {
			st := state(t, "home")
			st.Frame.Service = &templates.Service{Name: name, Host: "a.example", LogoURL: name}
			want := render(t, written, l.Tag, st)
			if diff := cmp.Diff(want, render(t, folded, l.Tag, st)); diff != "" {
				t.Errorf("%s, %s (-as written +folded):\n%s", l.Tag, name, diff)
			}
			if !strings.Contains(want, "&lt;b&gt;") {
				t.Errorf("%s: nothing was escaped:\n%s", l.Tag, want)
			}
		}
	}
	st := state(t, "home")
	st.Page = templates.Home{Area: true}
	for _, s := range []*templates.Set{folded, written} {
		if err := s.Render(io.Discard, st.Frame, st.Page); err == nil {
			t.Error("a page says a message that there is not")
		}
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
		if got, all := made(folded), made(written); got > all/4 {
			t.Errorf("%s: %v objects made for a page, of %v unfolded; want a quarter at most", name, got, all)
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
