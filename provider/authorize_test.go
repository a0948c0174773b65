package provider

import (
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
	"ente.example/idp/provider/keys"
)

func TestRequestsThatAreRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"scope": "openid profile"}`)
		s.signIn(h.people())
		for _, row := range []struct {
			name  string
			pairs []string
			want  string
		}{
			{"no response type", []string{"response_type", ""}, codeInvalidRequest},
			{"a response type of others", []string{"response_type", "none"}, codeUnauthorizedClient},
			{"code and more", []string{"response_type", "code foo"}, codeUnsupportedResponseType},
			{"an unknown response mode", []string{"response_mode", "web_message"}, codeInvalidRequest},
			{"no scope", []string{"scope", ""}, codeInvalidScope},
			{"a scope that does not exist", []string{"scope", "openid nope"}, codeInvalidScope},
			{"a scope of other clients", []string{"scope", "openid email"}, codeInvalidScope},
			{"an unknown prompt", []string{"prompt", "maybe"}, codeInvalidRequest},
			{"none and more", []string{"prompt", "none login"}, codeInvalidRequest},
			{"max_age in words", []string{"max_age", "ten"}, codeInvalidRequest},
			{"max_age below zero", []string{"max_age", "-1"}, codeInvalidRequest},
			{"max_age with a sign", []string{"max_age", "+1"}, codeInvalidRequest},
			{"max_age in parts", []string{"max_age", "1.5"}, codeInvalidRequest},
			{"max_age without end", []string{"max_age", "99999999999999999999"}, codeInvalidRequest},
			{"claims that are not JSON", []string{"claims", "email"}, codeInvalidRequest},
			{"a nonce without end", []string{"nonce", strings.Repeat("x", 2000)}, codeInvalidRequest},
			{"a hint that is no token", []string{"id_token_hint", "x"}, codeInvalidRequest},
			{"a level nobody offers", []string{"claims", `{"id_token": {"acr": {"essential": true, "values": ["L9"]}}}`}, codeUnmetACR},
			{"the sub of somebody else", []string{"claims", `{"id_token": {"sub": {"value": "somebody"}}}`}, codeLoginRequired},
			{"prompt none and max_age 0", []string{"prompt", "none", "max_age", "0"}, codeLoginRequired},
		} {
			if got := s.refused(row.pairs...); got != row.want {
				t.Errorf("%s: %q, want %q", row.name, got, row.want)
			}
		}
		for _, more := range []string{"&scope=openid", "&prompt=none&prompt=none", "&nonce=", "&x=1&x=2", "&response_type=code"} {
			v := s.reply(s.with(s.browser, s.get("/authorize?"+s.params().Encode()+more, "")))
			if v.Get("error") != codeInvalidRequest || v.Get("state") != "a state" {
				t.Errorf("repeated with %q: %v", more, v)
			}
		}
		if h.grants() != 0 {
			t.Errorf("%d grants were issued", h.grants())
		}
	})
}

func TestRequestsThatArePassed(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		session := s.signIn(h.people())
		sub := h.provider.subject(s.client, session.Citizen)
		for name, pairs := range map[string][]string{
			"unknown parameters":         {"foo", "bar", "audience", "https://nowhere.example", "display", "popup"},
			"hints for people":           {"ui_locales", "de-CH it <script>", "login_hint", "RSSMRA80A01H501U", "claims_locales", "x"},
			"a voluntary level":          {"acr_values", "L9 L8"},
			"an essential level there":   {"claims", `{"id_token": {"acr": {"essential": true, "values": ["L9", "` + level1 + `"]}}}`},
			"prompt none":                {"prompt", "none"},
			"max_age kept":               {"max_age", "3600"},
			"the right sub":              {"claims", `{"id_token": {"sub": {"value": "` + sub + `"}}}`},
			"claims nobody knows":        {"claims", `{"userinfo": {"shoe_size": {"essential": true}}, "x": 1}`},
			"offline_access in any case": {"scope", "offline_access openid openid"},
			"query by name":              {"response_mode", "query"},
		} {
			if v := s.reply(s.authorize(pairs...)); v.Get("code") == "" {
				t.Errorf("%s: %v", name, v)
			}
		}
	})
}

// Errors of flows that are not the client's go where their clients listen.
func TestImplicitFlowIsRefusedInTheFragment(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service("")
		a := s.authorize("response_type", "id_token token")
		if got := a.Header.Get("Location"); !strings.HasPrefix(got, callback+"#") || !strings.Contains(got, "error="+codeUnauthorizedClient) {
			t.Errorf("answer to %q", got)
		}
	})
}

func TestFormPost(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		a := s.authorize("response_mode", "form_post", "state", `<b>"x"`)
		if a.StatusCode != http.StatusOK || a.Header.Get("Cache-Control") != "no-store" || !strings.Contains(a.body, `action="`+callback+`"`) {
			t.Fatalf("answer = %d, Cache-Control %q\n%s", a.StatusCode, a.Header.Get("Cache-Control"), a.body)
		}
		if strings.Contains(a.body, "<b>") || !strings.Contains(a.body, html.EscapeString(`<b>"x"`)) {
			t.Errorf("the state is not escaped:\n%s", a.body)
		}
		_, rest, _ := strings.Cut(a.body, `name="code" value="`)
		code, _, _ := strings.Cut(rest, `"`)
		s.exchange(code).ok(t)
		refused := s.authorize("response_mode", "form_post", "scope", "nope")
		if refused.StatusCode != http.StatusOK || !strings.Contains(refused.body, `value="invalid_scope"`) {
			t.Errorf("a refusal by form_post: %d\n%s", refused.StatusCode, refused.body)
		}
	})
}

