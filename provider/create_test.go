package provider

import (
	"strings"
	"testing"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// prompt=create leads to the request for a PIN by every way in, once; with the
// sign-in that goes on afterwards.
func TestPromptCreate(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		for name, come := range map[string]func(s *service) answer{
			"through the browser": func(s *service) answer { return s.authorize("prompt", "create") },
			"posted": func(s *service) answer {
				v := s.params("prompt", "create login")
				pairs := []string{}
				for name := range v {
					pairs = append(pairs, name, v.Get(name))
				}
				return s.with(s.browser, s.post("/authorize", pairs...))
			},
			"pushed": func(s *service) answer { return s.bring(s.pushedURI(s.push("prompt", "create"))) },
		} {
			s := h.service("")
			i, ok := strings.CutPrefix(come(s).Header.Get("Location"), "/pin/request?sign_in=")
			if !ok {
				t.Errorf("%s: leads elsewhere", name)
				continue
			}
			back := s.with(s.browser, s.get("/authorize/"+i, ""))
			if got := back.Header.Get("Location"); got != "/login/"+i {
				t.Errorf("%s: the way back leads to %q, want the sign-in", name, got)
			}
		}
		s := h.service("")
		s.signIn(id)
		if got := s.refused("prompt", "create none"); got != codeInvalidRequest {
			t.Errorf("with none: %q, want %s", got, codeInvalidRequest)
		}
		i, _ := strings.CutPrefix(s.authorize("prompt", "create").Header.Get("Location"), "/pin/request?sign_in=")
		if v := s.reply(s.with(s.browser, s.get("/authorize/"+i, ""))); v.Get("code") == "" {
			t.Errorf("who is signed in comes back to %v, want a code", v)
		}
	})
}
