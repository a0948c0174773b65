//go:build browser

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// axe is the checker of accessibility, from node_modules.
var axe = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // read once
	b, err := os.ReadFile("../../node_modules/axe-core/axe.min.js")
	return string(b), err
})

// faults is what a page is measured for at one width.
type faults struct {
	Violations []string
	Sideways   int
	Cut        []string
}

// measure runs in the page, beside its own policy and not subject to it.
const measure = `(async () => {
	await document.fonts.ready;
	const { violations } = await axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] });
	const root = document.documentElement;
	return JSON.stringify({
		Violations: violations.map((v) => v.id + ': ' + v.nodes.slice(0, 3).map((n) => n.target + ' ' + n.failureSummary).join(' | ')),
		Sideways: root.scrollWidth - root.clientWidth,
		Cut: [...document.querySelectorAll('h1, h2, label, button, a, dd, output')]
			.filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > root.clientWidth + 1)
			.map((e) => e.outerHTML.slice(0, 80)),
	});
})()`

// look examines the page as it stands: nothing for axe to find on a desk, a
// telephone and the narrowest screen, nothing wider than the screen, every
// control reached by the Tab key and seen there.
func (p *person) look(name string) *person {
	p.t.Helper()
	source, err := axe()
	if err != nil {
		p.t.Fatalf("axe-core is missing, run npm ci: %v", err)
	}
	if p.mute { // the checker itself is a script; those of the page stay where they are
		defer p.scripts(true).scripts(false)
	}
	p.ask(source + ";''")
	for _, width := range []int64{1280, 375, 320} {
		p.do(chromedp.EmulateViewport(width, 900))
		var got faults
		if err := json.Unmarshal([]byte(p.ask(measure)), &got); err != nil {
			p.t.Fatal(err)
		}
		for _, v := range got.Violations {
			p.t.Errorf("%s at %d px: %s", name, width, v)
		}
		if got.Sideways > 0 || len(got.Cut) > 0 {
			p.t.Errorf("%s at %d px: scrolls sideways by %d px, cut off: %v", name, width, got.Sideways, got.Cut)
		}
		p.picture(name, width)
	}
	p.do(chromedp.EmulateViewport(1280, 900))
	p.tabThrough(name)
	return p
}

// ring describes what has the focus, and whether one can see that it has: an
// outline on it, or on what is drawn in its place.
const ring = `(() => {
	const e = document.activeElement;
	if (!e || e === document.body || e === document.documentElement || e.dataset.idpReached) return '';
	const seen = (x) => {
		if (!x) return false;
		const s = getComputedStyle(x);
		return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 && !/^rgba.*, 0\)$/.test(s.outlineColor);
	};
	e.dataset.idpReached = 'yes';
	return (seen(e) || seen(e.nextElementSibling) || seen(e.closest('label')) ? 'seen ' : 'unseen ') + e.outerHTML.slice(0, 100);
})()`

// missed are the controls that the Tab key did not come by.
const missed = `[...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
	.filter((e) => e.type !== 'hidden' && e.tabIndex >= 0 && e.checkVisibility() && !e.dataset.idpReached)
	.map((e) => e.outerHTML.slice(0, 100)).join('\n')`

// tabThrough walks the page with the Tab key, from its top to its end.
func (p *person) tabThrough(name string) {
	p.t.Helper()
	p.ask(`document.activeElement.blur(), getSelection().removeAllRanges(), document.body.tabIndex = -1, document.body.focus(), document.body.removeAttribute('tabindex'), ''`)
	var walked []string
	for range 100 {
		p.do(chromedp.KeyEvent(kb.Tab))
		at := p.ask(ring)
		if at == "" {
			break
		}
		walked = append(walked, at)
		if strings.HasPrefix(at, "unseen ") {
			p.t.Errorf("%s: no focus ring on %s", name, at)
		}
	}
	if left := p.ask(missed); left != "" {
		p.t.Errorf("%s: out of reach of the Tab key:\n%s\nwalked:\n%s", name, left, strings.Join(walked, "\n"))
	}
}

// picture keeps a screenshot, if somebody wants to look.
func (p *person) picture(name string, width int64) {
	p.t.Helper()
	folder := os.Getenv("IDP_TEST_SCREENSHOTS")
	if folder == "" || width == 320 {
		return
	}
	if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%d.png", name, width)), p.screenshot(), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) screenshot() []byte {
	p.t.Helper()
	raw, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		p.t.Fatal(err)
	}
	return raw
}

// testPicture makes the picture of the sign-in page that the README shows:
//
//	IDP_TEST_PICTURE=$PWD/docs/images/sign-in.png CGO_ENABLED=0 go test -tags browser ./cmd/idp -run TestBrowser/picture
//
// Without the variable it only makes sure that there would be one.
func testPicture(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	picture := newPerson(t, b).open(h.service + "/login").on("login").screenshot()
	if len(picture) > 150_000 {
		t.Errorf("the picture has %d bytes, too many for a README", len(picture))
	}
	if file := os.Getenv("IDP_TEST_PICTURE"); file != "" {
		if err := os.WriteFile(file, picture, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
