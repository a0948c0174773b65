//go:build browser

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// person is somebody at a tab of a browser: what she sees, types and presses.
// What the browser complains about behind her back fails the test at its end.
type person struct {
	t       *testing.T
	ctx     context.Context
	marks   int
	mute    bool // its pages run no script
	records *records
}

// records is what a tab's browser reported.
type records struct {
	mu        sync.Mutex
	noise     []string
	documents map[string]int64 // last status of each address that was a page
	refused   map[string]bool  // addresses that were once refused as a page
}

// newPerson opens a tab in a profile that nobody else has.
func newPerson(t *testing.T, b chromium) *person {
	t.Helper()
	return newTab(t, b.ctx, chromedp.WithNewBrowserContext())
}

// tab opens another tab of the same browser.
func (p *person) tab() *person {
	p.t.Helper()
	return newTab(p.t, p.ctx)
}

func newTab(t *testing.T, parent context.Context, options ...chromedp.ContextOption) *person {
	t.Helper()
	r := &records{documents: map[string]int64{}, refused: map[string]bool{}}
	ctx, cancel := chromedp.NewContext(parent, append(options, chromedp.WithListener(r.see))...)
	t.Cleanup(cancel)
	p := &person{t: t, ctx: ctx, records: r}
	p.do(chromedp.EmulateViewport(1280, 900), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, cdplog.Enable, cdp.Empty{}); err != nil {
			return err
		}
		// a window that nobody looks at has no focus, and shows no focus ring
		_, err := cdp.Call(ctx, target, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	}))
	t.Cleanup(func() {
		for _, line := range r.take() {
			t.Errorf("the browser says: %s", line)
		}
	})
	return p
}

// see keeps errors, warnings and violations of our own policies, and the status
// of every page.
func (r *records) see(event any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e := event.(type) {
	case *network.EventResponseReceived:
		if e.Type == network.ResourceTypeDocument {
			r.documents[e.Response.URL] = e.Response.Status
			r.refused[e.Response.URL] = r.refused[e.Response.URL] || e.Response.Status >= 400
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			r.noise = append(r.noise, e.Entry.Text+" @ "+e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		r.noise = append(r.noise, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			r.noise = append(r.noise, fmt.Sprint("console: ", e.Type))
		}
	}
}

// take returns the noise so far, without what the browser says of every page
// whose status is an error: tests look at that themselves.
func (r *records) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, line := range r.noise {
		text, address, _ := strings.Cut(line, " @ ")
		if !r.refused[address] || !strings.HasPrefix(text, "Failed to load resource") {
			lines = append(lines, line)
		}
	}
	r.noise = nil
	return lines
}

// do runs steps, none of which may take longer than people wait.
func (p *person) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx); err != nil { // the tab must not end with the time limit
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%v, on %s", err, p.try("location.href"))
	}
}

// ask evaluates an expression to a text.
func (p *person) ask(expression string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return s
}

// try is ask where the page may be on its way out: no answer is an empty one.
func (p *person) try(expression string) string {
	ctx, cancel := context.WithTimeout(p.ctx, time.Second)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		return ""
	}
	return s
}

// leave does what brings another page, and waits until that one is whole. The
// page that is left carries a mark, so that no look mistakes it for the next.
func (p *person) leave(steps ...chromedp.Action[chromedp.Void]) *person {
	p.t.Helper()
	p.marks++
	mark := fmt.Sprintf("left%d", p.marks)
	p.ask("window.idpMark = '" + mark + "'")
	p.do(steps...)
	within(p.t, "another page", func(context.Context) (bool, string) {
		seen := p.try("document.readyState + ' ' + window.idpMark + ' ' + location.href")
		return strings.HasPrefix(seen, "complete ") && !strings.HasPrefix(seen, "complete "+mark+" "), seen
	})
	return p
}

func (p *person) open(address string) *person {
	p.t.Helper()
	p.do(chromedp.Navigate(address))
	return p
}

func (p *person) reload() *person {
	p.t.Helper()
	return p.leave(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, cdppage.Reload, cdppage.ReloadParams{})
		return err
	}))
}

// back presses the browser's Back button.
func (p *person) back() *person {
	p.t.Helper()
	return p.leave(history(-1))
}

func (p *person) forward() *person {
	p.t.Helper()
	return p.leave(history(1))
}

// history goes so many pages on in the tab's history, without waiting.
func history(by int64) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		h, err := cdp.Call(ctx, target, cdppage.GetNavigationHistory, cdp.Empty{})
		if err != nil {
			return err
		}
		to := h.CurrentIndex + by
		if to < 0 || to >= int64(len(h.Entries)) {
			return fmt.Errorf("no entry %d in a history of %d", to, len(h.Entries))
		}
		_, err = cdp.Call(ctx, target, cdppage.NavigateToHistoryEntry, cdppage.NavigateToHistoryEntryParams{EntryID: h.Entries[to].ID})
		return err
	})
}

