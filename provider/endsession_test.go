package provider

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
	"ente.example/idp/provider/keys"
)

const leaving = "https://service.example/bye"

// guest is a citizen signed in at a service.
type guest struct {
	*house
	client  clients.Client
	session login.Session
	browser *http.Client
	hint    string
}

func newGuest(t *testing.T, db *database.DB) guest {
	t.Helper()
	h := newInstallation(t, db)
	id := h.people()
	client, _ := h.register(`{"post_logout_redirect_uris": ["` + leaving + `", "https://service.example/bye?from=idp"], "client_uri": "https://service.example/"}`)
	s, cookies := h.session(id)
	return guest{h, client, s, h.browser(cookies...), h.idToken(client, s)}
}

// idToken is one as /token gives it.
func (h *house) idToken(c clients.Client, s login.Session) string {
	h.t.Helper()
	return must[string](h.t)(h.provider.keys.Sign(h.t.Context(), keys.RS256, TypIDToken, h.idClaims(c, s)))
}

func (h *house) idClaims(c clients.Client, s login.Session) map[string]any {
	h.t.Helper()
	now := must[time.Time](h.t)(h.db.Now(h.t.Context()))
	return map[string]any{
		"iss": h.issuer, "aud": c.ID, "sub": h.provider.subject(c, s.Citizen), "sid": s.ID,
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
}

// logout asks for the end-session endpoint by GET.
func (g guest) logout(pairs ...string) answer {
	g.t.Helper()
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return g.with(g.browser, g.get(EndSessionPath+"?"+v.Encode(), ""))
}

// follow goes where the answer points, on this site.
func (g guest) follow(a answer) answer {
	g.t.Helper()
	to := a.Header.Get("Location")
	if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/") {
		g.t.Fatalf("got %d to %q, want a step on this site", a.StatusCode, to)
	}
	return g.with(g.browser, g.get(to, ""))
}

func (g guest) signedIn() bool {
	g.t.Helper()
	u := must[*url.URL](g.t)(url.Parse(g.issuer))
	for _, c := range g.browser.Jar.Cookies(u) {
		if c.Name == "session" {
			_, err := g.sessions.Get(g.t.Context(), c.Value)
			return err == nil
		}
	}
	return false
}

func (g guest) lives() bool {
	g.t.Helper()
	var n int
	err := g.db.Read(g.t.Context()).Raw(`SELECT count(*) FROM sessions WHERE id = ? AND ended_at IS NULL`, string(g.session.ID)).Scan(&n).Error
	if err != nil {
		g.t.Fatal(err)
	}
	return n == 1
}

// landed checks that the browser is sent back to the service.
func (g guest) landed(a answer, want string) {
	g.t.Helper()
	if got := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || got != want {
		g.t.Errorf("got %d to %q, want 303 to %q", a.StatusCode, got, want)
	}
}

// page checks which page is shown.
func (g guest) page(a answer, status int, name string) {
	g.t.Helper()
	if a.StatusCode != status || !strings.Contains(a.body, `data-page="`+name+`"`) {
		g.t.Errorf("got %d, want the page %q with %d:\n%.300s", a.StatusCode, name, status, a.body)
	}
}

func TestSignOutWithTheHintOfThisSessionAsksNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := newGuest(t, db)
		row, _ := g.grant(g.client, g.session.Citizen, g.session, "openid")
		kept, refresh := g.grant(g.client, g.session.Citizen, g.session, "openid", "offline_access")
		got := g.logout("id_token_hint", g.hint, "post_logout_redirect_uri", leaving, "state", "a b&c")
		g.landed(got, leaving+"?state=a+b%26c")
		if g.lives() || g.signedIn() {
			t.Error("the session lives on")
		}
		if _, err := g.provider.grants.live(t.Context(), row.ID); err == nil {
			t.Error("the session's grant lives on")
		}
		if _, err := g.provider.grants.live(t.Context(), kept.ID); err != nil || refresh == "" {
			t.Errorf("the offline grant ended with the session: %v", err)
		}
	})
}

