package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/database/databasetest"
)

// signIn types codice fiscale and PIN on the sign-in page.
func (v *visitor) signIn(cf, pin string) *visitor {
	v.t.Helper()
	return v.on("login").submit(map[string]string{"fiscal_code": cf, "pin": pin})
}

// change copies the new PIN and confirms it with the old one.
func (v *visitor) change(old string) (pin string) {
	v.t.Helper()
	pin = strings.ReplaceAll(v.on("pin-change").byID("new-pin"), " ", "")
	v.submit(map[string]string{"new_pin": pin, "old_pin": old}, "action", "confirm")
	return pin
}

func (v *visitor) json(id string) map[string]any {
	v.t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(v.byID(id)), &doc); err != nil {
		v.t.Fatalf("#%s: %v", id, err)
	}
	return doc
}

// The whole main job, from the service's first page to its last: R1, R2, R23,
// R24, R25, consent, tokens, refresh, API, single sign-on, sign-out.
func TestMainJob(t *testing.T) { each(t, mainJob) }

func mainJob(h *house) {
	h.open(nil).people()
	first := h.firstPIN(newcomer)
	v := newVisitor(h.t)
	v.open(h.service+"/login").signIn(" rss mra 80a01 h501 u ", first[:8]+" "+first[8:])
	working := v.change(first)
	if len(working) != 8 {
		h.t.Fatalf("the new PIN has %d characters, want 8", len(working))
	}
	v.on("consent")
	for _, want := range []string{"Mario", "Rossi", newcomer, "mario.rossi@posta.example"} {
		if !strings.Contains(v.body, want) {
			h.t.Errorf("the consent page does not show %q", want)
		}
	}
	v.submit(nil, "answer", "allow").on("service-signed-in")
	h.checkClaims(v)
	v.submit(nil).on("service-signed-in") // the first button refreshes
	if !strings.Contains(v.body, "Token rinnovati") {
		h.t.Error("the refresh did not go through")
	}
	v.press("/call").on("service-signed-in")
	if api := v.json("api"); api["servizio"] != h.client.ID {
		h.t.Errorf("the API saw client %v, want %v", api["servizio"], h.client.ID)
	}
	h.again(v)
	h.signOut(v, working, first)
}

// R26: a change of PIN ends the session that its owner, or somebody else, has in
// another browser, and what the services there were granted.
func TestAChangedPINSignsOutElsewhere(t *testing.T) {
	each(t, func(h *house) {
		h.open(nil).people()
		pin := h.activePIN(regular)
		elsewhere := newVisitor(h.t)
		elsewhere.open(h.service+"/login").signIn(regular, pin).on("consent").submit(nil, "answer", "allow").on("service-signed-in")
		v := newVisitor(h.t)
		v.open(h.settings.Issuer+"/account").signIn(regular, pin).on("account")
		v.open(h.settings.Issuer+"/account/pin").on("account-pin").submit(nil, "action", "start").on("account-pin")
		fresh := strings.ReplaceAll(v.byID("new-pin"), " ", "")
		v.submit(map[string]string{"new_pin": fresh, "old_pin": pin}, "action", "confirm").on("done")
		v.open(h.settings.Issuer + "/account").on("account")
		elsewhere.open(h.service+"/login").signIn(regular, pin).on("login")
		if got := elsewhere.problem(); got != "login.refused" {
			h.t.Errorf("the old PIN elsewhere: %q, want login.refused", got)
		}
	})
}

// press submits the form with that action.
func (v *visitor) press(action string) *visitor {
	v.t.Helper()
	r, err := v.at.Parse(action)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.take(v.http.PostForm(r.String(), nil))
}

