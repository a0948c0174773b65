package provider

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
)

// parallel is how many redeem at once (security page, P10).
const parallel = 200

// TestB2ParallelRedemption: of any number of redemptions of one code, at two
// nodes, exactly one succeeds; the others see a code that is no good, nobody
// sees a fault, and the family of the winner is dead afterwards.
func TestB2ParallelRedemption(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		h := newInstallation(t, a)
		s := h.service("")
		s.signIn(h.people())
		nodes := []*service{s, s.at(h.another(b))}
		code := s.code()

		var won, lost atomic.Int64
		answers := make([]answer, parallel)
		databasetest.Barrier(parallel, func(i int) {
			answers[i] = nodes[i%2].exchange(code)
			switch {
			case answers[i].StatusCode == http.StatusOK:
				won.Add(1)
			case answers[i].refusal(t) == badGrant:
				lost.Add(1)
			}
		})
		t.Logf("%d redemptions on two nodes: %d × 200, %d × 400 invalid_grant", parallel, won.Load(), lost.Load())
		if won.Load() != 1 || lost.Load() != parallel-1 {
			t.Errorf("won %d, lost %d, want 1 and %d", won.Load(), lost.Load(), parallel-1)
		}
		for _, got := range answers {
			if got.StatusCode != http.StatusOK {
				continue
			}
			tokens := got.json(t)
			if s.alive(tokens["access_token"]) {
				t.Error("the winner's access token lives on")
			}
			wantRefusal(t, "the winner's refresh token", s.refresh(tokens["refresh_token"].(string)), badGrant)
		}
		if n := events(t, a, audit.ReuseDetected); n != 1 {
			t.Errorf("%d records of the replay, want 1", n)
		}
	})
}

// TestParallelRefresh: everybody who refreshes with the same token in the same
// moment, at two nodes, gets the same successor: no fork, nobody logged out.
func TestParallelRefresh(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		h := newInstallation(t, a)
		s := h.service("")
		s.signIn(h.people())
		nodes := []*service{s, s.at(h.another(b))}
		first := s.tokens()["refresh_token"].(string)

		successors := make([]any, parallel)
		databasetest.Barrier(parallel, func(i int) {
			got := nodes[i%2].refresh(first)
			if got.StatusCode != http.StatusOK {
				t.Errorf("refresh: %d %s", got.StatusCode, got.body)
				return
			}
			successors[i] = got.json(t)["refresh_token"]
		})
		for _, got := range successors {
			if got != successors[0] {
				t.Fatal("two successors of one refresh token")
			}
		}
		s.refresh(successors[0].(string)).ok(t)
	})
}

// TestRefreshGrace: a retry within 30 seconds, by the database's clock, gets the
// same successor while that is unused. Later, or older, it is a replay.
func TestRefreshGrace(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())

		first := s.tokens()["refresh_token"].(string)
		second := s.refresh(first).ok(t)["refresh_token"].(string)
		databasetest.Shift(t, db, 29*time.Second)
		retry := s.refresh(first).ok(t)
		if retry["refresh_token"] != second || !s.alive(retry["access_token"]) {
			t.Error("a retry gets another successor, or a dead access token")
		}
		databasetest.Shift(t, db, 2*time.Second)
		wantRefusal(t, "a retry after the grace", s.refresh(first), badGrant)
		wantRefusal(t, "the family after that", s.refresh(second), badGrant)
		if s.alive(retry["access_token"]) {
			t.Error("an access token of the ended family lives on")
		}

		first = s.tokens()["refresh_token"].(string)
		second = s.refresh(first).ok(t)["refresh_token"].(string)
		third := s.refresh(second).ok(t)["refresh_token"].(string)
		wantRefusal(t, "a retry after the successor was used", s.refresh(first), badGrant)
		wantRefusal(t, "the family after that", s.refresh(third), badGrant)
		if n := events(t, db, audit.ReuseDetected); n != 2 {
			t.Errorf("%d records of replays, want 2", n)
		}
	})
}

// TestRefreshFamilyEnds thirty days after the sign-in, however often it is used.
func TestRefreshFamilyEnds(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		const day = 24 * time.Hour
		databasetest.Shift(t, db, 10*time.Minute) // the code comes some time after the sign-in
		token := s.tokens()["refresh_token"].(string)
		for range 29 {
			databasetest.Shift(t, db, day)
			token = s.refresh(token).ok(t)["refresh_token"].(string)
		}
		databasetest.Shift(t, db, day-11*time.Minute)
		token = s.refresh(token).ok(t)["refresh_token"].(string)
		databasetest.Shift(t, db, 2*time.Minute)
		wantRefusal(t, "thirty days after the sign-in", s.refresh(token), badGrant)
	})
}

