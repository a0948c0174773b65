package credentials

import (
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
)

func rome(t *testing.T, s string) time.Time {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04:05", s, zone)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// R27: six and three calendar months, clamped to the end of the month.
func TestR27Due(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, changed, citizen, intermediary string }{
		{"plain", "2026-01-15 10:00:00", "2026-07-15 10:00:00", "2026-04-15 10:00:00"},
		{"31 August", "2026-08-31 09:00:00", "2027-02-28 09:00:00", "2026-11-30 09:00:00"},
		{"31 August before a leap year", "2027-08-31 09:00:00", "2028-02-29 09:00:00", "2027-11-30 09:00:00"},
		{"30 November", "2026-11-30 09:00:00", "2027-05-30 09:00:00", "2027-02-28 09:00:00"},
		{"end of December", "2026-12-31 23:59:59", "2027-06-30 23:59:59", "2027-03-31 23:59:59"},
		{"over both clock changes", "2026-03-28 12:00:00", "2026-09-28 12:00:00", "2026-06-28 12:00:00"},
		{"into the hour that does not exist", "2026-09-28 02:30:00", "2027-03-28 03:30:00", "2026-12-28 02:30:00"},
		// in UTC still the 30th, in Italy the 31st
		{"shortly after midnight", "2026-08-31 00:30:00", "2027-02-28 00:30:00", "2026-11-30 00:30:00"},
	} {
		changed := rome(t, c.changed).UTC()
		for category, want := range map[citizens.Category]string{citizens.Ordinary: c.citizen, citizens.Intermediary: c.intermediary} {
			if got := DefaultPolicy().due(changed, category, rome(t, c.changed).Location()); !got.Equal(rome(t, want)) {
				t.Errorf("%s, %s: due %s, want %s", c.name, category, got, rome(t, want))
			}
		}
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	now := rome(t, "2026-07-15 10:00:00")
	at := func(s string) database.Time { return database.Time{Time: rome(t, s)} }
	live := secret{Hash: []byte{1}}
	for _, c := range []struct {
		name string
		row  credential
		who  citizens.Category
		want State
	}{
		{"young", credential{State: Active, Secret: live, ChangedAt: at("2026-01-15 10:00:01")}, citizens.Ordinary, Active},
		{"R27 of age", credential{State: Active, Secret: live, ChangedAt: at("2026-01-15 10:00:00")}, citizens.Ordinary, ChangeDue},
		{"R27 intermediary", credential{State: Active, Secret: live, ChangedAt: at("2026-04-15 10:00:00")}, citizens.Intermediary, ChangeDue},
		{"issued", credential{State: Issued, Secret: live, DueAt: at("2026-07-15 10:00:01")}, citizens.Ordinary, Issued},
		{"issued too long ago", credential{State: Issued, Secret: live, DueAt: at("2026-07-15 10:00:00")}, citizens.Ordinary, ExpiredUnused},
		{"suspended hides", credential{State: Issued, Secret: live, DueAt: at("2026-07-15 10:00:00"), SuspendedAt: at("2026-07-01 10:00:00")}, citizens.Ordinary, Suspended},
		{"but not death", credential{State: Revoked, SuspendedAt: at("2026-07-01 10:00:00")}, citizens.Ordinary, Revoked},
	} {
		if got := DefaultPolicy().state(c.row, citizens.Citizen{Category: c.who}, now.Location(), now); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
