package login

import (
	"errors"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// The way into the own area leads to a page of ours, whoever asks for it.
func TestTheWayInLeadsToAPageOfOurs(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := interactions(t, db)
		for _, page := range []string{
			"", "account", "//evil.example", "https://evil.example/account", `/\evil.example`, "javascript:alert(1)", "/%2F\\evil.example",
		} {
			if _, err := n.Start(t.Context(), "browser", Request{Own: &Own{Page: page}}); err == nil {
				t.Errorf("%q is taken", page)
			}
		}
		for name, r := range map[string]Request{"nobody": {}, "two": {Client: "estratto-conto", Own: &Own{Page: "/account"}}} {
			if _, err := n.Start(t.Context(), "browser", r); err == nil {
				t.Errorf("a sign-in for %s is taken", name)
			}
		}
		i, err := n.Start(t.Context(), "browser", Request{Own: &Own{Page: "/account/pin", Ended: true}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := n.Get(t.Context(), "browser", i.ID)
		if err != nil || got.Own == nil || *got.Own != (Own{"/account/pin", true}) || got.ResumeURL() != "/account/enter/"+i.ID {
			t.Errorf("got %+v, %v", got.Own, err)
		}
		if got.CancelURL() != "/account/enter/"+i.ID+"?cancel=1" {
			t.Errorf("cancelled at %s", got.CancelURL())
		}
	})
}

// What is left of it after its end says that no service waits.
func TestALostWayInSaysSo(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := interactions(t, db)
		i, err := n.Start(t.Context(), "browser", Request{Own: &Own{Page: "/account"}})
		if err != nil {
			t.Fatal(err)
		}
		wantOwn := func(err error) {
			t.Helper()
			lost, ok := errors.AsType[*LostError](err)
			if !ok || !lost.Own || lost.Client != "" {
				t.Errorf("got %v, want the own area's", err)
			}
		}
		_, err = n.Get(t.Context(), "another browser", i.ID)
		wantOwn(err)
		databasetest.Shift(t, db, time.Hour+time.Second)
		_, err = n.Get(t.Context(), "browser", i.ID)
		wantOwn(err)
		wantOwn(n.End(t.Context(), i))
	})
}

// A session ends by the sooner of what was stored and of today's policy.
func TestWhenASessionEnds(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 18, 10, 0, 0, 0, time.UTC)
	text := ""
	r := sessionRow{ID: &text, CitizenID: &text, ACR: &text, AMR: &text, PINKind: &text, AuthTime: database.Time{Time: at}, SeenAt: database.Time{Time: at.Add(time.Hour)}, ExpiresAt: database.Time{Time: at.Add(8 * time.Hour)}}
	for name, c := range map[string]struct {
		policy Policy
		ends   time.Duration
	}{
		"as stored":        {Policy{Idle: 30 * time.Minute, Absolute: 8 * time.Hour}, 8 * time.Hour},
		"stricter since":   {Policy{Idle: 30 * time.Minute, Absolute: 2 * time.Hour}, 2 * time.Hour},
		"more lenient now": {Policy{Idle: 30 * time.Minute, Absolute: 12 * time.Hour}, 8 * time.Hour},
	} {
		s := sessionStore{policy: c.policy}.session(r)
		if got := s.EndsAt.Sub(at); got != c.ends {
			t.Errorf("%s: ends after %s, want %s", name, got, c.ends)
		}
		if got := s.IdleAt.Sub(r.SeenAt.Time); got != 30*time.Minute {
			t.Errorf("%s: idle after %s", name, got)
		}
	}
}