func TestSignOutAcceptsAnExpiredHintAndARetiredKey(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := newGuest(t, db)
		g.rotate(keys.RS256) // which takes longer than the hint lives
		g.landed(g.logout("id_token_hint", g.hint, "post_logout_redirect_uri", leaving), leaving)
		if g.lives() {
			t.Error("the session lives on")
		}
	})
}

func TestSignOutKeepsTheRedirectsOwnQuery(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := newGuest(t, db)
		got := g.logout("id_token_hint", g.hint, "post_logout_redirect_uri", leaving+"?from=idp", "state", "x")
		g.landed(got, leaving+"?from=idp&state=x")
	})
}

// A link on any site may lead here: without a hint the citizen is asked.
func TestSignOutWithoutHintAsksFirst(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := newGuest(t, db)
		question := g.follow(g.logout("client_id", g.client.ID, "post_logout_redirect_uri", leaving, "state", "x"))
		g.page(question, http.StatusOK, "sign-out")
		if !g.lives() {
			t.Fatal("asking ended the session")
		}
		g.landed(g.submit(question), leaving+"?state=x")
		if g.lives() || g.signedIn() {
			t.Error("the session lives on after the yes")
		}
	})
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// submit posts the form of the page with its hidden fields.
func (g guest) submit(a answer) answer {
	g.t.Helper()
	r := g.post(askPath, g.hidden(a)...)
	r.Header.Set("Origin", g.issuer)
	return g.with(g.browser, r)
}

func (g guest) hidden(a answer) []string {
	g.t.Helper()
	var pairs []string
	for _, m := range hiddenField.FindAllStringSubmatch(a.body, -1) {
		pairs = append(pairs, m[1], strings.ReplaceAll(m[2], "&#43;", "+"))
	}
	if len(pairs) < 4 {
		g.t.Fatalf("the page's form has the hidden fields %q", pairs)
	}
	return pairs
}

func TestSignOutCannotBeForced(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := newGuest(t, db)
		question := g.follow(g.logout())
		pairs := g.hidden(question)
		for name, change := range map[string]func(r *http.Request){
			"from another site":    func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
			"from another origin":  func(r *http.Request) { r.Header.Set("Origin", "https://mallory.example") },
			"without a form token": nil,
		} {
			r := g.post(askPath, pairs...)
			if change == nil {
				r = g.post(askPath, "ticket", pairs[1])
			} else {
				change(r)
			}
			if got := g.with(g.browser, r); got.StatusCode != http.StatusForbidden {
				t.Errorf("%s: got %d, want 403", name, got.StatusCode)
			}
		}
		if !g.lives() {
			t.Error("the session ended")
		}
	})
}

func TestSignOutWithAnothersHintAsksFirst(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := newGuest(t, db)
		other, _ := g.house.session(g.person(anna))
		got := g.follow(g.logout("id_token_hint", g.idToken(g.client, other), "post_logout_redirect_uri", leaving))
		g.page(got, http.StatusOK, "sign-out")
		if !g.lives() {
			t.Error("another person's hint ended the session")
		}
	})
}

func TestSignOutWithAnOlderHintOfTheSamePersonAsksNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := newGuest(t, db)
		older, _ := g.house.session(g.session.Citizen)
		g.landed(g.logout("id_token_hint", g.idToken(g.client, older), "post_logout_redirect_uri", leaving), leaving)
		if g.lives() {
			t.Error("the session lives on")
		}
	})
}

func TestSignOutByFormGoesOnByGet(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := newGuest(t, db)
		r := g.post(EndSessionPath, "id_token_hint", g.hint, "post_logout_redirect_uri", leaving, "state", "x")
		r.Header.Set("Origin", "https://service.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		kept := g.do(r) // Lax cookies do not come with it
		if strings.Contains(kept.Header.Get("Location"), g.hint) {
			t.Error("the hint went into an address")
		}
		if !g.lives() {
			t.Fatal("the session ended without its cookie")
		}
		g.landed(g.follow(kept), leaving+"?state=x")
		if g.lives() {
			t.Error("the session lives on")
		}
	})
}

