package throttle

import (
	"context"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// raised counts the alarms there are about somebody.
func raised(t *testing.T, g *Guard, key string) int {
	t.Helper()
	list, err := g.Alarms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, a := range list {
		if string(a.Key) == key {
			n++
		}
	}
	return n
}

func forgive(t *testing.T, g *Guard, key string) {
	t.Helper()
	if err := g.Forgive(t.Context(), []byte(key)); err != nil {
		t.Fatal(err)
	}
}

// R30: the tenth wrong try in a row raises one alarm, the eleventh none, and
// ten more after a right one the next.
func TestR30OneAlarmAWait(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := guard(t, db, DefaultPolicy())
		silence := func() bool {
			t.Helper()
			taken, err := g.Silence(t.Context(), []byte("p"))
			if err != nil {
				t.Fatal(err)
			}
			return taken
		}
		wants := func(what string, n int) {
			t.Helper()
			if got := raised(t, g, "p"); got != n {
				t.Errorf("%s: %d alarms, want %d", what, got, n)
			}
		}
		for range 9 {
			must(t, g.Reserve, "p")
		}
		databasetest.Shift(t, db, time.Minute)
		wants("nine", 0)
		must(t, g.Reserve, "p")
		wants("the tenth may still turn out right", 0)
		if silence() {
			t.Error("silenced before its time")
		}
		for range 60 { // tries during the wait keep nobody from hearing of it
			must(t, g.Reserve, "p")
			databasetest.Shift(t, db, time.Second)
		}
		wants("after a minute", 1)
		databasetest.Shift(t, db, 5*time.Minute)
		must(t, g.Reserve, "p")
		forgive(t, g, "p") // a right one takes nothing back
		wants("after a right one", 1)
		if !silence() || silence() {
			t.Error("an alarm is silenced once")
		}
		for range 10 {
			must(t, g.Reserve, "p")
		}
		databasetest.Shift(t, db, time.Minute)
		wants("ten more", 1)
	})
}

// A try counts as wrong before it is looked at. If the tenth turns out right,
// nothing has happened.
func TestR30ARightTenthTryRaisesNoAlarm(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := guard(t, db, DefaultPolicy())
		for range 10 {
			must(t, g.Reserve, "p")
		}
		forgive(t, g, "p")
		databasetest.Shift(t, db, time.Minute)
		if n := raised(t, g, "p"); n != 0 {
			t.Errorf("%d alarms, want none", n)
		}
	})
}

// Strangers have alarms as everybody has, so that they cost the same, and
// nobody hears of them.
func TestStrangersAlarmsAreForgotten(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := guard(t, db, DefaultPolicy())
		for range 10 {
			must(t, g.ReserveShadow, "nobody")
			must(t, g.Reserve, "p")
		}
		databasetest.Shift(t, db, time.Minute)
		list, err := g.Alarms(t.Context())
		if err != nil || len(list) != 1 || string(list[0].Key) != "p" || list[0].At.IsZero() {
			t.Errorf("alarms %v, %v, want one about p", list, err)
		}
		if _, err := g.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		var left int
		if err := db.Read(t.Context()).Raw(`SELECT count(*) FROM pin_throttle WHERE alarm_at IS NOT NULL`).Row().Scan(&left); err != nil || left != 1 {
			t.Errorf("%d alarms are left, %v, want the person's", left, err)
		}
	})
}

func TestOneNodeAnswersAnAlarm(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		nodes := []*Guard{guard(t, a, DefaultPolicy()), guard(t, b, DefaultPolicy())}
		for range 10 {
			must(t, nodes[0].Reserve, "p")
		}
		databasetest.Shift(t, a, time.Minute)
		taken, errs := make([]bool, 8), make([]error, 8)
		databasetest.Barrier(8, func(i int) { taken[i], errs[i] = nodes[i%2].Silence(context.Background(), []byte("p")) })
		n := 0
		for i, ok := range taken {
			if errs[i] != nil {
				t.Error(errs[i])
			}
			if ok {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d callers have taken the alarm, want 1", n)
		}
	})
}
