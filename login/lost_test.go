package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
	"ente.example/idp/login/logintest"
)

func TestALostInteractionNamesTheServiceAndTheWayBack(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		back := "https://estratto-conto.ente.example/"
		stranger := v.house.Browser()
		wantLostPage(t, stranger.Get(v.path("")), back)
		wantLostPage(t, stranger.Get(v.path("/pin")), back)
		wantLostPage(t, stranger.Get(v.path("/account")), back)
		wantLostPage(t, v.Get("/login/unknown"), "")

		d := clients.Document{}
		d.ClientName, d.InitiateLoginURI = "Domanda NASpI", "https://naspi.ente.example/start?from=idp"
		d.ClientURI = "https://naspi.ente.example/"
		v.service = v.house.Client(d)
		v = v.again(login.Request{})
		databasetest.Shift(t, db, time.Hour)
		got := v.form()
		wantLostPage(t, got, "https://naspi.ente.example/start?from=idp&amp;iss="+url.QueryEscape(v.house.Issuer()))
		if !strings.Contains(got.Body, "Domanda NASpI") {
			t.Error("the service is not named")
		}
	})
}

// The Back button after the end: no fault, no second session, no second code.
func TestBackAfterTheEndIsLost(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		pin := v.house.PIN(logintest.Mario)
		form := v.form()
		if err := v.house.Interactions.End(t.Context(), v.i); err != nil {
			t.Fatal(err)
		}
		wantLostPage(t, v.form(), v.service.ClientURI)
		wantLostPage(t, v.Submit(form, "fiscal_code", logintest.Mario, "pin", pin), v.service.ClientURI)
		if v.session() != nil {
			t.Error("a lost interaction signed somebody in")
		}
	})
}

func TestADisabledServiceIsNotTrustedAnyMore(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		if err := v.house.Clients.Disable(t.Context(), audit.Actor{Kind: audit.Operator}, v.service.ID); err != nil {
			t.Fatal(err)
		}
		if got := v.form(); got.Status != http.StatusBadRequest || got.Problem != "request.untrusted" {
			t.Errorf("got %d %q, want 400 request.untrusted", got.Status, got.Problem)
		}
	})
}

func TestWithoutTheDatabaseThePageSaysSo(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		v := newVisit(t, db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if got := v.form(); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
			t.Errorf("got %d %q, want 503 and when to come again", got.Status, got.Problem)
		}
	})
}