// TestB21CodeExpires: a code lives sixty seconds, by the database's clock, and
// is then no good, not a malformed request.
func TestB21CodeExpires(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		young, old := s.code(), s.code()
		databasetest.Shift(t, db, 58*time.Second)
		s.exchange(young).ok(t)
		databasetest.Shift(t, db, 3*time.Second)
		wantRefusal(t, "after a minute", s.exchange(old), badGrant)
	})
}

// TestReplayEndsTheFamily: a code that comes back an hour later still ends what
// was made of it.
func TestReplayEndsTheFamily(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		code := s.code()
		tokens := s.exchange(code).ok(t)
		databasetest.Shift(t, db, time.Hour)
		wantRefusal(t, "the code again", s.exchange(code), badGrant)
		wantRefusal(t, "the refresh token", s.refresh(tokens["refresh_token"].(string)), badGrant)
	})
}

// TestStrangersEndNothing: what another client presents is as good as nothing,
// and does no harm to whom it belongs.
func TestStrangersEndNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s, stranger := h.service(""), h.service("")
		s.signIn(h.people())

		code := s.code()
		wantRefusal(t, "a stranger with the code", stranger.exchange(code), badGrant)
		wantRefusal(t, "a stranger with the code alone", stranger.token("grant_type", "authorization_code", "code", code), badGrant)
		tokens := s.exchange(code).ok(t)
		wantRefusal(t, "a stranger with the used code", stranger.exchange(code), badGrant)
		if !s.alive(tokens["access_token"]) {
			t.Fatal("a stranger ended the grant with its code")
		}

		first := tokens["refresh_token"].(string)
		wantRefusal(t, "a stranger with the refresh token", stranger.refresh(first), badGrant)
		second := s.refresh(first).ok(t)["refresh_token"].(string)
		third := s.refresh(second).ok(t)
		wantRefusal(t, "a stranger with an old refresh token", stranger.refresh(first), badGrant)
		if !s.alive(third["access_token"]) {
			t.Error("a stranger ended the grant with an old refresh token")
		}
		thief := *s
		thief.secret = "wrong"
		wantRefusal(t, "a thief without the secret", thief.refresh(first), badClient)
		wantRefusal(t, "a thief with the used code", thief.exchange(code), badClient)
		if !s.alive(third["access_token"]) {
			t.Error("somebody without the secret ended the grant")
		}
	})
}

// TestPublicReplayNeedsTheVerifier: a client without a secret is whoever says
// so; only the verifier shows that it is the client that replays.
func TestPublicReplayNeedsTheVerifier(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"token_endpoint_auth_method": "none", "grant_types": ["authorization_code"]}`)
		s.signIn(h.people())
		code := s.code()
		tokens := s.exchange(code).ok(t)
		other := challengeOf("another verifier of more than 43 characters")
		stolen := func(v string) answer {
			return s.token("grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", v)
		}
		wantRefusal(t, "the code with a wrong verifier", stolen(other), badGrant)
		wantRefusal(t, "the code without a verifier", stolen(""), badGrant)
		if !s.alive(tokens["access_token"]) {
			t.Fatal("a stranger ended the grant of a public client")
		}
		wantRefusal(t, "the code with the right verifier", stolen(verifier), badGrant)
		if s.alive(tokens["access_token"]) {
			t.Error("the client's own replay ended nothing")
		}
	})
}

// TestSignOutRace: whatever is issued while the citizen signs out elsewhere is
// dead afterwards.
func TestSignOutRace(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		h := newInstallation(t, a)
		s := h.service("")
		session := s.signIn(h.people())
		other := h.another(b)
		codes := make([]string, 20)
		databasetest.Barrier(len(codes), func(i int) {
			if i == len(codes)/2 {
				if err := other.sessions.End(t.Context(), operator(), session, login.EndSignOut); err != nil {
					t.Error(err)
				}
				return
			}
			got := s.authorize("scope", "openid")
			if strings.HasPrefix(got.Header.Get("Location"), callback) {
				codes[i] = s.reply(got).Get("code")
			}
		})
		issued := 0
		for _, code := range codes {
			if code == "" {
				continue
			}
			issued++
			wantRefusal(t, "a code from before the sign-out", s.exchange(code), badGrant)
		}
		t.Logf("%d codes were issued before the sign-out", issued)
	})
}
