package login_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
	"ente.example/idp/login/logintest"
)

// visit is a browser in a house, on its way to a service.
type visit struct {
	*logintest.Browser
	t       *testing.T
	house   *logintest.House
	service clients.Client
	i       login.Interaction
}

func newVisit(t *testing.T, db *database.DB) visit {
	t.Helper()
	h := logintest.New(t, db)
	d := clients.Document{}
	d.ClientURI = "https://estratto-conto.ente.example/"
	v := visit{h.Browser(), t, h, h.Client(d), login.Interaction{}}
	return v.again(login.Request{})
}

// again begins another interaction in the same browser.
func (v visit) again(r login.Request) visit {
	v.t.Helper()
	v.i = v.Begin(v.service.ID, r)
	return v
}

func (v visit) path(below string) string { return "/login/" + v.i.ID + below }

func (v visit) form() logintest.Page {
	v.t.Helper()
	return v.Get(v.path(""))
}

func (v visit) signIn(code, pin string) logintest.Page {
	v.t.Helper()
	return v.Submit(v.form(), "fiscal_code", code, "pin", pin)
}

func (v visit) interaction() login.Interaction {
	v.t.Helper()
	i, err := v.house.Interactions.Get(v.t.Context(), v.Cookie("idp"), v.i.ID)
	if err != nil {
		v.t.Fatal(err)
	}
	return i
}

// session is the live session of the browser's cookie, or nil.
func (v visit) session() *login.Session {
	v.t.Helper()
	s, err := v.house.Sessions.Get(v.t.Context(), v.Cookie("session"))
	if errors.Is(err, login.ErrNoSession) {
		return nil
	}
	if err != nil {
		v.t.Fatal(err)
	}
	return &s
}

func wantPage(t *testing.T, got logintest.Page, name, problem string) {
	t.Helper()
	if got.Status != http.StatusOK || got.Name != name || got.Problem != problem {
		t.Fatalf("got %d %q %q, want 200 %q %q (location %q)\n%s", got.Status, got.Name, got.Problem, name, problem, got.Location, got.Body)
	}
}

func wantRedirect(t *testing.T, got logintest.Page, to string) {
	t.Helper()
	if got.Status != http.StatusSeeOther || got.Location != to {
		t.Fatalf("got %d to %q (page %q %q), want 303 to %q", got.Status, got.Location, got.Name, got.Problem, to)
	}
}

func wantLostPage(t *testing.T, got logintest.Page, back string) {
	t.Helper()
	if got.Status != http.StatusNotFound || got.Name != "interaction-lost" || got.Problem != "interaction.lost" {
		t.Fatalf("got %d %q %q, want 404 and the lost page", got.Status, got.Name, got.Problem)
	}
	if back != "" && !strings.Contains(got.Body, `href="`+back+`"`) {
		t.Errorf("the lost page has no way back to %s:\n%s", back, got.Body)
	}
}

// R1: case and spaces of the codice fiscale do not matter, nor spaces and
// hyphens of the PIN.
func TestR1SignIn(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		pin := v.house.PIN(logintest.Mario)
		v.SetCookie("session", "planted by somebody else")
		wantPage(t, v.form(), "login", "")
		got := v.signIn(" rss mra 80a01 h501 u ", pin[:4]+" - "+pin[4:])
		wantRedirect(t, got, v.i.ResumeURL())
		s := v.session()
		if s == nil || s.Citizen != v.house.Citizen(logintest.Mario).ID || s.ACR != logintest.ACR || s.AMR[0] != "pin" || s.Kind != "ordinario" {
			t.Fatalf("got session %+v, want Mario's, level 1", s)
		}
		if i := v.interaction(); i.Session != s.ID || i.AuthenticatedAt == nil {
			t.Errorf("got interaction %+v, want it signed in within", i)
		}
		cookie := got.Header.Get("Set-Cookie")
		for _, attribute := range []string{"session=", "HttpOnly", "SameSite=Lax", "Path=/"} {
			if !strings.Contains(cookie, attribute) {
				t.Errorf("Set-Cookie %q has no %s", strings.SplitN(cookie, "=", 2)[0], attribute)
			}
		}
	})
}

func TestPreviousAccessIsShownAtTheNextOne(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		pin := v.house.PIN(logintest.Mario)
		v.signIn(logintest.Mario, pin)
		databasetest.Shift(t, db, time.Hour)
		v = v.again(login.Request{})
		v.signIn(logintest.Mario, pin)
		s := v.session()
		if s == nil || s.PreviousAccess == nil || s.AuthTime.Sub(*s.PreviousAccess) < time.Hour {
			t.Errorf("got session %+v, want a previous access an hour ago", s)
		}
	})
}

