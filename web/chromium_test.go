//go:build browser

package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
	"github.com/labstack/echo/v4"

	"ente.example/idp/templates"
	"ente.example/idp/templates/templatestest"
	"ente.example/idp/web"
)

// chromium starts a browser of its own for the test. A machine without one fails:
// whoever asks for these tests wants them run.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := os.Getenv("CHROMIUM")
	if path == "" {
		path = "/usr/bin/chromium"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx,
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
	)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	// A window nobody looks at has no focus, and shows no focus ring.
	focus := chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	})
	if err := chromedp.Do(ctx, focus); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return ctx
}

// gallery serves every state of every page as the program would: the same
// server, headers and assets.
func gallery(t *testing.T) *httptest.Server {
	t.Helper()
	s := newSite(t, nil)
	for _, st := range templatestest.States() {
		s.Echo.GET("/state/"+st.Name, func(c echo.Context) error {
			options := []web.Option{web.ForService(st.Frame.Service), web.At(st.Frame.Now)}
			if st.Frame.SignedIn != nil {
				options = append(options, web.SignedInAs(st.Frame.SignedIn.Name))
			}
			if st.Frame.Area != nil {
				options = append(options, web.InArea(*st.Frame.Area))
			}
			return web.Render(c, http.StatusOK, st.Page, options...)
		})
	}
	// pages with a captcha show its picture, which is none of this package's
	s.Echo.GET("/captcha/:file", func(c echo.Context) error {
		return c.Blob(http.StatusOK, "image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="320" height="70"/>`))
	})
	server := httptest.NewServer(s.Echo)
	t.Cleanup(server.Close)
	return server
}

// facts are what one page is measured for in the browser.
type facts struct {
	Violations []string
	Sideways   int
	SpacedOut  int
	Ringless   []string
	Styled     bool
}

// measure runs in the page. The focus ring is looked for on every control,
// because axe does not see it.
const measure = `(async () => {
	await document.fonts.ready;
	const { violations } = await axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] });
	const ring = (e) => e && getComputedStyle(e).outlineStyle === 'solid' && parseFloat(getComputedStyle(e).outlineWidth) >= 3;
	const ringless = [...document.querySelectorAll('a[href], button, input')]
		.filter((e) => e.type !== 'hidden' && e.checkVisibility())
		.filter((e) => (e.focus({ focusVisible: true }), document.activeElement === e) && ![e, e.nextElementSibling, e.closest('label')].some(ring))
		.map((e) => e.outerHTML.slice(0, 80));
	document.activeElement.blur();
	scrollTo(0, 0);
	const width = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
	const sideways = width();
	// WCAG 1.4.12: readers may space the text out.
	const spaced = new CSSStyleSheet();
	spaced.replaceSync('* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important } p { margin-bottom: 2em !important }');
	document.adoptedStyleSheets = [spaced];
	const spacedOut = width();
	document.adoptedStyleSheets = [];
	return JSON.stringify({
		Violations: violations.map((v) => v.id + ': ' + v.nodes.slice(0, 3).map((n) => n.target + ' ' + n.failureSummary).join(' | ')),
		Sideways: sideways,
		SpacedOut: spacedOut,
		Ringless: ringless,
		Styled: getComputedStyle(document.querySelector('h1')).fontFamily.includes('Titillium'),
	});
})()`

// Every page in every state, on a desk, a telephone and the narrowest screen:
// nothing for axe to find, nothing wider than the screen, nothing stopped by our
// own policy. With IDP_TEST_SCREENSHOTS set to a folder the pictures are kept there.
func TestPagesInChromium(t *testing.T) {
	axe, err := os.ReadFile("../node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("axe-core is missing, run npm ci: %v", err)
	}
	server, tab := gallery(t), chromium(t)
	stopped := stoppedBy(t, tab)
	for _, st := range templatestest.States() {
		if st.Page.Name() == (templates.FormPost{}).Name() {
			continue // leaves by itself: it has a test of its own
		}
		t.Run(st.Name, func(t *testing.T) {
			visit(t, tab, server.URL+"/state/"+st.Name+"?ui_locales=it", string(axe))
			for _, width := range []int64{1280, 375, 320} {
				inspect(t, tab, width)
				picture(t, tab, st.Name, width)
			}
			// The markup is the same, the words are longer or shorter: the narrowest will do.
			visit(t, tab, server.URL+"/state/"+st.Name+"?ui_locales=en", string(axe))
			inspect(t, tab, 320)
			for _, line := range stopped() {
				t.Error(line)
			}
		})
	}
}

// stoppedBy collects what the browser complains about, such as a picture that the
// content security policy does not let in.
func stoppedBy(t *testing.T, tab context.Context) func() []string {
	t.Helper()
	var mu sync.Mutex
	var lines []string
	enable := chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, cdplog.Enable, cdp.Empty{})
		return err
	})
	if err := chromedp.Listen(tab, func(event any) {
		if e, ok := event.(*cdplog.EventEntryAdded); ok {
			mu.Lock()
			lines = append(lines, e.Entry.Text+" "+e.Entry.URL)
			mu.Unlock()
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(tab, enable); err != nil {
		t.Fatal(err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		got := lines
		lines = nil
		return got
	}
}

func visit(t *testing.T, tab context.Context, address, axe string) {
	t.Helper()
	if err := chromedp.Do(tab, chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(tab, chromedp.Evaluate[int](axe+";0")); err != nil {
		t.Fatal(err)
	}
}

func inspect(t *testing.T, tab context.Context, width int64) {
	t.Helper()
	if err := chromedp.Do(tab, chromedp.EmulateViewport(width, 900)); err != nil {
		t.Fatal(err)
	}
	raw, err := chromedp.Run(tab, chromedp.Evaluate[string](measure, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	var got facts
	if err := json.Unmarshal([]byte(raw), &got); err != nil {
		t.Fatal(err)
	}
	for _, v := range got.Violations {
		t.Errorf("%d px: %s", width, v)
	}
	if got.Sideways > 0 {
		t.Errorf("%d px: scrolls sideways by %d px", width, got.Sideways)
	}
	if got.SpacedOut > 0 {
		t.Errorf("%d px: with spaced text it scrolls sideways by %d px", width, got.SpacedOut)
	}
	if len(got.Ringless) > 0 {
		t.Errorf("%d px: no focus ring: %v", width, got.Ringless)
	}
	if !got.Styled {
		t.Errorf("%d px: the page is bare, run make assets", width)
	}
}

// picture keeps a screenshot, if somebody wants to look.
func picture(t *testing.T, tab context.Context, name string, width int64) {
	t.Helper()
	folder := os.Getenv("IDP_TEST_SCREENSHOTS")
	if folder == "" || width == 320 {
		return
	}
	image, err := chromedp.Run(tab, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%d.png", name, width)), image, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The extras that the script adds, and what is left without it.
func TestExtrasInChromium(t *testing.T) {
	server, tab := gallery(t), chromium(t)
	at := func(state string) {
		t.Helper()
		if err := chromedp.Do(tab, chromedp.Navigate(server.URL+"/state/"+state+"?ui_locales=it")); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(expression, want string) {
		t.Helper()
		got, err := chromedp.Run(tab, chromedp.Evaluate[string](expression))
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s = %q, want %q", expression, got, want)
		}
	}
	at("login-invalid")
	ask(`document.activeElement.dataset.problem`, "login.invalid-field")
	at("login")
	ask(`document.querySelector('.idp-reveal').textContent`, "Mostra il PIN")
	ask(`document.querySelector('.idp-reveal').click(), document.getElementById('pin').type`, "text")
	ask(`document.querySelector('.idp-reveal').click(), document.getElementById('pin').type`, "password")
	// The second press finds the first one on its way.
	ask(`(() => {
		const form = document.querySelector('form'), sent = [];
		form.addEventListener('submit', (e) => (sent.push(e.defaultPrevented), e.preventDefault()));
		form.querySelector('[type=submit]').click();
		form.querySelector('[type=submit]').click();
		return sent.join();
	})()`, "false,true")
	at("login-waiting")
	ask(`document.activeElement.dataset.problem`, "login.waiting")
	ask(`document.querySelector('[data-enhance=countdown]').textContent`, "Mancano 5 minuti.")

	if err := chromedp.Do(tab, scripts(false)); err != nil {
		t.Fatal(err)
	}
	at("login-waiting")
	if text, err := chromedp.Run(tab, chromedp.Text("[data-enhance=countdown]")); err != nil || text != "Mancano 5 minuti." {
		t.Errorf("without scripts the wait reads %q (%v)", text, err)
	}
}

// scripts turns the page's scripts on or off.
func scripts(on bool) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}

// The answer reaches the service on another site, whose own page sends the
// browser on to a third: by itself with scripts, with one press without.
func TestFormPostInChromium(t *testing.T) {
	for _, on := range []bool{true, false} {
		t.Run(fmt.Sprintf("scripts=%v", on), func(t *testing.T) {
			posted := make(chan string, 1)
			last := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = w.Write([]byte(`<p id="arrived">there</p>`))
			}))
			defer last.Close()
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				posted <- r.PostFormValue("code") + " " + r.PostFormValue("state") + " " + r.Header.Get("Origin")
				http.Redirect(w, r, strings.Replace(last.URL, "127.0.0.1", "localhost", 1), http.StatusSeeOther)
			}))
			defer service.Close()
			s := newSite(t, nil)
			s.Echo.GET("/answer", func(c echo.Context) error {
				return web.Render(c, http.StatusOK, templates.FormPost{Action: service.URL, Fields: []templates.Field{
					{Name: "code", Value: "c1"}, {Name: "state", Value: `a"&<b`},
				}})
			})
			server := httptest.NewServer(s.Echo)
			defer server.Close()
			address := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
			tab := chromium(t)
			if err := chromedp.Do(tab, scripts(on), chromedp.Navigate(address+"/answer")); err != nil {
				t.Fatal(err)
			}
			if !on {
				if err := chromedp.Do(tab, chromedp.Click("#form-post button")); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := <-posted, `c1 a"&<b `+address; got != want {
				t.Errorf("the service got %q, want %q", got, want)
			}
			if err := chromedp.Do(tab, chromedp.WaitVisible("#arrived")); err != nil {
				t.Errorf("the service's own redirect was stopped: %v", err)
			}
		})
	}
}
