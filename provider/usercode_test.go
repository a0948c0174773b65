package provider

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// Wrong codes are counted for browser and network, on every node; a right one
// is no wrong one, and frees nobody.
func TestUserCodesAreThrottled(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		d := h.device("")
		d.begin()
		for range 9 {
			wantPage(t, d.types("user_code", "BCDF-GHJK"), "device", "code.wrong")
		}
		for range 3 {
			wantPage(t, d.types("user_code", d.user), "device-confirm", "")
		}
		wantPage(t, d.types("user_code", "BCDF-GHJK"), "device", "code.wrong")
		wantPage(t, d.types("user_code", d.user), "device", "login.waiting")
		databasetest.Shift(t, db, 5*time.Minute+time.Second)
		wantPage(t, d.types("user_code", d.user), "device-confirm", "")
		for range 50 { // each with a browser of its own
			d.browser = d.house.browser()
			wantPage(t, d.types("user_code", "BCDF-GHJK"), "device", "code.wrong")
		}
		d.browser = d.house.browser()
		wantPage(t, d.types("user_code", d.user), "device", "login.waiting")
		for typed, problem := range map[string]string{"": "form.invalid-field", "BCDF-GHJ": "form.invalid-field", "AAAA-AAAA": "form.invalid-field"} {
			wantPage(t, d.types("user_code", typed), "device", problem)
		}
	})
}

// An institution's own figures hold instead.
func TestDevicePolicy(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := buildHouse(t, db, newSecrets(t), func(d *Deps) {
			d.Devices = DevicePolicy{
				Life: 2 * time.Minute, Interval: 6500 * time.Millisecond,
				Tries: 2, Wait: 20 * time.Second, NetworkTries: 3, NetworkWait: 10 * time.Second,
			}
		})
		d := h.device("")
		got := d.asks().ok(t)
		d.code, d.user = got["device_code"].(string), got["user_code"].(string)
		if got["expires_in"] != 120.0 || got["interval"] != 7.0 {
			t.Errorf("answer = %v, want two minutes and seven seconds", got)
		}
		wantRefusal(t, "at first", d.poll(), pending)
		databasetest.Shift(t, db, 6*time.Second)
		wantRefusal(t, "after six seconds", d.poll(), slowDown)
		for range 2 {
			wantPage(t, d.types("user_code", "BCDF-GHJK"), "device", "code.wrong")
		}
		wantPage(t, d.types("user_code", d.user), "device", "login.waiting")
		d.browser = h.browser()
		wantPage(t, d.types("user_code", "BCDF-GHJK"), "device", "code.wrong")
		wantPage(t, d.types("user_code", d.user), "device", "login.waiting")
		databasetest.Shift(t, db, 11*time.Second)
		wantPage(t, d.types("user_code", d.user), "device-confirm", "")
		databasetest.Shift(t, db, 2*time.Minute)
		wantRefusal(t, "after two minutes", d.poll(), "Bad Request expired_token")
	})
}

// Neither code is in the database, nor anything that a list of all user codes
// would lead to.
func TestDeviceCodesAtRest(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		d := h.device("")
		d.begin()
		user, _ := parseUserCode(d.user)
		row, _, err := h.provider.findDevice(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(row.UserHash, []byte(codeHash(user.text))) || bytes.Contains(row.UserHash, []byte(user.text)) ||
			strings.Contains(row.Params, d.code) || strings.Contains(row.Params, user.text) {
			t.Errorf("a code is at rest: %v", row)
		}
		if text := fmt.Sprintf("%v %+v %#v %s", user, user, user, user); strings.Contains(text, user.text) {
			t.Errorf("a user code prints: %s", text)
		}
	})
}

func TestParseUserCode(t *testing.T) {
	for typed, want := range map[string]string{
		"WDJB-MJHT": "WDJBMJHT", " wdjb mjht ": "WDJBMJHT", "wdjbmjht": "WDJBMJHT", "WDJB–MJHT": "WDJBMJHT",
		"": "", "WDJB": "", "WDJB-MJHTT": "", "WDJA-MJHT": "", "WDJ1-MJHT": "", url.QueryEscape("è") + "BCDFG": "",
	} {
		got, problem := parseUserCode(typed)
		if got.text != want || (problem == "") != (want != "") {
			t.Errorf("%q: %q, %q; want %q", typed, got.text, problem, want)
		}
	}
}