func (h *house) checkClaims(v *visitor) {
	h.t.Helper()
	id, info := v.json("id-token"), v.json("userinfo")
	for claim, want := range map[string]any{
		"iss": h.settings.Issuer, "acr": levelPIN, "auth_time": id["auth_time"], "nonce": id["nonce"],
	} {
		if got := id[claim]; got == nil || got != want {
			h.t.Errorf("ID token %s = %v, want %v", claim, got, want)
		}
	}
	if id["given_name"] != nil || id["https://attributes.eid.gov.it/fiscal_number"] != nil {
		h.t.Error("the ID token carries attributes that nobody asked for in it")
	}
	for claim, want := range map[string]any{
		"given_name": "Mario", "family_name": "Rossi", "gender": "male", "birthdate": "1980-01-01", "sub": id["sub"],
		"https://attributes.eid.gov.it/fiscal_number": "TINIT-" + newcomer, "email": "mario.rossi@posta.example", "email_verified": true,
		"phone_number": "+4915123456712", "pin_kind": "ordinario",
	} {
		if got := info[claim]; got != want {
			h.t.Errorf("userinfo %s = %v, want %v", claim, got, want)
		}
	}
	if sub, _ := id["sub"].(string); sub == "" || strings.Contains(sub, newcomer) {
		h.t.Errorf("sub = %q", sub)
	}
}

// again visits a second time within 30 minutes: no PIN is asked (R55).
func (h *house) again(v *visitor) {
	h.t.Helper()
	databasetest.Shift(h.t, h.db, 29*time.Minute)
	v.open(h.service + "/login").on("consent")
	v.submit(nil, "answer", "deny").on("service-signed-in")
	if !strings.Contains(v.body, "access_denied") {
		h.t.Error("a denied consent does not reach the service as access_denied")
	}
}

// signOut leaves from the service and finds the session gone; the first PIN
// is dead (R25), the new one works.
func (h *house) signOut(v *visitor, working, first string) {
	h.t.Helper()
	v.open(h.service+"/login").submit(nil, "answer", "allow").on("service-signed-in").press("/logout").on("service-home")
	v.open(h.service+"/login").signIn(newcomer, first).on("login")
	if got := v.problem(); got != "login.refused" {
		h.t.Errorf("the first PIN after its change: problem = %q, want login.refused", got)
	}
	v.signIn(newcomer, working).on("consent")
}

// R55: a session ends after 30 minutes without a request.
func TestR55SessionEndsWhenIdle(t *testing.T) {
	each(t, func(h *house) {
		h.open(func(d *clients.Document) { d.Consent = clients.ConsentTrusted }).people()
		pin := h.activePIN(regular)
		v := newVisitor(h.t)
		v.open(h.service+"/login").signIn(regular, pin).on("service-signed-in")
		databasetest.Shift(h.t, h.db, 29*time.Minute)
		v.open(h.service + "/login").on("service-signed-in")
		databasetest.Shift(h.t, h.db, 29*time.Minute)
		v.open(h.service + "/login").on("service-signed-in")
		databasetest.Shift(h.t, h.db, 30*time.Minute+time.Second)
		v.open(h.service + "/login").on("login")
	})
}

// R30, R31, R33: ten wrong PINs, five minutes, the same for a stranger.
func TestR30LockAndItsEnd(t *testing.T) {
	each(t, func(h *house) {
		h.open(func(d *clients.Document) { d.Consent = clients.ConsentTrusted }).people()
		pin := h.activePIN(regular)
		wrong := "13572468"
		if wrong == pin {
			wrong = "13572469"
		}
		for name, cf := range map[string]string{"known": regular, "unknown": "MLLSNT82P65Z404U"} {
			v := newVisitor(h.t)
			v.open(h.service + "/login")
			for i := 1; i <= 10; i++ {
				v.signIn(cf, wrong).on("login")
				want := "login.refused"
				if i == 10 {
					want = "login.waiting"
				}
				if got := v.problem(); got != want {
					h.t.Fatalf("%s, try %d: problem = %q, want %q", name, i, got, want)
				}
			}
		}
		v := newVisitor(h.t)
		databasetest.Shift(h.t, h.db, 4*time.Minute+50*time.Second)
		v.open(h.service+"/login").signIn(regular, pin).on("login")
		if got := v.problem(); got != "login.waiting" {
			h.t.Errorf("the right PIN before the wait is over: problem = %q", got)
		}
		databasetest.Shift(h.t, h.db, 15*time.Second)
		v.signIn(regular, pin).on("service-signed-in")
	})
}

