package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
	"ente.example/idp/provider/keys/keystest"
)

// Signing out ends what was granted in the session, but for offline grants.
func TestSignOutEndsTheSessionsGrants(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		session := s.signIn(h.people())
		online, offline := s.tokens("scope", "openid"), s.tokens()
		code, offlineCode := s.code("scope", "openid"), s.code()
		if err := h.sessions.End(t.Context(), operator(), session, login.EndSignOut); err != nil {
			t.Fatal(err)
		}
		if s.alive(online["access_token"]) {
			t.Error("an access token outlives the session")
		}
		wantRefusal(t, "a code of the session", s.exchange(code), badGrant)
		if !s.alive(offline["access_token"]) {
			t.Error("an offline grant ended with the session")
		}
		s.refresh(offline["refresh_token"].(string)).ok(t)
		s.exchange(offlineCode).ok(t)
		if n := events(t, db, audit.GrantRevoked); n != 2 {
			t.Errorf("%d ended grants on record, want 2", n)
		}
	})
}

// A PIN that is revoked ends every grant of its citizen, and of nobody else.
func TestRevokeCitizen(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s, other := h.service(""), h.service("")
		citizen := h.people()
		s.signIn(citizen)
		other.signIn(h.person(anna))
		mine, hers := s.tokens(), other.tokens()
		if err := h.provider.RevokeCitizen(t.Context(), citizen, "revoked"); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, "refresh", s.refresh(mine["refresh_token"].(string)), badGrant)
		if s.alive(mine["access_token"]) || !other.alive(hers["access_token"]) {
			t.Error("the wrong grants ended")
		}
	})
}

// What ends is undone with the transaction that ended it.
func TestHooksJoinTheTransaction(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		citizen := h.people()
		s.signIn(citizen)
		tokens := s.tokens()
		stop := errors.New("stop")
		err := db.InTx(t.Context(), func(ctx context.Context) error {
			if err := h.provider.RevokeCitizen(ctx, citizen, "revoked"); err != nil {
				return err
			}
			return stop
		})
		if !errors.Is(err, stop) || !s.alive(tokens["access_token"]) {
			t.Errorf("err = %v, and the access token lives: %t", err, s.alive(tokens["access_token"]))
		}
	})
}

func TestRevokeConsentAndClient(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		a, b := h.service(""), h.service("")
		citizen := h.people()
		a.signIn(citizen)
		b.signIn(citizen)
		withA, withB := a.tokens(), b.tokens()
		if err := h.provider.RevokeConsent(t.Context(), citizen, a.client.ID, "withdrawn"); err != nil {
			t.Fatal(err)
		}
		if a.alive(withA["access_token"]) || !b.alive(withB["access_token"]) {
			t.Error("withdrawing a consent ended the wrong grants")
		}
		if err := h.provider.RevokeClient(t.Context(), b.client.ID, "disabled"); err != nil {
			t.Fatal(err)
		}
		if b.alive(withB["access_token"]) {
			t.Error("a grant outlives its client")
		}
	})
}

// The janitor takes what is over, in its own time: a replay of a code is still
// known for one an hour later.
func TestSweep(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service("")
		s.signIn(h.people())
		s.tokens("scope", "openid")
		offline := s.tokens()
		sweep := func() {
			t.Helper()
			must[int](t)(h.provider.Sweep(t.Context()))
		}
		databasetest.Shift(t, db, 2*time.Hour)
		if sweep(); h.grants() != 2 {
			t.Errorf("after two hours: %d grants, want both", h.grants())
		}
		databasetest.Shift(t, db, 20*time.Minute)
		if sweep(); h.grants() != 1 {
			t.Errorf("after the memory of replays: %d grants, want the offline one", h.grants())
		}
		s.refresh(offline["refresh_token"].(string)).ok(t)
		databasetest.Shift(t, db, 31*24*time.Hour)
		if sweep(); h.grants() != 0 {
			t.Errorf("after a month: %d grants, want none", h.grants())
		}
	})
}