func TestMalformedFieldsAreNamedAndNothingIsLost(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		for _, c := range []struct {
			code, pin string
			fields    []string
		}{
			{"RSSMRA80A01H501A", "12345678", []string{"fiscal_code"}}, // check letter
			{"rss mra 80", "1234567", []string{"fiscal_code", "pin"}},
			{"", "", []string{"fiscal_code", "pin"}},
			{logintest.Mario, "123456789", []string{"pin"}},
			{"12345670018", "12345678", []string{"fiscal_code"}}, // provisional, wrong check digit
			{`"><script>alert(1)</script>`, "12345678", []string{"fiscal_code"}},
		} {
			got := v.signIn(c.code, c.pin)
			wantPage(t, got, "login", "login.invalid-field")
			for _, f := range []string{"fiscal_code", "pin"} {
				want := strings.Contains(strings.Join(c.fields, " "), f)
				if named := strings.Contains(got.Body, `href="#`+f+`"`); named != want {
					t.Errorf("%q %q: field %s named %v, want %v", c.code, c.pin, f, named, want)
				}
			}
			if strings.Contains(got.Body, "<script>alert") || c.pin != "" && strings.Contains(got.Body, c.pin) {
				t.Errorf("%q: the page shows a PIN, or runs what was typed", c.code)
			}
			if plain := !strings.ContainsAny(c.code, `"<`); plain && !strings.Contains(got.Body, `value="`+c.code+`"`) {
				t.Errorf("%q: what was typed is gone", c.code)
			}
		}
		var n int
		if err := db.SQL().QueryRowContext(t.Context(), "SELECT count(*) FROM audit_events WHERE type = 'sign-in'").Scan(&n); err != nil || n != 0 {
			t.Errorf("malformed input counted as %d tries, %v", n, err)
		}
	})
}

// R33: known, unknown, suspended: the same words. 11 digits are a codice
// fiscale too.
func TestR33RefusedInTheSameWords(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		pin := v.house.PIN(logintest.Mario)
		suspended := v.house.FirstPIN(logintest.Anna)
		if err := v.house.Credentials.Suspend(t.Context(), audit.Actor{Kind: audit.Operator}, v.house.FiscalCode(logintest.Anna), "test"); err != nil {
			t.Fatal(err)
		}
		wrong := "13572468"
		if wrong == pin {
			wrong = "24681357"
		}
		var bodies []string
		for _, c := range [][2]string{
			{logintest.Mario, wrong}, {"PPSNIO90R10Z129Z", wrong}, {logintest.Anna, suspended}, {"12345670017", wrong},
		} {
			got := v.signIn(c[0], c[1])
			wantPage(t, got, "login", "login.refused")
			if v.Cookie("session") != "" {
				t.Fatal("a refused person has a session cookie")
			}
			bodies = append(bodies, strings.ReplaceAll(got.Body, c[0], "CODE"))
		}
		for _, b := range bodies[1:] {
			if b != bodies[0] {
				t.Errorf("the answers differ:\n%s\n%s", bodies[0], b)
			}
		}
	})
}

func TestR31WaitingUntilAClockTime(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		pin := v.house.PIN(logintest.Mario)
		for _, code := range []string{logintest.Mario, "PPSNIO90R10Z129Z"} {
			for range 9 {
				wantPage(t, v.signIn(code, "00000000"), "login", "login.refused")
			}
			got := v.signIn(code, "00000000")
			wantPage(t, got, "login", "login.waiting")
			if !strings.Contains(got.Body, "<time datetime=") {
				t.Errorf("no clock time on the page:\n%s", got.Body)
			}
		}
		wantPage(t, v.signIn(logintest.Mario, pin), "login", "login.waiting")
		databasetest.Shift(t, db, 5*time.Minute)
		wantRedirect(t, v.signIn(logintest.Mario, pin), v.i.ResumeURL())
	})
}

func TestLoginHintFillsTheFormInAndNoAddress(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		hinted := v.again(login.Request{LoginHint: "rssmra80a01h501u"})
		if got := hinted.form(); !strings.Contains(got.Body, `value="`+logintest.Mario+`"`) || strings.Contains(got.Body, "?login_hint") {
			t.Errorf("the hint is not in the form, or in an address:\n%s", got.Body)
		}
		other := v.again(login.Request{LoginHint: "mario@posta.example"})
		if got := other.form(); strings.Contains(got.Body, "mario@posta") {
			t.Error("a hint that is no codice fiscale is shown")
		}
	})
}

func TestCancelGoesBackThroughTheInteraction(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		wantRedirect(t, v.Submit(v.form(), "action", "cancel"), v.i.ResumeURL()+"?cancel=1")
	})
}

func TestTheFormIsOursAndFramedByNobody(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		pin := v.house.PIN(logintest.Mario)
		typed := url.Values{"fiscal_code": {logintest.Mario}, "pin": {pin}}
		if got := v.Post(v.path(""), typed); got.Status != http.StatusForbidden {
			t.Errorf("without the form's token: got %d, want 403", got.Status)
		}
		theirs := v.house.Browser()
		page := theirs.Get("/login/" + theirs.Begin(v.service.ID, login.Request{}).ID)
		_, rest, _ := strings.Cut(page.Body, `name="form_token" value="`)
		token, _, _ := strings.Cut(rest, `"`)
		typed.Set("form_token", token)
		if got := v.Post(v.path(""), typed); got.Status != http.StatusForbidden || v.session() != nil {
			t.Errorf("with another browser's token: got %d, want 403", got.Status)
		}
		h := v.form().Header
		csp := h.Get("Content-Security-Policy")
		if h.Get("X-Frame-Options") != "DENY" || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "form-action") {
			t.Errorf("got %q, %q: want no frames, and no form-action", h.Get("X-Frame-Options"), csp)
		}
		if h.Get("Cache-Control") != "no-store" {
			t.Errorf("got Cache-Control %q, want no-store", h.Get("Cache-Control"))
		}
	})
}

