package provider

import (
	"net/http"
	"testing"
	"time"

	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// Where too many sign in, who would have to is told to come again, and nothing
// is kept of him; who is signed in goes on, and so do services (decision 0031).
func TestCrowdedBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		crowded := true
		h := buildHouse(t, db, newSecrets(t), func(d *Deps) {
			d.Crowded = func() error {
				if crowded {
					return &credentials.BusyError{RetryAfter: 3 * time.Second}
				}
				return nil
			}
		})
		s := h.service("")
		a := s.authorize()
		if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") != "3" {
			t.Errorf("a stranger is told %d, Retry-After %q; want 503 and 3", a.StatusCode, a.Header.Get("Retry-After"))
		}
		var kept int
		if err := db.Read(t.Context()).Raw("SELECT count(*) FROM interactions").Scan(&kept).Error; err != nil || kept != 0 {
			t.Errorf("%d interactions, %v; want none", kept, err)
		}
		if got := s.reply(s.authorize("prompt", "none")).Get("error"); got != codeLoginRequired {
			t.Errorf("without a page: %q, want %s", got, codeLoginRequired)
		}
		crowded = false
		if a := s.authorize(); a.StatusCode != http.StatusSeeOther {
			t.Errorf("later: %d, want a page", a.StatusCode)
		}
		crowded = true
		s.signIn(h.people())
		if s.reply(s.authorize()).Get("code") == "" {
			t.Error("who is signed in got no code")
		}
	})
}
