package templates_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"ente.example/idp/templates"
	"ente.example/idp/templates/templatestest"
)

var update = flag.Bool("update", false, "write the golden pages anew")

func newSet(t *testing.T) *templates.Set {
	t.Helper()
	s, err := templates.New(templates.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func render(t *testing.T, s *templates.Set, language string, st templatestest.State) string {
	t.Helper()
	st.Frame.Language = language
	var out bytes.Buffer
	if err := s.Render(&out, st.Frame, st.Page); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// neutral takes the hashes out of asset names: they change with every build, and
// without a build the elements are not there at all.
func neutral(page string) string {
	page = regexp.MustCompile(`(?m)^\s*<(link|script|img)[^>]*/assets/[^>]*>(</script>)?\n`).ReplaceAllString(page, "")
	return regexp.MustCompile(`href="[^"]*#it-`).ReplaceAllString(page, `href="#it-`)
}

// The words and the markup of every page, in every language. After a change on
// purpose: go test ./templates -update, and read the diff.
func TestGolden(t *testing.T) {
	t.Parallel()
	s := newSet(t)
	for _, l := range s.Languages() {
		for _, st := range templatestest.States() {
			t.Run(l.Tag+"/"+st.Name, func(t *testing.T) {
				t.Parallel()
				got := neutral(render(t, s, l.Tag, st))
				file := filepath.Join("testdata", l.Tag, st.Name+".html")
				if *update {
					if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("page changed (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// What the contract promises of every page, and what readers of the screen need.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	s := newSet(t)
	for _, l := range s.Languages() {
		for _, st := range templatestest.States() {
			t.Run(l.Tag+"/"+st.Name, func(t *testing.T) {
				t.Parallel()
				text := render(t, s, l.Tag, st)
				doc, err := html.Parse(strings.NewReader(text))
				if err != nil {
					t.Fatal(err)
				}
				p := look(doc)
				if p.lang != l.Tag {
					t.Errorf("lang = %q, want %q", p.lang, l.Tag)
				}
				if p.h1 != 1 {
					t.Errorf("%d h1, want 1", p.h1)
				}
				if p.page != st.Page.Name() {
					t.Errorf("data-page = %q, want %q", p.page, st.Page.Name())
				}
				for _, complaint := range p.complaints() {
					t.Error(complaint)
				}
				for _, bad := range []string{"ZgotmplZ", "<no value>", "%!"} {
					if strings.Contains(text, bad) {
						t.Errorf("page contains %q", bad)
					}
				}
			})
		}
	}
}

// R60: every page has the numbers and says whether somebody answers now, but
// for the consent, which is about a service, and the overview of the own area,
// which has a number and no hours.
func TestR60TheDeskIsOnEveryPage(t *testing.T) {
	t.Parallel()
	s := newSet(t)
	for _, l := range s.Languages() {
		for _, st := range templatestest.States() {
			if name := st.Page.Name(); name == "consent" || name == "account" {
				continue
			}
			text := render(t, s, l.Tag, st)
			for _, want := range []string{`href="tel:800000000"`, `href="tel:&#43;390600000000"`, `class="idp-open"`} {
				if !strings.Contains(text, want) {
					t.Errorf("%s/%s: no %s", l.Tag, st.Name, want)
				}
			}
		}
	}
}

// A page links to nothing that is not built.
func TestNoLinkToWhatIsNotBuilt(t *testing.T) {
	t.Parallel()
	s := newSet(t)
	built := []string{
		"/", "/sign-out", "/login/", "/consent/",
		"/pin", "/pin/lost", "/account", "/account/idle", "/device",
		// named only where PINHome and PINLost are told that they are there
		"/pin/request", "/pin/request/confirm", "/pin/recover", "/pin/revoke", "/pin/track", "/account/pin", "/authorize/",
		"/account/contacts", "/account/contacts/confirm", // only where it is built
		"/pin/recover/confirm", "/pin/revoke/confirm", "/pin/report", "/captcha/",
	}
	for _, st := range templatestest.States() {
		text := render(t, s, "it", st)
		for _, m := range regexp.MustCompile(`(?:href|action)="(/[^"]*)"`).FindAllStringSubmatch(text, -1) {
			known := strings.HasPrefix(m[1], "/assets/")
			for _, b := range built {
				path, _, _ := strings.Cut(m[1], "?")
				known = known || path == b || strings.HasSuffix(b, "/") && b != "/" && strings.HasPrefix(m[1], b)
			}
			if !known {
				t.Errorf("%s links to %s", st.Name, m[1])
			}
		}
	}
}

// Every refusal names its key in an element with role alert.
func TestRefusalsAreAlerts(t *testing.T) {
	t.Parallel()
	s := newSet(t)
	want := map[string]string{
		"login-refused": "login.refused", "login-waiting": "login.waiting", "login-invalid": "login.invalid-field",
		"login-change-expired": "pin-change.expired", "pin-change-mismatch": "pin-change.new-mismatch",
		"pin-change-old-wrong": "pin-change.old-wrong", "pin-change-missing": "form.invalid-field",
		"pin-change-waiting": "login.waiting", "pin-change-expired": "pin-change.expired",
		"account-pin-start-expired": "pin-change.expired", "account-pin-stale": "pin-change.expired",
		"account-pin-old-wrong": "pin-change.old-wrong", "account-pin-mismatch": "pin-change.new-mismatch", "account-pin-waiting": "login.waiting",
		"pin-recover-few": "form.invalid-field", "pin-recover-captcha": "captcha.wrong", "pin-recover-confirm-wrong": "code.wrong",
		"pin-revoke-captcha": "captcha.wrong", "pin-revoke-confirm-wrong": "code.wrong", "pin-report-wrong": "code.wrong",
		"link-dead": "link.dead", "pin-lost-missing": "form.invalid-field", "interaction-lost": "interaction.lost", "error-request.untrusted": "request.untrusted",
	}
	for _, st := range templatestest.States() {
		alerts := regexp.MustCompile(`role="alert" data-problem="([^"]+)"`).FindAllStringSubmatch(render(t, s, "it", st), -1)
		got := ""
		if len(alerts) == 1 {
			got = alerts[0][1]
		}
		if len(alerts) > 1 {
			t.Errorf("%s has %d alerts", st.Name, len(alerts))
		}
		if key, ok := want[st.Name]; ok && got != key {
			t.Errorf("%s: data-problem = %q, want %q", st.Name, got, key)
		}
	}
}

// Secrets come back empty, what was typed openly comes back.
func TestFieldsKeepWhatWasTypedButThePIN(t *testing.T) {
	t.Parallel()
	text := render(t, newSet(t), "it", state(t, "login-refused"))
	if !strings.Contains(text, `value="RSSMRA80A01H501U"`) {
		t.Error("the codice fiscale is lost")
	}
	pin := regexp.MustCompile(`<input[^>]*name="pin"[^>]*>`).FindString(text)
	if pin == "" || strings.Contains(pin, "value=") {
		t.Errorf("PIN field is %s", pin)
	}
}

// R24: the new PIN stands in <output id="new-pin">, in groups with a real space.
func TestR24NewPINInGroups(t *testing.T) {
	t.Parallel()
	text := render(t, newSet(t), "it", state(t, "pin-change-first"))
	if want := `<output id="new-pin" aria-labelledby="new-pin-label"><span>4827</span> <span>1936</span></output>`; !strings.Contains(text, want) {
		t.Errorf("page has no %s", want)
	}
	if n := strings.Count(text, "4827"); n != 1 {
		t.Errorf("the PIN stands on the page %d times, want once", n)
	}
}

// Enter presses the first submit button of a form: it must be the one meant.
func TestEnterPressesThePrimaryButton(t *testing.T) {
	t.Parallel()
	s := newSet(t)
	first := map[string]string{
		"pin-change-first": `value="confirm"`, "consent": `value="allow"`, "account-choice": `value="continue"`, "account-pin": `value="confirm"`, "login": `btn-primary`,
	}
	for name, want := range first {
		text := render(t, s, "it", state(t, name))
		form := regexp.MustCompile(`(?s)<form.*?</form>`).FindString(text)
		for _, b := range regexp.MustCompile(`<button[^>]*type="submit"[^>]*>`).FindAllString(form, -1) {
			if strings.Contains(b, `form="again"`) {
				continue
			}
			if !strings.Contains(b, want) {
				t.Errorf("%s: first button is %s, want %s", name, b, want)
			}
			break
		}
	}
}

func state(t *testing.T, name string) templatestest.State {
	t.Helper()
	for _, st := range templatestest.States() {
		if st.Name == name {
			return st
		}
	}
	t.Fatalf("no state %q", name)
	return templatestest.State{}
}

// The same page in another language keeps its query, whatever is in it; a broken
// one is let go, and a page that cannot be had again offers no other language.
func TestLanguagesKeepTheQuery(t *testing.T) {
	t.Parallel()
	s := newSet(t)
	st := state(t, "login")
	for query, rest := range map[string]string{
		"":                                "",
		"ui_locales=it":                   "",
		"request=k3v9&ui_locales=it&step": "&amp;request=k3v9&amp;step=",
		`b=%3Cx%3E+%2B"'&a=javascript:1`:  "&amp;a=javascript%3A1&amp;b=%3Cx%3E&#43;%2B%22%27",
		"a=%zz":                           "",
	} {
		st.Frame.Query = query
		page := render(t, s, "it", st)
		for _, want := range []string{`<a href="?ui_locales=it` + rest + `" lang="it" hreflang="it" aria-current="true">`, `<a href="?ui_locales=en` + rest + `" lang="en" hreflang="en">`} {
			if !strings.Contains(page, want) {
				t.Errorf("%q: no %s", query, want)
			}
		}
	}
	st.Frame.Fixed = true
	if strings.Contains(render(t, s, "it", st), "ui_locales") {
		t.Error("offers other languages")
	}
}