func TestSignOutGoesNowhereUnregistered(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := newGuest(t, db)
		other, _ := g.register(`{"post_logout_redirect_uris": ["https://other.example/bye"]}`)
		for name, pairs := range map[string][]string{
			"another address":        {"id_token_hint", g.hint, "post_logout_redirect_uri", "https://mallory.example/"},
			"a longer address":       {"id_token_hint", g.hint, "post_logout_redirect_uri", leaving + "/x"},
			"other case":             {"id_token_hint", g.hint, "post_logout_redirect_uri", "https://service.example/Bye"},
			"with user info":         {"id_token_hint", g.hint, "post_logout_redirect_uri", "https://x@service.example/bye"},
			"another client's":       {"id_token_hint", g.hint, "post_logout_redirect_uri", "https://other.example/bye"},
			"client is not the hint": {"id_token_hint", g.hint, "client_id", other.ID, "post_logout_redirect_uri", "https://other.example/bye"},
			"no client":              {"post_logout_redirect_uri", leaving},
			"unknown client":         {"client_id", "unknown", "post_logout_redirect_uri", leaving},
			"a forged hint":          {"id_token_hint", g.hint[:len(g.hint)-8] + "AAAAAAAA", "client_id", g.client.ID, "post_logout_redirect_uri", leaving},
			"an access token":        {"id_token_hint", g.signed(TypAccessToken, map[string]any{"iss": g.issuer, "aud": g.client.ID}), "post_logout_redirect_uri", leaving},
			"repeated":               {"id_token_hint", g.hint, "post_logout_redirect_uri", leaving, "post_logout_redirect_uri", "https://mallory.example/"},
		} {
			got := g.logout(pairs...)
			g.page(got, http.StatusBadRequest, "error")
			if !strings.Contains(got.body, `data-problem="request.untrusted"`) || got.Header.Get("Location") != "" {
				t.Errorf("%s: got %q", name, got.Header.Get("Location"))
			}
			if !g.lives() {
				t.Fatalf("%s: the session ended", name)
			}
		}
	})
}

func TestSignOutOfNobodyGoesOn(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := newGuest(t, db)
		g.browser = g.house.browser()
		g.landed(g.logout("client_id", g.client.ID, "post_logout_redirect_uri", leaving), leaving)
		farewell := g.follow(g.logout("client_id", g.client.ID))
		g.page(farewell, http.StatusOK, "signed-out")
		if !strings.Contains(farewell.body, "Servizio di prova") {
			t.Error("the page does not name the service")
		}
	})
}

// After a sign-out and beside a device's code, too, services are named in the
// language that is read.
func TestServicesAreNamedInTheLanguageOfThePage(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := newGuest(t, db)
		g.client, _ = g.register(`{"client_name#en": "Test service", "client_uri": "https://service.example/"}`)
		for locale, name := range map[string]string{"en": "Test service", "it": "Servizio di prova"} {
			g.browser = g.house.browser()
			if farewell := g.follow(g.logout("client_id", g.client.ID, "ui_locales", locale)); !strings.Contains(farewell.body, name) {
				t.Errorf("after a sign-out in %s: not %q\n%s", locale, name, farewell.body)
			}
		}
		d := g.device(`"client_name#it": "Televisore"`)
		d.begin()
		if confirm := d.types("user_code", d.user); !strings.Contains(confirm.body, "Televisore") || strings.Contains(confirm.body, "Servizio di prova") {
			t.Errorf("a device in Italian: %s", confirm.body)
		}
	})
}

func TestSignOutWithoutRedirectEndsOnAPageOfOurs(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := newGuest(t, db)
		g.page(g.follow(g.logout("id_token_hint", g.hint)), http.StatusOK, "signed-out")
		if g.lives() {
			t.Error("the session lives on")
		}
	})
}

func TestSignOutTicketProvesNothingElse(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := newGuest(t, db)
		for _, ticket := range []string{"", "abc", g.hint} {
			got := g.with(g.browser, g.get(askPath+"?ticket="+url.QueryEscape(ticket), ""))
			if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != signOutPath {
				t.Errorf("ticket %.10q: got %d to %q", ticket, got.StatusCode, got.Header.Get("Location"))
			}
		}
		if !g.lives() {
			t.Error("the session ended")
		}
	})
}