func TestSweepTakesBatches(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		ctx := t.Context()
		now := h.now()
		err := db.InTx(ctx, func(ctx context.Context) error {
			for i := range sweepBatch + 5 {
				if _, err := h.provider.grants.firstSeen(ctx, "c", jtiHash(fmt.Sprint(i)), now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		databasetest.Shift(t, db, time.Second)
		c := databasetest.Count(t, db)
		if got := must[int](t)(h.provider.Sweep(ctx)); got != sweepBatch+5 {
			t.Errorf("swept %d rows, want %d", got, sweepBatch+5)
		}
		deletes := 0
		for _, q := range c.Statements() {
			if strings.Contains(q, "assertion_jtis") {
				deletes++
			}
		}
		if deletes != 2 {
			t.Errorf("%d statements, want 2 batches", deletes)
		}
	})
}

// Nothing that opens anything is in the database: no code, verifier, refresh
// token or secret, in whatever column.
func TestDatabaseHoldsNoSecrets(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"token_endpoint_auth_method": "client_secret_post"}`)
		s.signIn(h.people())
		code := s.code()
		a := h.do(h.post(tokenPath, "grant_type", "authorization_code", "code", code, "redirect_uri", callback,
			"code_verifier", verifier, "client_id", s.client.ID, "client_secret", s.secret))
		tokens := a.ok(t)
		var tables []string
		if err := db.Read(t.Context()).Raw(map[database.Dialect]string{
			database.Postgres: "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
			database.SQLite:   "SELECT name FROM sqlite_master WHERE type = 'table'",
		}[db.Dialect()]).Scan(&tables).Error; err != nil {
			t.Fatal(err)
		}
		for _, table := range tables {
			var rows []map[string]any
			if err := db.Read(t.Context()).Table(table).Find(&rows).Error; err != nil {
				t.Fatal(err)
			}
			dump := fmt.Sprintf("%s %x", rows, rows)
			for what, secret := range map[string]string{
				"code": code, "verifier": verifier, "refresh token": tokens["refresh_token"].(string)[40:],
				"access token": tokens["access_token"].(string), "client secret": s.secret,
			} {
				if strings.Contains(dump, secret) {
					t.Errorf("the %s is in table %s", what, table)
				}
			}
		}
	})
}

// A database that is away is 503, in JSON for clients and on a page for people,
// and what was sent is as good as before.
func TestDatabaseAway(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		h := newInstallation(t, a)
		s := h.service("")
		s.signIn(h.people())
		other := s.at(h.another(b))
		code := s.code()
		other.tokens() // all that is remembered is remembered
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, "token", other.exchange(code), "Service Unavailable temporarily_unavailable")
		if got := other.authorize(); got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
			t.Errorf("authorize: %d to %q, Retry-After %q", got.StatusCode, got.Header.Get("Location"), got.Header.Get("Retry-After"))
		}
		s.exchange(code).ok(t)
	})
}

// A fault after the code was claimed and before the answer burns nothing: the
// tokens are signed first.
func TestSigningFaultBurnsNoCode(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		s := h.service(`{"id_token_signed_response_alg": "EdDSA"}`)
		s.signIn(h.people())
		code := s.code()
		good := h.provider.keys
		h.provider.keys = h.newKeys(keystest.AEAD(t)) // which has no key it could open
		if got := s.exchange(code); got.StatusCode < http.StatusInternalServerError {
			t.Errorf("without keys: %d %s", got.StatusCode, got.body)
		}
		h.provider.keys = good
		tokens := s.exchange(code).ok(t)
		refresh := tokens["refresh_token"].(string)
		h.provider.keys = h.newKeys(keystest.AEAD(t))
		if got := s.refresh(refresh); got.StatusCode < http.StatusInternalServerError {
			t.Errorf("refresh without keys: %d %s", got.StatusCode, got.body)
		}
		h.provider.keys = good
		s.refresh(refresh).ok(t)
	})
}
