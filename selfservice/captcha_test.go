package selfservice

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/secrets"
	"ente.example/idp/templates"
	"ente.example/idp/throttle"
	"ente.example/idp/web"
)

// formTest is a form with a captcha, answered in plain text: which captcha it
// shows, with what answer in it, and whether the posted one was right.
type formTest struct {
	t      *testing.T
	url    string
	client *http.Client
	token  string
}

func newFormTest(t *testing.T, captchas *throttle.Captchas) *formTest {
	t.Helper()
	ring, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	set, err := templates.New(templates.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	site, err := web.New(web.Options{
		Templates: set, Issuer: "http://" + server.Listener.Addr().String(), Forms: ring.PRF(secrets.Forms),
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &Handler{Deps: Deps{Captchas: captchas}}
	h.mountCaptcha(site.Echo)
	h.mountHome(site.Echo)
	site.Echo.GET("/form", func(c echo.Context) error { return say(c, "shown")(h.challenge(c, "form")) })
	site.Echo.POST("/form", h.takeForm)
	server.Config.Handler = site.Echo
	server.Start()
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &formTest{t: t, url: server.URL, client: &http.Client{Jar: jar}}
	f.token = regexp.MustCompile(`name="form_token" value="([^"]*)"`).FindStringSubmatch(f.get("/pin/lost"))[1]
	return f
}

// takeForm is what the handlers of the procedures do with their captcha.
func (h *Handler) takeForm(c echo.Context) error {
	if wantsAnother(c) {
		return say(c, "another")(h.otherChallenge(c, "form"))
	}
	if web.PostValue(c, "field") == "" {
		return say(c, "field")(h.sameChallenge(c, "form"))
	}
	right, err := h.solved(c, "form")
	if err != nil || right {
		return say(c, "done")(templates.Captcha{}, err)
	}
	return say(c, "wrong")(h.challenge(c, "form"))
}

func say(c echo.Context, what string) func(templates.Captcha, error) error {
	return func(shown templates.Captcha, err error) error {
		if err != nil {
			return err
		}
		return c.String(http.StatusOK, what+" "+shown.ID+" "+shown.Answer)
	}
}

func (f *formTest) read(r *http.Response, err error) string {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(body)
}

func (f *formTest) get(path string) string {
	f.t.Helper()
	return f.read(f.client.Get(f.url + path))
}

// post sends the form: names and values in turn. The answer is what happened,
// which captcha is shown now, and what stands in its field.
func (f *formTest) post(fields ...string) (what, id, typed string) {
	f.t.Helper()
	form := url.Values{"form_token": {f.token}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return f.parts(f.read(f.client.PostForm(f.url+"/form", form)))
}

func (f *formTest) show() string {
	f.t.Helper()
	_, id, _ := f.parts(f.get("/form"))
	return id
}

func (f *formTest) parts(said string) (what, id, typed string) {
	f.t.Helper()
	parts := strings.SplitN(said, " ", 3)
	if len(parts) != 3 {
		f.t.Fatalf("answer %q", said)
	}
	return parts[0], parts[1], parts[2]
}

func newCaptchas(t *testing.T, db *database.DB) (c *throttle.Captchas, solve func(id string) string) {
	t.Helper()
	ring, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	key := ring.PRF(secrets.Throttle)
	c, err = throttle.NewCaptchas(throttle.CaptchaDeps{DB: db, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return c, func(id string) string {
		t.Helper()
		answer, err := throttle.SolveCaptcha(key, id)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

// R54: another captcha without a script, and the one before is spent.
func TestR54AnotherCaptcha(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		captchas, solve := newCaptchas(t, db)
		f := newFormTest(t, captchas)
		first := f.show()
		what, second, typed := f.post("action", "another", "captcha_id", first, "captcha", "half an ans", "field", "x")
		if what, _, _ := f.post("captcha_id", first, "captcha", solve(first), "field", "x"); what != "wrong" {
			t.Errorf("the captcha before is believed: %s", what)
		}
		if what != "another" || second == "" || second == first || typed != "" {
			t.Fatalf("%s: captcha %q after %q, with %q typed", what, second, first, typed)
		}
		// the first is gone: a field that is wrong no longer keeps it
		if _, kept, _ := f.post("captcha_id", first, "captcha", "ACD234X"); kept == first {
			t.Error("the captcha before can still be answered")
		}
		if _, kept, _ := f.post("captcha_id", second, "captcha", "ACD234X"); kept != second {
			t.Error("the new captcha cannot be answered")
		}
	})
}

// A mistake elsewhere does not ask for the characters again.
func TestCaptchaIsKeptWhileAnotherFieldIsWrong(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		captchas, _ := newCaptchas(t, db)
		f := newFormTest(t, captchas)
		first := f.show()
		for range 3 {
			what, id, typed := f.post("captcha_id", first, "captcha", "acd 234x")
			if what != "field" || id != first || typed != "acd 234x" {
				t.Fatalf("%s: captcha %q with %q typed, want %q kept", what, id, typed, first)
			}
		}
		// an id that was never made is replaced, and what belonged to it is not shown
		if _, id, typed := f.post("captcha_id", "made up", "captcha", "ACD234X"); id == "made up" || id == "" || typed != "" {
			t.Errorf("captcha %q with %q typed", id, typed)
		}
	})
}

func TestR54WrongCaptchaIsReplaced(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		captchas, solve := newCaptchas(t, db)
		f := newFormTest(t, captchas)
		first := f.show()
		what, second, typed := f.post("captcha_id", first, "captcha", "wrong", "field", "x")
		if what != "wrong" || second == first || typed != "" {
			t.Errorf("%s: captcha %q after %q, with %q typed", what, second, first, typed)
		}
		if what, _, _ := f.post("captcha_id", first, "captcha", solve(first), "field", "x"); what != "wrong" {
			t.Errorf("the right answer after a wrong one: %s", what)
		}
		if what, _, _ := f.post("captcha_id", second, "captcha", strings.ToLower(solve(second)), "field", "x"); what != "done" {
			t.Errorf("the right answer: %s", what)
		}
	})
}

// IDP_CAPTCHA=none: no form has or asks for one.
func TestNoCaptchas(t *testing.T) {
	t.Parallel()
	f := newFormTest(t, nil)
	if id := f.show(); id != "" {
		t.Errorf("shows captcha %q", id)
	}
	if what, _, _ := f.post("field", "x"); what != "done" {
		t.Errorf("asks for a captcha: %s", what)
	}
	for name, fields := range map[string][]string{"another": {"action", "another"}, "field": {"captcha", "x"}} {
		if what, id, _ := f.post(fields...); what != name || id != "" {
			t.Errorf("%s: %s shows captcha %q", name, what, id)
		}
	}
}