// The redirect URI's own query stays to the letter; the answer is added.
func TestRedirectURIWithAQuery(t *testing.T) {
	t.Parallel()
	for redirect, want := range map[string]string{
		"https://a.example/cb":        "https://a.example/cb?code=1",
		"https://a.example/cb?":       "https://a.example/cb?code=1",
		"https://a.example/cb?b=%7e&": "https://a.example/cb?b=%7e&&code=1",
		"https://a.example/cb?b=1":    "https://a.example/cb?b=1&code=1",
		"com.example.app:/cb":         "com.example.app:/cb?code=1",
	} {
		if got := redirectURL(&authRequest{redirect: redirect, mode: modeQuery}, map[string]string{"code": "1"}); got != want {
			t.Errorf("%s: %q, want %q", redirect, got, want)
		}
	}
}

// R8: the claims parameter reaches no further than the scopes that the
// administrator gave the client, not even where nobody is asked.
func TestR8ClaimsParameterIsBoundedByScope(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"scope": "openid email"}`)
		s.signIn(h.people())
		tokens := s.exchange(s.code("scope", "openid", "claims",
			`{"userinfo": {"email": null, "https://attributes.eid.gov.it/fiscal_number": {"essential": true}}, "id_token": {"given_name": null}}`)).ok(t)
		info := s.do(s.get(userinfoPath, tokens["access_token"].(string))).ok(t)
		if info["email"] == nil || info["https://attributes.eid.gov.it/fiscal_number"] != nil {
			t.Errorf("userinfo = %v, want email and no codice fiscale", info)
		}
		if _, id := payload(t, tokens["id_token"]); id["given_name"] != nil {
			t.Errorf("ID token = %v, want no name", id)
		}
	})
}

// TestSignInStepByStep follows one citizen through every step, each of which
// comes back to /authorize/{id}.
func TestSignInStepByStep(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"consent": "remember"}`)
		citizen := h.people()

		start := s.authorize("claims", `{"userinfo": {"email": null}, "id_token": {"name": {"essential": true}}}`)
		i := s.interaction(start)
		s.leadsTo(s.resume(start), i, "/login/{id}")
		if i.Client != s.client.ID || !i.Wants.Offline || cmp.Diff([]string{"email", "name"}, i.Wants.Claims) != "" {
			t.Errorf("interaction of %q wants %+v", i.Client, i.Wants)
		}
		browser := s.browserID()
		session, cookies := h.session(citizen)
		s.setSession(cookies)
		if s.browserID() != browser {
			t.Fatal("the browser changed")
		}
		if err := h.interactions.MarkSignedIn(t.Context(), i, session); err != nil {
			t.Fatal(err)
		}
		s.leadsTo(s.resume(start), i, "/consent/{id}")
		s.answer(s.interaction(start), true, true)
		reply := s.reply(s.resume(start))
		if reply.Get("state") != "a state" {
			t.Errorf("state = %q", reply.Get("state"))
		}
		tokens := s.exchange(reply.Get("code")).ok(t)
		if _, id := payload(t, tokens["id_token"]); id["name"] != "Mario Rossi" || id["email"] != nil {
			t.Errorf("ID token = %v, want name alone", id)
		}
		info := s.do(s.get(userinfoPath, tokens["access_token"].(string))).ok(t)
		if info["email"] != "mario.rossi@example.it" || info["name"] != nil {
			t.Errorf("userinfo = %v, want email alone", info)
		}
		if back := s.resume(start); back.StatusCode != http.StatusNotFound || !strings.Contains(back.body, "interaction-lost") {
			t.Errorf("Back after the end: %d", back.StatusCode)
		}
		kept := `{"userinfo": {"email": null}, "id_token": {"name": null}}`
		s.code("claims", kept) // single sign-on, and the consent is kept
		s.code("claims", kept, "prompt", "none")
		for name, pairs := range map[string][]string{
			"asked to ask": {"claims", kept, "prompt", "consent"}, "more is wanted": {"scope", "openid phone"},
		} {
			again := s.authorize(pairs...)
			t.Log(name)
			s.leadsTo(s.resume(again), s.interaction(again), "/consent/{id}")
		}
	})
}

