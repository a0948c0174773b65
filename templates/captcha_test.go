package templates

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// asking is a form that has a captcha.
type asking struct {
	Captcha Captcha
	Fields  []FieldProblem
}

func (asking) Name() string { return "asking" }
func (asking) page()        {}

func piece(t *testing.T, language string, p asking) string {
	t.Helper()
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Unfold(nil); err != nil { // a page keeps no piece that it does not need
		t.Fatal(err)
	}
	home, err := s.pages[language]["pin-home"]()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	v := view{Page: p}
	if err := home.ExecuteTemplate(&out, "captcha", v); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// R54: a picture for some, a sound in the page's language for others, to be
// played or kept; another one without a script.
func TestR54CaptchaOnTheForm(t *testing.T) {
	t.Parallel()
	for language, download := range map[string]string{"it": "codice-di-controllo.wav", "en": "check-code.wav"} {
		text := piece(t, language, asking{Captcha: Captcha{ID: "k3v9"}})
		for _, want := range []string{
			`<input type="hidden" name="captcha_id" value="k3v9">`,
			`src="/captcha/k3v9.png"`,
			`<audio controls preload="none" src="/captcha/k3v9.wav?lang=` + language + `"`,
			`<a href="/captcha/k3v9.wav?lang=` + language + `" download="` + download + `"`,
			`type="submit" name="action" value="another" formnovalidate`,
			`<label class="active" for="captcha">`,
			`aria-describedby="captcha-hint"`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %s", language, want)
			}
		}
		if strings.Contains(text, "captcha-error") {
			t.Errorf("%s: wrong before anything was typed", language)
		}
	}
}

func TestCaptchaThatWasWrong(t *testing.T) {
	t.Parallel()
	text := piece(t, "it", asking{Captcha: Captcha{ID: "new"}, Fields: []FieldProblem{WrongCaptcha()}})
	for _, want := range []string{`id="captcha-error"`, `aria-describedby="captcha-hint captcha-error"`, `aria-invalid="true"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

// Who made a mistake in another field keeps what was read off the picture.
func TestCaptchaThatWasTyped(t *testing.T) {
	t.Parallel()
	text := piece(t, "it", asking{Captcha: Captcha{ID: "same", Answer: "ACD234X"}})
	if field := regexp.MustCompile(`<input[^>]*name="captcha"[^>]*>`).FindString(text); !strings.Contains(field, `value="ACD234X"`) {
		t.Errorf("field is %s", field)
	}
}

func TestNoCaptchaOnTheForm(t *testing.T) {
	t.Parallel()
	if text := piece(t, "it", asking{}); text != "" {
		t.Errorf("captchas are off, and the form has %s", text)
	}
}