// on fails unless the person comes to that page.
func (p *person) on(name string) *person {
	p.t.Helper()
	within(p.t, "page "+name, func(context.Context) (bool, string) {
		seen := p.try(`document.readyState + ' ' + document.querySelector('main')?.dataset.page + ' at ' + location.href + ' ' + (document.querySelector('[role=alert]')?.innerText ?? '')`)
		return strings.HasPrefix(seen, "complete "+name+" "), seen
	})
	return p
}

// problem fails unless the page shows that problem ("" for none).
func (p *person) problem(want string) *person {
	p.t.Helper()
	if got := p.ask(`document.querySelector('[data-problem]')?.dataset.problem ?? ''`); got != want {
		p.t.Fatalf("problem = %q on %s, want %q", got, p.at(), want)
	}
	return p
}

// status fails unless the page came with that status.
func (p *person) status(want int64) *person {
	p.t.Helper()
	address := p.at()
	p.records.mu.Lock()
	defer p.records.mu.Unlock()
	if got := p.records.documents[address]; got != want {
		p.t.Errorf("status of %s = %d, want %d", address, got, want)
	}
	return p
}

func (p *person) at() string {
	p.t.Helper()
	return p.ask("location.href")
}

// text is what the element shows.
func (p *person) text(selector string) string {
	p.t.Helper()
	return p.ask(fmt.Sprintf(`document.querySelector(%q)?.innerText?.trim() ?? 'NO SUCH ELEMENT'`, selector))
}

// shows fails unless every text can be read on the page.
func (p *person) shows(texts ...string) *person {
	p.t.Helper()
	seen := p.text("body")
	for _, want := range texts {
		if !strings.Contains(seen, want) {
			p.t.Errorf("%s does not show %q:\n%s", p.at(), want, seen)
		}
	}
	return p
}

// has tells whether the page has such an element.
func (p *person) has(selector string) bool {
	p.t.Helper()
	return p.ask(fmt.Sprintf(`String(!!document.querySelector(%q))`, selector)) == "true"
}

// value is what stands in a field.
func (p *person) value(name string) string {
	p.t.Helper()
	return p.ask(fmt.Sprintf(`document.getElementsByName(%q)[0].value`, name))
}

// fill replaces what stands in a field, as pasting does.
func (p *person) fill(name, value string) *person {
	p.t.Helper()
	p.ask(fmt.Sprintf(`(([e]) => (e.focus(), e.select(), ''))(document.getElementsByName(%q))`, name))
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, input.InsertText, input.InsertTextParams{Text: value})
		return err
	}))
	if got := p.value(name); got != value {
		p.t.Fatalf("%s holds %q after %q was typed", name, got, value)
	}
	return p
}

// press clicks the element, and waits for the page that follows.
func (p *person) press(selector string) *person {
	p.t.Helper()
	return p.leave(p.click(selector, 1))
}

// pressTwice is a double click where one was enough.
func (p *person) pressTwice(selector string) *person {
	p.t.Helper()
	return p.leave(p.click(selector, 1), p.click(selector, 2))
}

// tick clicks where nothing is loaded.
func (p *person) tick(selector string) *person {
	p.t.Helper()
	p.do(p.click(selector, 1))
	return p
}

// spot finds the middle of an element's first line, unless something covers it.
const spot = `((e) => {
	if (!e) return 'no such element';
	e.scrollIntoView({ block: 'center', behavior: 'instant' });
	const r = e.getClientRects()[0], x = r.x + r.width / 2, y = r.y + r.height / 2;
	const top = document.elementFromPoint(x, y);
	return e.contains(top) ? x + ' ' + y : 'covered by ' + top?.outerHTML.slice(0, 100);
})(document.querySelector(%q))`

// click presses the mouse where the element is.
func (p *person) click(selector string, times int) chromedp.Action[chromedp.Void] {
	p.t.Helper()
	found := p.ask(fmt.Sprintf(spot, selector))
	var x, y float64
	if _, err := fmt.Sscan(found, &x, &y); err != nil {
		p.t.Fatalf("%s on %s: %s", selector, p.at(), found)
	}
	return chromedp.MouseClickXY(x, y, chromedp.ClickCount(times))
}

// signIn types codice fiscale and PIN and presses the button.
func (p *person) signIn(cf, pin string) *person {
	p.t.Helper()
	return p.on("login").fill("fiscal_code", cf).fill("pin", pin).press(submit)
}

// The buttons of our pages.
const (
	submit     = "main form button[type=submit]:not([name])"
	confirm    = "button[value=confirm]"
	regenerate = "button[value=regenerate]"
	cancel     = "button[value=cancel]"
	allow      = "button[value=allow]"
	deny       = "button[value=deny]"
	signOut    = "button[value=sign-out]"
)

// newPIN is the PIN that the change page shows.
func (p *person) newPIN() string {
	p.t.Helper()
	return strings.Join(strings.Fields(p.on("pin-change").text("#new-pin")), "")
}

// change types the new PIN back, with the old one.
func (p *person) change(fresh, old string) *person {
	p.t.Helper()
	return p.on("pin-change").fill("new_pin", fresh).fill("old_pin", old).press(confirm)
}
