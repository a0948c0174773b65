package provider

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// reach is two citizens at two services, one of them twice at the first, by name.
type reach struct {
	*house
	watcher *service
	grants  map[string]map[string]any // what the token endpoint answered
	of      map[string]*service
}

func newReach(t *testing.T, db *database.DB) *reach {
	t.Helper()
	h := newInstallation(t, db)
	r := &reach{house: h, watcher: h.service(`{"may_introspect": true}`), grants: map[string]map[string]any{}, of: map[string]*service{}}
	marios := h.people()
	a, b := h.service(byReference), h.service("")
	for name, s := range map[string]*service{"mario at a": a, "mario at b": b} {
		s.signIn(marios)
		r.grants[name], r.of[name] = s.tokens(), s
	}
	r.grants["mario at a again"], r.of["mario at a again"] = a.tokens(), a
	for name, s := range map[string]*service{"anna at a": a, "anna at b": b} {
		other := *s
		other.browser = h.browser()
		other.signIn(h.person(anna))
		r.grants[name], r.of[name] = other.tokens(), &other
	}
	return r
}

// living are the grants whose access token counts everywhere; it is a fault
// where introspection, userinfo and the refresh token do not agree.
func (r *reach) living() (names []string) {
	r.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(r.grants)) {
		access, refresh := r.grants[name]["access_token"], r.grants[name]["refresh_token"]
		lives := r.of[name].alive(access)
		for what, token := range map[string]any{"access": access, "refresh": refresh} {
			if got := r.watcher.asked(token)["active"] == true; got != lives {
				r.t.Errorf("%s: userinfo says %t, introspection of its %s token %t", name, lives, what, got)
			}
		}
		if lives {
			names = append(names, name)
			continue
		}
		wantRefusal(r.t, name+": a refresh", r.of[name].refresh(refresh.(string)), badGrant)
	}
	return names
}

// Revocation by grant, by consent, by citizen, by client: that and no other.
func TestWhatARevocationReaches(t *testing.T) {
	for name, row := range map[string]struct {
		end   func(r *reach)
		lives []string
	}{
		"a grant, by its refresh token": {func(r *reach) {
			s := r.of["mario at a"]
			s.by(party{s.client, s.secret}, revokePath, "token", r.grants["mario at a"]["refresh_token"].(string))
		}, []string{"anna at a", "anna at b", "mario at a again", "mario at b"}},
		"a grant, by its access token": {func(r *reach) {
			s := r.of["mario at b"]
			s.by(party{s.client, s.secret}, revokePath, "token", r.grants["mario at b"]["access_token"].(string))
		}, []string{"anna at a", "anna at b", "mario at a", "mario at a again"}},
		"a citizen at a client": {func(r *reach) {
			_ = r.provider.RevokeConsent(r.t.Context(), r.person(mario), r.of["mario at a"].client.ID, "withdrawn")
		}, []string{"anna at a", "anna at b", "mario at b"}},
		"a citizen": {func(r *reach) { _ = r.provider.RevokeCitizen(r.t.Context(), r.person(mario), "revoked") },
			[]string{"anna at a", "anna at b"}},
		"a client": {func(r *reach) { _ = r.provider.RevokeClient(r.t.Context(), r.of["mario at a"].client.ID, "disabled") },
			[]string{"anna at b", "mario at b"}},
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				r := newReach(t, db)
				if n := len(r.living()); n != 5 {
					t.Fatalf("%d grants live before, want 5", n)
				}
				row.end(r)
				if diff := cmp.Diff(row.lives, r.living()); diff != "" {
					t.Errorf("living grants (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A refresh narrows the one access token and not the grant (RFC 8707 §2.2).
func TestResourceNarrowedAtRefresh(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"resources": ["https://a.example", "https://b.example"]}`)
		s.signIn(h.people())
		both := s.with(s.browser, s.get("/authorize?"+s.params().Encode()+"&resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example", ""))
		tokens := s.exchange(s.reply(both).Get("code")).ok(t)
		for _, step := range []struct {
			resource string
			want     any
		}{
			{"https://a.example", "https://a.example"},
			{"", []any{"https://a.example", "https://b.example"}},
			{"https://b.example", "https://b.example"},
		} {
			tokens = s.refresh(tokens["refresh_token"].(string), "resource", step.resource).ok(t)
			if _, claims := payload(t, tokens["access_token"]); !cmp.Equal(claims["aud"], step.want) {
				t.Errorf("asked for %q: aud = %v, want %v", step.resource, claims["aud"], step.want)
			}
		}
		wantRefusal(t, "both, and another", s.refresh(tokens["refresh_token"].(string), "resource", "https://c.example"), "Bad Request invalid_target")
	})
}

// What an administrator takes from a client is gone from the next token on,
// though the grant is older.
func TestAudienceThatTheClientHasLost(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"resources": ["https://a.example", "https://b.example"]}`)
		s.signIn(h.people())
		both := s.with(s.browser, s.get("/authorize?"+s.params().Encode()+"&resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example", ""))
		tokens := s.exchange(s.reply(both).Get("code")).ok(t)
		left := func(resources ...string) {
			t.Helper()
			d := must[clients.Client](t)(h.clients.Get(t.Context(), s.client.ID)).Document()
			d.Resources = resources
			must[clients.Registered](t)(h.clients.Update(t.Context(), operator(), s.client.ID, d))
		}
		left("https://b.example")
		tokens = s.refresh(tokens["refresh_token"].(string)).ok(t)
		if _, claims := payload(t, tokens["access_token"]); claims["aud"] != "https://b.example" {
			t.Errorf("aud = %v, want what the client has left", claims["aud"])
		}
		left()
		wantRefusal(t, "with no audience left", s.refresh(tokens["refresh_token"].(string)), "Bad Request invalid_target")
	})
}

// The same for scopes.
func TestScopeThatTheClientHasLost(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		tokens := s.tokens("scope", "openid profile email offline_access")
		d := s.client.Document()
		d.Scope = clients.ParseScope("openid profile offline_access")
		must[clients.Registered](t)(h.clients.Update(t.Context(), operator(), s.client.ID, d))
		if got := s.refresh(tokens["refresh_token"].(string)); got.StatusCode == http.StatusOK {
			_, claims := payload(t, got.ok(t)["access_token"])
			t.Errorf("scope = %v, want nothing that the client has lost", claims["scope"])
		}
	})
}
