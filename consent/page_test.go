package consent_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/clients"
	"ente.example/idp/consent"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
	"ente.example/idp/login/logintest"
)

// visit is somebody signed in, on the way to a service that wants something.
type visit struct {
	*logintest.Browser
	t        *testing.T
	house    *logintest.House
	consents *consent.Consents
	service  clients.Client
	i        login.Interaction
}

func newVisit(t *testing.T, db *database.DB, who string, p clients.ConsentPolicy) visit {
	t.Helper()
	h := logintest.New(t, db)
	consents, err := consent.New(consent.Deps{DB: db, Audit: h.Audit, Interactions: h.Interactions, Sessions: h.Sessions})
	if err != nil {
		t.Fatal(err)
	}
	page, err := consent.NewHandler(consent.HandlerDeps{
		Consents: consents, Interactions: h.Interactions, Sessions: h.Sessions, Citizens: h.Citizens, Clients: h.Clients,
		Issuer: h.Issuer(), LevelACRs: []string{logintest.ACR},
	})
	if err != nil {
		t.Fatal(err)
	}
	page.Mount(h.Echo)
	d := clients.Document{Consent: p}
	d.Purpose, d.PolicyURI = "Mostrarti i contributi versati.", "https://estratto-conto.ente.example/privacy"
	d.ClientURI = "https://estratto-conto.ente.example/"
	v := visit{h.Browser(), t, h, consents, h.Client(d), login.Interaction{}}
	v = v.wants(login.Wants{})
	v.signIn(who, h.PIN(who))
	return v
}

func (v visit) wants(w login.Wants) visit {
	v.t.Helper()
	v.i = v.Begin(v.service.ID, login.Request{Wants: w})
	return v
}

func (v visit) signIn(who, pin string) {
	v.t.Helper()
	if got := v.Submit(v.Get("/login/"+v.i.ID), "fiscal_code", who, "pin", pin); got.Location != v.i.ResumeURL() {
		v.t.Fatalf("sign in: got %d %q to %q", got.Status, got.Problem, got.Location)
	}
}

func (v visit) page() logintest.Page {
	v.t.Helper()
	p := v.Get("/consent/" + v.i.ID)
	if p.Status != http.StatusOK || p.Name != "consent" {
		v.t.Fatalf("got %d %q to %q, want the consent page", p.Status, p.Name, p.Location)
	}
	return p
}

func (v visit) answer() *login.Answer {
	v.t.Helper()
	i, err := v.house.Interactions.Get(v.t.Context(), v.Cookie("idp"), v.i.ID)
	if err != nil {
		v.t.Fatal(err)
	}
	return i.Consent
}

func (v visit) wantAnswered(p logintest.Page, fields ...string) {
	v.t.Helper()
	if got := v.Submit(p, fields...); got.Status != http.StatusSeeOther || got.Location != v.i.ResumeURL() {
		v.t.Fatalf("got %d to %q, want back to %q", got.Status, got.Location, v.i.ResumeURL())
	}
}

func wantText(t *testing.T, p logintest.Page, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(p.Body, text) {
			t.Errorf("the page does not say %q:\n%s", text, p.Body)
		}
	}
}

func TestPageShowsAttributesByNameAndValue(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db, logintest.Mario, clients.ConsentRemember)
		v = v.wants(login.Wants{Scopes: []string{"openid", "profile", "fiscal_code", "email", "address", "pin"}, Offline: true})
		p := v.page()
		wantText(t, p, "Mario", "Rossi", logintest.Mario, "Roma (RM)", "mario@posta.example", "Leopoldstr. 1", "80802 München",
			"Mostrarti i contributi versati.", "https://estratto-conto.ente.example/privacy", "Estratto conto", `name="remember"`)
		h := p.Header
		if csp := h.Get("Content-Security-Policy"); strings.Contains(csp, "form-action") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("got policy %q, want no frames and no form-action", csp)
		}
		if h.Get("Cache-Control") != "no-store" {
			t.Errorf("got Cache-Control %q, want no-store", h.Get("Cache-Control"))
		}
		if online := v.wants(login.Wants{Scopes: []string{"openid", "profile"}}).page(); strings.Contains(online.Body, logintest.Mario) {
			t.Error("an attribute that was not asked for is shown")
		}
	})
}

func TestPageOfAPersonOfWhomLittleIsKnown(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db, logintest.Anna, clients.ConsentAlways)
		v = v.wants(login.Wants{Scopes: []string{"openid", "profile", "phone", "fiscal_code"}})
		p := v.page()
		wantText(t, p, "Anna Maria", "Bianchi", logintest.Anna)
		if strings.Contains(p.Body, `name="remember"`) {
			t.Error("always offers to remember")
		}
	})
}

func TestAllowAndRemember(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db, logintest.Mario, clients.ConsentRemember)
		person := v.house.Citizen(logintest.Mario).ID
		email := login.Wants{Scopes: []string{"openid", "email"}}
		v = v.wants(email)
		v.wantAnswered(v.page(), "answer", "allow", "remember", "yes", "claims", "pin_kind", "scope", "pin")
		a := v.answer()
		if a == nil || !a.Allowed || !cmp.Equal(a.Claims, []string{"email", "email_verified"}) || !cmp.Equal(a.Scopes, email.Scopes) {
			t.Fatalf("got %+v, want e-mail allowed and nothing that the form adds", a)
		}
		if need, err := v.consents.Needed(t.Context(), person, v.service, email); err != nil || need {
			t.Errorf("the next time: page needed %v, %v", need, err)
		}
		more := v.wants(login.Wants{Scopes: []string{"openid", "email", "pin"}})
		if n := strings.Count(more.page().Body, "idp-badge warn"); n != 1 {
			t.Errorf("a larger set: %d marked as new, want 1", n)
		}
		if again := v.wants(email).page(); strings.Contains(again.Body, "idp-badge warn") {
			t.Error("something is marked as new that is not")
		}
	})
}

