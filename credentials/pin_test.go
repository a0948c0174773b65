package credentials

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestParsePIN(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"58204417":                       "58204417",
		"5820 4417":                      "58204417",
		" 58-20-44-17\n":                 "58204417",
		"58\u00a020\u201344\u00ad17":     "58204417",
		"5820441790316628":               "5820441790316628",
		"5820 4417 9031 6628":            "5820441790316628",
		"c0ffee12":                       "C0FFEE12",
		"OoIiLl23":                       "00111123", // R2, C1
		"":                               "",
		"5820441":                        "",
		"582044179":                      "",
		"582044179031662":                "",
		"58204417903166281":              "",
		"5820441G":                       "",
		"5820441٧":                       "", // a digit elsewhere
		"５８２０４４１７":                       "",
		"5820'4417":                      "",
		"5820\x004417":                   "",
		strings.Repeat("1", 1_000_000):   "",
		strings.Repeat(" ", 1000) + "12": "",
	} {
		got, err := ParsePIN(in)
		if want == "" {
			if !errors.Is(err, ErrMalformed) || !got.IsZero() {
				t.Errorf("ParsePIN(%.30q) = %v, want ErrMalformed", in, err)
			}
		} else if err != nil || got.Reveal() != want {
			t.Errorf("ParsePIN(%q) = %q, %v, want %q", in, got.Reveal(), err, want)
		}
	}
}

func FuzzParsePIN(f *testing.F) {
	for _, s := range []string{"58204417", "5820 4417 9031 6628", "OoIiLl--", "\xff", "１"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePIN(s)
		if err != nil {
			if !p.IsZero() || strings.Contains(err.Error(), s) && len(s) > 5 {
				t.Errorf("ParsePIN(%q) returns a PIN or quotes its input: %v", s, err)
			}
			return
		}
		if n := len(p.Reveal()); n != 8 && n != 16 || strings.Trim(p.Reveal(), hexadecimal) != "" {
			t.Errorf("ParsePIN(%q) = %q", s, p.Reveal())
		}
		if again, err := ParsePIN(p.Reveal()); err != nil || again != p {
			t.Errorf("ParsePIN is not stable on %q", p.Reveal())
		}
	})
}

func TestAPINDoesNotPrint(t *testing.T) {
	t.Parallel()
	p := PIN{"58204417"}
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "pin", p, "change", Change{Candidate: p})
	fmt.Fprintf(&b, "%v %+v %#v %s %q %x %d %v %+v", p, p, p, p, p, p, p, Change{Candidate: p}, &Change{Candidate: p})
	if s := b.String(); strings.Contains(s, "58204417") || strings.Contains(s, "3538323034343137") {
		t.Errorf("printed: %s", s)
	}
	if _, err := json.Marshal(struct{ PIN PIN }{p}); err == nil {
		t.Error("a PIN is encoded")
	}
}
