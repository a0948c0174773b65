package provider

import (
	"net/http"
	"strings"
	"testing"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
)

// A sign-in for the own area is no request of a service: nothing is issued for
// it, whatever it is taken to.
func TestTheWayIntoTheOwnAreaIsNoRequest(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"consent": "trusted"}`)
		s.authorize() // the browser gets its cookie
		_, cookies := h.session(h.people())
		s.setSession(cookies)
		i := must[login.Interaction](t)(h.interactions.Start(t.Context(), s.browserID(), login.Request{Own: &login.Own{Page: "/account"}}))
		for _, address := range []string{"/authorize/" + i.ID, "/authorize/" + i.ID + "?cancel=1"} {
			a := s.do(s.get(address, ""))
			if a.StatusCode != http.StatusNotFound || !strings.Contains(a.body, "interaction.lost") || !strings.Contains(a.body, `href="/account"`) {
				t.Errorf("%s: got %d to %q, want that it is lost", address, a.StatusCode, a.Header.Get("Location"))
			}
		}
		if _, err := h.interactions.Get(t.Context(), s.browserID(), i.ID); err != nil {
			t.Errorf("the way in was closed: %v", err)
		}
	})
}