func TestDeny(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db, logintest.Mario, clients.ConsentRemember)
		p := v.page()
		v.wantAnswered(p, "answer", "deny", "remember", "yes")
		v.wantAnswered(p, "answer", "allow") // Back, and another thought: too late
		if a := v.answer(); a == nil || a.Allowed {
			t.Errorf("got %+v, want the no that came first", a)
		}
	})
}

func TestConsentStepCannotBeSkippedOrFinishedElsewhere(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db, logintest.Mario, clients.ConsentRemember)
		p, stranger := v.page(), v.house.Browser()
		if got := stranger.Get("/consent/" + v.i.ID); got.Name != "interaction-lost" || got.Status != http.StatusNotFound {
			t.Errorf("in another browser: got %d %q, want the lost page", got.Status, got.Name)
		}
		if got := v.Post("/consent/"+v.i.ID, url.Values{"answer": {"allow"}}); got.Status != http.StatusForbidden {
			t.Errorf("without the form's token: got %d, want 403", got.Status)
		}
		if got := v.Submit(p, "answer", "perhaps"); got.Location != "/consent/"+v.i.ID {
			t.Errorf("no answer: got %d to %q, want the page again", got.Status, got.Location)
		}
		v.SetCookie("session", "nobody's")
		v.wantAnswered(p, "answer", "allow") // back to where a sign-in is asked for
		if got := v.Get("/consent/" + v.i.ID); got.Location != v.i.ResumeURL() {
			t.Errorf("nobody signed in: got %d to %q", got.Status, got.Location)
		}
		if a := v.answer(); a != nil {
			t.Errorf("got answer %+v, want none", a)
		}
		if err := v.house.Interactions.End(t.Context(), v.i); err != nil {
			t.Fatal(err)
		}
		if got := v.Submit(p, "answer", "allow"); got.Name != "interaction-lost" {
			t.Errorf("after the end: got %d %q, want the lost page", got.Status, got.Name)
		}
	})
}

// A page left open in one tab must not let a service read somebody else, who
// has signed in in another.
func TestAFormAnswersOnlyForThePersonItShowed(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db, logintest.Mario, clients.ConsentRemember)
		marios := v.page()
		other := v.wants(login.Wants{})
		other.signIn(logintest.Anna, v.house.PIN(logintest.Anna))
		if got := v.Submit(marios, "answer", "allow"); got.Location != "/consent/"+v.i.ID {
			t.Errorf("got %d to %q, want the page again", got.Status, got.Location)
		}
		if a := v.answer(); a != nil {
			t.Errorf("got answer %+v, want none", a)
		}
		annas := v.page()
		wantText(t, annas, "Anna Maria")
		v.wantAnswered(annas, "answer", "allow")
	})
}

// Looking at the page is activity: it puts the session's idle end off.
func TestLookingAtThePageKeepsTheSessionAwake(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db, logintest.Mario, clients.ConsentRemember)
		for range 2 {
			databasetest.Shift(t, db, 25*time.Minute)
			v.page()
		}
	})
}

// The way into the own area sends nobody anything, so there is nothing to ask.
func TestNoConsentOnTheWayIntoTheOwnArea(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db, logintest.Mario, clients.ConsentRemember)
		form := v.page()
		own := v.Begin("", login.Request{Own: &login.Own{Page: "/account"}})
		if p := v.Get("/consent/" + own.ID); p.Status != http.StatusSeeOther || p.Location != own.ResumeURL() {
			t.Errorf("got %d, page %q to %q, want on to %q", p.Status, p.Name, p.Location, own.ResumeURL())
		}
		form.Body = strings.ReplaceAll(form.Body, v.i.ID, own.ID)
		if p := v.Submit(form, "answer", "allow"); p.Location != own.ResumeURL() {
			t.Errorf("an answer leads to %q, want on to %q", p.Location, own.ResumeURL())
		}
	})
}

// The band and the page speak of the service in the language that is read.
func TestPageNamesTheServiceInItsLanguage(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db, logintest.Mario, clients.ConsentAlways)
		d := clients.Document{}
		d.Purpose, d.Translations = "Per contarti.", clients.Translations{
			"client_name#en": "Statement of contributions", "purpose#en": "To count you.", "policy_uri#en": "https://estratto-conto.ente.example/en/privacy",
		}
		v.service = v.house.Client(d)
		v.i = v.Begin(v.service.ID, login.Request{Wants: login.Wants{Scopes: []string{"openid", "profile"}}})
		italian := v.page()
		wantText(t, italian, "Estratto conto", "Per contarti.")
		v.i = v.Begin(v.service.ID, login.Request{Wants: login.Wants{Scopes: []string{"openid", "profile"}}, Lang: "en"})
		english := v.page()
		wantText(t, english, "Statement of contributions", "To count you.", "https://estratto-conto.ente.example/en/privacy")
		for _, text := range []string{"Estratto conto", "Per contarti."} {
			if strings.Contains(english.Body, text) {
				t.Errorf("the English page says %q", text)
			}
		}
	})
}