// A revoked PIN ends sessions, grants and refresh tokens in the same breath.
func TestRevokedPINEndsEverything(t *testing.T) {
	each(t, func(h *house) {
		h.open(func(d *clients.Document) { d.Consent = clients.ConsentTrusted }).people()
		pin := h.activePIN(regular)
		v := newVisitor(h.t)
		v.open(h.service+"/login").signIn(regular, pin).on("service-signed-in")
		fc, err := parseCF(regular)
		if err != nil {
			h.t.Fatal(err)
		}
		if err := h.pins.Revoke(h.t.Context(), operator(), fc, "test"); err != nil {
			h.t.Fatal(err)
		}
		if v.press("/refresh").on("service-home"); !strings.Contains(v.body, "invalid_grant") {
			h.t.Errorf("a refresh token outlived the PIN: %s", v.text(v.page))
		}
		v.open(h.service+"/login").signIn(regular, pin).on("login")
		if got := v.problem(); got != "login.refused" {
			h.t.Errorf("a revoked PIN: problem = %q, want login.refused", got)
		}
	})
}

// Requests that cannot be trusted end on our page, never at an address.
func TestUntrustedRequests(t *testing.T) {
	each(t, func(h *house) {
		h.open(nil)
		good := url.Values{"client_id": {h.client.ID}, "redirect_uri": {h.service + "/callback"}, "response_type": {"code"}, "scope": {"openid"}}
		for name, change := range map[string]func(url.Values){
			"unknown client":        func(q url.Values) { q.Set("client_id", "nobody") },
			"no client":             func(q url.Values) { q.Del("client_id") },
			"no redirect_uri":       func(q url.Values) { q.Del("redirect_uri") },
			"other redirect_uri":    func(q url.Values) { q.Set("redirect_uri", "https://evil.example/") },
			"repeated redirect_uri": func(q url.Values) { q.Add("redirect_uri", h.service+"/callback") },
		} {
			q := url.Values{}
			for k, v := range good {
				q[k] = append([]string(nil), v...)
			}
			change(q)
			v := newVisitor(h.t)
			v.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			v.open(h.settings.Issuer + "/authorize?" + q.Encode()).on("error")
			if v.problem() != "request.untrusted" || v.code != http.StatusBadRequest {
				h.t.Errorf("%s: problem %q, status %d", name, v.problem(), v.code)
			}
		}
	})
}

// What was typed, made and sent in a whole sign-in stands nowhere in the log.
func TestNoSecretInTheLog(t *testing.T) {
	each(t, func(h *house) {
		h.open(func(d *clients.Document) { d.Consent = clients.ConsentTrusted }).people()
		first := h.firstPIN(newcomer)
		v := newVisitor(h.t)
		v.open(h.service+"/login").signIn(newcomer, "99999999")
		v.signIn(newcomer, first)
		working := v.change(first)
		v.on("service-signed-in")
		log := h.log.String()
		if !strings.Contains(log, "/login/:id") {
			h.t.Fatal("the log does not tell of the sign-in at all")
		}
		for what, secret := range map[string]string{
			"codice fiscale": newcomer, "first half": first[:8], "second half": first[8:], "wrong PIN": "99999999",
			"working PIN": working, "client secret": h.secret, "e-mail": "mario.rossi", "mobile": "15123456712",
		} {
			if strings.Contains(strings.ToUpper(log), strings.ToUpper(secret)) {
				h.t.Errorf("the log holds the %s", what)
			}
		}
	})
}
