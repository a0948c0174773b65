package login_test

import (
	"context"
	"testing"

	"ente.example/idp/audit"
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
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				v := newVisit(t, db)
				pin := v.house.PIN(logintest.Mario)
				endOnce := true
				v.house.Tried = func() {
					if !endOnce {
						return
					}
					endOnce = false
					if err := end(context.WithoutCancel(t.Context()), v.house); err != nil {
						t.Error(err)
					}
				}
				page := v.signIn(logintest.Mario, pin)
				if s := v.session(); s != nil {
					t.Errorf("a session lives on behind the end of its PIN: %s", s.ID)
				}
				wantPage(t, page, "login", "login.refused")
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