// Pressing twice, or in two tabs, signs in twice; one session remains.
func TestDoubleSignIn(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		pin := v.house.PIN(logintest.Mario)
		form, second := v.form(), v.again(login.Request{})
		tabs := []func() logintest.Page{
			func() logintest.Page { return v.Submit(form, "fiscal_code", logintest.Mario, "pin", pin) },
			func() logintest.Page { return v.Submit(form, "fiscal_code", logintest.Mario, "pin", pin) },
			func() logintest.Page { return second.signIn(logintest.Mario, pin) },
		}
		var mu sync.Mutex
		var cookies []string
		databasetest.Barrier(len(tabs), func(k int) {
			got := tabs[k]()
			if got.Status != http.StatusSeeOther || !strings.HasPrefix(got.Location, "/authorize/") {
				t.Errorf("got %d to %q, want on", got.Status, got.Location)
			}
			mu.Lock()
			defer mu.Unlock()
			c, err := http.ParseSetCookie(got.Header.Get("Set-Cookie"))
			if err != nil {
				t.Error(err)
				return
			}
			cookies = append(cookies, c.Value)
		})
		live := 0
		for _, c := range cookies {
			if _, err := v.house.Sessions.Get(t.Context(), c); err == nil {
				live++
			}
		}
		if live != 1 {
			t.Errorf("got %d live sessions, want 1", live)
		}
	})
}

func TestSelectAccount(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		wantRedirect(t, v.Get(v.path("/account")), v.i.ResumeURL()) // nobody to choose
		marios, annas := v.house.PIN(logintest.Mario), v.house.PIN(logintest.Anna)
		v.signIn(logintest.Mario, marios)

		v = v.again(login.Request{Wants: login.Wants{ChooseAccount: true}})
		page := v.Get(v.path("/account"))
		wantPage(t, page, "account-choice", "")
		if !strings.Contains(page.Body, "Mario Rossi") {
			t.Error("the page does not say who would go on")
		}
		wantRedirect(t, v.Submit(page, "choice", "continue"), v.i.ResumeURL())
		if i := v.interaction(); !i.AccountChosen || i.ChosenSession != v.session().ID {
			t.Errorf("got %+v, want Mario chosen", i)
		}

		wantRedirect(t, v.Submit(page, "choice", "other"), v.i.ResumeURL())
		if i := v.interaction(); i.AccountChosen || !i.Wants.ForceLogin {
			t.Errorf("got %+v, want another sign-in", i)
		}
		wantRedirect(t, v.Submit(page, "choice", "cancel"), v.i.CancelURL())
		wantRedirect(t, v.signIn(logintest.Anna, annas), v.i.ResumeURL())
		// the page of before shows Mario, and Anna is signed in
		wantRedirect(t, v.Submit(page, "choice", "continue"), v.path("/account"))
		if i := v.interaction(); i.ChosenSession != v.session().ID {
			t.Errorf("got %+v, want Anna, who has just signed in", i)
		}
	})
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		wantPage(t, v.Get("/sign-out"), "signed-out", "")
		v.signIn(logintest.Mario, v.house.PIN(logintest.Mario))
		cookie := v.Cookie("session")
		page := v.Get("/sign-out")
		wantPage(t, page, "sign-out", "")
		if got := v.Post("/sign-out", url.Values{"answer": {"sign-out"}}); got.Status != http.StatusForbidden || v.session() == nil {
			t.Errorf("without the form's token: got %d, want 403 and the session alive", got.Status)
		}
		wantRedirect(t, v.Submit(page, "answer", "sign-out"), "/sign-out")
		wantPage(t, v.Get("/sign-out"), "signed-out", "")
		if v.Cookie("session") != "" {
			t.Error("the browser still has the cookie")
		}
		if _, err := v.house.Sessions.Get(t.Context(), cookie); !errors.Is(err, login.ErrNoSession) {
			t.Errorf("the old cookie: got %v, want ErrNoSession", err)
		}
		wantRedirect(t, v.Submit(page, "answer", "sign-out"), "/sign-out") // Back, and again
	})
}

func TestHomeNamesWhoIsSignedIn(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		wantPage(t, v.Get("/"), "home", "")
		v.signIn(logintest.Mario, v.house.PIN(logintest.Mario))
		if got := v.Get("/"); !strings.Contains(got.Body, "Mario Rossi") {
			t.Error("the front page does not name who is signed in")
		}
	})
}