// setSession puts the session cookie of cookies into this browser, and leaves
// its name as it is.
func (s *service) setSession(cookies []*http.Cookie) {
	for _, c := range cookies {
		if c.Name == "session" {
			s.browser.Jar.SetCookies(must[*url.URL](s.t)(url.Parse(s.issuer)), []*http.Cookie{c})
		}
	}
}

func TestConsentDeniedAndCancelled(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"consent": "always"}`)
		s.signIn(h.people())
		if got := s.refused("prompt", "none"); got != codeConsentRequired {
			t.Errorf("prompt=none: %q, want %s", got, codeConsentRequired)
		}

		denied := s.authorize()
		s.answer(s.interaction(denied), false, false)
		if got := s.reply(s.resume(denied)); got.Get("error") != codeAccessDenied || got.Get("state") != "a state" {
			t.Errorf("denied: %v", got)
		}

		given := s.authorize()
		i := s.interaction(given)
		if got := s.reply(s.with(s.browser, s.get(i.CancelURL(), ""))); got.Get("error") != codeAccessDenied {
			t.Errorf("cancelled: %v", got)
		}
		if back := s.resume(given); back.StatusCode != http.StatusNotFound {
			t.Errorf("Back after cancelling: %d", back.StatusCode)
		}
		if h.grants() != 0 {
			t.Errorf("%d grants were issued", h.grants())
		}
	})
}

// A POST brings none of our cookies: it is kept, and decided where it leads.
func TestPostedRequest(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		post := func(values url.Values) answer {
			r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPost, h.issuer+"/authorize", strings.NewReader(values.Encode())))
			r.Header.Set("Content-Type", formContentType)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Origin", "https://service.example")
			return h.do(r) // without cookies
		}
		a := post(s.params())
		if !strings.HasPrefix(a.Header.Get("Location"), "/authorize/") || len(a.Cookies()) > 0 {
			t.Fatalf("POST = %d to %q with cookies %v", a.StatusCode, a.Header.Get("Location"), a.Cookies())
		}
		if v := s.reply(s.resume(a)); v.Get("code") == "" || v.Get("state") != "a state" {
			t.Errorf("the kept request: %v", v)
		}
		if got := s.reply(s.follow(post(s.params("prompt", "none", "max_age", "0")))); got.Get("error") != codeLoginRequired {
			t.Errorf("prompt=none: %v", got)
		}
		if got := s.reply(post(s.params("scope", "nope"))); got.Get("error") != codeInvalidScope {
			t.Errorf("a refusal: %v", got)
		}
		r := h.post("/authorize")
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		if got := h.do(r); got.StatusCode != http.StatusUnsupportedMediaType {
			t.Errorf("a multipart body: %d, want 415", got.StatusCode)
		}
	})
}

// The interaction belongs to the browser that opened it first.
func TestInteractionOfAnotherBrowser(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		start := s.authorize()
		s.resume(start)
		s.browser = h.browser()
		if got := s.resume(start); got.StatusCode != http.StatusNotFound || !strings.Contains(got.body, "interaction-lost") {
			t.Errorf("another browser: %d", got.StatusCode)
		}
	})
}

func TestPromptsStepByStep(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		session := s.signIn(h.people())
		ctx := t.Context()

		for _, pairs := range [][]string{{"prompt", "login"}, {"max_age", "0"}} {
			a := s.authorize(pairs...)
			i := s.interaction(a)
			s.leadsTo(s.resume(a), i, "/login/{id}")
			if err := h.interactions.MarkSignedIn(ctx, i, session); err != nil {
				t.Fatal(err)
			}
			s.reply(s.resume(a))
		}

		a := s.authorize("prompt", "select_account")
		i := s.interaction(a)
		s.leadsTo(s.resume(a), i, "/login/{id}/account")
		if err := h.interactions.MarkChosen(ctx, i, session.ID); err != nil {
			t.Fatal(err)
		}
		s.reply(s.resume(a))

		a = s.authorize("prompt", "login select_account consent")
		i = s.interaction(a)
		s.leadsTo(s.resume(a), i, "/login/{id}")

		other := s.authorize("prompt", "select_account")
		i = s.interaction(other)
		if err := h.interactions.MarkOther(ctx, i); err != nil {
			t.Fatal(err)
		}
		s.leadsTo(s.resume(other), i, "/login/{id}")

		databasetest.Shift(t, db, 10*time.Minute)
		a = s.authorize("max_age", "300")
		s.leadsTo(s.resume(a), s.interaction(a), "/login/{id}")
		if got := s.refused("max_age", "300", "prompt", "none"); got != codeLoginRequired {
			t.Errorf("prompt=none and too old: %q", got)
		}
		s.reply(s.authorize("max_age", "900"))
	})
}

func TestIDTokenHint(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		hint := s.tokens()["id_token"].(string)
		other := h.service("")
		other.signIn(h.person(mario))
		foreign := other.tokens()["id_token"].(string)

		must[keys.Key](t)(h.provider.keys.Rotate(t.Context(), operator(), keys.RS256))
		databasetest.Shift(t, db, 20*time.Minute) // it has expired
		for name, row := range map[string]struct{ hint, want string }{
			"an expired one":           {hint, ""},
			"of another client":        {foreign, codeInvalidRequest},
			"an access token":          {s.tokens()["access_token"].(string), codeInvalidRequest},
			"with another's signature": {hint[:strings.LastIndexByte(hint, '.')] + foreign[strings.LastIndexByte(foreign, '.'):], codeInvalidRequest},
		} {
			v := s.reply(s.authorize("prompt", "none", "id_token_hint", row.hint))
			if v.Get("error") != row.want {
				t.Errorf("%s: %v, want %q", name, v, row.want)
			}
		}
		s.signIn(h.person(anna))
		for _, prompt := range []string{"none", ""} {
			if got := s.refused("prompt", prompt, "id_token_hint", hint); got != codeLoginRequired {
				t.Errorf("somebody else, prompt %q: %q, want %s", prompt, got, codeLoginRequired)
			}
		}
	})
}

// A sign-out that gets in between the look at the session and the commit is
// seen: no grant outlives its session.
func TestSignOutWhileIssuing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		session := s.signIn(h.people())
		f := must[form](t)(parseParameters(s.params().Encode()))
		r := must[*authRequest](t)(h.provider.trust(t.Context(), f))
		if err := h.provider.check(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if err := h.sessions.End(t.Context(), operator(), session, login.EndSignOut); err != nil {
			t.Fatal(err)
		}
		c := echo.New().NewContext(s.get("/authorize", ""), httptest.NewRecorder())
		err := h.provider.issue(c, r, nil, standing{session: &session, subject: "x"})
		if !errors.Is(err, login.ErrNoSession) || h.grants() != 0 {
			t.Errorf("issue = %v, %d grants; want %v and none", err, h.grants(), login.ErrNoSession)
		}
	})
}
