//go:build browser

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"ente.example/idp/clients"
	"ente.example/idp/database/databasetest"
)

// patience is how long a page may take on a busy machine before a test gives up.
const patience = 30 * time.Second

// TestBrowser is the main job as people meet it: the whole program, a service on
// another site, and Debian's Chromium. All parts share one browser process; each
// has a house of its own, and its people have profiles of their own.
//
// With IDP_TEST_SCREENSHOTS set to a folder, the pictures of every page are kept
// there. With IDP_TEST_PICTURE set to a file, the picture of the README is made.
func TestBrowser(t *testing.T) {
	b := startChromium(t, "")
	parts := map[string]func(*testing.T, chromium){
		"notices what is wrong":       testBrowserNotices,
		"first access":                testFirstAccess,
		"first access again":          testFirstAccessTwoTabs,
		"change page":                 testChangePage,
		"wrong PIN and lock":          testWrongPINAndLock,
		"malformed fields":            testMalformedFields,
		"keyboard alone":              testKeyboardAlone,
		"no script":                   testNoScript,
		"consent":                     testConsent,
		"remembered consent":          testRememberedConsent,
		"choice of account":           testChoiceOfAccount,
		"sign-out":                    testSignOut,
		"back":                        testBack,
		"two tabs":                    testTwoTabs,
		"another browser":             testAnotherBrowser,
		"expired request":             testExpiredRequest,
		"expired change":              testExpiredChange,
		"on to a third site":          testThirdSite,
		"form_post":                   testFormPost,
		"form_post without script":    testFormPostNoScript,
		"request by another's form":   testPostedRequest,
		"English":                     testEnglish,
		"pages that are nowhere":      testErrorPages,
		"double press":                testDoublePress,
		"single page":                 testSinglePage,
		"session check":               testCheckSession,
		"picture of the sign-in page": testPicture,
	}
	maps.Copy(parts, procedures())
	maps.Copy(parts, ownArea())
	maps.Copy(parts, devices())
	for name, part := range parts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part(t, b)
		})
	}
}

// chromium is the one browser process.
type chromium struct{ ctx context.Context }

// startChromium starts the browser. A machine without one fails: whoever asks for
// these tests wants them run. Preferences are those of its profile, as JSON.
func startChromium(t *testing.T, preferences string) chromium {
	t.Helper()
	profile := t.TempDir()
	if preferences != "" {
		file := filepath.Join(profile, "Default", "Preferences")
		if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(preferences), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	path := os.Getenv("CHROMIUM")
	if path == "" {
		path = "chromium"
	}
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("the browser run needs Chromium (make setup-chromium): %v", err)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.UserDataDir(profile),
		chromedp.Flag("accept-lang", "it-IT,it"),
		chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("force-prefers-reduced-motion", true), // a page that still scrolls is clicked beside its buttons
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
	)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	// gracefully, so that nothing still writes into the profile when it is removed
	t.Cleanup(func() {
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := chromedp.Cancel(limited); err != nil {
			t.Errorf("stop Chromium: %v", err)
		}
	})
	return chromium{ctx}
}

// browserHouse is a house with its people and the sample service.
func browserHouse(t *testing.T, change func(*clients.Document)) *house {
	t.Helper()
	return newHouse(t, databasetest.SQLite(t)).open(change).people()
}

// trusted is a service that needs no consent, for tests of other things.
func trusted(d *clients.Document) { d.Consent = clients.ConsentTrusted }

// within repeats a look until it is satisfied; want says what was waited for.
func within(t *testing.T, want string, look func(context.Context) (bool, string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, seen := look(ctx)
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited for %s, saw %s", want, seen)
		}
	}
}

// otherPIN is a PIN of as many characters that is not this one.
func otherPIN(pin string) string {
	last := (pin[len(pin)-1]-'0'+1)%10 + '0'
	return fmt.Sprintf("%s%c", pin[:len(pin)-1], last)
}
