package provider

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// OpenID Connect Core §3.1.2.6 and Unmet Authentication Requirements: what a
// request is told that may show no page, in each way of telling; and that the
// same citizen gets a page where one may be shown.
func TestErrorsOfASilentRequest(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		trusted, asks := h.service(""), h.service(`{"consent": "always"}`)
		asks.signIn(id)
		signedIn := h.service("")
		signedIn.signIn(id)
		hint := signedIn.tokens()["id_token"].(string)
		other := signedIn.at(h)
		other.signIn(h.person(anna))
		changing := h.service("")
		open := changing.authorize()
		i := changing.interaction(open)
		until := h.now().Add(10 * time.Minute)
		if err := h.interactions.MarkChange(t.Context(), i, credentials.ChangeID(uuid.NewString()), "ticket", until); err != nil {
			t.Fatal(err)
		}
		level := `{"id_token": {"acr": {"essential": true, "value": "https://www.spid.gov.it/SpidL3"}}}`
		for mode, comes := range map[string]string{
			"": "query", "query": "query", "fragment": "fragment", "form_post": "form_post", "query.jwt": "query.jwt",
			"fragment.jwt": "fragment.jwt", "form_post.jwt": "form_post.jwt", "jwt": "query.jwt",
		} {
			for _, row := range []struct {
				name  string
				s     *service
				pairs []string
				want  string
			}{
				{"nobody is signed in", trusted, nil, codeLoginRequired},
				{"too long ago", signedIn, []string{"max_age", "0"}, codeLoginRequired},
				{"somebody else", other, []string{"id_token_hint", hint}, codeLoginRequired},
				{"to be asked", asks, nil, codeConsentRequired},
				{"changing the PIN", changing, nil, codeInteractionRequired},
				{"a level that is not offered", signedIn, []string{"claims", level}, codeUnmetACR},
			} {
				got, v := row.s.delivery(row.s.authorize(append(row.pairs, "response_mode", mode, "prompt", "none")...))
				if got != comes || v.Get("error") != row.want || v.Get("state") != "a state" || v.Get("iss") != issuer || v.Has("code") {
					t.Errorf("%s, by %q: %s %v, want %s by %s", row.name, mode, got, v, row.want, comes)
				}
			}
		}
		for name, a := range map[string]answer{
			"nobody is signed in": trusted.authorize(), "too long ago": signedIn.authorize("max_age", "0"),
			"to be asked": asks.authorize(), "changing the PIN": changing.authorize(),
		} {
			if a.Header.Get("Location") == "" || a.Header.Get("Location")[0] != '/' {
				t.Errorf("%s: %d to %q, want a page of ours", name, a.StatusCode, a.Header.Get("Location"))
			}
		}
	})
}

// account_selection_required is never answered: a browser has one session, so
// that there is nothing to choose from. prompt=none takes that one; it stands
// beside no other value; and what login_hint names is no reason to refuse, or
// services could find out silently whose session it is.
func TestNoChoiceIsEverRequired(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		for _, hint := range []string{"", mario, anna} {
			s.code("prompt", "none", "login_hint", hint)
		}
		if got := s.refused("prompt", "none select_account"); got != codeInvalidRequest {
			t.Errorf("none and select_account: %q, want %s", got, codeInvalidRequest)
		}
	})
}
