package provider

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ente.example/idp/provider/keys"
)

// leaver is a client of the logout plans, where somebody is signed in.
type leaver struct {
	visited
	hint string
}

func (u suite) leaver() leaver {
	u.t.Helper()
	v := u.client("post_logout_redirect_uris", []string{leaving})
	tokens, _ := v.tokensOf()
	hint, _ := tokens["id_token"].(string)
	return leaver{v, hint}
}

// leaves sends the browser to the end-session endpoint and follows it on our
// site: to a page, or to where the service is told.
func (l leaver) leaves(pairs ...string) answer {
	l.t.Helper()
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	a := l.with(l.browser, l.get(EndSessionPath+"?"+v.Encode(), ""))
	for range 3 {
		if !strings.HasPrefix(a.Header.Get("Location"), "/") {
			break
		}
		a = l.follow(a)
	}
	return a
}

// gone is what each of the modules ends with: a silent request fails.
func (l leaver) gone() bool {
	l.t.Helper()
	return l.delivered(l.asks("prompt", "none")).Get("error") == codeLoginRequired
}

// confirms presses the button of the question.
func (l leaver) confirms(page answer) answer {
	l.t.Helper()
	g := guest{house: l.house, browser: l.browser}
	return g.submit(page)
}

// The plan oidcc-rp-initiated-logout-certification-test-plan.
func TestCertificationLogout(t *testing.T) {
	u := newSuite(t)
	long := strings.Repeat("x", 128)
	const ask, wrong, over = `data-page="sign-out"`, `data-problem="request.untrusted"`, `data-page="signed-out"`
	for name, row := range map[string]struct {
		pairs func(leaver) []string
		page  string // none: back to the service
		back  string
		stays bool
	}{
		"oidcc-rp-initiated-logout": {
			pairs: func(l leaver) []string {
				return []string{"id_token_hint", l.hint, "post_logout_redirect_uri", leaving, "state", long}
			}, back: leaving + "?state=" + long,
		},
		"oidcc-rp-initiated-logout-no-state": {
			pairs: func(l leaver) []string {
				return []string{"id_token_hint", l.hint, "post_logout_redirect_uri", leaving}
			}, back: leaving,
		},
		"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri": {
			pairs: func(l leaver) []string {
				return []string{"id_token_hint", l.hint, "post_logout_redirect_uri", leaving + "/bad", "state", long}
			}, page: wrong, stays: true,
		},
		"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri": {
			pairs: func(l leaver) []string {
				return []string{"id_token_hint", l.hint, "post_logout_redirect_uri", leaving + "?foo=bar", "state", long}
			}, page: wrong, stays: true,
		},
		"oidcc-rp-initiated-logout-modified-id-token-hint": {
			pairs: func(l leaver) []string {
				return []string{"id_token_hint", unsigned(l.hint), "post_logout_redirect_uri", leaving, "state", long}
			}, page: wrong, stays: true,
		},
		"oidcc-rp-initiated-logout-bad-id-token-hint": {
			pairs: func(l leaver) []string {
				key := l.asserter("ES256", "sig")
				return []string{"id_token_hint", key.sign(key.key, "ES256", "k", l.idClaims(l.client, l.current())), "post_logout_redirect_uri", leaving}
			}, page: wrong, stays: true,
		},
		"oidcc-rp-initiated-logout-no-id-token-hint": {
			pairs: func(leaver) []string { return []string{"post_logout_redirect_uri", leaving, "state", long} }, page: wrong, stays: true,
		},
		"oidcc-rp-initiated-logout-no-post-logout-redirect-uri": {
			pairs: func(l leaver) []string { return []string{"id_token_hint", l.hint, "state", long} }, page: over,
		},
		"oidcc-rp-initiated-logout-no-params":  {pairs: func(leaver) []string { return nil }, page: ask},
		"oidcc-rp-initiated-logout-only-state": {pairs: func(leaver) []string { return []string{"state", long} }, page: ask},
	} {
		t.Run(name, func(t *testing.T) {
			l := u.in(t).leaver()
			a := l.leaves(row.pairs(l)...)
			if row.page == ask { // the OP may ask first, as long as a yes ends in the page
				if !strings.Contains(a.body, ask) {
					t.Fatalf("%d, want the question\n%s", a.StatusCode, a.body)
				}
				if a = l.confirms(a); strings.HasPrefix(a.Header.Get("Location"), "/") {
					a = l.follow(a)
				}
				row.page = over
			}
			if a.Header.Get("Location") != row.back || row.page != "" && !strings.Contains(a.body, row.page) {
				t.Errorf("%d to %q, want %q, %s", a.StatusCode, a.Header.Get("Location"), row.back, row.page)
			}
			if l.gone() == row.stays {
				t.Errorf("signed in still: %t, want %t", row.stays, !row.stays)
			}
		})
	}
}

// unsigned is the token with alg none and no signature.
func unsigned(token string) string {
	parts := strings.Split(token, ".")
	return "eyJhbGciOiJub25lIn0." + parts[1] + "."
}

// The plans of front-channel and back-channel logout, and of session management:
// their one module beside the discovery.
func TestCertificationLogoutOfOthers(t *testing.T) {
	u := newSuite(t)
	t.Run("oidcc-frontchannel-rp-initiated-logout", func(t *testing.T) {
		v := u.in(t).client("post_logout_redirect_uris", []string{leaving}, "frontchannel_logout_uri", "https://service.example/front", "frontchannel_logout_session_required", true)
		tokens, id := v.tokensOf()
		hint, _ := tokens["id_token"].(string)
		page := leaver{v, hint}.leaves("id_token_hint", hint, "post_logout_redirect_uri", leaving, "state", "x")
		sid, _ := id["sid"].(string)
		if !strings.Contains(page.body, "https://service.example/front?iss="+url.QueryEscape(issuer)+"&amp;sid="+sid) ||
			!strings.HasSuffix(page.Header.Get("Refresh"), "url="+leaving+"?state=x") {
			t.Errorf("%d, Refresh %q\n%s", page.StatusCode, page.Header.Get("Refresh"), page.body)
		}
	})
	t.Run("oidcc-backchannel-rp-initiated-logout", func(t *testing.T) {
		l := u.in(t).listener("")
		l.signIn(u.id)
		tokens := l.tokens()
		_, id := payload(t, tokens["id_token"])
		l.signOut()
		l.house.send()
		heard := l.tokensHeard()
		if len(heard) != 1 {
			t.Fatalf("told %d times", len(heard))
		}
		header, claims := payload(t, heard[0])
		if header["typ"] != "logout+jwt" || header["alg"] != keys.RS256 || claims["sid"] != id["sid"] || claims["sub"] != id["sub"] || claims["aud"] != l.client.ID {
			t.Errorf("logout token %v %v", header, claims)
		}
	})
	t.Run("oidcc-session-management-rp-initiated-logout", func(t *testing.T) {
		l := u.in(t).leaver()
		a := l.asks()
		given := l.reply(a).Get("session_state")
		l.leaves("id_token_hint", l.hint, "post_logout_redirect_uri", leaving)
		after := l.delivered(l.asks("prompt", "none")).Get("session_state")
		if given == "" || after == "" || given == stateFor(given, l.client.ID, "https://service.example", "") || after != stateFor(after, l.client.ID, "https://service.example", "") {
			t.Errorf("session_state = %q, and %q after the sign-out", given, after)
		}
		if a.StatusCode != http.StatusSeeOther {
			t.Errorf("%d", a.StatusCode)
		}
	})
}
