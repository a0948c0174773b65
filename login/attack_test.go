package login_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login/logintest"
)

// Whoever has stolen a PIN signs in over and over, to have a session made just
// after its owner's revocation or suspension has ended all there were. What was
// verified before and is built on after must not outlive it, for eight hours.
func TestNoSessionBehindTheEndOfAPIN(t *testing.T) {
	for name, end := range map[string]func(context.Context, *logintest.House) error{
		"suspended": func(ctx context.Context, h *logintest.House) error {
			return h.Credentials.Suspend(ctx, audit.Actor{Kind: audit.Operator}, h.FiscalCode(logintest.Mario), "stolen")
		},
		"revoked": func(ctx context.Context, h *logintest.House) error {
			return h.Credentials.Revoke(ctx, audit.Actor{Kind: audit.Operator}, h.FiscalCode(logintest.Mario), "stolen")
		},
		"reported dead": func(ctx context.Context, h *logintest.House) error {
			_, err := h.Citizens.Import(ctx, strings.NewReader(
				"fiscal_code,given_name,family_name,deceased_on\n"+logintest.Mario+",Mario,Rossi,2026-01-01\n"),
				citizens.ImportOptions{Deceased: h.Credentials.Bereave})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				v := newVisit(t, db)
				pin := v.house.PIN(logintest.Mario)
				// The PIN was found right, and the transaction has not begun that
				// records so and begins the session.
				var begins atomic.Bool
				databasetest.Count(t, db).Before(func(statement string) {
					if statement == "BEGIN" && begins.CompareAndSwap(false, true) {
						if err := end(context.WithoutCancel(t.Context()), v.house); err != nil {
							t.Error(err)
						}
					}
				})
				page := v.signIn(logintest.Mario, pin)
				if s := v.session(); s != nil {
					t.Errorf("a session lives on behind the end of its PIN: %s", s.ID)
				}
				wantPage(t, page, "login", "login.refused")
			})
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				v := newVisit(t, db)
				pin := v.house.PIN(logintest.Mario)
				v.house.Tried = func() { // the session is there
					v.house.Tried = nil
					if err := end(context.WithoutCancel(t.Context()), v.house); err != nil {
						t.Error(err)
					}
				}
				v.signIn(logintest.Mario, pin)
				if s := v.session(); s != nil {
					t.Errorf("a session lives on after the end of its PIN: %s", s.ID)
				}
			})
		})
	}
}

// The same for a change of PIN, whose new PIN is as dead as the old one.
func TestNoSessionBehindTheEndOfAChange(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v, first, page := changing(t, db)
		v.house.Tried = func() {
			v.house.Tried = nil
			err := v.house.Credentials.Suspend(context.WithoutCancel(t.Context()), audit.Actor{Kind: audit.Operator},
				v.house.FiscalCode(logintest.Mario), "stolen")
			if err != nil {
				t.Error(err)
			}
		}
		page = v.Submit(page, "action", "confirm", "old_pin", first, "new_pin", shown(t, page))
		if s := v.session(); s != nil {
			t.Errorf("a session lives on behind the end of its PIN: %s", s.ID)
		}
		wantPage(t, page, "login", "login.refused")
	})
}

// Hold is for the end of a PIN alone: whoever signs in at the same moment as
// themselves, in two tabs, is let in twice.
func TestHoldLetsTheOwnerIn(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := logintest.New(t, db)
		pin, err := credentials.ParsePIN(h.PIN(logintest.Mario))
		if err != nil {
			t.Fatal(err)
		}
		databasetest.Barrier(4, func(int) {
			v, err := h.Credentials.Verify(t.Context(), audit.Actor{Kind: audit.Citizen}, h.FiscalCode(logintest.Mario), pin)
			if err == nil {
				err = db.InTx(t.Context(), func(ctx context.Context) error { return h.Credentials.Hold(ctx, v) })
			}
			if err != nil {
				t.Error(err)
			}
		})
	})
}

// An import may take minutes from the line that reports a death to its commit. A
// sign-in that comes in between waits, and is refused; nobody else waits.
func TestNoSessionBehindALongImport(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		if db.Dialect() == database.SQLite {
			return // one writer: whoever comes waits for the whole import anyway
		}
		v := newVisit(t, db)
		pin := v.house.PIN(logintest.Mario)
		marked, done := make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := v.house.Citizens.Import(t.Context(), strings.NewReader(
				"fiscal_code,given_name,family_name,deceased_on\n"+logintest.Mario+",Mario,Rossi,2026-01-01\n"),
				citizens.ImportOptions{
					Deceased: v.house.Credentials.Bereave,
					Record: func(context.Context, citizens.ImportReport) error {
						close(marked)
						return untilSomebodyWaits(t, db)
					},
				})
			done <- err
		}()
		<-marked
		page := v.signIn(logintest.Mario, pin)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if s := v.session(); s != nil {
			t.Errorf("a session of the dead: %s", s.ID)
		}
		wantPage(t, page, "login", "login.refused")
	})
}

// untilSomebodyWaits returns once a connection of this database waits for a lock.
func untilSomebodyWaits(t *testing.T, db *database.DB) error {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for n := 0; n == 0; {
		err := db.Read(ctx).Raw(`SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n).Error
		if err != nil {
			return err
		}
	}
	return nil
}
